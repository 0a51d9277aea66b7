"""Which rule blocks, who owns it, how to undo it: recorded answers, and written rules with their near misses."""

from __future__ import annotations

from pathlib import Path

import pytest

from azext_vmagent.facts.firewall import blocking_rules
from azext_vmagent.facts.firewall_facts import Listings, RuleAnalysis
from azext_vmagent.facts.firewall_facts import Path as WayOut
from azext_vmagent.facts.guest import parse_probe

ANSWERS = Path(__file__).parent / "probe_answers"
IP = "168.63.129.16"
BOTH = (80, 32526)
WAY = WayOut("eth0", "10.0.0.4")
OWN = (
    f"security -A OUTPUT -d {IP}/32 -p tcp -m tcp --dport 53 -j ACCEPT",
    f"security -A OUTPUT -d {IP}/32 -p tcp -m owner --uid-owner 0 -j ACCEPT",
    f"security -A OUTPUT -d {IP}/32 -p tcp -m conntrack --ctstate INVALID,NEW -j DROP",
)


def recorded(name: str) -> RuleAnalysis:
    return parse_probe((ANSWERS / f"{name}.txt").read_text()).rules


def saved(*lines: str) -> RuleAnalysis:
    return blocking_rules(Listings(iptables=lines, listed=("iptables",)), WAY)


def nft(*rules: str, head: str = "type filter hook output priority 0; policy accept;") -> RuleAnalysis:
    lines = (f"chain inet t o {head}", *(f"nft {rule} # handle {at}" for at, rule in enumerate(rules, 2)))
    return blocking_rules(Listings(nft=lines, listed=("nft",)), WAY)


@pytest.mark.parametrize(
    ("name", "tool", "rule", "undo", "stays"),
    [
        (
            "firewalld-direct", "firewalld-direct", f"ipv4 filter OUTPUT 0 -d {IP}/32 -j DROP",
            f"firewall-cmd --direct --remove-rule ipv4 filter OUTPUT 0 -d {IP}/32 -j DROP"
            f" && firewall-cmd --permanent --direct --remove-rule ipv4 filter OUTPUT 0 -d {IP}/32 -j DROP", True,
        ),
        (
            "firewalld-passthrough", "firewalld-passthrough", f"ipv4 -I OUTPUT -d {IP} -p tcp -j REJECT",
            f"firewall-cmd --direct --remove-passthrough ipv4 -I OUTPUT -d {IP} -p tcp -j REJECT", False,
        ),
        ("firewalld-panic", "firewalld-panic", "firewall-cmd --panic-on", "firewall-cmd --panic-off", False),
        ("ufw-deny-rule", "ufw", f"deny any any {IP} any 0.0.0.0/0 out", f"ufw delete deny out to {IP}", True),
        ("ufw-default-deny", "ufw", "-P OUTPUT DROP", f"ufw allow out proto tcp to {IP} port 80,32526", True),
    ],
)  # fmt: skip
def test_the_owner_is_named_not_the_shadow(name: str, tool: str, rule: str, undo: str, stays: bool) -> None:
    [block] = recorded(name).blocks
    assert (block.tool, block.rule, block.undo, block.stays, block.ports) == (tool, rule, undo, stays, BOTH)


def test_policies_target_and_rich_rule() -> None:
    target, rich = recorded("firewalld-policies").blocks
    assert target.rule == "policy dropall target DROP"
    rule = """--add-rich-rule 'rule family="ipv4" destination address="168.63.129.16/32" port port="{}" protocol="tcp" accept'"""
    add = f"--policy dropall {rule.format(80)} {rule.format(32526)}"
    assert target.undo == f"firewall-cmd {add} && firewall-cmd --permanent {add}"
    assert rich.rule == f'policy noout: rule family="ipv4" destination address="{IP}/32" drop'
    assert rich.undo is not None
    assert rich.undo.startswith("firewall-cmd --policy noout --remove-rich-rule 'rule family=")


def test_direct_rule_is_firewalld_s_even_without_any_listing() -> None:
    direct = f"ipv4 filter OUTPUT 0 -d {IP}/32 -j DROP"
    [block] = blocking_rules(Listings(direct=(direct,)), WAY).blocks
    assert (block.tool, block.rule, block.stays) == ("firewalld-direct", direct, False)


