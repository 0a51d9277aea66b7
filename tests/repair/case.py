"""A plan as a user gets it: facts, the verdict with its causes, the plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from azext_vmagent.causes.catalogue import every_cause
from azext_vmagent.causes.findings import findings
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.firewall_facts import BlockingRule
from azext_vmagent.facts.guest import Connect, GuestFacts, parse_probe
from azext_vmagent.facts.reading import Facts
from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Verdict
from azext_vmagent.repair.model import Permission, RepairPlan
from azext_vmagent.repair.plan import plan
from azext_vmagent.verdict.decide import decide
from azext_vmagent.verdict.naming import name_causes
from tests.verdict.build import NOT_READY, OPEN, RUNS, UNICAST, UP, blocked_by, guest
from tests.verdict.build import facts as built

ANSWERS = Path(__file__).parent.parent / "facts" / "probe_answers"
AGENT_FAULTS = sorted(path.stem for path in (ANSWERS / "agent_faults").glob("*.txt"))
FIREWALLS = sorted(path.stem for path in ANSWERS.glob("*.txt") if path.stem != "healthy")
OPS = Wish(ssh_user="ops")


def diagnosis(facts: Facts, verdict: Verdict | None = None) -> Diagnosis:
    found = findings(facts, every_cause())
    verdict = verdict or name_causes(decide(facts, OPS), facts, OPS, found)
    return Diagnosis(facts, verdict, (), wish=OPS, findings=found)


def planned(facts: Facts, *allowed: Permission) -> RepairPlan:
    return plan(diagnosis(facts), allowed)


def inside(found: GuestFacts, **known: Any) -> Facts:
    """A guest that was looked into, of a VM whose agent Azure calls Not Ready."""
    return built(**{"vm": NOT_READY, "network": OPEN, "guest": found, **known})


def blocked(*rules: BlockingRule, **more: Any) -> Facts:
    """A healthy guest but for these rules, which stop the test."""
    return inside(guest(RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT, rules=blocked_by(*rules), **more))


def recorded_fault(name: str) -> Facts:
    return inside(parse_probe((ANSWERS / "agent_faults" / f"{name}.txt").read_text()))


def recorded_rules(name: str) -> Facts:
    """A recorded rule set in a guest that is otherwise well: it was recorded where there is neither agent nor network."""
    return inside(
        replace(
            guest(RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT),
            rules=parse_probe((ANSWERS / f"{name}.txt").read_text()).rules,
            interfaces=(UP,),
            route=UNICAST,
        )
    )


def steps(found: RepairPlan) -> list[tuple[str, ...]]:
    """Kind and arguments of each action, in order."""
    return [(action.kind, *action.arguments) for action in found.actions]


def refused(found: RepairPlan) -> str:
    """The code of the refusal; a plan that holds actions as well fails."""
    assert not found.actions
    assert found.refusal is not None
    assert found.refusal.why
    return found.refusal.code
