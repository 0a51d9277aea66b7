"""A silent Wire Server is the host's fault only where nothing in the guest leads the agent's words elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_vmagent.facts.guest_facts import Connect, Interface, LogFacts, LogLine, Route, WireTest
from azext_vmagent.model import Confidence, Scenario
from azext_vmagent.verdict.decide import decide
from tests.verdict.build import NOT_READY, OPEN, READY, RUNS, UP, WISH, facts, guest

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
