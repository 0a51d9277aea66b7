"""Rules and routes that keep root from the Wire Server, taken away and put back in the kernel itself."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator

import pytest

from azext_vmagent.facts.guest import parse_probe
from azext_vmagent.repair.record import Result
from tests.guest.namespace import AGENT_RULES, WIRE, lacking
from tests.guest.repairing import Act, RepairGuest, act, repair_guest

pytestmark = [
    pytest.mark.this_machine,
    pytest.mark.skipif(bool(lacking()), reason=f"NOT TRIED against the kernel: lacking {lacking()}"),
]
SHELLS = ("dash", "bash", "busybox sh")
_NFT = "nft add table inet t; nft add chain inet t o '{ type filter hook output priority 0; }'; nft add rule inet t o"
#: rules of others, before and behind
BEFORE = """
iptables -w -A OUTPUT -d 10.1.1.1/32 -m comment --comment "theirs, first" -j DROP
nft add table inet theirs; nft add chain inet theirs o '{ type filter hook output priority 5; }'
nft add rule inet theirs o ip daddr 10.2.2.2 counter drop comment '"theirs"'
ip route add blackhole 10.3.3.0/24
"""
BEHIND = """
iptables -w -A OUTPUT -d 10.1.1.2/32 -j REJECT
! nft list chain inet t o 2>/dev/null || nft add rule inet t o ip daddr 10.2.2.3 drop
"""


@pytest.fixture
def guest() -> Iterator[RepairGuest]:
    with repair_guest() as made:
        made.network.sh(AGENT_RULES)
        made.sh(BEFORE)
        yield made


def handle(guest: RepairGuest, text: str) -> str:
    """The handle and the text of the rule in table t that contains this."""
    [line] = [
        line for line in guest.sh("nft -a list chain inet t o").split("\n") if text in line and " # handle " in line
    ]
    return line.rpartition(" # handle ")[2]


def remove(guest: RepairGuest, tool: str, text: str, at: str = "-") -> Act:
    if tool == "nft":
        return act("remove-rule", "nft", "inet", "t", "o", handle(guest, WIRE), text)
    table, chain = ("mangle", "POSTROUTING") if tool.endswith("mangle") else ("filter", text.split()[1])
    return act("remove-rule", "iptables", tool.partition(":")[0], table, chain, at, text)


RULES = {
    "iptables": ("iptables", f"iptables -w -A OUTPUT -d {WIRE} -j REJECT", f"-A OUTPUT -d {WIRE}/32 -j REJECT --reject-with icmp-port-unreachable"),
    "iptables port": ("iptables", f"iptables -w -A OUTPUT -d {WIRE} -p tcp -m tcp --dport 32526 -j REJECT",
                      f"-A OUTPUT -d {WIRE}/32 -p tcp -m tcp --dport 32526 -j REJECT --reject-with icmp-port-unreachable"),
    "iptables match": ("iptables", f"iptables -w -A OUTPUT -d {WIRE} -m owner --uid-owner 0 -m multiport -p tcp --dports 80,32526 -j REJECT",
                       f"-A OUTPUT -d {WIRE}/32 -p tcp -m owner --uid-owner 0 -m multiport --dports 80,32526 -j REJECT --reject-with icmp-port-unreachable"),
    "mangle": ("iptables:mangle", f"iptables -w -t mangle -A POSTROUTING -d {WIRE} -p tcp -j DROP", f"-A POSTROUTING -d {WIRE}/32 -p tcp -j DROP"),
    "legacy": ("iptables-legacy", f"iptables-legacy -w -A OUTPUT -d {WIRE} -j REJECT", f"-A OUTPUT -d {WIRE}/32 -j REJECT --reject-with icmp-port-unreachable"),
    "a user's chain": ("iptables", f"iptables -w -N mine; iptables -w -A OUTPUT -j mine; iptables -w -A mine -d {WIRE} -j REJECT",
                       f"-A mine -d {WIRE}/32 -j REJECT --reject-with icmp-port-unreachable"),
    "nft": ("nft", f"{_NFT} ip daddr {WIRE} reject", f"ip daddr {WIRE} reject with icmp port-unreachable"),
    "nft counter": ("nft", f"{_NFT} ip daddr {WIRE} tcp dport '{{ 80, 32526 }}' counter reject comment '\"no wire\"'",
                    f"ip daddr {WIRE} tcp dport {{ 80, 32526 }} counter reject with icmp port-unreachable comment \"no wire\""),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_a_rule_goes_all_others_stay_and_undo_puts_it_back(guest: RepairGuest, name: str) -> None:
    tool, make, text = RULES[name]
    if shutil.which(tool.partition(":")[0]) is None:
        pytest.skip(f"NOT TRIED: no {tool} on this machine")
    guest.sh(f"{make}\n{BEHIND}")
    before = guest.rules()
    assert guest.blocked()
    action = remove(guest, tool, text)
    record = guest.repair(action)
    assert (record.result, record.other_rules_same) == (Result.APPLIED, True)
    assert record.wire == ((80, 200), (32526, 200))
    assert [step.outcome for step in record.steps] == ["ok"] * 4
    assert guest.blocked() == frozenset()
    was, now = Counter(before.split("\n")), Counter(guest.rules().split("\n"))
    assert was - now
    assert all(WIRE in line for line in was - now)
    assert not now - was
    again = guest.repair(action)
    assert (again.result, again.outcome(1, "precheck")) == (Result.NOTHING_TO_DO, "skipped")
    undone = guest.undo()
    assert (undone.result, undone.other_rules_same) == (Result.UNDONE, True)
    assert guest.rules() == before, "in its place"
    assert guest.undo().result is Result.NOTHING_TO_DO


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_carries_it_out(guest: RepairGuest, shell: str) -> None:
    tool, make, text = RULES["iptables"]
    guest.sh(make)
    before = guest.rules()
    assert guest.repair(remove(guest, tool, text), shell=shell).result is Result.APPLIED
    assert guest.undo(shell).result is Result.UNDONE
    assert guest.rules() == before


@pytest.mark.parametrize(
    "make", [f"iptables -w -A OUTPUT -d {WIRE} -j REJECT", f"{_NFT} ip daddr {WIRE} tcp dport 80 counter reject"]
)
def test_the_words_of_the_diagnosis_are_found_in_the_guest(guest: RepairGuest, make: str) -> None:
    """From what the probe lists to what the program compares: the two see the same text."""
    guest.sh(make)
    [block] = parse_probe(guest.network.listing()).rules.blocks
    if block.tool == "iptables":
        action = act("remove-rule", "iptables", "iptables", "filter", "OUTPUT", "-", block.rule)
    else:
        action = act("remove-rule", "nft", "inet", "t", "o", handle(guest, WIRE), block.rule)
    assert guest.repair(action).result is Result.APPLIED


def test_two_copies_of_a_rule_and_both_ports(guest: RepairGuest) -> None:
    tool, make, text = RULES["iptables"]
    guest.sh(f"{make}\n{BEHIND}\n{make}")
    before = guest.rules()
    record = guest.repair(remove(guest, tool, text, "2"), remove(guest, tool, text, "-"))
    assert (record.result, record.other_rules_same) == (Result.APPLIED, True)
    guest.undo()
    assert guest.rules() == before


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (f"iptables -w -R OUTPUT 2 -d {WIRE} -p tcp -j REJECT", "changed"),
        ("iptables -w -I OUTPUT -d 10.9.9.9 -j DROP", "changed"),
        (f"iptables -w -D OUTPUT 2; iptables -w -A OUTPUT -d {WIRE} -j DROP", "changed"),
    ],
)
def test_a_changed_listing_stops(guest: RepairGuest, change: str, outcome: str) -> None:
    tool, make, text = RULES["iptables"]
    guest.sh(make)
    action = remove(guest, tool, text, "2")
    guest.sh(change)
    before = guest.rules()
    record = guest.repair(action)
    assert (record.result, record.outcome(1, "precheck")) == (Result.CHANGED, outcome)
    assert guest.rules() == before
    assert guest.sh("ls /var/lib/azure-vmagent/repairs") == "", "nothing was begun"


def test_a_handle_that_is_another_rule_now_stops(guest: RepairGuest) -> None:
    guest.sh(f"{_NFT} ip daddr {WIRE} reject")
    action = act("remove-rule", "nft", "inet", "t", "o", handle(guest, WIRE), f"ip daddr {WIRE} drop")
    before = guest.rules()
    assert guest.repair(action).result is Result.CHANGED
    assert guest.rules() == before


def test_a_rule_whose_removal_does_not_help_comes_back(guest: RepairGuest) -> None:
    tool, make, text = RULES["iptables"]
    guest.sh(f"{make}; ip route add blackhole {WIRE}")
    before = guest.rules()
    record = guest.repair(remove(guest, tool, text))
    assert record.result is Result.REVERTED
    assert record.outcome(1, "undo") == "ok"
    assert record.wire == ((80, None), (32526, None))
    assert guest.rules() == before


def test_half_a_cure_is_kept(guest: RepairGuest) -> None:
    tool, make, text = RULES["iptables port"]
    guest.sh(f"{make}; iptables -w -A OUTPUT -d {WIRE} -p tcp --dport 80 -j REJECT")
    assert guest.repair(remove(guest, tool, text)).result is Result.KEPT
    assert guest.blocked() == frozenset({80})


ROUTES = {
    "blackhole": (f"ip route add blackhole {WIRE}", act("remove-route", "blackhole", WIRE)),
    "prohibit": ("ip route add prohibit 168.63.128.0/20 metric 7", act("remove-route", *["prohibit", "168.63.128.0/20", "metric", "7"])),
    "a table": (f"ip route add unreachable {WIRE} table 77; ip rule add to {WIRE} lookup 77 priority 50",
                act("remove-route", *f"unreachable {WIRE} table 77".split())),
    "a rule": (f"ip rule add to {WIRE} priority 60 prohibit", act("remove-policy-rule", *f"60 from all to {WIRE} prohibit".split())),
}  # fmt: skip


@pytest.mark.parametrize("name", ROUTES)
def test_routes_and_routing_rules(guest: RepairGuest, name: str) -> None:
    make, action = ROUTES[name]
    guest.sh(make)
    before = guest.rules()
    assert guest.blocked()
    record = guest.repair(action)
    assert (record.result, record.other_rules_same) == (Result.APPLIED, True)
    assert guest.blocked() == frozenset()
    assert guest.repair(action).result is Result.NOTHING_TO_DO
    guest.undo()
    assert guest.rules() == before


_POLICY = "iptables -w -A OUTPUT -d 10.0.0.0/24 -j ACCEPT; iptables -w -P OUTPUT DROP"
_CATCH_ALL = "iptables -w -A OUTPUT -o lo -j ACCEPT; iptables -w -A OUTPUT -j REJECT"
_INBOUND = "iptables -w -A INPUT -p tcp --sport 0:33000 -j DROP"
ALLOWANCES = {
    "policy": (_POLICY, ("iptables", "iptables", "filter", "OUTPUT", "out", "-P OUTPUT DROP")),
    "catch-all": (_CATCH_ALL, ("iptables", "iptables", "filter", "OUTPUT", "out", "-A OUTPUT -j REJECT --reject-with icmp-port-unreachable")),
    "replies": (_INBOUND, ("iptables", "iptables", "filter", "INPUT", "in", "-A INPUT -p tcp -m tcp --sport 0:33000 -j DROP")),
    "nft policy": ("nft add table inet t; nft add chain inet t o '{ type filter hook output priority 0; policy drop; }'",
                   ("nft", "inet", "t", "o", "-", "policy drop", "out")),
    "nft catch-all": (f"{_NFT} tcp dport 1-40000 drop", ("nft", "inet", "t", "o", "HANDLE", "tcp dport 1-40000 drop", "out")),
}  # fmt: skip


@pytest.mark.parametrize("name", ALLOWANCES)
def test_a_covering_rule_gets_an_exception_for_root_alone(guest: RepairGuest, name: str) -> None:
    make, arguments = ALLOWANCES[name]
    guest.sh(make)
    before = guest.rules()
    assert guest.blocked() == frozenset({80, 32526})
    if "HANDLE" in arguments:
        arguments = tuple(handle(guest, "40000") if word == "HANDLE" else word for word in arguments)
    action = act("allow-wire-server", *arguments)
    record = guest.repair(action)
    assert (record.result, record.other_rules_same) == (Result.APPLIED, True)
    assert guest.blocked() == frozenset()
    assert guest.sh(f"curl -s -m 1 http://{WIRE}:443/ && echo yes || echo no") == "no\n"
    assert guest.repair(action).result is Result.NOTHING_TO_DO
    guest.undo()
    assert guest.rules() == before


HOSTILE = (
    f"iptables -w -A OUTPUT -d {WIRE} -m comment --comment '\"; touch /run/hostile; \"' -j REJECT",
    f"iptables -w -A OUTPUT -d {WIRE} -m comment --comment '$(touch /run/hostile)`touch /run/hostile`' -j REJECT",
    f"iptables -w -A OUTPUT -d {WIRE} -m comment --comment '\\0044(touch /run/hostile) %s \\c' -j REJECT",
    f"iptables -w -N '$(reboot)'; iptables -w -A OUTPUT -j '$(reboot)'; iptables -w -A '$(reboot)' -d {WIRE} -j REJECT",
    f"iptables -w -N 'a;b'; iptables -w -A OUTPUT -j 'a;b'; iptables -w -A 'a;b' -d {WIRE} -j REJECT",
    f"iptables -w -N '*'; iptables -w -A OUTPUT -j '*'; iptables -w -A '*' -d {WIRE} -j REJECT",
)


@pytest.mark.parametrize("make", HOSTILE)
@pytest.mark.parametrize("shell", SHELLS)
def test_hostile_names_and_comments_are_data(guest: RepairGuest, make: str, shell: str) -> None:
    guest.sh(make)
    before = guest.rules()
    [block] = parse_probe(guest.network.listing()).rules.blocks
    chain = block.rule.split(" ")[1]
    action = act("remove-rule", "iptables", "iptables", "filter", chain, "-", block.rule)
    record = guest.repair(action, shell=shell)
    assert (record.result, record.other_rules_same) == (Result.APPLIED, True)
    assert guest.undo(shell).result is Result.UNDONE
    assert guest.rules() == before
    assert guest.sh("[ -e /run/hostile ] && echo yes || echo no") == "no\n"


REFUSED = (
    act("remove-rule", "nft", "inet", "t; flush ruleset", "o", "5", "drop"),
    act("remove-rule", "nft", "inet", "t", "o", "5; flush ruleset", "drop"),
    act("remove-rule", "iptables", "/run/hostile-iptables; reboot", "filter", "OUTPUT", "-", "-A OUTPUT -j DROP"),
    act("remove-rule", "iptables", "iptables", "filter\nCOMMIT".replace("\n", " "), "OUTPUT", "-", "-A OUTPUT -j DROP"),
    act("remove-rule", "iptables", "iptables", "filter", "OUTPUT", "-", "-F OUTPUT"),
    act("remove-rule", "sh", "-c", "touch /run/hostile"),
    act("remove-route", "default", "via", "10.0.0.1"),
    act("remove-policy-rule", "0", "from", "all", "lookup", "local"),
    act("start-agent", "sshd.service"),
    act("restore-executable", "/usr/bin/../../run/x/waagent"),
    act("reinstall-agent", "apt-get", "linux-image-amd64"),
    act("$(touch /run/hostile)"),
)


@pytest.mark.parametrize("action", REFUSED)
def test_what_is_no_repair_is_refused(guest: RepairGuest, action: Act) -> None:
    guest.sh(f"iptables -w -A OUTPUT -d {WIRE} -j REJECT")
    before = guest.rules()
    record = guest.repair(action)
    assert record.result in (Result.FAILED, Result.CHANGED)
    assert record.outcome(1, "apply") == ""
    assert guest.rules() == before
    assert guest.sh("[ -e /run/hostile ] && echo yes || echo no") == "no\n"


def test_a_rule_that_nft_could_not_read_back_is_left_alone(guest: RepairGuest) -> None:
    """A comment that ends its own quotes: putting it back would be other commands."""
    guest.tool(
        "nft",
        f"""
