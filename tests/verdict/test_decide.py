"""Each rule seen from outside the guest: where it applies, and the near miss where it must not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.host_metrics import CpuState, NetworkTrend
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import HOST_METRICS, INSTANCE_VIEW, RUN_COMMAND, SERIAL_LOG, SSH
from azext_vmagent.facts.resource_health import HealthFacts
from azext_vmagent.facts.serial_log import Outlook, SerialState
from azext_vmagent.facts.ssh_words import NO_CLIENT
from azext_vmagent.model import Answer, Confidence, Scenario, State, Verdict
from azext_vmagent.verdict.decide import decide
from tests.verdict.build import (
    ASKED,
    BOOTING,
    CLOSED,
    EMERGENCY,
    EMERGENCY_LINE,
    NO_NETWORK,
    NOT_READY,
    OPEN,
    PROMPT,
    READY,
    UNKNOWN_WAY,
    WISH,
    facts,
    metrics,
    port,
    serial,
)

FELL, FLOWING = NetworkTrend.FELL, NetworkTrend.FLOWING
GREETS, TIMES_OUT, REFUSED = port(PortOutcome.GREETING), port(PortOutcome.TIMED_OUT), port(PortOutcome.REFUSED)
ONE_OR_TWO = (Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED)
THREE_OR_FOUR = (Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING)
ALL_FOUR = (*ONE_OR_TWO, *THREE_OR_FOUR)


def verdict(wish: Wish = WISH, **known: object) -> Verdict:
    return decide(facts(**known), wish)


def out(found: Verdict) -> set[int | None]:
    return {reason.scenario.number for reason in found.ruled_out if reason.scenario}


def commands(found: Verdict) -> list[str]:
    return [step.command or "" for step in found.next_steps]


# -- the VM is off -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", ["deallocated", "stopped"])
def test_a_vm_that_is_off_is_started_whatever_else_was_seen(power):
    found = verdict(vm=replace(NOT_READY, power=power), serial=EMERGENCY, port=TIMES_OUT, network=OPEN)
    assert (found.scenario, found.confidence, found.cause.code) == (Scenario.VM_NOT_RUNNING, Confidence.CERTAIN, "P01")
    assert commands(found) == ["az vm start -g rg-shop -n web-03"]


def test_a_vm_on_its_way_up_is_not_started_again():
    assert verdict(vm=replace(NOT_READY, power="starting")).next_steps == ()


def test_an_unknown_power_state_is_not_off():
    assert verdict(vm=replace(NOT_READY, power="")).scenario is not Scenario.VM_NOT_RUNNING


# -- scenario 4: did not boot ------------------------------------------------------------------------------------------


def test_emergency_mode_with_a_silent_agent_is_scenario_4_and_quotes_mount_and_emergency_line():
    found = verdict(vm=NOT_READY, serial=EMERGENCY)
    assert (found.scenario, found.confidence) == (Scenario.OS_NOT_RUNNING, Confidence.CERTAIN)
    assert (found.cause.code, found.cause.culprit) == ("B01", "/data")
    excerpts = [reason.excerpt for reason in found.because]
    assert EMERGENCY_LINE.text in excerpts
    assert any("/data" in (text or "") for text in excerpts)
    assert out(found) == {1, 3}
    assert commands(found)[0] == "az serial-console connect -g rg-shop -n web-03"


def test_the_serial_log_alone_against_a_ready_agent_is_only_likely():
    found = verdict(vm=READY, serial=EMERGENCY)
    assert (found.scenario, found.confidence) == (Scenario.OS_NOT_RUNNING, Confidence.LIKELY)


def test_an_emergency_line_does_not_outweigh_a_server_that_greets_now():
    found = verdict(vm=NOT_READY, serial=EMERGENCY, port=GREETS)
    assert (found.scenario, found.candidates) == (Scenario.UNCERTAIN, ONE_OR_TWO)


def test_a_hang_in_the_serial_log_is_restarted():
    found = verdict(vm=NOT_READY, serial=serial(Outlook.NOT_BOOTED, SerialState.HUNG))
    assert (found.scenario, found.cause.code) == (Scenario.OS_NOT_RUNNING, "B23")
    assert commands(found) == ["az vm restart -g rg-shop -n web-03", "az vm redeploy -g rg-shop -n web-03"]


def test_a_disk_that_a_redeploy_would_lose_is_not_redeployed():
    vm = replace(NOT_READY, ephemeral_os_disk=True)
    found = verdict(vm=vm, serial=serial(Outlook.NOT_BOOTED, SerialState.HUNG))
    assert commands(found) == ["az vm restart -g rg-shop -n web-03"]


def test_a_vm_whose_model_is_unknown_is_not_redeployed():
    found = verdict(serial=serial(Outlook.NOT_BOOTED, SerialState.HUNG), ended={INSTANCE_VIEW: State.FAILED})
    assert commands(found) == ["az vm restart -g rg-shop -n web-03"]


# -- no agent by design, just created, the platform --------------------------------------------------------------------


def test_a_vm_made_without_an_agent_is_no_fault():
    found = verdict(vm=replace(NOT_READY, provision_vm_agent=False), port=GREETS)
    assert (found.scenario, found.confidence, found.cause.code) == (
        Scenario.NO_AGENT_EXPECTED,
        Confidence.CERTAIN,
        "P04",
    )


@pytest.mark.parametrize("said", [True, None])
def test_a_vm_that_may_have_an_agent_is_not_excused(said):
    assert verdict(vm=replace(NOT_READY, provision_vm_agent=said)).scenario is Scenario.UNCERTAIN


def test_an_agent_that_reports_was_installed_by_hand():
    assert verdict(vm=replace(READY, provision_vm_agent=False)).scenario is Scenario.HEALTHY


@pytest.mark.parametrize(
    ("minutes", "scenario"), [(3, Scenario.PROVISIONING), (14, Scenario.PROVISIONING), (15, Scenario.UNCERTAIN)]
)
def test_a_vm_is_young_for_a_quarter_of_an_hour(minutes, scenario):
    found = verdict(vm=replace(NOT_READY, time_created=ASKED - timedelta(minutes=minutes)))
    assert found.scenario is scenario


def test_a_creation_in_the_future_is_a_wrong_clock_not_youth():
    assert verdict(vm=replace(NOT_READY, time_created=ASKED + timedelta(hours=1))).scenario is Scenario.UNCERTAIN


def test_a_young_vm_that_did_not_boot_is_scenario_4():
    vm = replace(NOT_READY, time_created=ASKED - timedelta(minutes=5))
    assert verdict(vm=vm, serial=EMERGENCY).scenario is Scenario.OS_NOT_RUNNING


HOST_FAULT = HealthFacts("Unavailable", "Host failure", platform_event=True)


def test_a_platform_event_is_the_platforms():
    found = verdict(vm=NOT_READY, health=HOST_FAULT)
    assert (found.scenario, found.confidence, found.cause.code) == (Scenario.PLATFORM, Confidence.LIKELY, "P17")


@pytest.mark.parametrize(
    "health",
    [
        replace(HOST_FAULT, platform_event=False),
        replace(HOST_FAULT, state="Available"),
        replace(HOST_FAULT, state="Unknown"),
    ],
)
def test_health_that_blames_nobody_now_decides_nothing(health):
    assert verdict(vm=NOT_READY, health=health).scenario is Scenario.UNCERTAIN


def test_a_platform_event_does_not_explain_a_guest_that_greets():
    assert verdict(vm=NOT_READY, health=HOST_FAULT, port=GREETS).candidates == ONE_OR_TWO


def test_a_booting_guest_is_asked_again_later():
    found = verdict(vm=READY, serial=BOOTING)
    assert (found.scenario, found.confidence) == (Scenario.UNCERTAIN, Confidence.WEAK)
    assert commands(found) == ["az vm agent-diagnose -g rg-shop -n web-03"]


def test_a_boot_line_does_not_outweigh_a_server_that_greets():
    assert "booting" not in verdict(vm=NOT_READY, serial=BOOTING, port=GREETS).summary


# -- Ready, and nobody looked inside -----------------------------------------------------------------------------------


def test_ready_from_outside_is_healthy_but_weak_and_says_why():
    found = verdict(vm=READY, serial=PROMPT, port=GREETS)
    assert (found.scenario, found.confidence) == (Scenario.HEALTHY, Confidence.WEAK)
    assert "nobody looked inside" in found.summary
    assert commands(found) == ["az vm agent-diagnose -g rg-shop -n web-03 --run-command always"]


def test_who_does_not_want_run_command_is_pointed_to_ssh():
    found = verdict(Wish(run_command="never"), vm=READY)
    assert commands(found) == ["az vm agent-diagnose -g rg-shop -n web-03 --run-command never --ssh-user USER"]


def test_ready_with_an_unanswered_run_command_is_1_or_2():
    found = verdict(vm=READY, ended={RUN_COMMAND: State.TIMED_OUT})
    assert (found.scenario, found.candidates) == (Scenario.UNCERTAIN, ONE_OR_TWO)


@pytest.mark.parametrize("state", [State.DENIED, State.FAILED, State.GARBLED])
def test_a_run_command_that_never_reached_the_agent_says_nothing_about_it(state):
    found = verdict(vm=READY, ended={RUN_COMMAND: state})
    assert (found.scenario, found.confidence) == (Scenario.HEALTHY, Confidence.WEAK)
    assert any(reason.channel == RUN_COMMAND for reason in found.not_checked)


@pytest.mark.parametrize(
    "against",
    [
        {"port": TIMES_OUT, "network": OPEN},
        {"metrics": metrics(FELL)},
        {"metrics": metrics(NetworkTrend.FELL_JUST_NOW)},
        {"serial": NO_NETWORK},
        {"serial": BOOTING},
        {"serial": EMERGENCY, "port": GREETS},
        {"serial": NO_NETWORK, "port": GREETS},
        {"metrics": metrics(FELL), "port": GREETS},
    ],
    ids=" ".join,
)
def test_ready_is_not_healthy_while_something_speaks_against_it(against):
    found = verdict(vm=READY, **against)
    assert found.scenario is not Scenario.HEALTHY
    assert "agent is silent" not in found.summary


@pytest.mark.parametrize("network", [UNKNOWN_WAY, CLOSED, None])
def test_a_time_out_on_a_way_that_may_be_shut_does_not_contradict_ready(network):
    assert verdict(vm=READY, port=TIMES_OUT, network=network).scenario is Scenario.HEALTHY


# -- scenarios 3 and 4 of a guest that had booted ----------------------------------------------------------------------


def test_traffic_gone_port_dead_and_processor_at_work_is_scenario_3():
    found = verdict(vm=NOT_READY, serial=PROMPT, metrics=metrics(FELL), port=TIMES_OUT, network=OPEN)
    assert (found.scenario, found.confidence, found.cause.code) == (Scenario.NETWORK_DOWN, Confidence.CERTAIN, "I01")
    assert out(found) == {1, 2, 4}
    assert commands(found)[0] == "az serial-console connect -g rg-shop -n web-03"
    assert found.since is not None
    assert "host metrics" in found.since.source


def test_a_fall_of_one_minute_makes_scenario_3_likely_at_most():
    found = verdict(
        vm=NOT_READY, serial=PROMPT, metrics=metrics(NetworkTrend.FELL_JUST_NOW), port=TIMES_OUT, network=OPEN
    )
    assert (found.scenario, found.confidence) == (Scenario.NETWORK_DOWN, Confidence.LIKELY)


def test_traffic_gone_without_a_port_to_try_is_likely_scenario_3_when_more_than_the_agent_used_to_talk():
    found = verdict(vm=NOT_READY, serial=PROMPT, metrics=metrics(FELL, usual=400_000))
    assert (found.scenario, found.confidence) == (Scenario.NETWORK_DOWN, Confidence.LIKELY)
    assert out(found) == {4}


def test_traffic_gone_that_may_have_been_the_agents_own_is_1_2_or_3():
    found = verdict(vm=NOT_READY, serial=PROMPT, metrics=metrics(FELL, usual=90_000))
    assert (found.scenario, found.candidates) == (Scenario.UNCERTAIN, (*ONE_OR_TWO, Scenario.NETWORK_DOWN))


def test_a_serial_log_without_network_is_likely_scenario_3_and_certain_with_a_dead_port():
    alone = verdict(vm=NOT_READY, serial=NO_NETWORK)
    both = verdict(vm=NOT_READY, serial=NO_NETWORK, port=TIMES_OUT, network=OPEN)
    assert (alone.scenario, alone.confidence) == (Scenario.NETWORK_DOWN, Confidence.LIKELY)
    assert (both.scenario, both.confidence) == (Scenario.NETWORK_DOWN, Confidence.CERTAIN)


@pytest.mark.parametrize("network", [UNKNOWN_WAY, CLOSED, None])
def test_a_time_out_on_a_way_that_may_be_shut_is_no_evidence_for_3_and_is_named_as_a_gap(network):
    found = verdict(vm=NOT_READY, serial=PROMPT, port=TIMES_OUT, network=network)
    assert (found.scenario, found.candidates) == (Scenario.UNCERTAIN, ALL_FOUR)
    assert any("time-out of port 22" in reason.what for reason in found.not_checked)


def test_a_time_out_at_an_address_of_the_users_own_counts_for_nothing_though_the_public_one_is_open():
    elsewhere = port(PortOutcome.TIMED_OUT, "10.0.0.4")
    found = verdict(vm=NOT_READY, serial=PROMPT, metrics=metrics(FELL, usual=90_000), port=elsewhere, network=OPEN)
    assert found.scenario is Scenario.UNCERTAIN
    assert any("the way from here to 10.0.0.4 is not known" in reason.what for reason in found.not_checked)
    assert verdict(vm=READY, port=elsewhere, network=OPEN).scenario is Scenario.HEALTHY


def test_a_dead_port_alone_is_3_or_4_and_says_how_to_tell():
    found = verdict(vm=NOT_READY, serial=PROMPT, port=TIMES_OUT, network=OPEN)
    assert (found.scenario, found.candidates) == (Scenario.UNCERTAIN, THREE_OR_FOUR)
    assert commands(found)[0].startswith("az serial-console connect")


def test_traffic_gone_without_a_prompt_in_the_log_is_not_called_scenario_3():
    found = verdict(vm=NOT_READY, metrics=metrics(FELL), port=TIMES_OUT, network=OPEN)
    assert (found.scenario, found.candidates) == (Scenario.UNCERTAIN, THREE_OR_FOUR)


def test_a_processor_at_zero_with_a_dead_port_is_a_certain_hang():
    found = verdict(
        vm=NOT_READY, serial=PROMPT, metrics=metrics(FELL, CpuState.FLAT_ZERO), port=TIMES_OUT, network=OPEN
    )
    assert (found.scenario, found.confidence, found.cause.code) == (Scenario.OS_NOT_RUNNING, Confidence.CERTAIN, "B23")
    assert out(found) == {3}


def test_a_processor_at_zero_without_a_dead_port_is_a_likely_hang():
    found = verdict(vm=NOT_READY, serial=PROMPT, metrics=metrics(FELL, CpuState.FLAT_ZERO))
    assert (found.scenario, found.confidence) == (Scenario.OS_NOT_RUNNING, Confidence.LIKELY)


@pytest.mark.parametrize("cpu", [CpuState.PEGGED, CpuState.ONE_CORE_PEGGED])
def test_a_busy_processor_without_a_dead_port_may_be_honest_work(cpu):
    found = verdict(vm=NOT_READY, serial=PROMPT, metrics=metrics(FELL, cpu))
    assert (found.scenario, found.candidates) == (Scenario.UNCERTAIN, THREE_OR_FOUR)


def test_a_processor_at_zero_while_traffic_flows_is_only_idle():
    found = verdict(vm=NOT_READY, serial=PROMPT, metrics=metrics(FLOWING, CpuState.FLAT_ZERO, now=True))
    assert found.candidates == ONE_OR_TWO


def test_a_refused_port_is_a_live_network_stack():
    found = verdict(vm=NOT_READY, serial=PROMPT, metrics=metrics(FELL), port=REFUSED, network=OPEN)
    assert (found.scenario, found.candidates) == (Scenario.UNCERTAIN, (*ONE_OR_TWO, Scenario.OS_NOT_RUNNING))


# -- alive, or too little seen -----------------------------------------------------------------------------------------


def test_a_greeting_and_a_silent_agent_is_1_or_2_and_ssh_would_settle_it():
    found = verdict(vm=NOT_READY, serial=PROMPT, port=GREETS, network=OPEN)
    assert (found.scenario, found.confidence, found.candidates) == (Scenario.UNCERTAIN, Confidence.WEAK, ONE_OR_TWO)
    assert out(found) == {3, 4}
    assert commands(found) == [
        "az vm agent-diagnose -g rg-shop -n web-03 --ssh-user USER",
        "az vm agent-diagnose --print-probe",
    ]


def test_who_has_no_ssh_client_is_not_told_to_log_in_with_it():
    answers = {SSH: Answer(SSH, State.NOT_ASKED, NO_CLIENT)}
    seen = replace(facts(vm=NOT_READY, serial=PROMPT, port=GREETS, network=OPEN), answers=answers)
    step = decide(seen, Wish(ssh_user="ops")).next_steps[0]
    assert step.action == "install an OpenSSH client on this machine, then ask again"
    assert step.command == "az vm agent-diagnose -g rg-shop -n web-03 --ssh-user ops"


def test_a_refused_login_is_a_live_guest():
    found = verdict(vm=NOT_READY, ended={SSH: State.DENIED})
    assert (found.candidates, out(found)) == (ONE_OR_TWO, {3, 4})


def test_traffic_of_a_minute_after_the_question_is_a_live_guest():
    found = verdict(vm=NOT_READY, metrics=metrics(FLOWING, now=True))
    assert (found.candidates, out(found)) == (ONE_OR_TWO, {3, 4})


def test_traffic_of_a_minute_before_the_question_is_not():
    found = verdict(vm=NOT_READY, metrics=metrics(FLOWING))
    assert (found.candidates, out(found)) == (ALL_FOUR, set())
    assert "unless it broke since" in found.summary


def test_nothing_at_all_known_still_ends_in_a_verdict_that_says_so():
    found = verdict(ended=dict.fromkeys((INSTANCE_VIEW, SERIAL_LOG, HOST_METRICS), State.TIMED_OUT))
    assert (found.scenario, found.candidates) == (Scenario.UNCERTAIN, ALL_FOUR)
    assert {reason.channel for reason in found.not_checked} == {INSTANCE_VIEW, SERIAL_LOG, HOST_METRICS}
    assert found.next_steps


def test_an_idle_private_vm_says_nothing():
    assert verdict(vm=NOT_READY, metrics=metrics(NetworkTrend.ALWAYS_LOW, now=True)).candidates == ALL_FOUR


@pytest.mark.parametrize("agent", [AgentStatus.NOT_READY, AgentStatus.UNKNOWN, AgentStatus.ABSENT])
def test_every_word_but_ready_is_silence(agent):
    assert verdict(vm=replace(READY, agent=agent), port=GREETS).candidates == ONE_OR_TWO


def test_a_denied_source_names_the_right_it_takes():
    found = verdict(vm=NOT_READY, ended={SERIAL_LOG: State.DENIED})
    assert "retrieveBootDiagnosticsData/action" in found.not_checked[0].what
