"""From a diagnosis to the actions that put it right, or to a refusal. Pure: it reads what is known and asks nobody.

What cures a cause is decided in ``causes/cures.py``, what Azure can do about it in the verdict's own next steps: the
plan says the same as the report above it. It is the guest's program that looks again before it changes anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from azext_vmagent.causes.access import with_login
from azext_vmagent.causes.cures import ORDER, RESTART, START, Step, agent_cure, boot_cure, interface_cure, rule_cure
from azext_vmagent.facts.firewall_facts import BlockingRule
from azext_vmagent.facts.guest_facts import Connect, GuestFacts
from azext_vmagent.facts.reading import SERIAL_CONSOLE, Facts
from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Scenario, Verdict
from azext_vmagent.repair import refusals, refusals_windows
from azext_vmagent.repair.actions import guest_action
from azext_vmagent.repair.model import Permission, RepairPlan
from azext_vmagent.repair.plan_by_azure import plan_by_azure
from azext_vmagent.repair.plan_windows import in_windows
from azext_vmagent.repair.resuming import broken_off, resuming, under_way

_INSIDE = (Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED, Scenario.AGENT_DEGRADED, Scenario.NETWORK_DOWN)
_UNTESTED = (Connect.NOT_SAID, Connect.NO_TOOL)


def plan(diagnosis: Diagnosis, allowed: Collection[Permission] = (), by_hand: bool = False) -> RepairPlan:
    """What would be done about this diagnosis; ``allowed`` chooses between what Azure itself can do.

    ``by_hand``: somebody carries it into the guest as a script, so that no channel is needed.
    """
    found = _plan(diagnosis, allowed, by_hand)
    if found.refusal is None:
        return found
    steps = with_login(found.refusal.next_steps, diagnosis.facts, diagnosis.wish)
    return replace(found, refusal=replace(found.refusal, next_steps=steps))


def _plan(diagnosis: Diagnosis, allowed: Collection[Permission], by_hand: bool) -> RepairPlan:
    facts, verdict = diagnosis.facts, diagnosis.verdict
    refusal = under_way(facts) or refusals.before_any_change(diagnosis)
    last = broken_off(facts)
    if last is not None and refusals.may_resume(refusal, facts):
        return resuming(last, facts)
    if refusal is not None:
        return RepairPlan(refusal=refusal)
    if refusals.stands_still(facts):
        return _where_it_stopped(facts, verdict)
    if verdict.scenario not in _INSIDE:
        return plan_by_azure(facts, verdict, allowed)
    refusal = (refusals_windows if facts.windows else refusals).in_the_guest(facts, verdict)
    if refusal is None and facts.windows:
        found = in_windows(facts, verdict, by_hand)
        cured_by_azure = verdict.scenario is Scenario.NETWORK_DOWN and not found.actions
        return plan_by_azure(facts, verdict, allowed) if cured_by_azure else found
    if refusal is None:
        return _in_the_guest(facts, verdict, allowed, by_hand)
    if verdict.scenario is Scenario.NETWORK_DOWN:
        return plan_by_azure(facts, verdict, allowed)
    return RepairPlan(refusal=refusal)


def _in_the_guest(facts: Facts, verdict: Verdict, allowed: Collection[Permission], by_hand: bool) -> RepairPlan:
    guest = facts.guest or GuestFacts()
    blocking = tuple(_blocking(guest))
    refusal = refusals.of_a_rule(blocking, verdict)
    if refusal is not None:
        return RepairPlan(refusal=refusal)
    named = [cause for cause in (verdict.cause, *verdict.other_causes) if cause is not None]
    given = facts.network.private_address if facts.network else None
    cures = [(cause, agent_cure(cause, guest) or interface_cure(cause, guest, given)) for cause in named]
    rules = [step for rule in blocking if (step := rule_cure(rule)) is not None]
    if not rules and not (cures and cures[0][1]):
        if verdict.scenario is Scenario.NETWORK_DOWN:
            return plan_by_azure(facts, verdict, allowed)
        if guest.rules.blocks and guest.outcome(80) in _UNTESTED and verdict.scenario is Scenario.WIRE_SERVER_BLOCKED:
            return RepairPlan(refusal=refusals.not_tested(facts, guest.rules.blocks[0], verdict))
        return RepairPlan(refusal=refusals.no_safe_cure(facts, verdict))
    if verdict.scenario is Scenario.AGENT_STOPPED and not cures[0][1]:
        return RepairPlan(refusal=refusals.no_safe_cure(facts, verdict))
    steps = _in_order([*rules, *(step for _, found in cures for step in found)])
    refusal = refusals.not_carried(steps, verdict) or (None if by_hand else refusals.no_channel(facts))
    if refusal is not None:
        return RepairPlan(refusal=refusal)
    actions = tuple(guest_action(step, facts) for step in steps)
    refusal = None if by_hand else refusals.ends_its_channel(actions, facts, verdict)
    if refusal is not None:
        return RepairPlan(refusal=refusal)
    by_rule = {rule.rule for rule in blocking}
    remains = tuple(cause for cause, found in cures if not found and cause.culprit not in by_rule)
    return RepairPlan(actions, facts.guest_channel, remains=remains)


def _where_it_stopped(facts: Facts, verdict: Verdict) -> RepairPlan:
    """A boot that stopped in a maintenance shell, which only root can enter, and a restart would stop again."""
    refusal = refusals.where_it_stopped(facts, verdict)
    if refusal is not None or facts.stopped is None:
        return RepairPlan(refusal=refusal)
    steps = boot_cure(facts.stopped)
    refusal = refusals.not_carried(steps, verdict)
    if refusal is not None:
        return RepairPlan(refusal=refusal)
    return RepairPlan(tuple(guest_action(step, facts) for step in steps), SERIAL_CONSOLE)


def _blocking(guest: GuestFacts) -> Iterator[BlockingRule]:
    """The rules that stop the test as root on every port of theirs, or the agent by its log where nobody could test.

    One whose port answers all the same does no harm, whatever it reads like: it is not touched.
    """
    for rule in guest.rules.blocks:
        outcomes = {guest.outcome(port) for port in rule.ports}
        failed = bool(outcomes.difference(_UNTESTED)) or bool(guest.log.failures)
        if failed and Connect.OK not in outcomes:
            yield rule


def _in_order(steps: Iterable[Step]) -> list[Step]:
    """Each once, the way to the server before the agent; a restart starts as well."""
    once = list(dict.fromkeys(steps))
    restarted = {step.arguments[:1] for step in once if step.kind == RESTART}
    wanted = [step for step in once if step.kind != START or step.arguments[:1] not in restarted]
    return sorted(wanted, key=lambda step: ORDER.index(step.kind))
