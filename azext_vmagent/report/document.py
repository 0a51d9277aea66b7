"""The JSON contract: one diagnosis as plain dicts and lists (schemaVersion 1: add, never rename).

az sorts the keys of JSON and drops tuples and dataclasses on the way, so everything is converted here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from azext_vmagent.causes.known_cause import Finding
from azext_vmagent.causes.known_cause import State as FindingState
from azext_vmagent.facts.guest_repair import AtWork
from azext_vmagent.facts.reading import Facts
from azext_vmagent.facts.screenshot import ScreenshotFacts
from azext_vmagent.facts.serial_log import SerialLogFacts
from azext_vmagent.flow import Diagnosis, seconds_by_step
from azext_vmagent.model import Answer, Cause, NextStep, Reason, Since, Target, Verdict
from azext_vmagent.repair.model import Action, RepairPlan
from azext_vmagent.repair.outcome import Ended, Repaired
from azext_vmagent.repair.worse import got_worse
from azext_vmagent.report.redaction import printable, safe
from azext_vmagent.report.repaired import next_command, undo_command, why

SCHEMA_VERSION = "1"

Document = dict[str, Any]


def document(
    diagnosis: Diagnosis,
    plan: RepairPlan | None = None,
    done: Repaired | None = None,
    before: Diagnosis | None = None,
    ended: Ended | None = None,
) -> Document:
    """The object that scripts get; ``repair`` is null unless a repair was asked for.

    After a repair the diagnosis is the one that followed it, ``before`` the one that it was made for; ``ended`` says
    why nothing was changed.
    """
    facts, verdict = diagnosis.facts, diagnosis.verdict
    return {
        "schemaVersion": SCHEMA_VERSION,
        "vm": _vm(facts, verdict.since),
        "verdict": _verdict(verdict),
        "findings": _findings(diagnosis.findings),
        "serialLog": _serial_log(facts.serial),
        "screenshot": _screenshot(facts.screenshot),
        "channels": [_channel(answer) for answer in diagnosis.answers],
        "lastRepair": _last_repair(facts),
        "repair": _repair(plan, done, before or diagnosis, ended)
        if plan is not None or done is not None or ended is not None
        else None,
        "timings": {"total": round(diagnosis.total, 3), "byStep": dict(seconds_by_step(diagnosis.answers))},
    }


def error_document(target: Target, code: str, message: str) -> Document:
    """The row of a VM that could not be asked, among several."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "vm": _named(target),
        "verdict": None,
        "error": {"code": code, "message": safe(message)},
    }


def _vm(facts: Facts, since: Since | None) -> Document:
    vm, target = facts.vm, facts.target
    agent: Document = {
        "status": vm.agent.value if vm else None,
        "version": (safe(vm.agent_version) or None) if vm else None,
        "message": (safe(vm.agent_message) or None) if vm else None,
        "since": {"time": _time(since.time), "source": safe(since.source)} if since else None,
    }
    return {
        **_named(target),
        "location": safe(vm.location) or None if vm else None,
        "osType": safe(vm.os_type) or None if vm else None,
        "powerState": safe(vm.power) or None if vm else None,
        "agent": agent,
    }


def _named(target: Target) -> Document:
    if not target.subscription:  # saved files do not say whose they are
        return {"id": None, "name": None, "resourceGroup": None}
    return {
        "id": printable(target.id),
        "name": printable(target.name),
        "resourceGroup": printable(target.resource_group),
    }


def _verdict(verdict: Verdict) -> Document:
    return {
        "scenario": verdict.scenario.value,
        "number": verdict.scenario.number,
        "candidates": [candidate.value for candidate in verdict.candidates],
        "cause": _cause(verdict.cause) if verdict.cause else None,
        "otherCauses": [_cause(cause) for cause in verdict.other_causes],
        "confidence": verdict.confidence.value,
        "summary": safe(verdict.summary),
        "because": [_reason(reason) for reason in verdict.because],
        "ruledOut": [_reason(reason) for reason in verdict.ruled_out],
        "notChecked": [_reason(reason) for reason in verdict.not_checked],
        "nextSteps": [_step(step) for step in verdict.next_steps],
    }


def _repair(plan: RepairPlan | None, done: Repaired | None, before: Diagnosis, ended: Ended | None) -> Document:
    """How it ended, and the plan or why there is none. ``applied`` and ``verified`` are null where nothing was sent."""
    if done is not None:
        ended = Ended(done.outcome, why(before, done), next_command(before, done))
    return {
        "outcome": ended.outcome.value if ended is not None else None,
        "why": safe(ended.why) if ended is not None else None,
        "next": printable(ended.command) if ended is not None and ended.command else None,
        "plan": _plan(plan) if plan is not None else None,
        "applied": _applied(done) if done is not None else None,
        "verified": _verified(done, before) if done is not None else None,
        "worse": safe(got_worse(before, done) or "") or None if done is not None else None,
        "undo": printable(undo_command(before)) if done is not None and done.in_force else None,
    }


def _last_repair(facts: Facts) -> Document | None:
    """What the guest's own record says of the last repair there; null where it has none."""
    guest = facts.guest
    last = guest.last_repair if guest is not None else None
    if guest is None or (last is None and guest.repairing is None):
        return None
    return {
        "record": last.repair if last is not None else None,
        "state": last.state if last is not None else None,
        "time": _time(last.time) if last is not None else None,
        "brokenOff": last is not None and last.broken_off and guest.repairing is None,
        "restartedSince": guest.restarted_since_repair,
        "underWay": _holder(guest.repairing),
    }


