"""What the guest says about itself: each verdict with the culprit it names, and the near miss."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.firewall_facts import RuleAnalysis
from azext_vmagent.facts.guest import AgentProcess, Connect, Interface, LogFacts, LogLine, Route, ServiceFacts
from azext_vmagent.facts.instance_view import ExtensionFacts
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import RUN_COMMAND, SSH
from azext_vmagent.model import Confidence, Scenario, State, Verdict
from azext_vmagent.verdict.decide import decide
from tests.verdict.build import (
    ASKED,
    DOUBT,
    DROP,
    EMERGENCY,
    NOT_READY,
    OPEN,
    PROMPT,
    READ_WHOLE,
    READY,
    RUNS,
    STOPPED,
    UP,
    blocked_by,
    facts,
    guest,
    port,
)

OPS = Wish(ssh_user="ops")
TIMED_OUT, REFUSED = Connect.TIMED_OUT, Connect.REFUSED


def verdict(inside: object, wish: Wish = OPS, **known: object) -> Verdict:
    return decide(facts(**({"vm": NOT_READY, "network": OPEN} | known | {"guest": inside})), wish)


def out(found: Verdict) -> set[int | None]:
    return {reason.scenario.number for reason in found.ruled_out if reason.scenario}


def first_command(found: Verdict) -> str:
    return found.next_steps[0].command or ""


# -- scenario 1 --------------------------------------------------------------------------------------------------------


def test_a_stopped_service_is_scenario_1_and_is_started_through_the_same_door():
    found = verdict(guest(replace(STOPPED, inactive_since=ASKED - timedelta(hours=1))))
    assert (found.scenario, found.confidence) == (Scenario.AGENT_STOPPED, Confidence.CERTAIN)
    assert (found.cause.code, found.cause.culprit) == ("L01", "waagent.service")
    assert out(found) == {3, 4}
    assert first_command(found) == f"ssh -l ops {OPEN.public_address} 'sudo systemctl start waagent'"
    assert found.since is not None
    assert found.since.source == "waagent.service stopped (systemd)"


def test_a_stopped_service_of_a_vm_still_called_ready_is_scenario_1():
    found = verdict(guest(STOPPED), vm=READY)
    assert found.scenario is Scenario.AGENT_STOPPED
    assert any("still shows Ready" in reason.what for reason in found.because)


@pytest.mark.parametrize(
    ("service", "code", "command"),
    [
        (replace(STOPPED, unit_file_state="disabled"), "L02", "systemctl enable --now waagent"),
        (replace(STOPPED, load_state="masked"), "L03", "systemctl unmask waagent && systemctl enable --now waagent"),
        (replace(STOPPED, active_state="failed", result="exit-code"), "L05", "systemctl status waagent"),
        (replace(STOPPED, active_state="activating", sub_state="auto-restart"), "L05", "systemctl status waagent"),
        (replace(STOPPED, condition_met=False, unmet_condition="ConditionHost=a"), "L40", "systemctl status waagent"),
        (ServiceFacts(has_systemd=True, load_state="not-found"), "L04", None),
    ],
)
def test_why_the_service_does_not_run_is_named_with_its_own_remedy(service, code, command):
    found = verdict(guest(service))
    assert (found.scenario, found.cause.code) == (Scenario.AGENT_STOPPED, code)
    assert (command in first_command(found)) if command else not first_command(found)


def test_a_disabled_unit_that_runs_is_not_stopped():
    assert verdict(guest(replace(RUNS, unit_file_state="disabled")), vm=READY).scenario is Scenario.HEALTHY


@pytest.mark.parametrize(
    ("more", "code"),
    [({"disabled_by_file": True}, "L41"), ({"processes": (AgentProcess(77, "T", "waagent -daemon"),)}, "L28")],
)
def test_an_agent_that_runs_and_may_not_work_is_scenario_1(more, code):
    found = verdict(guest(**more))
    assert (found.scenario, found.cause.code) == (Scenario.AGENT_STOPPED, code)


def test_an_agent_process_that_sleeps_is_not_halted():
    asleep = (AgentProcess(77, "S", "waagent -daemon"), AgentProcess(78, "S", "waagent -run-exthandlers"))
    assert verdict(guest(processes=asleep), vm=READY).scenario is Scenario.HEALTHY


def test_stopped_and_blocked_names_both_and_undoes_both():
    found = verdict(guest(STOPPED, TIMED_OUT, TIMED_OUT, rules=blocked_by(DROP)))
    assert (found.scenario, [cause.code for cause in found.other_causes]) == (Scenario.AGENT_STOPPED, ["N01"])
    assert any("--remove-rule" in (step.command or "") for step in found.next_steps)


def test_a_stopped_agent_that_was_never_wanted_is_no_fault():
    found = verdict(guest(STOPPED), vm=replace(NOT_READY, provision_vm_agent=False))
    assert found.scenario is Scenario.NO_AGENT_EXPECTED


# -- scenario 2 --------------------------------------------------------------------------------------------------------


def test_a_rule_that_blocks_is_scenario_2_with_the_rule_verbatim_and_its_undo():
    failure = LogLine(1042, ASKED - timedelta(minutes=34), "IOError timed out -- 6 attempts made")
    log = LogFacts(True, failures=(failure,), first_failure=failure)
    found = verdict(guest(RUNS, TIMED_OUT, TIMED_OUT, rules=blocked_by(DROP), log=log))
    assert (found.scenario, found.confidence) == (Scenario.WIRE_SERVER_BLOCKED, Confidence.CERTAIN)
    assert (found.cause.code, found.cause.culprit) == ("N01", DROP.rule)
    assert out(found) == {1, 3, 4}
    assert DROP.undo in first_command(found)
    assert any((r.line, r.excerpt) == (1042, failure.text) for r in found.because)
    assert (found.since.time, found.since.source) == (failure.time, "first failure in waagent.log")


def test_a_rule_that_is_listed_while_the_wire_server_answers_blocks_nothing():
    assert verdict(guest(rules=blocked_by(DROP)), vm=READY).scenario is Scenario.HEALTHY


def test_a_missing_route_is_scenario_2():
    route = Route("blackhole", text="RTNETLINK answers: Invalid argument")
    found = verdict(guest(RUNS, Connect.BLACKHOLE, Connect.BLACKHOLE, route=route))
    assert (found.scenario, found.cause.code) == (Scenario.WIRE_SERVER_BLOCKED, "N08")


def test_a_silent_wire_server_with_nothing_in_the_guest_against_it_is_the_platforms():
    found = verdict(guest(RUNS, TIMED_OUT, TIMED_OUT))
    assert (found.scenario, found.confidence, found.cause.code) == (Scenario.PLATFORM, Confidence.LIKELY, "P11")
    assert first_command(found) == "az vm redeploy -g rg-shop -n web-03"


def test_the_platforms_silence_is_not_answered_with_the_loss_of_an_ephemeral_disk():
    found = verdict(guest(RUNS, TIMED_OUT, TIMED_OUT), vm=replace(NOT_READY, ephemeral_os_disk=True))
    assert not any("redeploy" in (step.command or "") for step in found.next_steps)


@pytest.mark.parametrize(
    "rules",
    [
        RuleAnalysis(listed=("nft",), missing=("iptables (too slow)",)),
        replace(READ_WHOLE, undecided=(DOUBT,)),
        RuleAnalysis(),
    ],
    ids=["a listing is missing", "a rule could not be judged", "nothing listed"],
)
def test_rules_not_read_whole_never_acquit_the_guest(rules):
    found = verdict(guest(RUNS, TIMED_OUT, TIMED_OUT, rules=rules))
    assert (found.scenario, found.confidence, found.cause) == (Scenario.WIRE_SERVER_BLOCKED, Confidence.LIKELY, None)


def test_only_32526_out_of_reach_of_a_ready_agent_is_degraded():
    found = verdict(guest(RUNS, Connect.OK, REFUSED), vm=READY)
    assert (found.scenario, found.confidence, found.cause.code) == (Scenario.AGENT_DEGRADED, Confidence.LIKELY, "N21")


def test_only_32526_out_of_reach_by_rules_not_read_whole_is_not_the_hosts_fault():
    unread = RuleAnalysis(listed=("nft",), missing=("iptables (too slow)",))
    for rules in (unread, replace(READ_WHOLE, undecided=(DOUBT,))):
        found = verdict(guest(RUNS, Connect.OK, REFUSED, rules=rules), vm=READY)
        assert (found.scenario, found.cause.code) == (Scenario.AGENT_DEGRADED, "N06")


def test_only_32526_out_of_reach_of_a_silent_agent_is_scenario_2():
    rule = replace(DROP, ports=(32526,))
    found = verdict(guest(RUNS, Connect.OK, REFUSED, rules=blocked_by(rule)))
    assert (found.scenario, found.confidence) == (Scenario.WIRE_SERVER_BLOCKED, Confidence.CERTAIN)


@pytest.mark.parametrize("untold", [Connect.NOT_SAID, Connect.NO_TOOL])
def test_a_port_that_was_not_tried_is_not_blocked(untold):
    assert verdict(guest(RUNS, Connect.OK, untold), vm=READY).scenario is Scenario.HEALTHY
    assert verdict(guest(RUNS, untold), vm=READY).scenario is Scenario.UNCERTAIN


def test_a_time_out_of_an_ordinary_user_proves_nothing_and_root_is_asked_for():
    found = verdict(guest(RUNS, TIMED_OUT, TIMED_OUT, uid=1000))
    assert (found.scenario, found.candidates) == (Scenario.UNCERTAIN, (Scenario.WIRE_SERVER_BLOCKED, Scenario.PLATFORM))
    assert first_command(found).endswith("--ssh-user root")


def test_a_rule_and_the_agents_own_failures_are_as_good_as_a_test():
    failure = LogLine(1042, ASKED - timedelta(minutes=1), "IOError timed out -- 6 attempts made")
    log = LogFacts(True, failures=(failure,), first_failure=failure)
    found = verdict(guest(RUNS, Connect.NOT_SAID, Connect.NOT_SAID, rules=blocked_by(DROP), log=log))
    assert (found.scenario, found.confidence) == (Scenario.WIRE_SERVER_BLOCKED, Confidence.CERTAIN)


def test_a_rule_seen_without_a_test_is_likely_scenario_2():
    found = verdict(guest(RUNS, Connect.NO_TOOL, Connect.NO_TOOL, rules=blocked_by(DROP)))
    assert (found.scenario, found.confidence) == (Scenario.WIRE_SERVER_BLOCKED, Confidence.LIKELY)


# -- scenario 3, seen from inside --------------------------------------------------------------------------------------


DOWN = Interface("eth0", False, "DOWN")


def test_a_guest_whose_only_interface_is_down_is_scenario_3():
    loop = Interface("lo", True, "UNKNOWN", ("127.0.0.1/8",))
    found = verdict(guest(RUNS, Connect.UNREACHABLE, Connect.UNREACHABLE, interfaces=(loop, DOWN), route=Route("none")))
    assert (found.scenario, found.cause.code) == (Scenario.NETWORK_DOWN, "I01")


def test_an_unused_interface_that_is_down_is_not_scenario_3():
    unused = replace(DOWN, name="tunl0")
    found = verdict(guest(RUNS, TIMED_OUT, TIMED_OUT, interfaces=(UP, unused)))
    assert found.scenario is Scenario.PLATFORM


# -- in order, late, degraded ------------------------------------------------------------------------------------------


def test_all_in_order_and_ready_is_certainly_healthy():
    found = verdict(guest(), vm=READY)
    assert (found.scenario, found.confidence, found.since) == (Scenario.HEALTHY, Confidence.CERTAIN, None)


def test_a_failed_extension_of_a_ready_agent_is_degraded():
    failed = ExtensionFacts("mon", "t", "1", "failed", "exit 52")
    found = verdict(guest(), vm=replace(READY, extensions=(failed, replace(failed, name="ok", state="succeeded"))))
    assert (found.scenario, found.cause.code) == (Scenario.AGENT_DEGRADED, "P10")
    assert "mon (failed)" in found.summary
    assert "ok" not in found.summary


@pytest.mark.parametrize(("minutes", "confidence"), [(2, Confidence.LIKELY), (20, Confidence.WEAK)])
def test_in_order_but_not_ready_is_the_platforms_delay_the_surer_the_younger_the_start(minutes, confidence):
    found = verdict(guest(replace(RUNS, active_since=ASKED - timedelta(minutes=minutes))))
    assert (found.scenario, found.confidence, found.cause.code) == (Scenario.PLATFORM, confidence, "P18")


@pytest.mark.parametrize(("minutes", "scenario"), [(66, Scenario.AGENT_STOPPED), (64, Scenario.PLATFORM)])
def test_an_agent_that_missed_two_heartbeats_does_nothing(minutes, scenario):
    log = LogFacts(True, newest=ASKED - timedelta(minutes=minutes))
    assert verdict(guest(log=log)).scenario is scenario


# -- half an answer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"serial": PROMPT}, {"port": port(PortOutcome.GREETING)}])
def test_half_an_answer_of_a_ready_vm_is_not_told_as_if_nobody_had_looked(more):
    assert verdict(guest(ServiceFacts()), vm=READY, **more).scenario is Scenario.UNCERTAIN


@pytest.mark.parametrize("vm", [READY, NOT_READY])
def test_half_an_answer_proves_life_and_neither_health_nor_a_dead_boot(vm):
    found = verdict(guest(ServiceFacts()), vm=vm, serial=EMERGENCY)
    assert (found.scenario, out(found)) == (Scenario.UNCERTAIN, {3, 4})


def test_an_emergency_line_does_not_outweigh_the_guests_own_word():
    assert verdict(guest(STOPPED), serial=EMERGENCY).scenario is Scenario.AGENT_STOPPED


def test_the_other_channel_is_no_gap_once_the_guest_has_answered():
    assert verdict(guest(), vm=READY, ended={SSH: State.OK, RUN_COMMAND: State.NOT_ASKED}).not_checked == ()
    denied = verdict(guest(), vm=READY, guest_channel=RUN_COMMAND, ended={SSH: State.DENIED, RUN_COMMAND: State.OK})
    assert [reason.channel for reason in denied.not_checked] == [SSH]


def test_a_remedy_goes_through_run_command_when_that_answered():
    found = verdict(guest(STOPPED), wish=Wish(), guest_channel=RUN_COMMAND)
    assert first_command(found) == (
        "az vm run-command invoke -g rg-shop -n web-03 --command-id RunShellScript --scripts 'systemctl start waagent'"
    )


def test_a_systemctl_that_did_not_answer_never_means_that_the_agent_is_not_installed():
    found = verdict(guest(ServiceFacts(has_systemd=True)), vm=READY)
    assert found.scenario is not Scenario.AGENT_STOPPED


def test_one_test_that_ran_out_of_time_does_not_make_a_ready_guest_blocked():
    found = verdict(guest(RUNS, Connect.OK, Connect.TIMED_OUT), vm=READY)
    assert (found.scenario, found.confidence) == (Scenario.UNCERTAIN, Confidence.WEAK)
    assert Scenario.WIRE_SERVER_BLOCKED in found.candidates
