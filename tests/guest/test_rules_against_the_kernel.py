"""The rule analysis against the kernel itself: each form of rule is made, listed by the probe's own code, and tried.

What the analysis calls a block must block, what it acquits must pass, and its undo, carried out, must let root through.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from azext_vmagent.facts.guest import GuestFacts, parse_probe
from tests.guest.namespace import AGENT_RULES, WIRE, NamespaceGuest, lacking, namespace_guest

pytestmark = [
    pytest.mark.this_machine,
    pytest.mark.skipif(bool(lacking()), reason=f"NOT TRIED against the kernel: lacking {lacking()}"),
]

PORTS = (80, 32526)
_A = "iptables -w -A OUTPUT"
_NFT = "nft add table inet t; nft add chain inet t o '{ type filter hook output priority 0; }'; nft add rule inet t o"
_SETS = (
    "nft add table inet t; nft add chain inet t o '{ type filter hook output priority 0; }';"
    " nft add set inet t pairs '{ type ipv4_addr . inet_service; }';"
    f" nft add element inet t pairs '{{ {WIRE} . 80, 10.9.9.9 . 32526 }}';"
    " nft add set inet t nets '{ type ipv4_addr; flags interval; }';"
    " nft add element inet t nets '{ 10.0.0.0/8, 168.63.0.0/16 }';"
    " nft add set inet t others '{ type ipv4_addr; flags interval; }';"
    " nft add element inet t others '{ 10.0.0.0/8, 168.63.128.0/24, 192.0.2.1 }';"
    " nft add set inet t empty '{ type ipv4_addr; }';"
    " nft add set inet t ports '{ type inet_service; }'; nft add element inet t ports '{ 32526, 443 }';"
    " nft add map inet t verdicts '{ type ipv4_addr : verdict; }';"
    f" nft add element inet t verdicts '{{ 10.9.9.9 : accept, {WIRE} : drop }}';"
    " nft add chain inet t sub; nft add rule inet t sub tcp dport 80 reject;"
    " nft add rule inet t o"
)

#: forms that the analysis must decide, whichever way
DECIDED = (
    f"{_A} -d {WIRE} -m addrtype --dst-type UNICAST -j DROP",
    f"{_A} -d {WIRE} -m addrtype --dst-type LOCAL -j DROP",
    f"{_A} -d {WIRE} -m addrtype --src-type LOCAL -j REJECT",
    f"{_A} -d {WIRE} -m addrtype ! --src-type LOCAL -j REJECT",
    f"{_A} -p tcp -m multiport --dports 22,80:90 -j REJECT",
    f"{_A} -p tcp -m multiport ! --dports 80,32526 -j REJECT",
    f"{_A} -d {WIRE} -p tcp -m multiport --ports 32526 -j REJECT",
    f"{_A} ! -d 10.0.0.0/8 -p tcp -j REJECT",
    f"{_A} -o eth+ -d {WIRE} -j REJECT",
    f"{_A} ! -o eth0 -d {WIRE} -j REJECT",
    f"{_A} -o wg+ -d {WIRE} -j REJECT",
    f"{_A} -d {WIRE} -m mark --mark 0x1 -j REJECT",
    f"{_A} -d {WIRE} -m mark ! --mark 0x1 -j REJECT",
    f"iptables -w -t mangle -A OUTPUT -p tcp -j MARK --set-xmark 0x4000/0x4000; {_A} -m mark --mark 0x8000/0x8000 -j DROP",
    f"{_A} -d {WIRE} -m connmark --mark 0x1 -j REJECT",
    f"{_A} -d {WIRE} -p tcp --tcp-flags SYN,ACK SYN -j REJECT",
    f"{_A} -d {WIRE} -p tcp --tcp-flags SYN,ACK ACK -j DROP",
    f"{_A} -d {WIRE} -p tcp --tcp-flags ALL FIN,URG -j DROP",
    f"{_A} -d {WIRE} -p tcp ! --syn -j DROP",
    f"{_A} -d {WIRE} -m conntrack --ctproto tcp -j REJECT",
    f"{_A} -m conntrack --ctorigdst {WIRE} -j REJECT",
    f"{_A} -d {WIRE} -m conntrack --ctdir REPLY -j REJECT",
    f"{_A} -d {WIRE} -m state --state NEW -j REJECT",
    f"{_A} -d {WIRE} -m conntrack ! --ctstate NEW,ESTABLISHED -j REJECT",
    f"{_A} -d {WIRE} -m owner --uid-owner 0-99 -j REJECT",
    f"{_A} -d {WIRE} -m owner ! --uid-owner 1000 -j REJECT",
    f"{_A} -d {WIRE} -m owner --socket-exists -j REJECT",
    f"{_A} -m iprange ! --dst-range 10.0.0.0-10.255.255.255 -j REJECT",
    f"{_A} -f -d {WIRE} -j REJECT",
    f"iptables -w -N one; iptables -w -N two; {_A} -g one; {_A} -d {WIRE} -j REJECT; iptables -w -A one -j two;"
    f" iptables -w -A two -d {WIRE} -p tcp --dport 80 -j RETURN",
    f"iptables -w -N one; {_A} -j one; {_A} -d {WIRE} -p tcp --dport 80 -j REJECT;"
    f" iptables -w -A one -d {WIRE} -p tcp --dport 32526 -j REJECT; iptables -w -A one -j RETURN",
    f"iptables -w -A INPUT -s {WIRE} -p tcp --tcp-flags SYN,ACK SYN,ACK -j DROP",
    f"iptables -w -A INPUT -s {WIRE} -p tcp --sport 80 -m conntrack --ctdir REPLY -j DROP",
    f"iptables -w -t raw -A PREROUTING -s {WIRE} -p tcp --sport 32526 -j DROP",
    f"iptables -w -t mangle -A POSTROUTING -d {WIRE} -p tcp --dport 80 -j DROP",
    f"iptables-legacy -w -A OUTPUT -d {WIRE} -p tcp --dport 80 -j REJECT",
    f"{_SETS} ip daddr . tcp dport @pairs reject",
    f"{_SETS} ip daddr @nets reject",
    f"{_SETS} ip daddr != @nets reject",
    f"{_SETS} ip daddr @others reject",
    f"{_SETS} ip daddr @empty reject",
    f"{_SETS} tcp dport @ports reject",
    f"{_SETS} ip daddr vmap @verdicts",
    f"{_SETS} ip daddr {WIRE} goto sub",
    f"{_NFT} ip daddr . tcp dport '{{ {WIRE} . 80, {WIRE} . 443 }}' reject",
    f"{_NFT} ip daddr . tcp dport vmap '{{ {WIRE} . 80 : drop, 10.9.9.9 . 80 : accept }}'",
    f"{_NFT} ip saddr . ip daddr . meta l4proto '{{ 10.0.0.4 . {WIRE} . tcp }}' reject",
    f"{_NFT} ip saddr . ip daddr '{{ 10.0.0.5 . {WIRE} }}' reject",
    f"{_NFT} meta mark 1 reject",
    f"{_NFT} meta mark != 1 reject",
    f"{_NFT} ip daddr {WIRE} ct mark 0 reject",
    f"{_NFT} ip daddr {WIRE} ct direction original reject",
    f"{_NFT} ct original ip daddr {WIRE} reject",
    f"{_NFT} ip daddr {WIRE} tcp flags syn reject",
    f"{_NFT} ip daddr {WIRE} 'tcp flags & (syn|ack) == ack' drop",
    f"{_NFT} ip daddr {WIRE} 'tcp flags & (syn|ack) == (syn|ack)' drop",
    f"{_NFT} ip daddr {WIRE} tcp dport '< 1024' reject",
    f"{_NFT} ip daddr '>= 169.0.0.0' tcp dport 80 reject",
    f"{_NFT} ip daddr '!= {{ 10.0.0.0/8, 192.168.0.0/16 }}' tcp dport 80 reject",
    f"{_NFT} oifname 'eth*' tcp dport 80 reject",
    f"{_NFT} oifname != '{{ lo, docker0 }}' tcp dport 80 reject",
    f"{_NFT} meta skuid '{{ 0, 1000 }}' ip daddr {WIRE} reject",
    f"{_NFT} fib daddr type unicast ip daddr {WIRE} reject",
    f"{_NFT} fib daddr type local ip daddr {WIRE} reject",
    f"{_NFT} meta protocol ip ip daddr {WIRE} reject",
    f"{_NFT} ip version 4 tcp dport 32526 reject",
    f"{_NFT} @nh,128,32 0xa83f8110 reject",
    f"{_NFT} ip daddr {WIRE} ct state vmap '{{ new : accept, established : drop }}'",
    f"{_NFT} tcp dport vmap '{{ 80 : drop, 443 : accept }}'",
    f"{_NFT} meta priority set 1:1 ip daddr {WIRE} tcp dport 80 reject",
    f"{_NFT} ip daddr {WIRE} log prefix '\"drop \"' counter accept; nft add rule inet t o ip daddr {WIRE} drop",
    "nft add table netdev n; nft add chain netdev n e '{ type filter hook egress device eth0 priority 0; }';"
    f" nft add rule netdev n e ip daddr {WIRE} tcp dport 80 drop",
    "nft add table netdev n; nft add chain netdev n i '{ type filter hook ingress device eth0 priority 0; }';"
    f" nft add rule netdev n i ip saddr {WIRE} tcp sport 32526 drop",
)

#: a set of hundreds, of which the probe sends what may hold the Wire Server
_MANY = ", ".join(f"10.{n}.{m}.0/24" for n in range(20) for m in range(15))
DECIDED += (
    f"nft add table inet t; nft add chain inet t o '{{ type filter hook output priority 0; }}';"
    " nft add set inet t many '{ type ipv4_addr; flags interval; }';"
    f" nft add element inet t many '{{ {_MANY}, 168.63.129.0/24 }}'; nft add rule inet t o ip daddr @many reject",
    f"nft add table inet t; nft add chain inet t o '{{ type filter hook output priority 0; }}';"
    " nft add set inet t many '{ type ipv4_addr; flags interval; }';"
    f" nft add element inet t many '{{ {_MANY} }}'; nft add rule inet t o ip daddr @many reject",
)

#: forms that hang on more than the listing tells: never blamed for sure, never acquitted
DOUBTFUL = (
    f"{_A} -d {WIRE} -m cgroup --cgroup 1 -j DROP",
    f"{_A} -d {WIRE} -m quota --quota 100000 -j DROP",
    f"{_A} -d {WIRE} -m statistic --mode random --probability 1.0 -j DROP",
    f"{_A} -d {WIRE} -m length --length 0:20 -j DROP",
    f"{_A} -d {WIRE} -m time --datestop 2001-01-01 -j DROP",
    f"iptables -w -A INPUT -s {WIRE} -p tcp -m socket -j DROP",
    f"iptables -w -t mangle -A OUTPUT -d {WIRE} -j MARK --set-mark 7; {_A} -m mark --mark 7 -j DROP",
    f"{_NFT} ip daddr {WIRE} limit rate over 1/day drop",
    f"{_NFT} ip daddr {WIRE} meta length 0-20 drop",
    f"{_NFT} ip daddr {WIRE} numgen random mod 9 0 drop",
)

#: names and comments that would be a shell's or the parser's undoing
HOSTILE = (
    f"{_A} -d {WIRE} -m comment --comment '-j ACCEPT \"x\" $(touch /run/hostile)' -j REJECT",
    f"iptables -w -N '$(reboot)'; {_A} -j '$(reboot)'; iptables -w -A '$(reboot)' -d {WIRE} -j REJECT",
    f"iptables -w -N 'a;touch'; {_A} -j 'a;touch'; iptables -w -A 'a;touch' -d {WIRE} -j REJECT",
    f"iptables -w -N ACCEPTED; {_A} -j ACCEPTED; iptables -w -A ACCEPTED -d {WIRE} -j REJECT",
    f"{_NFT} ip daddr {WIRE} reject comment '\"accept # handle 99  two\"'",
    f"{_NFT} ip daddr {WIRE} counter reject comment '\"$(touch /run/hostile)\"'",
    f"nft add table inet drop_me; nft add chain inet drop_me accept_all '{{ type filter hook output priority 0; }}';"
    f" nft add rule inet drop_me accept_all ip daddr {WIRE} reject",
)


@pytest.fixture
def guest() -> Iterator[NamespaceGuest]:
    with namespace_guest() as made:
        made.sh(AGENT_RULES)
        yield made


def _made(guest: NamespaceGuest, make: str) -> GuestFacts:
    if make.startswith("iptables-legacy") and shutil.which("iptables-legacy") is None:
        pytest.skip("NOT TRIED: no iptables-legacy on this machine")
    guest.sh(make)
    return parse_probe(guest.listing())


@pytest.mark.parametrize("make", DECIDED)
def test_the_analysis_says_what_the_kernel_does(guest: NamespaceGuest, make: str) -> None:
    facts = _made(guest, make)
    assert facts.rules.undecided == ()
    assert facts.rules.ports() == guest.blocked()
    for block in facts.rules.blocks:
        guest.sh(block.undo or "false")
    assert guest.blocked() == frozenset()


@pytest.mark.parametrize("make", DOUBTFUL)
def test_what_hangs_on_more_than_the_listing_is_undecided(guest: NamespaceGuest, make: str) -> None:
    facts = _made(guest, make)
    assert facts.rules.blocks == ()
    assert facts.rules.undecided
    assert all(rule.because for rule in facts.rules.undecided)


#: what iptables-nft made, as nft alone shows it: a comment of iptables is left out, a match is native or «xt match»
BY_NFT_ALONE = {
    f"{_A} -d {WIRE} -m comment --comment 'no wire' -j DROP": True,
    f"{_A} -d {WIRE} -m owner --socket-exists -j DROP": None,
    f"{_A} -d {WIRE} -m time --datestop 2001-01-01 -j DROP": None,
    f"{_A} -d {WIRE} -p udp -m comment --comment 'no wire' -j DROP": False,
}


@pytest.mark.parametrize("make", BY_NFT_ALONE)
def test_where_nft_alone_lists_the_same_is_said(guest: NamespaceGuest, make: str) -> None:
    guest.sh(make)
    rules = parse_probe(guest.listing("mount --bind /dev/null /usr/sbin/xtables-nft-multi")).rules
    assert bool(rules.blocks) is (BY_NFT_ALONE[make] is True)
    assert bool(rules.undecided) is (BY_NFT_ALONE[make] is None)


@pytest.mark.parametrize("make", HOSTILE)
def test_hostile_names_neither_hide_a_rule_nor_run(guest: NamespaceGuest, make: str) -> None:
    facts = _made(guest, make)
    [block] = facts.rules.blocks
    assert frozenset(block.ports) == guest.blocked() == frozenset(PORTS)
    guest.sh(block.undo or "false")
    assert guest.blocked() == frozenset()
    assert "no" in guest.sh("[ -e /run/hostile ] && echo yes || echo no")
