"""A silent Wire Server is the host's fault only where nothing in the guest leads the agent's words elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_vmagent.causes.catalogue import every_cause
from azext_vmagent.causes.findings import findings
from azext_vmagent.facts.guest_facts import Connect, Interface, LogFacts, LogLine, Route, WireTest
from azext_vmagent.model import Confidence, Scenario
from azext_vmagent.verdict.decide import decide
from azext_vmagent.verdict.naming import LOOK_ALIKE, name_causes
from tests.verdict.build import NOT_READY, OPEN, READ_WHOLE, READY, RUNS, STOPPED, UP, WISH, facts, guest

TIMED_OUT = Connect.TIMED_OUT
DEFAULT = "default via 10.0.0.1 dev eth0"
SECOND = Interface("eth1", True, "UP", ("10.0.1.4/24",))
FAILS = LogFacts(True, failures=(LogLine(7, None, "GET http://168.63.129.16 -- IOError timed out"),), failure_count=1)
ENFORCED = replace(NOT_READY, proxy_agent_enabled=True, proxy_agent_wire_server_mode="Enforce")
DENIED = {port: WireTest(port, Connect.OK, 403, "curl") for port in (80, 32526)}


def named(inside, vm=NOT_READY):
    found = decide(facts(vm=vm, network=OPEN, guest=inside), WISH)
    return found.scenario, found.cause.code if found.cause else None


def silent(**more):
    return guest(RUNS, TIMED_OUT, TIMED_OUT, **({"default_routes": (DEFAULT,)} | more))


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        (silent(route=Route("unicast", "wg0", "", "10.8.0.2", "168.63.129.16 dev wg0 src 10.8.0.2")), "N11"),
        (silent(route=Route("unicast", "eth1", "10.0.1.1"), interfaces=(UP, SECOND)), "N10"),
        (
            silent(
                route=Route("unicast", "eth1", "10.0.1.1"),
                interfaces=(UP, SECOND),
                default_routes=("default via 10.0.1.1 dev eth1 metric 50", f"{DEFAULT} metric 100"),
            ),
            "N08",
        ),
        (
            silent(interfaces=(replace(UP, addresses=("10.0.1.4/24",)), replace(SECOND, addresses=("10.0.0.4/24",)))),
            "I16",
        ),
        (silent(interfaces=(Interface("bond0", True, "UP", ("10.0.0.4/24",)), UP)), "I15"),
    ],
    ids=["a tunnel", "a static route by the inner side", "the second interface's route", "swapped", "a bond"],
)
def test_a_way_that_leads_elsewhere_is_named_and_not_the_host(inside, code):
    assert named(inside) == (Scenario.WIRE_SERVER_BLOCKED, code)


def test_what_is_named_says_what_to_do_and_is_no_more_than_likely():
    inside = silent(route=Route("unicast", "wg0", "", "10.8.0.2", "168.63.129.16 dev wg0 src 10.8.0.2"))
    found = decide(facts(vm=NOT_READY, guest=inside), WISH)
    assert found.confidence is Confidence.LIKELY
    assert found.cause.culprit == "168.63.129.16 dev wg0 src 10.8.0.2"
    assert "lookup main" in " ".join(step.command or "" for step in found.next_steps)


def test_the_straight_way_leaves_the_hosts_side():
    assert named(silent()) == (Scenario.PLATFORM, "P11")


def test_a_denying_proxy_agent_is_named_where_the_model_enforces_it():
    inside = replace(guest(RUNS), wire=DENIED, proxy_agent="active")
    assert named(inside, ENFORCED) == (Scenario.WIRE_SERVER_BLOCKED, "N15")
    assert named(silent(proxy_agent="failed"), ENFORCED) == (Scenario.WIRE_SERVER_BLOCKED, "N15")
    audited = replace(ENFORCED, proxy_agent_wire_server_mode="Audit")
    assert named(silent(proxy_agent="failed"), audited) == (Scenario.PLATFORM, "P11")


def test_a_proxy_is_named_only_where_the_agent_fails_and_the_test_without_it_gets_through():
    through_proxy = replace(RUNS, environment="http_proxy=http://10.0.0.9:3128")
    assert named(guest(through_proxy, log=FAILS)) == (Scenario.WIRE_SERVER_BLOCKED, "N07")
    assert named(guest(through_proxy))[0] is Scenario.PLATFORM
    spared = replace(RUNS, environment="http_proxy=http://10.0.0.9:3128 no_proxy=168.63.129.16")
    assert named(guest(spared, log=FAILS))[1] != "N07"
    assert named(guest(through_proxy), READY)[0] is not Scenario.WIRE_SERVER_BLOCKED


def test_a_line_of_the_log_does_not_outweigh_what_the_kernel_says_of_the_gateway_now():
    inside = guest(
        RUNS,
        Connect.NO_ROUTE,
        Connect.NO_ROUTE,
        default_routes=("default via 10.0.0.254 dev eth0",),
        route=Route("unicast", "eth0", "10.0.0.254", "10.0.0.4"),
        neighbours={"10.0.0.254": "FAILED"},
        log=LogFacts(True, failures=(LogLine(7, None, "IOError [Errno 101] Network is unreachable"),)),
    )
    known = facts(vm=NOT_READY, network=OPEN, guest=inside)
    found = name_causes(decide(known, WISH), known, WISH, findings(known, every_cause()))
    assert (found.cause.code, found.cause.slug) == ("N08", "gateway-wrong")


def test_what_only_looks_like_a_block_is_said_and_never_a_cause():
    own = "-A OUTPUT -d 168.63.129.16/32 -p tcp -m conntrack --ctstate INVALID,NEW -j DROP"
    forward = "-A FORWARD -d 168.63.129.16/32 -p tcp -m tcp --dport 80 -j DROP"
    inside = guest(STOPPED, rules=replace(READ_WHOLE, own=(own,), forwarding=(forward,)), metadata=TIMED_OUT)
    known = facts(vm=NOT_READY, network=OPEN, guest=inside)
    found = name_causes(decide(known, WISH), known, WISH, findings(known, every_cause()))
    assert found.scenario is Scenario.AGENT_STOPPED
    named = {cause.code for cause in (found.cause, *found.other_causes)}
    assert not named & {"N18", "N19", "N20", "N02", "N04", "N24"}
    said = {reason.excerpt for reason in found.ruled_out if reason.what.startswith(LOOK_ALIKE)}
    assert {own, forward} <= said
