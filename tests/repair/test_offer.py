"""The report offers a repair exactly where one would be carried out, and never one that restarts or refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_vmagent.model import Confidence
from azext_vmagent.repair.offer import offered
from azext_vmagent.repair.plan import plan
from tests.repair.case import AGENT_FAULTS, FIREWALLS, blocked, diagnosis, recorded_fault, recorded_rules
from tests.repair.test_plan import FAULTS, SILENT
from tests.repair.test_refusals import HEALTHY, PLATFORM
from tests.verdict.build import DROP

COMMAND = "az vm agent-diagnose -g rg-shop -n web-03 --ssh-user ops --repair"


def commands(found):
    return [step.command for step in offered(found, plan(found)).verdict.next_steps]


def test_a_certain_fault_with_a_plan_has_the_repair_first_and_the_way_by_hand_after_it():
    found = diagnosis(blocked(DROP))
    steps = offered(found, plan(found)).verdict.next_steps
    assert steps[0].command == COMMAND
    assert "remove the firewalld direct rule" in steps[0].action
    assert steps[0].undo == COMMAND.replace("--repair", "--undo")
    assert steps[1:] == found.verdict.next_steps


def test_what_is_only_likely_or_not_cured_whole_is_offered_after_the_way_by_hand():
    found = diagnosis(blocked(DROP))
    likely = replace(found, verdict=replace(found.verdict, confidence=Confidence.LIKELY))
    assert commands(likely)[:2] == [found.verdict.next_steps[0].command, COMMAND]
    other = diagnosis(recorded_fault("root-read-only")).verdict.cause
    partly = replace(found, verdict=replace(found.verdict, other_causes=(other,)))
    assert plan(partly).remains
    assert commands(partly)[1] == COMMAND


@pytest.mark.parametrize("name", AGENT_FAULTS)
def test_a_repair_is_offered_exactly_where_it_would_not_refuse(name):
    found = diagnosis(recorded_fault(name))
    assert (COMMAND in commands(found)) is not isinstance(FAULTS[name], str)


@pytest.mark.parametrize("name", FIREWALLS)
def test_a_repair_is_offered_for_every_rule_that_it_takes(name):
    assert COMMAND in commands(diagnosis(recorded_rules(name)))


@pytest.mark.parametrize("seen", [SILENT, PLATFORM, HEALTHY])
def test_what_restarts_or_moves_the_vm_and_what_is_well_is_not_offered(seen):
    found = diagnosis(seen)
    assert offered(found, plan(found)) is found