case "$*" in
"-a list chain inet t o") printf '\\t\\tip daddr {WIRE} drop comment "a"; flush ruleset; add table ip "b" # handle 5\\n' ;;
*) exec /usr/sbin/nft "$@" ;;
esac""",
    )
    guest.sh(f"iptables -w -A OUTPUT -d {WIRE} -j REJECT")
    before = guest.rules()
    action = act(
        "remove-rule",
        "nft",
        "inet",
        "t",
        "o",
        "5",
        f'ip daddr {WIRE} drop comment "a"; flush ruleset; add table ip "b"',
    )
    assert guest.repair(action).outcome(1, "precheck") == "failed"
    assert guest.rules() == before


def test_an_interface_that_was_taken_down_comes_up(guest: RepairGuest) -> None:
    guest.sh("ip link add 'x$(y)' type veth peer name y; ip link set eth0 down")
    record = guest.repair(act("interface-up", "eth0"), act("interface-up", "x$(y)"))
    assert record.result is Result.APPLIED
    assert "state UP" in guest.sh("ip link show dev eth0")
    assert guest.repair(act("interface-up", "eth0")).result is Result.NOTHING_TO_DO
    assert guest.repair(act("interface-up", "eth9")).result is Result.CHANGED


@pytest.mark.parametrize(
    ("manager", "tool", "asked"),
    [
        ("networkd", "networkctl", "renew eth0"),
        ("NetworkManager", "nmcli", "-w 30 device connect eth0"),
        ("wicked", "wicked", "ifup eth0"),
        ("dhclient", "dhclient", "-1 eth0"),
    ],
)
def test_dhcp_is_renewed_by_what_manages_the_interface(guest: RepairGuest, manager: str, tool: str, asked: str) -> None:
    guest.sh("ip addr flush dev eth0")
    guest.tool(tool, f'echo "$*" >>/run/asked\n{LEASE}')
    record = guest.repair(act("renew-dhcp", "eth0", manager))
    assert (record.result, guest.sh("cat /run/asked")) == (Result.APPLIED, f"{asked}\n")
    assert guest.repair(act("renew-dhcp", "eth0", manager)).result is Result.NOTHING_TO_DO


LEASE = "ip addr replace 10.0.0.4/24 dev eth0; ip route replace default via 10.0.0.1 dev eth0"


def test_a_lease_is_renewed_where_the_address_stayed_and_the_routes_went(guest: RepairGuest) -> None:
    guest.sh("ip addr flush dev eth0; ip addr add 10.0.0.4/24 dev eth0; ip link set eth0 down")
    guest.tool("networkctl", LEASE)
    record = guest.repair(act("interface-up", "eth0"), act("renew-dhcp", "eth0", "networkd"))
    assert (record.result, record.outcome(2, "verify")) == (Result.APPLIED, "ok")
    assert "default via 10.0.0.1" in guest.sh("ip route")
