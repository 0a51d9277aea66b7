"""What the real guest answered in each fault of the agent, replayed: the same verdicts as there, in no time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import parse_probe
from azext_vmagent.facts.reading import SSH, Facts
from azext_vmagent.model import Confidence, Scenario
from azext_vmagent.verdict.decide import decide
from tests.real_guest.test_agent_faults import FAULTS
from tests.verdict.build import ASKED, NOT_READY, OPEN, READY, TARGET

ANSWERS = Path(__file__).parent.parent / "facts" / "probe_answers" / "agent_faults"
OPS = Wish(ssh_user="ops")


def recorded(fault: str, vm=READY) -> Facts:
    guest = parse_probe((ANSWERS / f"{fault}.txt").read_text())
    asked = guest.clock or ASKED
    if fault == "clock-off":
        asked -= timedelta(days=40)
    return Facts(TARGET, asked, vm=vm, network=OPEN, guest=guest, guest_channel=SSH)


def test_every_fault_was_recorded():
    assert {path.stem for path in ANSWERS.glob("*.txt")} == set(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_recorded_answer_is_whole_small_and_gives_the_verdict(fault):
    assert len((ANSWERS / f"{fault}.txt").read_bytes()) <= 4096
    facts, expected = recorded(fault), FAULTS[fault]
    assert facts.guest.complete
    found = decide(facts, OPS)
    code = found.cause.code if found.cause else None
    assert found.scenario.value in expected.scenario.split(" or ")
    assert code == expected.code
    assert expected.culprit in ((found.cause.culprit or "") if found.cause else "")
    said = "\n".join(f"{r.what} {r.excerpt or ''}" for r in (*found.because, *found.ruled_out, *found.not_checked))
    assert [text for text in expected.evidence if text not in said] == []
    assert set(expected.others) <= {cause.code for cause in found.other_causes}


@pytest.mark.parametrize("fault", [name for name, wanted in FAULTS.items() if wanted.scenario == "agent-stopped"])
def test_the_verdict_is_the_same_once_azure_has_noticed(fault):
    found = decide(recorded(fault, NOT_READY), OPS)
    assert (found.scenario.value, found.cause.code) == (FAULTS[fault].scenario, FAULTS[fault].code)


@pytest.mark.parametrize("fault", ["agent-unit-ip-deny", "agent-unit-private-network"])
def test_a_unit_that_is_cut_off_is_certain_once_azure_has_noticed(fault):
    found = decide(recorded(fault, NOT_READY), OPS)
    assert (found.scenario, found.confidence) == (Scenario.WIRE_SERVER_BLOCKED, Confidence.CERTAIN)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_a_next_step_and_a_healthy_guest_none_that_changes_it(fault):
    found = decide(recorded(fault), OPS)
    assert found.next_steps or found.scenario is Scenario.HEALTHY
