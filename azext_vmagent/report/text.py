"""The report for people: verdict first, then what decided it, then the next command. Pure: text in, lines out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from datetime import datetime, timezone

from azext_vmagent.facts.durations import age
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.reading import SERIAL_LOG, Facts
from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Answer, Confidence, NextStep, Reason, Scenario, State, Verdict
from azext_vmagent.report.layout import LABEL, WIDTH, Style, entry
from azext_vmagent.report.redaction import printable, safe
from azext_vmagent.verdict.naming import LOOK_ALIKE

_MARKS = {State.OK: "✓", State.NOT_ASKED: "–"}


def step_line(answer: Answer, style: Style) -> str:
    """One step as it ends: ``✓ serial log        login prompt in the newest boot      0.9 s``."""
    mark = _MARKS.get(answer.state, "✗")
    seconds = f"{answer.seconds:.1f} s" if answer.seconds is not None else ""
    mark = style(mark, "green") if mark == "✓" else style(mark, "yellow") if mark == "✗" else mark
    detail = safe(answer.detail)
    return f"  {mark} {answer.source:<18} {detail:<60} {seconds:>6}".rstrip()


def heading(facts: Facts) -> str:
    """``web-03  rg-shop · japaneast · Linux (image) · running · agent Not Ready``."""
    vm = facts.vm
    if not facts.target.subscription:
        return safe("Saved evidence: " + ", ".join(f"{name} {answer.detail}" for name, answer in facts.answers.items()))
    parts = [facts.target.resource_group]
    if vm is not None:
        system = vm.os_type + (f" ({vm.image})" if vm.image else "")
        parts += [part for part in (vm.location, system, vm.power) if part]
        parts.append(f"agent {vm.agent.value}")
    else:
        parts.append("the VM's state is not known")
    return safe(f"{facts.target.name}  {' · '.join(parts)}")


def report(diagnosis: Diagnosis, style: Style) -> list[str]:
    """The lines of the report after the steps."""
    verdict, now = diagnosis.verdict, datetime.now(timezone.utc)
    lines = [heading(diagnosis.facts), "", _title(verdict, style)]
    lines += _reasons(verdict.because)
    if verdict.cause and (verdict.scenario.number or verdict.scenario in _CAUSE_TELLS):
        culprit = (
            f": {safe(verdict.cause.culprit)}"
            if verdict.cause.culprit and verdict.cause.culprit not in verdict.cause.title
            else ""
        )
        lines += entry("cause", f"{verdict.cause.code}  {safe(verdict.cause.title)}{culprit}")
    for other in verdict.other_causes:
        lines += entry(
            "also", f"{other.code}  {safe(other.title)}" + (f": {safe(other.culprit)}" if other.culprit else "")
        )
    if verdict.since:
        when = verdict.since.time
        lines += entry("since", f"{when:%Y-%m-%d %H:%M} UTC, {age(now - when)} ago ({verdict.since.source})")
    elif verdict.scenario.number or verdict.scenario is Scenario.UNCERTAIN:
        lines += entry("since", "not known: Azure does not say since when")
    lines += _last_repair(diagnosis.facts)
    lines += _ruled_out(verdict.ruled_out)
    lines += _unknown(verdict)
    lines += ["", *step_lines(verdict.next_steps, style)]
    slug = f"{verdict.cause.slug} ({verdict.cause.code})" if verdict.cause else verdict.scenario.value
    more = f" · more: az vm agent-explain -c {verdict.cause.code}" if verdict.cause else ""
    return [*lines, "", f"{slug} in {diagnosis.total:.1f} s{more}"]


#: what the last word of a repair's record in the guest means
_REPAIR_ENDED = {
    "verified": "applied and checked in the guest",
    "kept": "applied in part, and kept as it helped",
    "failed": "a change did not take",
    "reverted": "taken back, as it did not help",
    "undone": "undone",
}


def _last_repair(facts: Facts) -> list[str]:
    """What the guest's own record says of the last repair there; nothing waits for Azure's word on it."""
    guest = facts.guest
    if guest is None or (guest.last_repair is None and guest.repairing is None):
        return []
    if guest.repairing is not None:
        holder = guest.repairing
        return entry("repair", f"one is under way since {holder.since:%Y-%m-%d %H:%M:%S} UTC (login {holder.who})")
    last = guest.last_repair
    if last is None:
        return []
    said = _REPAIR_ENDED.get(last.state, f"broken off ({last.state})")
    more = "; the VM has restarted since" if guest.restarted_since_repair else ""
    if last.broken_off:
        more += "; --repair goes on with it, --undo takes it back"
    elif last.state == "verified" and facts.vm is not None and facts.vm.agent is not AgentStatus.READY:
        more += "; Azure's word lags by minutes"
    return entry("repair", f"{last.repair} of {last.time:%Y-%m-%d %H:%M:%S} UTC: {said}{more}")


_CAUSE_TELLS = (Scenario.AGENT_DEGRADED, Scenario.PLATFORM)


def _title(verdict: Verdict, style: Style) -> str:
    number = verdict.scenario.number
    if number:
        title = f"Scenario {number}: {safe(verdict.summary)}"
    elif verdict.scenario is Scenario.UNCERTAIN:
        names = [f"{c.number} ({c.value})" if c.number else c.value for c in verdict.candidates]
        title = (
            f"Uncertain: {_either(names)}. {safe(verdict.summary)}" if names else f"Uncertain. {safe(verdict.summary)}"
        )
    else:
        title = f"{verdict.scenario.value.replace('-', ' ').capitalize()}: {safe(verdict.summary)}"
    colour = (
        "green"
        if verdict.scenario is Scenario.HEALTHY and verdict.confidence is not Confidence.WEAK
        else "red"
        if number
        else "yellow"
    )
    first, *rest = textwrap.wrap(title, WIDTH - 10)
    padded = f"{first:<{WIDTH - 10}} {verdict.confidence.value}"
    return "\n".join([style(padded, "bold", colour), *(style(line, "bold", colour) for line in rest)])


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]


def _reasons(reasons: Iterable[Reason]) -> list[str]:
    lines: list[str] = []
    for index, reason in enumerate(reasons):
        lines += entry("because" if index == 0 else "", f"{safe(reason.what)}  [{_where(reason)}]")
        if reason.excerpt:
            lines += entry("", safe(reason.excerpt), indent=2)
    return lines


def _where(reason: Reason) -> str:
    return ", ".join(part for part in (reason.channel, _place(reason)) if part)


def _place(reason: Reason) -> str:
    source = reason.source or ""
    where = f"{source} line {reason.line}" if reason.line else source
    dated = reason.time and reason.channel != SERIAL_LOG  # there it is the boot's time, which «since» tells
    return f"{where} {reason.time:%m-%d %H:%M:%SZ}".strip() if dated else where.strip()


def _ruled_out(reasons: Iterable[Reason]) -> list[str]:
    """Scenarios that fall for the same reason share a line: ``not 3, 4   the SSH port greets``; look-alikes follow."""
    grouped: dict[str, list[str]] = {}
    look_alikes = []
    for reason in reasons:
        what = safe(reason.what)
        if what.startswith(LOOK_ALIKE):
            look_alikes += entry(LOOK_ALIKE.rstrip(": "), f"{what.removeprefix(LOOK_ALIKE)}  [{_where(reason)}]")
        else:
            grouped.setdefault(what, []).append(str((reason.scenario and reason.scenario.number) or ""))
    return [
        line for what, numbers in grouped.items() for line in entry("not " + ", ".join(numbers), what)
    ] + look_alikes


def _unknown(verdict: Verdict) -> list[str]:
    lines: list[str] = []
    for index, reason in enumerate(verdict.not_checked):
        lines += entry("not checked" if index == 0 else "", f"{reason.channel}: {safe(reason.what)}")
    return lines


def step_lines(steps: Iterable[NextStep], style: Style) -> list[str]:
    """What to do, the first thing in front: ``do now …``, ``or …``."""
    lines: list[str] = []
    for index, step in enumerate(steps):
        label = "do now" if index == 0 else "or"
        notes = " · ".join(
            n
            for n in (
                step.effect,
                f"downtime: {step.downtime}" if step.downtime else None,
                f"risk: {step.risk}" if step.risk and step.risk != "none known" else None,
            )
            if n
        )
        if step.command:
            lines.append(f"  {label:<{LABEL - 2}} {style(printable(step.command), 'bold')}")
            lines += entry("", safe(step.action) + (f" · {notes}" if notes else ""))
        else:
            lines += entry(
                label, safe(step.action) + (f" · {notes}" if notes else "") + (f" · {step.link}" if step.link else "")
            )
    return lines
