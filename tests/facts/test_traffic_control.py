"""What traffic control loses: lines as iproute2 6.1 prints them, in the probe's form."""

from __future__ import annotations

import pytest

from azext_vmagent.facts.firewall import blocking_rules
from azext_vmagent.facts.firewall_facts import Listings
from azext_vmagent.facts.firewall_facts import Path as WayOut

IP = "168.63.129.16"
BOTH = (80, 32526)
WAY = WayOut("eth0", "10.0.0.4")
PRIO = "tc prio 1: dev eth0 root refcnt 2 bands 4 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1"
NETEM = "tc netem 30: dev eth0 parent 1:4 limit 1000 loss 100%"
CLSACT = "tc clsact ffff: dev eth0 parent ffff:fff1"


def u32(match: str, flow: str = "*flowid 1:4") -> str:
    head = "filter dev eth0  filter parent 1: protocol ip pref 1 u32 chain 0 fh 800::800 order 2048 key ht 800 bkt 0"
    return f"{head} {flow} not_in_hw {match}"


def flower(keys: str, place: str = "egress", action: str = "drop") -> str:
    head = f"filter dev eth0 {place} filter protocol ip pref 49152 flower chain 0 handle 0x1 eth_type ipv4"
    return f"{head} {keys} not_in_hw action order 1: gact action {action} random type none pass val 0"


def shaped(*lines: str, way: WayOut = WAY):
    return blocking_rules(Listings(shaping=lines, listed=("nft",)), way)


@pytest.mark.parametrize(
    ("lines", "ports", "undo"),
    [
        ((PRIO, u32("match a83f8110/ffffffff at 16"), NETEM), BOTH, "tc qdisc del dev eth0 parent 1:4"),
        ((PRIO, u32("match a83f0000/ffff0000 at 16"), NETEM), BOTH, "tc qdisc del dev eth0 parent 1:4"),
        (
            (PRIO, u32("match a83f8110/ffffffff at 16 match 00000050/0000ffff at 20"), NETEM),
            (80,),
            "tc qdisc del dev eth0 parent 1:4",
        ),
        (("tc netem 8001: dev eth0 root refcnt 2 limit 1000 loss 100%",), BOTH, "tc qdisc del dev eth0 root"),
        ((CLSACT, flower(f"dst_ip {IP}")), BOTH, "tc filter del dev eth0 egress protocol ip pref 49152"),
        (
            (CLSACT, flower("ip_proto tcp dst_ip 168.63.0.0/16 dst_port 32526")),
            (32526,),
            "tc filter del dev eth0 egress protocol ip pref 49152",
        ),
        ((CLSACT, flower(f"src_ip {IP}", "ingress")), BOTH, "tc filter del dev eth0 ingress protocol ip pref 49152"),
    ],
)
def test_what_loses_the_wire_servers_packets(lines, ports, undo):
    [block] = shaped(*lines).blocks
    assert (block.tool, block.ports, block.undo) == ("traffic-control", ports, undo)


@pytest.mark.parametrize(
    "lines",
    [
        (PRIO, u32("match 0a000001/ffffffff at 16"), NETEM),
        (PRIO, u32("match a83f8110/ffffffff at 16", "*flowid 1:3"), NETEM, u32("match 0a000001/ffffffff at 16")),
        (PRIO, u32("match a83f8110/ffffffff at 16 match 00110000/00ff0000 at 8"), NETEM),
        (CLSACT, flower("dst_ip 10.0.0.9")),
        (CLSACT, flower(f"dst_ip {IP}", action="pass")),
        (CLSACT, flower(f"dst_ip {IP} ip_proto udp")),
        (NETEM.replace("eth0", "eth1"), "tc netem 1: dev docker0 root refcnt 2 limit 1000 loss 100%"),
        ("tc tbf 1: dev eth0 root refcnt 2 rate 1Mbit burst 5Kb lat 50ms",),
    ],
)
def test_what_does_not(lines):
    analysis = shaped(*lines)
    assert (analysis.blocks, analysis.undecided) == ((), ())


@pytest.mark.parametrize(
    "lines",
    [
        ("tc netem 8001: dev eth0 root refcnt 2 limit 1000 loss 30%",),
        (PRIO, NETEM),
        (CLSACT, flower(f"dst_ip {IP} src_ip 10.0.0.0/24")),
        (CLSACT, "filter dev eth0 egress filter protocol all pref 1 bpf chain 0 handle 0x1 x.o direct-action action"
         " order 1: gact action drop"),
    ],
)  # fmt: skip
def test_what_may(lines):
    analysis = shaped(*lines)
    assert analysis.blocks == ()
    assert {rule.tool for rule in analysis.undecided} == {"traffic-control"}


def test_hostile_names_reach_no_command():
    [block] = shaped("tc netem 1: dev eth0;reboot root refcnt 2 limit 1000 loss 100%", way=WayOut("eth0;reboot")).blocks
    assert block.undo is None