def test_direct_chain_of_older_firewalld() -> None:
    """With firewalld's iptables backend (RHEL 7) direct rules live in OUTPUT_direct of the legacy tables."""
    listings = Listings(
        legacy=("filter -A OUTPUT -j OUTPUT_direct", f"filter -A OUTPUT_direct -d {IP}/32 -j DROP"),
        direct=(f"ipv4 filter OUTPUT 0 -d {IP} -j DROP",),
    )
    [block] = blocking_rules(listings, WAY).blocks
    assert block.tool == "firewalld-direct"


@pytest.mark.parametrize(
    ("rule", "ports"),
    [
        (f"-d {IP}/32 -j DROP", BOTH),
        (f"-d {IP}/32 -j REJECT --reject-with icmp-port-unreachable", BOTH),
        ("-d 168.63.0.0/16 -p tcp -j DROP", BOTH),
        (f"-d {IP}/32 -p tcp -m tcp --dport 32526 -j DROP", (32526,)),
        (f"-d {IP}/32 -p tcp -m multiport --dports 80,443 -j DROP", (80,)),
        ("-p tcp -m tcp --dport 1:1023 -j DROP", (80,)),
        (f"-d {IP}/32 -m owner --uid-owner 0 -j DROP", BOTH),
        ("-m iprange --dst-range 168.63.129.1-168.63.129.99 -j DROP", BOTH),
        ("! -d 10.0.0.0/8 -o eth0 -j DROP", BOTH),
        (f"-d {IP}/32 -m conntrack --ctstate ESTABLISHED -j DROP", BOTH),
        (f"-s 10.0.0.4/32 -d {IP}/32 -j DROP", BOTH),
        (f'-d {IP}/32 -m comment --comment "-j ACCEPT" -j DROP', BOTH),
        (f"-d {IP}/32 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", BOTH),
    ],
)
def test_iptables_rules_that_block(rule: str, ports: tuple[int, ...]) -> None:
    analysis = saved(f"filter -A OUTPUT {rule}")
    [block] = analysis.blocks
    assert (block.tool, block.ports, block.rule) == ("iptables", ports, f"-A OUTPUT {rule}")
    assert analysis.undecided == ()


@pytest.mark.parametrize(
    "rule",
    [
        "-d 168.63.129.17/32 -j DROP",
        "-d 168.62.0.0/16 -j DROP",
        f"! -d {IP}/32 -j DROP",
        f"-d {IP}/32 -p udp -j DROP",
        f"-d {IP}/32 -p tcp -m tcp --dport 53 -j DROP",
        f"-d {IP}/32 -m owner ! --uid-owner 0 -j DROP",
        f"-d {IP}/32 -m owner --uid-owner 1000-2000 -j DROP",
        f"-d {IP}/32 -o lo -j DROP",
        f"-d {IP}/32 -o eth1 -j DROP",
        f"-d {IP}/32 -m conntrack --ctstate INVALID -j DROP",
        f"-s 10.0.0.5/32 -d {IP}/32 -j DROP",
        f"-d {IP}/32 -j LOG --log-prefix DROP",
        f"-d {IP}/32 -j ACCEPT",
        f"-d {IP}/32 -m addrtype --dst-type LOCAL -j DROP",
    ],
)
def test_iptables_rules_that_do_not(rule: str) -> None:
    analysis = saved(f"filter -A OUTPUT {rule}")
    assert (analysis.blocks, analysis.undecided) == ((), ())
    assert analysis.complete


def test_only_the_hosts_own_output_counts() -> None:
    assert saved(f"filter -A FORWARD -d {IP}/32 -j DROP").blocks == ()


def test_first_terminal_rule_wins() -> None:
    accept, drop = f"filter -A OUTPUT -d {IP}/32 -p tcp -j ACCEPT", f"filter -A OUTPUT -d {IP}/32 -j DROP"
    assert saved(accept, drop).blocks == ()
    assert len(saved(drop, accept).blocks) == 1
    assert saved(f"filter -A OUTPUT -d {IP}/32 -j RETURN", drop).blocks == ()


def test_a_second_rule_behind_the_first_is_named_too() -> None:
    rules = (f"filter -A OUTPUT -d {IP}/32 -j DROP", "filter -A OUTPUT -d 168.63.129.0/24 -j REJECT")
    assert [block.action for block in saved(*rules).blocks] == ["drop", "reject"]


