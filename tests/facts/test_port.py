"""What a NIC and its security rules say about the way to a port: open, shut, or not known."""

from __future__ import annotations

from typing import Any

import pytest

from azext_vmagent.facts.port import NetworkFacts, PortFacts, PortOutcome, inbound, parse_nic, way_is_open


def rule(
    priority: int, access: str, source: str | list[str] = "*", ports: str | list[str] = "22", **more: Any
) -> dict[str, Any]:
    sources = {"sourceAddressPrefix": source} if isinstance(source, str) else {"sourceAddressPrefixes": source}
    destination = {"destinationPortRange": ports} if isinstance(ports, str) else {"destinationPortRanges": ports}
    told = {"priority": priority, "access": access, "direction": "Inbound", "protocol": "Tcp"}
    return {"name": f"r{priority}", "properties": told | sources | destination | more}


DEFAULTS = [
    rule(65000, "Allow", "VirtualNetwork", "*", protocol="*"),
    rule(65001, "Allow", "AzureLoadBalancer", "*", protocol="*"),
    rule(65500, "Deny", "*", "*", protocol="*"),
]


def judged(*rules: dict[str, Any], port: int = 22) -> tuple[bool | None, str]:
    return inbound({"securityRules": list(rules), "defaultSecurityRules": DEFAULTS}, port)


def test_a_rule_that_lets_everyone_in_opens_the_way_and_is_named():
    assert judged(rule(300, "Allow")) == (True, "security rule r300 lets tcp/22 in")


def test_without_a_rule_of_its_own_the_defaults_shut_it():
    assert judged() == (False, "security rule r65500 does not let tcp/22 in")


def test_the_lower_priority_number_wins_whatever_the_order_in_the_list():
    assert judged(rule(300, "Allow"), rule(200, "Deny"))[0] is False
    assert judged(rule(300, "Deny"), rule(200, "Allow"))[0] is True


@pytest.mark.parametrize("source", ["203.0.113.0/24", ["198.51.100.7", "198.51.100.8"], "AzureCloud"])
def test_a_rule_for_some_addresses_is_not_known_to_mean_us(source):
    assert judged(rule(200, "Allow", source))[0] is None
    assert judged(rule(200, "Deny", source), rule(300, "Allow"))[0] is None


def test_rules_for_the_network_itself_do_not_mean_the_internet():
    assert judged(rule(200, "Deny", "VirtualNetwork"), rule(300, "Allow"))[0] is True


@pytest.mark.parametrize("source", ["*", "Internet", "0.0.0.0/0", "Any", ["10.0.0.0/8", "Internet"]])
def test_every_way_to_write_everyone_is_understood(source):
    assert judged(rule(300, "Allow", source))[0] is True


@pytest.mark.parametrize(
    ("ports", "covered"),
    [
        ("22", True),
        ("*", True),
        ("20-25", True),
        (["80", "22"], True),
        ("2222", False),
        ("23-25", False),
        (["80"], False),
    ],
)
def test_only_rules_that_cover_the_port_count(ports, covered):
    assert judged(rule(300, "Allow", "*", ports))[0] is covered


@pytest.mark.parametrize("more", [{"protocol": "Udp"}, {"direction": "Outbound"}, {"protocol": "Icmp"}])
def test_rules_for_other_traffic_do_not_count(more):
    assert judged(rule(300, "Allow", **more))[0] is False


def test_a_group_without_any_rule_is_shut():
    assert inbound({}, 22) == (False, "no security rule lets tcp/22 in")


# -- the NIC -----------------------------------------------------------------------------------------------------------


OPEN_GROUP = {"properties": {"securityRules": [rule(300, "Allow")]}}


def nic(
    group: Any = OPEN_GROUP, subnet: Any = None, sku: str = "Standard", address: str | None = "203.0.113.7"
) -> dict[str, Any]:
    public = {"sku": {"name": sku}, "properties": {"ipAddress": address} if address else {}}
    subnet = {"properties": {}} if subnet is None else subnet
    configuration = {"properties": {"privateIPAddress": "10.0.0.4", "publicIPAddress": public, "subnet": subnet}}
    return {"properties": {"ipConfigurations": [configuration], "networkSecurityGroup": group}}


def way(told: dict[str, Any]) -> bool | None:
    return parse_nic(told, 22).path_open


def test_a_public_address_behind_a_rule_that_lets_in_is_an_open_way():
    found = parse_nic(nic(), 22)
    assert (found.public_address, found.private_address, found.path_open) == ("203.0.113.7", "10.0.0.4", True)


@pytest.mark.parametrize(
    "subnet",
    [{}, {"id": "/s"}, {"properties": {"networkSecurityGroup": {"id": "/g"}}}],
    ids=["none", "id only", "has rules"],
)
def test_a_subnet_whose_rules_were_not_read_leaves_the_way_unknown(subnet):
    assert way(nic(subnet=subnet)) is None


def test_without_rules_a_standard_address_is_shut_and_a_basic_one_open():
    assert way(nic(group=None, sku="Standard")) is False
    assert way(nic(group=None, sku="Basic")) is True


def test_an_address_of_unknown_kind_without_rules_is_not_called_open():
    assert way(nic(group=None, sku="")) is not True


def test_a_group_that_was_not_expanded_leaves_the_way_unknown():
    assert way(nic(group={"id": "/g"})) is None


def test_an_address_not_yet_given_is_no_address():
    assert parse_nic(nic(address=None), 22).public_address is None


def test_the_primary_configuration_counts():
    told = nic()
    second = {"properties": {"privateIPAddress": "10.0.0.5", "primary": True}}
    told["properties"]["ipConfigurations"].append(second)
    assert parse_nic(told, 22).private_address == "10.0.0.5"


@pytest.mark.parametrize(
    "told", [{}, {"properties": None}, {"properties": {"ipConfigurations": [None, 3, {"properties": 4}]}}]
)
def test_a_garbled_nic_is_an_unknown_way(told):
    assert parse_nic(told, 22).path_open is None


def test_garbled_rules_never_open_the_way():
    group = {
        "securityRules": [None, {}, {"properties": {"priority": "x", "destinationPortRange": 22}}],
        "defaultSecurityRules": "x",
    }
    assert inbound(group, 22)[0] is not True


@pytest.mark.parametrize(
    ("address", "path", "counts"),
    [
        ("203.0.113.7", True, True),
        ("203.0.113.7", None, False),
        ("203.0.113.7", False, False),
        ("10.0.0.4", True, False),
    ],
)
def test_a_time_out_counts_on_the_open_public_address_alone(address, path, counts):
    port = PortFacts(address, 22, PortOutcome.TIMED_OUT)
    assert way_is_open(port, NetworkFacts("203.0.113.7", "10.0.0.4", path, "why")) is counts
    assert way_is_open(port, None) is False