def _holder(holder: AtWork | None) -> Document | None:
    return {"process": holder.pid, "since": _time(holder.since), "login": holder.who} if holder is not None else None


def _applied(done: Repaired) -> Document:
    record = done.record
    return {
        "result": record.result.value,
        "record": safe(record.repair) or None,
        "detail": safe(done.carried.detail),
        "answered": done.answered,
        "resumed": record.resumed,
        "before": {"record": record.last.repair, "state": record.last.state, "time": _time(record.last.time)}
        if record.last is not None
        else None,
        "lockedBy": _holder(record.locked_by),
        "otherRulesSame": record.other_rules_same,
        "seconds": record.seconds,
        "steps": [
            {"action": step.action, "phase": step.phase, "outcome": step.outcome, "detail": safe(step.detail)}
            for step in record.steps
        ],
        "nextSteps": [_step(step) for step in done.advice],
    }


def _verified(done: Repaired, before: Diagnosis) -> Document:
    """The guest's own proof, Azure's word, what was wrong before; ``scenario`` is null where nobody looked again."""
    after = done.after
    return {
        "wireServer": {str(port): status for port, status in done.record.wire},
        "agentStatus": after.facts.vm.agent.value if after is not None and after.facts.vm is not None else None,
        "readyAfter": round(done.ready_after, 1) if done.ready_after is not None else None,
        "scenario": after.verdict.scenario.value if after is not None else None,
        "unproven": done.unproven or None,
        "before": {
            "scenario": before.verdict.scenario.value,
            "cause": before.verdict.cause.code if before.verdict.cause is not None else None,
        },
    }


def _plan(plan: RepairPlan) -> Document:
    refusal = plan.refusal
    return {
        "channel": plan.channel,
        "actions": [_action(action) for action in plan.actions],
        "permissions": sorted(permission.value for permission in plan.permissions),
        "minutes": sum(action.minutes for action in plan.actions),
        "remains": [_cause(cause) for cause in plan.remains],
        "untried": plan.untried or None,
        "refusal": {
            "code": refusal.code,
            "why": safe(refusal.why),
            "nextSteps": [_step(step) for step in refusal.next_steps],
        }
        if refusal is not None
        else None,
    }


def _action(action: Action) -> Document:
    return {
        "kind": action.kind,
        "change": safe(action.change),
        "effect": safe(action.effect),
        "risk": action.risk.value,
        "downtime": action.downtime,
        "minutes": action.minutes,
        "undo": safe(action.undo),
        "proof": action.proof,
        "arguments": [printable(argument) for argument in action.arguments],
        "permission": action.allow.value if action.allow is not None else None,
        "loses": list(action.loses),
    }


def _findings(found: Iterable[Finding]) -> Document:
    """Every cause that can hit this guest: those found with their evidence, the others by code."""
    found = tuple(found)
    return {
        "present": [
            {
                **_cause(finding.cause),
                "kind": finding.known.kind.value,
                "scenario": finding.known.scenario.value if finding.known.scenario else None,
                "evidence": [_reason(seen.reason) for seen in finding.seen],
            }
            for finding in found
            if finding.state is FindingState.PRESENT
        ],
        "absent": [finding.known.code for finding in found if finding.state is FindingState.ABSENT],
        "unknown": [
            {"code": finding.known.code, "missing": [need.value for need in finding.missing]}
            for finding in found
            if finding.state is FindingState.UNKNOWN
        ],
    }


def _cause(cause: Cause) -> Document:
    return {
        "code": cause.code,
        "slug": cause.slug,
        "title": safe(cause.title),
        "detail": safe(cause.detail),
        "culprit": safe(cause.culprit) if cause.culprit else None,
    }


def _reason(reason: Reason) -> Document:
    found = {
        "what": safe(reason.what),
        "channel": reason.channel,
        "source": safe(reason.source) if reason.source else None,
        "line": reason.line,
        "excerpt": safe(reason.excerpt) if reason.excerpt else None,
        "time": _time(reason.time),
    }
    return found | ({"scenario": reason.scenario.value} if reason.scenario else {})


def _step(step: NextStep) -> Document:
    return {
        "action": safe(step.action),
        "command": printable(step.command) if step.command else None,
        "effect": safe(step.effect) if step.effect else None,
        "risk": step.risk,
        "downtime": step.downtime,
        "undo": safe(step.undo) if step.undo else None,
        "link": step.link,
    }


def _serial_log(serial: SerialLogFacts | None) -> Document | None:
    if serial is None:
        return None
    return {
        "boots": serial.boots,
        "state": serial.state.value,
        "outlook": serial.outlook.value,
        "bootLine": serial.boot_line,
        "bootTime": _time(serial.boot_time),
        "lastLine": safe(serial.last_line),
        "events": [
            {"line": event.line, "text": safe(event.text), "meaning": safe(event.meaning), "cause": event.code}
            for event in serial.deciding
        ],
    }


def _screenshot(screen: ScreenshotFacts | None) -> Document | None:
    if screen is None:
        return None
    return {
        "kind": screen.kind.value,
        "sure": screen.sure.value,
        "why": [safe(figure) for figure in screen.why],
        "path": printable(screen.path) if screen.path else None,
    }


def _channel(answer: Answer) -> Document:
    seconds = round(answer.seconds, 3) if answer.seconds is not None else None
    return {"name": answer.source, "status": answer.state.value, "detail": safe(answer.detail), "seconds": seconds}


def _time(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
