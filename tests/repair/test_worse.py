"""When a VM counts as worse than before its repair, and when not: only then is no further VM touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from azext_vmagent.facts.guest import Connect
from azext_vmagent.facts.host_metrics import CpuState, NetworkTrend
from azext_vmagent.model import Answer, Confidence, Scenario, State, Verdict
from azext_vmagent.repair.outcome import Repaired
from azext_vmagent.repair.record import RepairRecord, Result
from azext_vmagent.repair.worse import got_worse
from tests.repair.case import diagnosis, inside
from tests.verdict.build import NOT_READY, PROMPT, READY, RUNS, STOPPED, facts, guest, metrics

CARRIED = Answer("ssh", State.OK, "root through sudo")
ANSWERS = ((80, 200), (32526, 200))
BROKEN = diagnosis(inside(guest(STOPPED)))
BLOCKED = diagnosis(inside(guest(RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT)))
WELL = diagnosis(inside(guest(RUNS), vm=READY))
OUTSIDE = diagnosis(facts(vm=NOT_READY, serial=PROMPT, metrics=metrics(NetworkTrend.FELL, CpuState.ALIVE, now=True)))


def ran(result: Result = Result.APPLIED, carried: Answer = CARRIED, after: Any = WELL, **record: Any) -> Repaired:
    return Repaired(carried, RepairRecord(**{"repair": "p1", "result": result, "wire": ANSWERS} | record), None, after)


def now(before: Any, scenario: Scenario) -> Any:
    return replace(before, verdict=Verdict(scenario, Confidence.CERTAIN, "x"))


@pytest.mark.parametrize(
    ("before", "done", "word"),
    [
        (BROKEN, ran(Result.REVERTED_BY_WATCHDOG, after=BROKEN), "took the changes back"),
        (BROKEN, ran(after=OUTSIDE), "nobody gets into the guest"),
        (BROKEN, ran(after=BLOCKED), "tcp/80 of the Wire Server answered root before"),
        (BROKEN, ran(after=None, wire=((80, 200), (32526, None))), "tcp/32526 of the Wire Server"),
        (BROKEN, ran(other_rules_same=False), "another rule"),
        (WELL, ran(after=replace(WELL, facts=replace(WELL.facts, vm=NOT_READY))), "Ready before"),
        (BROKEN, ran(after=now(BROKEN, Scenario.NETWORK_DOWN)), "was agent-stopped before and is network-down now"),
        (BROKEN, ran(after=now(BROKEN, Scenario.VM_NOT_RUNNING)), "vm-not-running now"),
        (BROKEN, ran(Result.UNKNOWN, Answer("ssh", State.TIMED_OUT, "x"), None, wire=()), "is not known"),
        (OUTSIDE, ran(Result.GOING_ON, after=None, wire=()), "Azure has not ended"),
        (OUTSIDE, ran(Result.HALF_DONE, after=None, wire=()), "Azure has not ended"),
    ],
)
def test_what_was_better_before_is_worse_now(before, done, word):
    assert word in (got_worse(before, done) or "")


@pytest.mark.parametrize(
    ("before", "done"),
    [
        (BROKEN, ran()),
        (BROKEN, ran(after=None)),
        (BROKEN, ran(Result.FAILED, after=BROKEN)),
        (BROKEN, ran(Result.REVERTED, after=BROKEN)),
        (BROKEN, ran(Result.LOCKED, after=BROKEN, wire=())),
        (BROKEN, ran(Result.UNKNOWN, Answer("ssh", State.TIMED_OUT, "x"), BROKEN, wire=())),
        (BROKEN, ran(Result.UNKNOWN, Answer("ssh", State.DENIED, "x"), None, wire=())),
        (BLOCKED, ran(after=BLOCKED, wire=((80, None), (32526, None)))),
        (BLOCKED, ran(Result.KEPT, other_rules_same=True)),
        (BROKEN, ran(wire=((80, None), (32526, None)))),  # the look that followed saw it answer
        (BROKEN, ran(after=now(BROKEN, Scenario.PLATFORM))),
        (BROKEN, ran(after=now(BROKEN, Scenario.AGENT_DEGRADED))),
        (OUTSIDE, ran(after=OUTSIDE, wire=())),
    ],
)
def test_what_did_not_help_or_is_as_it_was_is_not_worse(before, done):
    assert got_worse(before, done) is None