def test_jumps_goto_and_return() -> None:
    jump = ("filter -A OUTPUT -p tcp -j mine", "filter -A OUTPUT -j ACCEPT", f"filter -A mine -d {IP}/32 -j DROP")
    [block] = saved(*jump).blocks
    assert block.undo == f"iptables -t filter -D mine -d {IP}/32 -j DROP"
    back = ("filter -A mine -m owner --uid-owner 0 -j RETURN", f"filter -A mine -d {IP}/32 -j DROP")
    assert saved("filter -A OUTPUT -j mine", *back).blocks == ()
    goto = ("filter -A OUTPUT -g mine", f"filter -A OUTPUT -d {IP}/32 -j DROP", "filter -A mine -p udp -j DROP")
    assert saved(*goto).blocks == ()


def test_chains_that_lead_in_a_circle_end() -> None:
    """The kernel refuses such a table; a forged listing must not hang us."""
    assert saved("filter -A OUTPUT -j a", "filter -A a -j b", "filter -A b -j a").blocks == ()


def test_policy_drop_gets_an_exception_not_a_new_policy() -> None:
    [block] = saved("filter -P OUTPUT DROP", "filter -A OUTPUT -p tcp -m tcp --dport 443 -j ACCEPT").blocks
    assert block.undo == (
        f"iptables -t filter -I OUTPUT -d {IP}/32 -p tcp -m multiport --dports 80,32526"
        " -m owner --uid-owner 0 -j ACCEPT"
    )
    allowed = ("filter -P OUTPUT DROP", f"filter -A OUTPUT -d {IP}/32 -j ACCEPT")
    assert saved(*allowed).blocks == ()


def test_replies_dropped_on_the_way_in() -> None:
    [block] = saved(f"filter -A INPUT -s {IP}/32 -j DROP").blocks
    assert (block.direction, block.ports) == ("in", BOTH)
    established = "filter -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    assert saved(established, "filter -P INPUT DROP").blocks == ()


def test_a_diversion_blocks_only_where_nothing_answers() -> None:
    rule = f"nat -A OUTPUT -d {IP}/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:9"
    listings = Listings(iptables=(rule,), listed=("iptables",))
    assert [block.action for block in blocking_rules(listings, WAY).blocks] == ["divert"]
    assert blocking_rules(listings, WAY, frozenset({80})).blocks == ()


@pytest.mark.parametrize(
    ("match", "why"),
    [
        ("-m limit --limit 3/min", "--limit 3/min"),
        ("-m set --match-set blocked dst", "--match-set blocked dst"),
        ("-m quota --quota 100", "-m quota"),
        ("-m cgroup --path system.slice/walinuxagent.service", "--path"),
        ("-m socket", "-m socket"),
        ("-m string --string xx --algo bm", "--string xx"),
    ],
)
def test_what_cannot_be_judged_is_undecided(match: str, why: str) -> None:
    analysis = saved(f"filter -A OUTPUT -d {IP}/32 {match} -j DROP")
    assert analysis.blocks == ()
    assert {rule.ports for rule in analysis.undecided} == {BOTH}
    assert all(rule.because for rule in analysis.undecided)
    assert why in analysis.undecided[0].rule


def test_a_block_behind_a_doubtful_accept_is_undecided() -> None:
    doubtful = f"filter -A OUTPUT -d {IP}/32 -m limit --limit 3/min -j ACCEPT"
    analysis = saved(doubtful, f"filter -A OUTPUT -d {IP}/32 -j DROP")
    assert analysis.blocks == ()
    assert "may let it pass" in analysis.undecided[0].because


def test_the_agents_own_rules_are_no_block() -> None:
    analysis = saved(*OWN)
    assert (analysis.blocks, analysis.undecided, len(analysis.own)) == ((), (), 3)


@pytest.mark.parametrize(
    "rules",
    [
        OWN[1:],
        (OWN[1], OWN[2].replace("DROP", "ACCEPT")),
        (f"filter -A OUTPUT -d {IP}/32 -m owner --uid-owner 0 -j ACCEPT", f"filter -A OUTPUT -d {IP}/32 -j DROP"),
    ],
    ids=["2.2.26 to 2.6", "2.2.20 to 2.2.25", "2.2.9 and before"],
)
def test_older_agents_rules_are_no_block(rules: tuple[str, ...]) -> None:
    analysis = saved(*rules)
    assert (analysis.blocks, len(analysis.own)) == ((), 2)


