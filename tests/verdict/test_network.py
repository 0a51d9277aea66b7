"""Scenario 3 named from inside, and a guest whose kernel answers while its programs do not; near misses beside each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import AgentProcess, Connect, Interface, Route
from azext_vmagent.facts.host_metrics import CpuState, NetworkTrend
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import PASTE, SSH
from azext_vmagent.facts.serial_log import Outlook, SerialEvent, SerialState
from azext_vmagent.model import Confidence, Scenario, State, Verdict
from azext_vmagent.verdict.decide import decide
from tests.verdict.build import (
    CLOSED,
    DROP,
    NO_NETWORK,
    NOT_READY,
    OPEN,
    PROMPT,
    READY,
    RUNS,
    STOPPED,
    UNICAST,
    UP,
    WISH,
    blocked_by,
    facts,
    guest,
    metrics,
    port,
    serial,
)

NOWHERE = {"port80": Connect.UNREACHABLE, "port32526": Connect.UNREACHABLE}
SECOND = Interface("eth1", True, "UP", ("10.0.1.5/24",))
THROUGH_SECOND = Route("unicast", "eth1", "10.0.1.1", "10.0.1.5")
DEFAULT = "default via 10.0.0.1 dev eth0"


def verdict(inside: object, channel: str = PASTE, **known: object) -> Verdict:
    usual = {"vm": NOT_READY, "network": OPEN, "guest_channel": channel}
    return decide(facts(**(usual | known | {"guest": inside})), Wish(ssh_user="ops"))


# -- by hand or from the console: the network need not live ------------------------------------------------------------


@pytest.mark.parametrize(
    ("interfaces", "more", "code", "culprit"),
    [
        ((replace(UP, admin_up=False, addresses=()),), {"route": Route("none")}, "I01", "eth0"),
        ((replace(UP, carrier="DOWN"),), {"route": Route("none")}, "I01", "eth0"),
        ((replace(UP, addresses=()),), {"route": Route("none")}, "I07", "eth0"),
        ((replace(UP, addresses=("10.0.0.77/24",)),), {}, "I05", "eth0 10.0.0.77/24"),
        ((), {"route": Route("none"), "default_routes": ()}, "I02", None),
        ((UP,), {"route": Route("none"), "default_routes": ()}, "I13", "eth0"),
        ((UP,), {"default_routes": (DEFAULT,), "neighbours": {"10.0.0.1": "FAILED"}}, "N08", DEFAULT),
    ],
    ids=["down", "no carrier", "no address", "foreign address", "no interface", "no route", "dead gateway"],
)
def test_what_is_wrong_with_the_network_is_named(interfaces, more, code, culprit):
    found = verdict(guest(RUNS, **NOWHERE, interfaces=interfaces, **more))
    assert (found.scenario, found.confidence) == (Scenario.NETWORK_DOWN, Confidence.CERTAIN)
    assert (found.cause.code, found.cause.culprit) == (code, culprit)


def test_how_an_address_comes_back_depends_on_who_manages_the_network():
    bare = replace(UP, addresses=())
    for clients, command in (
        (("NetworkManager",), "nmcli device reapply eth0"),
        (("systemd-network",), "networkctl reconfigure eth0"),
        ((), "dhclient eth0"),
    ):
        inside = guest(RUNS, **NOWHERE, interfaces=(bare,), route=Route("none"), dhcp_clients=clients)
        assert (
            verdict(inside).next_steps[0].command.endswith(command) or command in verdict(inside).next_steps[0].command
        )


@pytest.mark.parametrize("state", ["REACHABLE", "STALE", "DELAY", "PERMANENT"])
def test_a_gateway_that_answers_is_not_blamed(state):
    inside = guest(RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT, neighbours={"10.0.0.1": state})
    assert verdict(inside).cause.code == "P11"


def test_interfaces_that_are_not_azures_say_nothing():
    others = (Interface("wg0", False, "DOWN"), Interface("enP1s1", True, "UP"), Interface("tun0", True, "UNKNOWN"))
    inside = guest(RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT, interfaces=(UP, *others))
    assert verdict(inside).cause.code == "P11"


def test_the_slave_of_a_bond_needs_no_address():
    bond = Interface("bond0", True, "UP", ("10.0.0.4/24",))
    inside = guest(
        RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT, interfaces=(replace(UP, addresses=()), bond),
        route=replace(UNICAST, device="bond0"),
    )  # fmt: skip
    assert verdict(inside).cause.code == "P11"


def test_an_address_among_others_is_azures():
    inside = guest(
        RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT, interfaces=(replace(UP, addresses=("10.0.0.9/24", "10.0.0.4/24")),)
    )
    assert verdict(inside).cause.code == "P11"


def test_a_list_that_came_late_proves_no_missing_address():
    inside = guest(RUNS, **NOWHERE, interfaces=(replace(UP, addresses=()),), route=Route("none"), missing=("network",))
    found = verdict(inside)
    assert (found.scenario, found.confidence, found.cause.code) == (Scenario.NETWORK_DOWN, Confidence.LIKELY, "I01")
    assert found.cause.culprit is None


def test_a_stopped_agent_behind_a_dead_interface_is_told_second():
    inside = guest(STOPPED, **NOWHERE, interfaces=(replace(UP, admin_up=False),), route=Route("none"))
    found = verdict(inside)
    assert (found.scenario, [other.code for other in found.other_causes]) == (Scenario.NETWORK_DOWN, ["L01"])


# -- through SSH on a second path --------------------------------------------------------------------------------------


def test_a_dead_primary_interface_is_not_scenario_2_because_a_second_one_lives():
    down = replace(UP, admin_up=False, addresses=())
    for route in (Route("none"), THROUGH_SECOND):
        inside = guest(RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT, interfaces=(down, SECOND), route=route)
        found = verdict(inside, SSH)
        assert (found.scenario, found.cause.code, found.cause.culprit) == (Scenario.NETWORK_DOWN, "I01", "eth0")
        assert not any(reason.scenario is Scenario.NETWORK_DOWN for reason in found.ruled_out)


def test_a_rule_that_blocks_stays_the_culprit_beside_an_unused_interface():
    inside = guest(
        RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT, rules=blocked_by(DROP),
        interfaces=(UP, replace(SECOND, admin_up=False)),
    )  # fmt: skip
    found = verdict(inside, SSH)
    assert (found.scenario, found.cause.code) == (Scenario.WIRE_SERVER_BLOCKED, "N01")


def test_a_dead_gateway_of_a_guest_that_ssh_reaches_is_scenario_2_by_its_route():
    inside = guest(
        RUNS, Connect.NO_ROUTE, Connect.NO_ROUTE, default_routes=(DEFAULT,), neighbours={"10.0.0.1": "INCOMPLETE"}
    )
    found = verdict(inside, SSH)
    assert (found.scenario, found.cause.code) == (Scenario.WIRE_SERVER_BLOCKED, "N08")
    assert found.cause.culprit == DEFAULT


@pytest.mark.parametrize(("outcome", "word"), [(Connect.BLACKHOLE, "blackhole"), (Connect.DENIED, "prohibit")])
def test_the_kernels_errno_names_the_kind_of_a_route_that_was_not_listed(outcome, word):
    found = verdict(guest(RUNS, outcome, outcome), SSH)
    assert (found.scenario, found.cause.code) == (Scenario.WIRE_SERVER_BLOCKED, "N08")
    assert word in found.cause.detail


def test_a_test_that_came_late_is_asked_again_and_not_blamed_on_the_login():
    found = verdict(guest(RUNS, Connect.NOT_SAID, Connect.NOT_SAID), SSH)
    assert found.scenario is Scenario.UNCERTAIN
    assert "too busy" in found.next_steps[0].action


# -- the kernel answers, the programs do not ---------------------------------------------------------------------------


COMPLAINT = SerialEvent(
    900, "INFO: task jbd2/sda1-8:210 blocked for more than 120 seconds.", "a task waits", code="B24"
)
HUNG = serial(Outlook.NOT_BOOTED, SerialState.HUNG, deciding=(COMPLAINT,), cause_code="B24", cause_slug="hung-task")
LOGIN_HANGS = {"ended": {SSH: State.TIMED_OUT}}


def outside(outcome: PortOutcome, **known: object) -> Verdict:
    usual = {"vm": NOT_READY, "network": OPEN, "port": port(outcome)}
    return decide(facts(**(usual | known)), Wish(ssh_user="ops"))


def test_a_greeting_and_a_login_that_hangs_with_the_kernels_complaint_is_scenario_4():
    found = outside(PortOutcome.GREETING, serial=HUNG, **LOGIN_HANGS)
    assert (found.scenario, found.confidence) == (Scenario.OS_NOT_RUNNING, Confidence.CERTAIN)
    assert found.cause.code == "B24"
    assert any(reason.excerpt == COMPLAINT.text for reason in found.because)


@pytest.mark.parametrize("vm", [READY, NOT_READY])
def test_a_login_that_hangs_alone_is_never_scenario_1(vm):
    found = outside(PortOutcome.GREETING, vm=vm, serial=PROMPT, **LOGIN_HANGS)
    assert found.scenario is Scenario.UNCERTAIN
    assert found.candidates[0] is Scenario.OS_NOT_RUNNING


def test_an_older_complaint_of_a_guest_that_greets_and_was_not_asked_is_no_verdict():
    assert outside(PortOutcome.GREETING, serial=HUNG).scenario is Scenario.UNCERTAIN


def test_a_silent_port_and_busy_processors_are_scenario_4():
    busy = metrics(NetworkTrend.FELL, CpuState.PEGGED, now=True)
    found = outside(PortOutcome.SILENT, serial=PROMPT, metrics=busy)
    assert (found.scenario, found.cause.code) == (Scenario.OS_NOT_RUNNING, "B38")
    assert any(reason.scenario is Scenario.NETWORK_DOWN for reason in found.ruled_out)


def test_a_silent_port_behind_a_middle_box_or_beside_a_working_processor_is_no_hang():
    busy = metrics(NetworkTrend.FELL, CpuState.PEGGED, now=True)
    assert outside(PortOutcome.SILENT, network=CLOSED, serial=PROMPT, metrics=busy).cause is None
    alive = metrics(NetworkTrend.FLOWING)
    assert outside(PortOutcome.SILENT, serial=PROMPT, metrics=alive).scenario is Scenario.UNCERTAIN


# -- a disk that does not answer, seen from inside ---------------------------------------------------------------------


WAITS = AgentProcess(314, "D", "/usr/bin/python3 /usr/sbin/waagent -daemon")


def test_a_kernel_that_complains_of_the_disk_the_agent_waits_for_is_scenario_4():
    for vm in (READY, NOT_READY):
        found = verdict(guest(RUNS, processes=(WAITS,), kernel_words=(COMPLAINT.text,)), SSH, vm=vm)
        assert (found.scenario, found.cause.code) == (Scenario.OS_NOT_RUNNING, "B24")
        assert found.cause.culprit == COMPLAINT.text
        assert Scenario.AGENT_STOPPED in {reason.scenario for reason in found.ruled_out}
    assert verdict(guest(RUNS, processes=(WAITS,)), SSH, serial=replace(HUNG, hang=(COMPLAINT,))).cause.code == "B24"


def test_a_complaint_that_is_history_and_a_moments_wait_are_no_hang():
    sleeps = replace(WAITS, state="S")
    worker = AgentProcess(315, "S", "/usr/bin/python3 -u /usr/sbin/waagent -run-exthandlers")
    for inside in (
        guest(RUNS, processes=(sleeps, worker), kernel_words=(COMPLAINT.text,)),
        guest(RUNS, processes=(WAITS, worker)),
    ):
        assert verdict(inside, SSH, vm=READY).scenario is Scenario.HEALTHY


# -- from outside ------------------------------------------------------------------------------------------------------


def test_what_the_serial_log_names_is_the_cause_and_its_remedies_come_first():
    line = SerialEvent(40, "Device eth0 does not seem to be present", "the interface does not exist", code="I02")
    log = serial(Outlook.NETWORK_DOWN, deciding=(line,), cause_code="I02", culprit="eth0")
    found = decide(facts(vm=NOT_READY, serial=log), WISH)
    assert (found.scenario, found.cause.code, found.cause.culprit) == (Scenario.NETWORK_DOWN, "I02", "eth0")
    bare = decide(facts(vm=NOT_READY, serial=replace(log, cause_code=None, deciding=())), WISH)
    assert bare.cause.code == "I01"
    assert found.next_steps[-len(bare.next_steps) :] == bare.next_steps


def test_a_processor_that_nobody_looked_at_is_not_said_to_be_at_work():
    found = decide(facts(vm=NOT_READY, serial=NO_NETWORK), WISH)
    assert [reason.what for reason in found.ruled_out] == ["the newest boot came as far as its network"]
    seen = decide(facts(vm=NOT_READY, serial=NO_NETWORK, metrics=metrics(NetworkTrend.FELL)), WISH)
    assert "the processor is at work" in seen.ruled_out[0].what
