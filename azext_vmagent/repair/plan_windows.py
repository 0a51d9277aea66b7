"""The actions in a Windows guest, or the refusal. Pure; ``causes/cures_windows.py`` decides what cures a cause."""

from __future__ import annotations

from azext_vmagent.causes.cures_windows import AGENT, ALL, DHCP, ORDER, dhcp_cure, rule_cure, service_cure
from azext_vmagent.facts.firewall_facts import BlockingRule
from azext_vmagent.facts.guest_facts import Connect, GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.facts.windows_facts import WindowsFacts
from azext_vmagent.model import Scenario, Verdict
from azext_vmagent.repair import refusals, refusals_windows
from azext_vmagent.repair.actions import guest_action
from azext_vmagent.repair.model import RepairPlan

UNTRIED = "never tried on a real Windows, nor in any PowerShell: its program was only checked by a grammar"
#: DHCP brings the routes along
_NO_ROUTE = "no-route"
_UNTESTED = (Connect.NOT_SAID, Connect.NO_TOOL)


def in_windows(facts: Facts, verdict: Verdict, by_hand: bool) -> RepairPlan:
    """What would be done inside; ``by_hand``: somebody pastes it, so that no channel is needed."""
    guest = facts.guest or GuestFacts()
    blocking = _blocking(guest, verdict)
    refusal = refusals_windows.of_a_rule(tuple(rule for rule, _ in blocking), verdict)
    if refusal is not None:
        return RepairPlan(refusal=refusal)
    named = [cause for cause in (verdict.cause, *verdict.other_causes) if cause is not None]
    cures = [(cause, service_cure(cause, guest) or dhcp_cure(cause, guest, facts.network)) for cause in named]
    by_dhcp = any(step.kind == DHCP for _, steps in cures for step in steps)
    cured = [bool(steps) or (by_dhcp and cause.slug == _NO_ROUTE) for cause, steps in cures]
    rules = [step for rule, whom in blocking if (step := rule_cure(rule, whom)) is not None]
    if not any(cured[:1]) and (verdict.scenario is Scenario.AGENT_STOPPED or not rules):
        return RepairPlan(refusal=refusals_windows.no_safe_cure(facts, verdict))
    found = dict.fromkeys([*rules, *(step for _, steps in cures for step in steps)])
    steps = sorted(found, key=lambda step: ORDER.index(step.kind))
    refusal = refusals.not_carried(steps, verdict) or (
        None if by_hand else refusals_windows.pasted_only(facts, verdict)
    )
    if refusal is not None:
        return RepairPlan(refusal=refusal)
    by_rule = {rule.rule for rule, _ in blocking}
    left = [cause for (cause, _), done in zip(cures, cured, strict=True) if not done]
    remains = tuple(cause for cause in left if cause.culprit not in by_rule)
    actions = tuple(guest_action(step, facts) for step in steps)
    return RepairPlan(actions, facts.guest_channel, remains=remains, untried=UNTRIED)


def _blocking(guest: GuestFacts, verdict: Verdict) -> list[tuple[BlockingRule, str]]:
    """The rules that stop the test on every port of theirs; where both ports answer, those for the agent's program.

    One whose port answers all the same does no harm, whatever it reads like: it is not touched.
    """
    found = []
    for rule in guest.rules.blocks:
        outcomes = {guest.outcome(port) for port in rule.ports}
        failed = bool(outcomes.difference(_UNTESTED)) or bool(guest.log.failures)
        if failed and Connect.OK not in outcomes:
            found.append((rule, ALL))
    if verdict.scenario is Scenario.WIRE_SERVER_BLOCKED:
        found += [(rule, AGENT) for rule in (guest.windows or WindowsFacts()).agent_only]
    return found
