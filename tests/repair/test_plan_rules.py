"""What a plan does with the rules and routes that block: removed exactly, let past, or left to their owner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_vmagent.facts.firewall import blocking_rules
from azext_vmagent.facts.firewall_facts import Listings
from azext_vmagent.facts.firewall_facts import Path as WayOut
from azext_vmagent.facts.guest import Connect
from tests.repair.case import blocked, inside, planned, refused, steps
from tests.verdict.build import DROP, STOPPED, guest

UNIT = "waagent.service"
IP = "168.63.129.16"


def iptables(*lines: str, tool: str = "iptables"):
    return blocking_rules(Listings(**{tool: lines}, listed=(tool,)), WayOut("eth0", "10.0.0.4")).blocks


def nft(*rules: str, head: str = "type filter hook output priority 0; policy accept;"):
    lines = (f"chain inet t o {head}", *(f"nft {rule} # handle {at}" for at, rule in enumerate(rules, 2)))
    return blocking_rules(Listings(nft=lines, listed=("nft",)), WayOut("eth0", "10.0.0.4")).blocks


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (
            iptables(f"filter -A OUTPUT -d {IP}/32 -j DROP"),
            ("remove-rule", "iptables", "iptables", "filter", "OUTPUT", "-", f"-A OUTPUT -d {IP}/32 -j DROP"),
        ),
        (
            iptables("filter -P OUTPUT DROP"),
            ("allow-wire-server", "iptables", "iptables", "filter", "OUTPUT", "out", "-P OUTPUT DROP"),
        ),
        (
            iptables("filter -A OUTPUT -p tcp -m tcp --dport 80 -j DROP"),
            (
                "allow-wire-server",
                "iptables",
                "iptables",
                "filter",
                "OUTPUT",
                "out",
                "-A OUTPUT -p tcp -m tcp --dport 80 -j DROP",
            ),
        ),
        (
            iptables("filter -A OUTPUT -d 168.63.129.0/24 -p tcp -j DROP"),
            (
                "allow-wire-server",
                "iptables",
                "iptables",
                "filter",
                "OUTPUT",
                "out",
                "-A OUTPUT -d 168.63.129.0/24 -p tcp -j DROP",
            ),
        ),
        (
            nft(f"ip daddr {{ 192.0.2.1, {IP} }} drop"),
            ("allow-wire-server", "nft", "inet", "t", "o", "2", f"ip daddr {{ 192.0.2.1, {IP} }} drop", "out"),
        ),
        (
            iptables(f"security -A OUTPUT -d {IP}/32 -p tcp -m conntrack --ctstate INVALID,NEW -j DROP"),
            (
                "allow-wire-server",
                "iptables",
                "iptables",
                "security",
                "OUTPUT",
                "out",
                f"-A OUTPUT -d {IP}/32 -p tcp -m conntrack --ctstate INVALID,NEW -j DROP",
            ),
        ),
        (
            iptables(f"filter -A INPUT -s {IP}/32 -j DROP"),
            ("remove-rule", "iptables", "iptables", "filter", "INPUT", "-", f"-A INPUT -s {IP}/32 -j DROP"),
        ),
        (nft(f"ip daddr {IP} drop"), ("remove-rule", "nft", "inet", "t", "o", "2", f"ip daddr {IP} drop")),
        (
            nft("tcp dport 80 drop"),
            ("allow-wire-server", "nft", "inet", "t", "o", "2", "tcp dport 80 drop", "out"),
        ),
        (
            nft(head="type filter hook output priority 0; policy drop;"),
            ("allow-wire-server", "nft", "inet", "t", "o", "-", "policy drop", "out"),
        ),
    ],
)
def test_a_rule_is_removed_and_a_covering_one_gets_an_exception(rules, wanted):
    assert len(rules) == 1
    assert steps(planned(blocked(*rules))) == [wanted]


def behind(owner: dict, *lines: str, chain: str = "OUTPUT"):
    """The rules of a table filter, made by another program whose own listing is given."""
    made = Listings(iptables=tuple(f"filter {line}" for line in lines), listed=("iptables",), **owner)
    return blocking_rules(made, WayOut("eth0", "10.0.0.4")).blocks


@pytest.mark.parametrize(
    "owner",
    [
        {"direct": ("ipv4 filter OUTPUT 0 -d 168.63.128.0/17 -j DROP",)},
        {"passthrough": ("ipv4 -A OUTPUT -d 168.63.128.0/17 -j DROP",)},
    ],
)
def test_a_rule_of_firewalld_that_covers_others_too_is_left_to_its_owner(owner):
    rules = behind(owner, "-A OUTPUT -d 168.63.128.0/17 -j DROP")
    assert [rule.tool.partition("-")[0] for rule in rules] == ["firewalld"]
    assert refused(planned(blocked(*rules))) == "no-exact-undo"


def test_a_rule_of_ufw_that_covers_others_too_gets_an_exception():
    lines = (
        "-N ufw-user-output",
        "-A OUTPUT -j ufw-user-output",
        "-A ufw-user-output -d 168.63.128.0/17 -j DROP",
    )
    for to, wanted in ((f"{IP}", "remove-rule"), ("168.63.128.0/17", "allow-wire-server")):
        ufw = {"ufw": (f"deny any any {to} any 0.0.0.0/0 out",)}
        [rule] = behind(ufw, *(line.replace("168.63.128.0/17", to) for line in lines))
        assert [action.kind for action in planned(blocked(rule)).actions] == [wanted]


@pytest.mark.parametrize(
    ("listings", "kind", "wanted"),
    [
        (Listings(routes=(f"blackhole {IP}",), listed=("routes",)), "blackhole", ("remove-route", "blackhole", IP)),
        (
            Listings(route_rules=(f"100: from all to {IP} prohibit",), listed=("routes",)),
            "prohibit",
            ("remove-policy-rule", "100", "from", "all", "to", IP, "prohibit"),
        ),
    ],
)
def test_a_route_and_a_routing_rule_are_removed_as_they_are_listed(listings, kind, wanted):
    rules = blocking_rules(listings, WayOut("eth0", "10.0.0.4", kind)).blocks
    assert steps(planned(blocked(*rules))) == [wanted]


@pytest.mark.parametrize(
    ("listings", "kind"),
    [
        (Listings(routes=("blackhole 168.63.0.0/16",), listed=("routes",)), "blackhole"),
        (Listings(routes=("blackhole default table 100",), listed=("routes",)), "blackhole"),
        (Listings(route_rules=("100: from all prohibit",), listed=("routes",)), "prohibit"),
    ],
)
def test_a_route_that_swallows_others_too_is_not_removed(listings, kind):
    rules = blocking_rules(listings, WayOut("eth0", "10.0.0.4", kind)).blocks
    assert len(rules) == 1
    assert refused(planned(blocked(*rules))) == "no-exact-undo"


def test_the_way_to_the_server_comes_before_the_agent():
    seen = blocked(DROP)
    both = replace(seen, guest=replace(seen.guest, service=replace(STOPPED, unit_file_state="disabled")))
    assert [action.kind for action in planned(both).actions] == ["remove-rule", "enable-agent", "start-agent"]


def test_a_rule_whose_ports_answer_all_the_same_is_not_touched():
    harmless = replace(DROP, rule="ipv4 filter OUTPUT 9 -d 168.63.129.16/32 -j DROP", ports=(80,))
    seen = inside(guest(STOPPED, Connect.OK, Connect.OK, rules=replace(blocked(harmless).guest.rules)))
    assert steps(planned(seen)) == [("start-agent", UNIT)]
