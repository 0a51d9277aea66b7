"""From a rule in the kernel to the plan and back: the probe's answer is planned from, and the plan's script cures the guest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.guest.namespace import AGENT_RULES, WIRE, lacking
from tests.repair.case import inside, planned, steps
from tests.verdict.build import RUNS, guest

repairing = pytest.importorskip("tests.guest.repairing", reason="the guest's program is not there yet")

pytestmark = [
    pytest.mark.this_machine,
    pytest.mark.skipif(bool(lacking()), reason=f"NOT TRIED against the kernel: lacking {lacking()}"),
]
_NFT = "nft add table inet t; nft add chain inet t o '{ type filter hook output priority 0; policy %s; }'"
_THEIRS = """
iptables -w -A OUTPUT -d 10.1.1.1/32 -m comment --comment "theirs; $(reboot)" -j DROP
nft add table inet theirs; nft add chain inet theirs o '{ type filter hook output priority 5; }'
nft add rule inet theirs o ip daddr 10.2.2.2 counter drop
"""
#: by name: how the rule is made, and the actions that are planned
RULES = {
    "iptables": (f"iptables -w -A OUTPUT -d {WIRE} -j DROP", ["remove-rule"]),
    "iptables with a hostile comment": (
        f"iptables -w -I OUTPUT -d {WIRE} -m comment --comment '$(touch /run/pwned) \"x' -j REJECT", ["remove-rule"],
    ),
    "iptables replies": (f"iptables -w -A INPUT -s {WIRE} -j DROP", ["remove-rule"]),
    "iptables policy": ("iptables -w -P OUTPUT DROP", ["allow-wire-server"]),
    "iptables covering": ("iptables -w -A OUTPUT -p tcp -j REJECT", ["allow-wire-server"]),
    "the agent's own, half-applied": (
        "iptables -w -t security -D OUTPUT 2", ["allow-wire-server"],
    ),
    "nft": (f"{_NFT % 'accept'}; nft add rule inet t o ip daddr {WIRE} counter drop", ["remove-rule"]),
    "nft covering": (f"{_NFT % 'accept'}; nft add rule inet t o tcp dport 80-40000 reject", ["allow-wire-server"]),
    "nft policy": (_NFT % "drop", ["allow-wire-server"]),
    "two rules": (
        f"iptables -w -A OUTPUT -d {WIRE} -j DROP; {_NFT % 'accept'}; nft add rule inet t o ip daddr {WIRE} reject",
        ["remove-rule", "remove-rule"],
    ),
    "a blackhole route": (f"ip route add blackhole {WIRE}", ["remove-route"]),
    "a routing rule": (f"ip rule add to {WIRE} prohibit priority 100", ["remove-policy-rule"]),
}  # fmt: skip


@pytest.fixture
def machine() -> Iterator[repairing.RepairGuest]:
    with repairing.repair_guest() as made:
        made.network.sh(AGENT_RULES)
        made.sh(_THEIRS)
        yield made


@pytest.mark.parametrize("name", RULES)
def test_what_is_planned_from_the_probes_answer_cures_the_guest(machine, name):
    make, kinds = RULES[name]
    machine.sh(make)
    assert machine.blocked()
    seen = machine.network.probe()
    well = guest(RUNS, rules=seen.rules, route=seen.route)
    found = planned(inside(replace(well, wire=seen.wire)))
    assert found.refusal is None
    assert [action.kind for action in found.actions] == kinds, steps(found)
    before = machine.rules()
    record = machine.repair(*[repairing.act(action.kind, *action.arguments) for action in found.actions])
    assert (record.result.value, record.other_rules_same) == ("applied", True), record
    assert not machine.blocked()
    assert machine.sh("ls /run/pwned 2>/dev/null || echo none") == "none\n"
    gone = set(before.split("\n")) - set(machine.rules().split("\n"))
    assert not any("theirs" in line or "10.2.2.2" in line for line in gone)
    assert machine.undo().result.value == "undone"
    assert machine.rules() == before
