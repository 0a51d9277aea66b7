"""The guest's program knows every action that a plan can hold, and takes every plan that is made of a recorded guest."""

from __future__ import annotations

import pytest

from azext_vmagent.causes import cures, cures_windows
from azext_vmagent.guest import repair_program, windows_repair_program
from azext_vmagent.repair.actions import KINDS
from azext_vmagent.repair.refusals import CARRIERS, MOST_ACTIONS, MOST_BYTES
from tests.repair.case import AGENT_FAULTS, FIREWALLS, planned, recorded_fault, recorded_rules

script = pytest.importorskip("azext_vmagent.repair.script", reason="the guest's program is not there yet")


def test_the_guests_program_knows_every_kind():
    assert {kind for kind in cures.ORDER if kind not in repair_program()} == set()
    assert {kind for kind in cures_windows.ORDER if f"'{kind}'" not in windows_repair_program()} == set()
    assert set(cures.ORDER) | set(cures_windows.ORDER) == KINDS


def test_a_plan_is_refused_by_the_same_limits_as_its_script():
    assert (script.MOST_ACTIONS, script.MOST_BYTES) == (MOST_ACTIONS, MOST_BYTES)


@pytest.mark.parametrize("name", [*AGENT_FAULTS, *FIREWALLS])
def test_every_plan_of_a_recorded_guest_makes_a_script(name):
    found = planned(recorded_fault(name) if name in AGENT_FAULTS else recorded_rules(name))
    if found.channel in CARRIERS:
        assert "vmagent" in script.repair_script(found.actions)
    else:
        assert found.refusal is not None
