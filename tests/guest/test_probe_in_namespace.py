"""The real probe, real rules, a tiny Wire Server: in a network namespace of its own, never the host's firewall."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azext_vmagent.facts.guest import Connect, GuestFacts, parse_probe
from azext_vmagent.guest import probe_script

WIRE = "168.63.129.16"
NEEDED = ("unshare", "nsenter", "ip", "nft", "iptables", "curl")
lacking = [tool for tool in NEEDED if shutil.which(tool) is None]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or bool(lacking),
    reason=f"NOT TRIED against real rules: needs root and {', '.join(NEEDED)} (lacking: {', '.join(lacking) or 'root'})",
)

SERVER = """
import http.server, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *arguments):
        pass
for port in (80, 32526):
    server = http.server.ThreadingHTTPServer(("168.63.129.16", port), Handler)
    threading.Thread(target=server.serve_forever).start()
print("ready", flush=True)
"""

AGENT_RULES = """
iptables -w -t security -A OUTPUT -d 168.63.129.16 -p tcp --destination-port 53 -j ACCEPT
iptables -w -t security -A OUTPUT -d 168.63.129.16 -p tcp -m owner --uid-owner 0 -j ACCEPT
iptables -w -t security -A OUTPUT -d 168.63.129.16 -p tcp -m conntrack --ctstate INVALID,NEW -j DROP
"""


class Guest:
    """A guest namespace with eth0 at 10.0.0.4, wired to one that holds the Wire Server."""

    def __init__(self, inside: int) -> None:
        self.inside = inside

    def sh(self, script: str) -> str:
        return subprocess.run(
            ["nsenter", "-t", str(self.inside), "-n", "sh", "-ec", script], check=True, capture_output=True, text=True
        ).stdout

    def probe(self, shell: str = "dash") -> GuestFacts:
        started = time.monotonic()
        ran = subprocess.run(
            ["nsenter", "-t", str(self.inside), "-n", *shell.split()],
            input=probe_script(), capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
        assert time.monotonic() - started <= 8
        assert len(ran.stdout.encode()) <= 4096
        assert ran.stderr == ""
        facts = parse_probe(ran.stdout)
        assert facts.complete, ran.stdout
        return facts

    def undo(self, facts: GuestFacts) -> None:
        for block in facts.rules.blocks:
            assert block.undo is not None
            self.sh(block.undo)


def _namespace() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        ["unshare", "-n", "sh", "-c", "echo up; exec sleep 600"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.fixture
def guest() -> Iterator[Guest]:
    inside, outside = _namespace(), _namespace()
    server = None
    try:
        setup = f"""
            nsenter -t {outside.pid} -n ip link add wire0 type veth peer name eth0 netns {inside.pid}
            nsenter -t {outside.pid} -n ip addr add 10.0.0.1/24 dev wire0
            nsenter -t {outside.pid} -n ip addr add {WIRE}/32 dev lo
            nsenter -t {outside.pid} -n ip link set lo up
            nsenter -t {outside.pid} -n ip link set wire0 up
            nsenter -t {inside.pid} -n ip link set lo up
            nsenter -t {inside.pid} -n ip link set eth0 up
            nsenter -t {inside.pid} -n ip addr add 10.0.0.4/24 dev eth0
            nsenter -t {inside.pid} -n ip route add default via 10.0.0.1
        """
        subprocess.run(["sh", "-ec", setup], check=True)
        server = subprocess.Popen(
            ["nsenter", "-t", str(outside.pid), "-n", sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        yield Guest(inside.pid)
    finally:
        for process in (server, inside, outside):
            if process is not None:
                process.send_signal(signal.SIGKILL)
                process.wait()
                assert process.stdout is not None
                process.stdout.close()


def test_healthy_with_the_agents_own_rules(guest: Guest) -> None:
    guest.sh(AGENT_RULES)
    facts = guest.probe()
    assert facts.outcome(80) is facts.outcome(32526) is Connect.OK
    assert facts.rules.blocks == facts.rules.undecided == facts.contradictions == ()
    assert len(facts.rules.own) == 3
    assert facts.route.device == "eth0"
    assert [(i.name, i.admin_up, i.addresses) for i in facts.interfaces] == [("eth0", True, ("10.0.0.4/24",))]


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox ash"])
def test_every_shell_says_the_same(guest: Guest, shell: str) -> None:
    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"NOT TRIED: no {shell} on this machine")
    guest.sh(f"{AGENT_RULES}\niptables -w -A OUTPUT -d {WIRE} -j DROP")
    facts = guest.probe(shell)
    assert facts.outcome(80) is facts.outcome(32526) is Connect.TIMED_OUT
    [block] = facts.rules.blocks
    assert block.undo == f"iptables -t filter -D OUTPUT -d {WIRE}/32 -j DROP"


@pytest.mark.parametrize(
    ("make", "tool", "ports", "outcome"),
    [
        (f"iptables -w -A OUTPUT -d {WIRE} -j DROP", "iptables", (80, 32526), Connect.TIMED_OUT),
        ("iptables -w -A OUTPUT -d 168.63.0.0/16 -p tcp -j REJECT", "iptables", (80, 32526), Connect.REFUSED),
        (f"iptables -w -t raw -A OUTPUT -d {WIRE} -p tcp --dport 32526 -j DROP", "iptables", (32526,), Connect.TIMED_OUT),
        (f"iptables -w -t mangle -A OUTPUT -d {WIRE} -m owner --uid-owner 0 -j DROP", "iptables", (80, 32526), Connect.TIMED_OUT),
        (f"iptables -w -A INPUT -s {WIRE} -j DROP", "iptables", (80, 32526), Connect.TIMED_OUT),
        ("iptables -w -P OUTPUT DROP", "iptables", (80, 32526), Connect.TIMED_OUT),
        (f"iptables -w -N mine; iptables -w -A OUTPUT -j mine; iptables -w -A mine -d {WIRE} -j DROP", "iptables", (80, 32526), Connect.TIMED_OUT),
        (
            "nft add table inet t; nft add chain inet t o '{ type filter hook output priority 0; }'; "
            f"nft add rule inet t o ip daddr {WIRE} tcp dport 80 counter drop",
            "nft", (80,), Connect.TIMED_OUT,
        ),
        (
            "nft add table inet t; nft add chain inet t o '{ type filter hook output priority 0; }'; "
            "nft add set inet t bad '{ type ipv4_addr; flags interval; }'; nft add element inet t bad '{ 168.63.0.0/16 }'; "
            "nft add rule inet t o ip daddr @bad reject",
            "nft", (80, 32526), Connect.REFUSED,
        ),
        (
            "nft add table ip t; nft add chain ip t o '{ type filter hook output priority 0; policy drop; }'; "
            "nft add rule ip t o udp dport 53 accept",
            "nft", (80, 32526), Connect.TIMED_OUT,
        ),
        (f"ip route add blackhole {WIRE}", "ip-route", (80, 32526), Connect.BLACKHOLE),
        (f"ip route add unreachable {WIRE}", "ip-route", (80, 32526), Connect.NO_ROUTE),
        (f"ip route add prohibit {WIRE}", "ip-route", (80, 32526), Connect.DENIED),
        (f"ip rule add to {WIRE} prohibit", "ip-route", (80, 32526), Connect.DENIED),
    ],
)  # fmt: skip
def test_each_block_is_named_and_its_undo_works(
    guest: Guest, make: str, tool: str, ports: tuple[int, ...], outcome: Connect
) -> None:
    guest.sh(AGENT_RULES)
    guest.sh(make)
    facts = guest.probe()
    assert {(block.tool, block.ports) for block in facts.rules.blocks} == {(tool, ports)}
    assert facts.contradictions == ()
    blocked = {port for port in (80, 32526) if facts.wire[port].blocked}
    assert blocked == set(ports)
    assert {facts.outcome(port) for port in ports} <= {outcome, Connect.NO_ROUTE, Connect.TIMED_OUT}
    guest.undo(facts)
    healed = guest.probe()
    assert healed.outcome(80) is healed.outcome(32526) is Connect.OK
    assert healed.rules.blocks == ()
    assert len(healed.rules.own) == 3


@pytest.mark.parametrize(
    "make",
    [
        "iptables -w -A OUTPUT -d 168.63.128.0/24 -j DROP",
        f"iptables -w -A OUTPUT -d {WIRE} -p udp -j DROP",
        f"iptables -w -A OUTPUT -d {WIRE} -p tcp --dport 443 -j DROP",
        f"iptables -w -A OUTPUT -d {WIRE} -m owner --uid-owner 1000 -j DROP",
        f"iptables -w -A OUTPUT ! -d {WIRE} -p tcp --dport 80 -j DROP",
        f"iptables -w -A FORWARD -d {WIRE} -j DROP",
        f"iptables -w -A OUTPUT -d {WIRE} -j ACCEPT; iptables -w -A OUTPUT -d {WIRE} -j DROP",
        f"iptables -w -N idle; iptables -w -A idle -d {WIRE} -j DROP",
        f"iptables -w -A OUTPUT -o lo -d {WIRE} -j DROP",
    ],
)
def test_near_misses_are_no_block(guest: Guest, make: str) -> None:
    guest.sh(make)
    facts = guest.probe()
    assert facts.outcome(80) is facts.outcome(32526) is Connect.OK
    assert facts.rules.blocks == facts.rules.undecided == facts.contradictions == ()


def test_half_applied_rules_are_the_agents(guest: Guest) -> None:
    guest.sh(AGENT_RULES)
    guest.sh(f"iptables -w -t security -D OUTPUT -d {WIRE} -p tcp -m owner --uid-owner 0 -j ACCEPT")
    facts = guest.probe()
    [block] = facts.rules.blocks
    assert (block.tool, block.ports) == ("agent", (80, 32526))
    guest.undo(facts)
    assert guest.probe().outcome(80) is Connect.OK


def test_a_rule_that_cannot_be_judged_is_undecided(guest: Guest) -> None:
    guest.sh(f"iptables -w -A OUTPUT -d {WIRE} -m limit --limit 1/hour --limit-burst 100 -j DROP")
    facts = guest.probe()
    assert facts.rules.blocks == ()
    assert {rule.tool for rule in facts.rules.undecided} == {"iptables"}


def test_nic_down(guest: Guest) -> None:
    guest.sh("ip link set eth0 down")
    facts = guest.probe()
    assert facts.outcome(80) is Connect.UNREACHABLE
    assert (facts.route.kind, facts.default_routes) == ("none", ())
    assert [(i.name, i.admin_up) for i in facts.interfaces] == [("eth0", False)]


def test_a_thousand_rules_still_fit(guest: Guest) -> None:
    rules = "\n".join(f"-A OUTPUT -d 168.63.{n // 250}.{n % 250} -p tcp -m tcp --dport 80 -j DROP" for n in range(1000))
    guest.sh(f"iptables-restore <<'X'\n*filter\n:OUTPUT ACCEPT\n{rules}\nCOMMIT\nX")
    facts = guest.probe()
    assert facts.cut["netfilter"] > 0
    assert not facts.rules.complete
    assert facts.outcome(80) is Connect.OK


def test_nothing_is_left_behind(guest: Guest) -> None:
    before = set(Path("/run").glob("vmagent.*"))
    guest.sh(f"iptables -w -A OUTPUT -d {WIRE} -j DROP")
    guest.probe()
    assert set(Path("/run").glob("vmagent.*")) == before