@pytest.mark.parametrize("rules", [OWN[2:], (OWN[0], OWN[2], OWN[1])], ids=["accept lost", "accept after"])
def test_half_applied_own_rules_block_and_are_the_agents(rules: tuple[str, ...]) -> None:
    [block] = saved(*rules).blocks
    assert (block.tool, block.ports) == ("agent", BOTH)
    assert block.undo == f"iptables -t security -I OUTPUT -d {IP}/32 -p tcp -m owner --uid-owner 0 -j ACCEPT"


def test_own_rules_in_nft_s_view_are_no_block() -> None:
    """As `nft -a list ruleset` shows iptables-nft's table (nftables 1.0.6), and the agent's table since 2.13."""
    lines = (
        "chain ip security OUTPUT type filter hook output priority 150; policy accept;",
        f"nft ip daddr {IP} tcp dport 53 counter accept # handle 2",
        f"nft meta l4proto tcp ip daddr {IP} skuid 0 counter accept # handle 3",
        f"nft meta l4proto tcp ip daddr {IP} ct state invalid,new counter drop # handle 4",
        "chain ip walinuxagent output type filter hook output priority filter; policy accept;",
        f"nft ip daddr {IP} tcp dport != 53 skuid != 0 ct state invalid,new counter drop # handle 2",
    )
    analysis = blocking_rules(Listings(nft=lines, listed=("nft",)), WAY)
    assert (analysis.blocks, analysis.undecided, len(analysis.own)) == ((), (), 4)
    half = blocking_rules(Listings(nft=(lines[0], lines[3]), listed=("nft",)), WAY)
    [block] = half.blocks
    assert (block.tool, block.undo) == ("agent", "nft delete rule ip security OUTPUT handle 4")


@pytest.mark.parametrize(
    ("rule", "ports"),
    [
        (f"ip daddr {IP} counter packets 3 bytes 180 drop", BOTH),
        (f"ip daddr {{ 10.0.0.1, {IP} }} tcp dport {{ 80, 443 }} reject with tcp reset", (80,)),
        ("ip daddr 168.63.0.0/16 drop", BOTH),
        ('oifname "eth0" tcp dport 32526 drop', (32526,)),
        ("meta skuid 0 ip daddr != 10.0.0.0/8 drop", BOTH),
        (f'ip daddr {IP} log prefix "wire: " level info drop', BOTH),
        (f'ip daddr {IP} drop comment "no accept here"', BOTH),
        (f"ip daddr vmap {{ 10.0.0.1 : accept, {IP} : drop }}", BOTH),
        ("meta l4proto { tcp, udp } th dport 80 drop", (80,)),
    ],
)
def test_nft_rules_that_block(rule: str, ports: tuple[int, ...]) -> None:
    analysis = nft(rule)
    [block] = analysis.blocks
    assert (block.tool, block.ports, analysis.undecided) == ("nft", ports, ())


def test_nft_undo_by_handle() -> None:
    [block] = nft("udp dport 53 accept", f"ip daddr {IP} drop").blocks
    assert (block.undo, block.where) == ("nft delete rule inet t o handle 3", "inet t o")


def test_nft_policy_drop() -> None:
    [block] = nft("udp dport 53 accept", head="type filter hook output priority 0; policy drop;").blocks
    assert block.undo == f"nft insert rule inet t o ip daddr {IP} tcp dport '{{ 80, 32526 }}' meta skuid 0 accept"


@pytest.mark.parametrize(
    "rule",
    [
        f"ip daddr != {IP} drop",
        "ip daddr 168.63.129.0-168.63.129.15 drop",
        f"ip daddr {IP} udp dport 53 drop",
        f"ip daddr {IP} tcp dport 443 drop",
        f"ip daddr {IP} skuid 1000 drop",
        'oifname "lo" drop',
        "ip6 daddr ::1 drop",
        "meta nfproto ipv6 drop",
        "ct state invalid drop",
        "fib daddr type local drop",
        f"ip daddr {IP} accept",
        f"ip daddr {IP} meta mark set 0x1",
    ],
)
def test_nft_rules_that_do_not(rule: str) -> None:
    analysis = nft(rule)
    assert (analysis.blocks, analysis.undecided) == ((), ())


