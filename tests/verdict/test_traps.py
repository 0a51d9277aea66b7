"""Answers that must not produce a verdict, by the numbers of the catalogue's list of traps (c4).

Those that a serial log sets (2, 3, 4, 6, 7, 8, 11, 15) are in ``tests/facts/test_serial_traps.py``.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import Connect
from azext_vmagent.facts.instance_view import ExtensionFacts
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import PASTE, RUN_COMMAND, SSH
from azext_vmagent.flow import Diagnosis, judge
from azext_vmagent.guest import probe_script
from azext_vmagent.model import Answer, Evidence, Scenario, State
from azext_vmagent.verdict.decide import decide
from tests.causes.case import ASKED, TARGET, TESTS, altered
from tests.verdict.build import DROP, NOT_READY, PROMPT, READY, WISH, blocked_by, facts, guest, port

HEALTHY_ANSWER = (TESTS / "facts" / "probe_answers" / "healthy.txt").read_text()


def inside(*lines: str) -> Diagnosis:
    """A healthy guest's recorded answer with more lines in it."""
    told = Answer(SSH, State.OK, "", altered(HEALTHY_ANSWER, (), lines))
    return judge(Evidence(TARGET, ASKED, {SSH: told}), WISH, time.monotonic())


def test_trap_01_a_test_that_did_not_run_as_root_proves_no_block():
    user = guest(port80=Connect.TIMED_OUT, port32526=Connect.TIMED_OUT, uid=1000)
    assert decide(facts(vm=NOT_READY, guest=user), WISH).scenario is Scenario.UNCERTAIN
    root = replace(user, uid=0, rules=blocked_by(DROP))
    assert decide(facts(vm=NOT_READY, guest=root), WISH).scenario is Scenario.WIRE_SERVER_BLOCKED


def test_trap_05_a_rule_for_containers_is_no_block_of_the_host():
    found = inside("fw.iptables filter -A FORWARD -d 168.63.129.16/32 -p tcp -m tcp --dport 80 -j DROP")
    assert found.verdict.scenario is not Scenario.WIRE_SERVER_BLOCKED
    assert found.facts.guest is not None
    assert found.facts.guest.rules.blocks == ()
    assert any("no fault" in reason.what and "ontainer" in reason.what for reason in found.verdict.ruled_out)


@pytest.mark.parametrize("metadata", [Connect.TIMED_OUT, Connect.REFUSED, Connect.NO_ROUTE])
def test_trap_09_the_metadata_service_alone_is_not_the_wire_server(metadata):
    assert decide(facts(vm=READY, guest=guest(metadata=metadata)), WISH).scenario is Scenario.HEALTHY


def test_trap_10_port_443_of_the_wire_server_is_not_needed():
    found = inside("fw.iptables filter -A OUTPUT -d 168.63.129.16/32 -p tcp -m tcp --dport 443 -j DROP")
    assert found.facts.guest is not None
    assert found.facts.guest.rules.blocks == ()
    assert found.verdict.scenario is not Scenario.WIRE_SERVER_BLOCKED


def test_trap_12_a_busy_run_command_says_nothing_about_the_guest():
    busy = Answer(RUN_COMMAND, State.FAILED, "busy", status=409, cause="P07")
    found = decide(facts(vm=READY, serial=PROMPT), WISH)
    beside = replace(facts(vm=READY, serial=PROMPT), answers={RUN_COMMAND: busy})
    told = decide(beside, WISH)
    assert (told.scenario, told.candidates) == (found.scenario, found.candidates)
    assert [other.code for other in told.other_causes] == ["P07"]


def test_trap_13_not_ready_on_a_vm_of_some_minutes_is_no_fault():
    young = replace(NOT_READY, time_created=ASKED - timedelta(minutes=4))
    assert decide(facts(vm=young), WISH).scenario is Scenario.PROVISIONING
    old = replace(NOT_READY, time_created=ASKED - timedelta(days=4))
    assert decide(facts(vm=old, port=port(PortOutcome.GREETING)), WISH).scenario is Scenario.UNCERTAIN


def test_trap_13_ready_by_an_old_report_is_not_ready():
    fresh = replace(READY, agent_time=ASKED - timedelta(minutes=2))
    assert decide(facts(vm=fresh), WISH).scenario is Scenario.HEALTHY
    found = decide(facts(vm=replace(READY, agent_time=ASKED - timedelta(hours=3))), WISH)
    assert (found.scenario, found.summary) == (Scenario.UNCERTAIN, "Azure says Ready, by a report that is 3 h old")
    assert Scenario.AGENT_STOPPED in found.candidates


def test_trap_14_a_socket_activated_ssh_server_is_not_asked_for_its_state():
    assert "ssh.service" not in probe_script()
    assert "sshd" not in probe_script()
    assert decide(facts(vm=READY, guest=guest(), guest_channel=PASTE), Wish()).scenario is Scenario.HEALTHY


def test_a_ready_agent_with_a_failed_extension_is_not_called_healthy_from_outside():
    failed = ExtensionFacts("script", "CustomScript", "2.1", "failed", "exit code 1")
    going = replace(failed, state="transitioning")
    assert decide(facts(vm=replace(READY, extensions=(going,))), WISH).scenario is Scenario.HEALTHY
    found = decide(facts(vm=replace(READY, extensions=(failed,))), WISH)
    assert (found.scenario, found.confidence.value) == (Scenario.AGENT_DEGRADED, "likely")
    assert found.cause is not None
    assert found.cause.code == "P10"
    assert found.because[0].excerpt == "exit code 1"