@pytest.mark.parametrize(
    "rule",
    [
        "ip daddr @blocked drop",
        f"ip daddr {IP} meta cgroup 1 drop",
        f"ip daddr {IP} limit rate 3/minute drop",
        "ip daddr . tcp dport @pairs drop",
        "ip daddr vmap @verdicts",
        f"ip daddr {IP} xt match string counter drop",
    ],
)
def test_nft_rules_that_cannot_be_judged(rule: str) -> None:
    analysis = nft(rule)
    assert analysis.blocks == ()
    assert analysis.undecided


@pytest.mark.parametrize(
    ("kind", "line", "undo"),
    [
        ("blackhole", f"blackhole {IP}", f"ip route del blackhole {IP}"),
        ("unreachable", "unreachable 168.63.0.0/16 metric 5", "ip route del unreachable 168.63.0.0/16 metric 5"),
        ("prohibit", "prohibit default table 7", "ip route del prohibit default table 7"),
    ],
)
def test_routes_that_swallow(kind: str, line: str, undo: str) -> None:
    [block] = blocking_rules(Listings(routes=(line,)), WayOut(kind=kind)).blocks
    assert (block.tool, block.rule, block.undo, block.ports) == ("ip-route", line, undo, BOTH)
    assert blocking_rules(Listings(routes=(line,)), WAY).blocks == ()


def test_route_to_somewhere_else_is_not_blamed() -> None:
    assert blocking_rules(Listings(routes=("blackhole 10.0.0.0/8",)), WayOut(kind="blackhole")).blocks == ()


def test_undo_never_runs_the_guests_text() -> None:
    [block] = saved(f'filter -A OUTPUT -d {IP}/32 -m comment --comment "$(reboot)" -j DROP').blocks
    assert block.undo == f"iptables -t filter -D OUTPUT -d {IP}/32 -m comment --comment '$(reboot)' -j DROP"
    [block] = saved(f"filter -A OUTPUT -d {IP}/32 -m comment --comment ;reboot -j DROP").blocks
    assert "';reboot'" in str(block.undo)
    lines = ("chain inet t;reboot o type filter hook output priority 0; policy accept;", "nft drop # handle 3")
    assert [block.undo for block in blocking_rules(Listings(nft=lines), WAY).blocks] == [None]


def test_nothing_listed_is_not_nothing_there() -> None:
    assert not blocking_rules(Listings()).complete
    assert not blocking_rules(Listings(listed=("nft",), missing=("iptables-legacy",))).complete
    assert blocking_rules(Listings(listed=("none",))).complete


def with_sets(match: str, *sets: str) -> RuleAnalysis:
    rule = f"filter -A OUTPUT {match} -j DROP"
    return blocking_rules(Listings(iptables=(rule,), ipsets=sets, listed=("iptables",)), WAY)


@pytest.mark.parametrize(
    ("match", "sets", "ports"),
    [
        ("-m set --match-set bad dst", ("bad hash:net 168.63.0.0/16",), BOTH),
        ("-m set --match-set bad dst", ("bad hash:ip 10.0.0.1; 168.63.129.16",), BOTH),
        ("-m set --match-set bad dst,dst", ("bad hash:ip,port 168.63.129.16,tcp:80",), (80,)),
        ("-m set --match-set all dst", ("bad hash:net 168.63.129.0/24", "all list:set bad"), BOTH),
        ("-p tcp -m set ! --match-set good dst", ("good hash:net 10.0.0.0/8",), BOTH),
        ("-p tcp -m set --match-set ports dst", ("ports bitmap:port 32526",), (32526,)),
    ],
)
def test_an_ipset_is_judged_by_its_members_and_the_rule_stays(match: str, sets: tuple[str, ...], ports) -> None:
    [block] = with_sets(match, *sets).blocks
    assert block.ports == ports
    assert (block.undo or "").startswith("iptables -t filter -I OUTPUT"), "others are in the set as well"


@pytest.mark.parametrize(
    ("match", "sets"),
    [
        ("-m set --match-set bad dst", ("bad hash:net 10.0.0.0/8",)),
        ("-m set --match-set bad dst", ("bad hash:net ",)),
        ("-m set --match-set bad src", ("bad hash:net 168.63.0.0/16",)),
        ("-m set --match-set bad dst,dst", ("bad hash:ip,port 168.63.129.16,udp:53; 168.63.129.16,tcp:443",)),
        ("-m set ! --match-set good dst", ("good hash:net 168.63.129.16",)),
    ],
)
def test_an_ipset_without_the_wire_server_blocks_nothing(match: str, sets: tuple[str, ...]) -> None:
    analysis = with_sets(match, *sets)
    assert (analysis.blocks, analysis.undecided) == ((), ())


@pytest.mark.parametrize(
    "sets", [(), ("bad hash:net 168.63.0.0/16; 168.63.129.16 nomatch",), ("bad hash:mac 00:0d:3a:00:00:04",)]
)
def test_an_ipset_whose_members_are_not_known_is_undecided(sets: tuple[str, ...]) -> None:
    analysis = with_sets("-m set --match-set bad dst", *sets)
    assert analysis.blocks == ()
    assert analysis.undecided


def test_a_mark_that_nobody_sets_is_zero_and_one_that_somebody_sets_is_unknown() -> None:
    """Kubernetes drops what is marked 0x8000, and marks 0x4000 for masquerading: no block."""
    rule = "filter -A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP"
    rules = ("filter -A OUTPUT -j KUBE-FIREWALL", rule)
    for marks, undecided in ((("0x4000",), 0), (("0x8000",), 1), (("any",), 1)):
        analysis = blocking_rules(Listings(iptables=rules, marks=marks, listed=("iptables",)), WAY)
        assert (analysis.blocks, len(analysis.undecided)) == ((), undecided)


def test_a_route_in_a_table_that_no_rule_looks_up_is_not_blamed() -> None:
    listings = Listings(
        routes=("blackhole default table 7", "blackhole default table 9"),
        route_rules=("90:\tfrom all to 168.63.129.16 lookup 9",),
    )
    [block] = blocking_rules(listings, WayOut(kind="blackhole")).blocks
    assert block.rule == "blackhole default table 9"
    assert "to 168.63.129.16 lookup 9" in block.where


def test_a_route_that_only_marked_packets_meet_is_named_by_the_tests_errno() -> None:
    """`ip route get` is told nothing of marks; the socket met EINVAL, which only a blackhole gives."""
    text = (
        "vmagent-probe 1\nuid 0\nwire 80 blackhole - curl 7 Invalid argument\n"
        f"route {IP} via 10.0.0.1 dev eth0 src 10.0.0.4\nvia blackhole default table 100\n"
        "iprule 90: from all fwmark 0x1 lookup 100\nip yes\nend 1 0\n"
    )
    [block] = parse_probe(text).rules.blocks
    assert (block.tool, block.rule) == ("ip-route", "blackhole default table 100")


CSF = (
    "filter -P OUTPUT DROP",
    "filter -A OUTPUT ! -o lo -p tcp -m conntrack --ctstate NEW -m tcp --dport 80 -j ACCEPT",
    "filter -A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "filter -A OUTPUT ! -o lo -j LOGDROPOUT",
    "filter -A LOGDROPOUT -j REJECT --reject-with icmp-port-unreachable",
)


def test_a_hosting_panels_firewall_owns_its_rules_and_its_own_list_undoes_them() -> None:
    """csf writes its rules anew at each start, so that deleting one lasts until then (csf.pl)."""
    blocks = saved(*CSF).blocks
    assert {(block.tool, block.ports, block.undo, block.stays) for block in blocks} == {
        ("csf", (32526,), f"csf -a {IP}", True)
    }


def test_a_rule_that_somebody_put_before_the_panels_is_not_the_panels() -> None:
    first = saved(f"filter -A OUTPUT -d {IP}/32 -j DROP", *CSF).blocks[0]
    assert (first.tool, first.undo) == ("iptables", f"iptables -t filter -D OUTPUT -d {IP}/32 -j DROP")


def test_a_rule_for_what_containers_send_is_kept_apart_and_blocks_nothing() -> None:
    analysis = saved(
        f"filter -A FORWARD -d {IP}/32 -p tcp -m tcp --dport 80 -j DROP",
        "filter -A FORWARD -d 10.0.0.0/8 -j DROP",
        f"filter -A FORWARD -d {IP}/32 -j ACCEPT",
    )
    assert (analysis.blocks, analysis.undecided) == ((), ())
    assert [rule.split(" -j ")[1] for rule in analysis.forwarding] == ["DROP"]
    assert IP in analysis.forwarding[0]
