"""The real probe against real rules; each block is named, and its undo carried out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from azext_vmagent.facts.guest import Connect, GuestFacts, parse_probe
from tests.guest.namespace import AGENT_RULES, WIRE, NamespaceGuest, lacking, namespace_guest

pytestmark = [
    pytest.mark.this_machine,
    pytest.mark.skipif(bool(lacking()), reason=f"NOT TRIED against real rules: lacking {lacking()}"),
]

BOTH = (80, 32526)
_OUTPUT = "type filter hook output priority 0;"
_TABLE = f"nft add table inet t; nft add chain inet t o '{{ {_OUTPUT} }}'; nft add rule inet t o"

#: name: (how it is made, whose rule it is, ports, how a connection ends)
BLOCKS = {
    "address": (f"iptables -w -A OUTPUT -d {WIRE} -j DROP", "iptables", BOTH, Connect.TIMED_OUT),
    "reject": ("iptables -w -A OUTPUT -d 168.63.0.0/16 -p tcp -j REJECT", "iptables", BOTH, Connect.REFUSED),
    "raw": (f"iptables -w -t raw -A OUTPUT -d {WIRE} -j DROP", "iptables", BOTH, Connect.TIMED_OUT),
    "owner": (f"iptables -w -t mangle -A OUTPUT -d {WIRE} -m owner --uid-owner 0 -j DROP", "iptables", BOTH,
              Connect.TIMED_OUT),
    "one port": (f"iptables -w -A OUTPUT -d {WIRE} -p tcp --dport 32526 -j DROP", "iptables", (32526,),
                 Connect.TIMED_OUT),
    "replies": (f"iptables -w -A INPUT -s {WIRE} -j DROP", "iptables", BOTH, Connect.TIMED_OUT),
    "policy": ("iptables -w -P OUTPUT DROP", "iptables", BOTH, Connect.TIMED_OUT),
    "chain": (f"iptables -w -N mine; iptables -w -A OUTPUT -j mine; iptables -w -A mine -d {WIRE} -j DROP", "iptables",
              BOTH, Connect.TIMED_OUT),
    "diverted": (f"iptables -w -t nat -A OUTPUT -d {WIRE} -p tcp -j DNAT --to-destination 10.0.0.4:9", "iptables", BOTH,
                 Connect.REFUSED),
    "nft": (f"{_TABLE} ip daddr {WIRE} tcp dport 80 counter drop", "nft", (80,), Connect.TIMED_OUT),
    "nft set": ("nft add table inet t; nft add set inet t bad '{ type ipv4_addr; flags interval; }'; "
                f"nft add element inet t bad '{{ 168.63.0.0/16 }}'; {_TABLE} ip daddr @bad reject", "nft", BOTH,
                Connect.REFUSED),
    "nft policy": (f"nft add table ip t; nft add chain ip t o '{{ {_OUTPUT} policy drop; }}'; "
                   "nft add rule ip t o udp dport 53 accept", "nft", BOTH, Connect.TIMED_OUT),
    "blackhole": (f"ip route add blackhole {WIRE}", "ip-route", BOTH, Connect.BLACKHOLE),
    "unreachable": (f"ip route add unreachable {WIRE}", "ip-route", BOTH, Connect.NO_ROUTE),
    "prohibit": (f"ip route add prohibit {WIRE}", "ip-route", BOTH, Connect.DENIED),
    "ip rule": (f"ip rule add to {WIRE} prohibit", "ip-route", BOTH, Connect.DENIED),
}  # fmt: skip

NEAR_MISSES = (
    "iptables -w -A OUTPUT -d 168.63.128.0/24 -j DROP",
    f"iptables -w -A OUTPUT -d {WIRE} -p udp -j DROP",
    f"iptables -w -A OUTPUT -d {WIRE} -p tcp --dport 443 -j DROP",
    f"iptables -w -A OUTPUT -d {WIRE} -m owner --uid-owner 1000 -j DROP",
    f"iptables -w -A OUTPUT ! -d {WIRE} -p tcp --dport 80 -j DROP",
    f"iptables -w -A FORWARD -d {WIRE} -j DROP",
    f"iptables -w -A OUTPUT -d {WIRE} -j ACCEPT; iptables -w -A OUTPUT -d {WIRE} -j DROP",
    f"iptables -w -N idle; iptables -w -A idle -d {WIRE} -j DROP",
    f"iptables -w -A OUTPUT -o lo -d {WIRE} -j DROP",
    f"{_TABLE} ip daddr {WIRE} tcp dport 443 drop",
    f"{_TABLE} ip daddr {WIRE} meta skuid 1000 drop",
)


@pytest.fixture
def guest() -> Iterator[NamespaceGuest]:
    with namespace_guest() as made:
        yield made


def _broken_and_undone(make: str) -> tuple[GuestFacts, GuestFacts]:
    with namespace_guest() as made:
        made.sh(f"{AGENT_RULES}\n{make}")
        broken = made.probe()
        for block in broken.rules.blocks:
            made.sh(block.undo or "false")
        return broken, made.probe()


@pytest.fixture(scope="module")
def tried() -> dict[str, tuple[GuestFacts, GuestFacts]]:
    """Every block made, probed, undone and probed again, several at a time: each waits seconds for a time-out."""
    with ThreadPoolExecutor(6) as pool:
        return dict(zip(BLOCKS, pool.map(_broken_and_undone, (make for make, *_ in BLOCKS.values())), strict=True))


@pytest.mark.parametrize("name", BLOCKS)
def test_each_block_is_named(tried: dict[str, tuple[GuestFacts, GuestFacts]], name: str) -> None:
    _, tool, ports, outcome = BLOCKS[name]
    broken, _ = tried[name]
    assert {(block.tool, block.ports) for block in broken.rules.blocks} == {(tool, ports)}
    assert broken.contradictions == ()
    assert {port for port, test in broken.wire.items() if test.blocked} == set(ports)
    assert {broken.outcome(port) for port in ports} == {outcome}
    assert len(broken.rules.own) == 3


@pytest.mark.parametrize("name", BLOCKS)
def test_each_undo_heals_and_spares_the_agents_rules(
    tried: dict[str, tuple[GuestFacts, GuestFacts]], name: str
) -> None:
    _, healed = tried[name]
    assert healed.outcome(80) is healed.outcome(32526) is Connect.OK
    assert (healed.rules.blocks, len(healed.rules.own)) == ((), 3)


@pytest.mark.parametrize("make", NEAR_MISSES)
def test_near_misses_are_no_block(guest: NamespaceGuest, make: str) -> None:
    guest.sh(make)
    facts = guest.probe()
    assert facts.outcome(80) is facts.outcome(32526) is Connect.OK
    assert (facts.rules.blocks, facts.rules.undecided, facts.contradictions) == ((), (), ())


def test_healthy_with_the_agents_own_rules(guest: NamespaceGuest) -> None:
    guest.sh(AGENT_RULES)
    facts = guest.probe()
    assert facts.outcome(80) is facts.outcome(32526) is Connect.OK
    assert (facts.rules.blocks, facts.rules.undecided, facts.contradictions) == ((), (), ())
    assert len(facts.rules.own) == 3
    assert facts.route.device == "eth0"
    assert [(i.name, i.admin_up, i.addresses) for i in facts.interfaces] == [("eth0", True, ("10.0.0.4/24",))]


def test_a_rule_for_what_containers_send_is_listed_and_no_block(guest: NamespaceGuest) -> None:
    guest.sh(f"{AGENT_RULES}\niptables -w -A FORWARD -d {WIRE} -p tcp --dport 80 -j DROP")
    facts = guest.probe()
    assert facts.outcome(80) is Connect.OK
    assert (facts.rules.blocks, len(facts.rules.forwarding), len(facts.rules.own)) == ((), 1, 3)


def test_half_applied_rules_are_the_agents(guest: NamespaceGuest) -> None:
    guest.sh(AGENT_RULES)
    guest.sh(f"iptables -w -t security -D OUTPUT -d {WIRE} -p tcp -m owner --uid-owner 0 -j ACCEPT")
    [block] = guest.probe().rules.blocks
    assert (block.tool, block.ports) == ("agent", BOTH)
    guest.sh(block.undo or "false")
    assert guest.probe().outcome(80) is Connect.OK


def test_a_rule_that_cannot_be_judged_is_undecided(guest: NamespaceGuest) -> None:
    guest.sh(f"iptables -w -A OUTPUT -d {WIRE} -m limit --limit 1/hour --limit-burst 100 -j REJECT")
    facts = guest.probe()
    assert facts.rules.blocks == ()
    assert {rule.tool for rule in facts.rules.undecided} == {"iptables"}


def test_nic_down(guest: NamespaceGuest) -> None:
    guest.sh("ip link set eth0 down")
    facts = guest.probe()
    assert facts.outcome(80) is Connect.UNREACHABLE
    assert (facts.route.kind, facts.default_routes) == ("none", ())
    assert [(i.name, i.admin_up) for i in facts.interfaces] == [("eth0", False)]


def test_a_thousand_rules_still_fit(guest: NamespaceGuest) -> None:
    rules = "\n".join(f"-A OUTPUT -d 168.63.{n // 250}.{n % 250} -p tcp -m tcp --dport 80 -j DROP" for n in range(1000))
    guest.sh(f"iptables-restore <<'X'\n*filter\n:OUTPUT ACCEPT\n{rules}\nCOMMIT\nX")
    facts = guest.probe()
    assert facts.cut["netfilter"] > 0
    assert not facts.rules.complete
    assert facts.outcome(80) is Connect.OK


#: with what is left after each of these is taken away the answer is packed, but for the last
PACKERS = {"all there": (), "no base64": ("base64",), "no gzip": ("gzip",)}


@pytest.mark.parametrize("lacking_tools", PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("shell", ["dash", "busybox ash"])
def test_what_does_not_fit_is_packed_where_the_tools_are(
    guest: NamespaceGuest, shell: str, lacking_tools: tuple[str, ...]
) -> None:
    rules = "\n".join(f"-A OUTPUT -d 168.63.{n // 250}.{n % 250} -p tcp -m tcp --dport 80 -j DROP" for n in range(80))
    guest.sh(f"iptables-restore <<'X'\n*filter\n:OUTPUT ACCEPT\n{rules}\nCOMMIT\nX")
    # busybox's shell has tools of its own
    hide = "\n".join(f"mount --bind /dev/null /usr/bin/{tool}" for tool in lacking_tools)
    text = guest.answer(shell, hide)
    facts = parse_probe(text)
    assert facts.complete
    if "gzip" in lacking_tools and shell == "dash":
        assert text.startswith("vmagent-probe 1\n")
        assert facts.cut["netfilter"] > 0
    else:
        assert text.startswith("vmagent-probe 1 gzip\n")
        assert (facts.cut, facts.rules.complete) == ({}, True)


def test_every_answer_can_be_had_packed(guest: NamespaceGuest) -> None:
    """For a terminal, which breaks long lines."""
    text = guest.answer('sh -c "sed s/^packed=if-larger/packed=always/ | dash"')
    assert text.startswith("vmagent-probe 1 gzip\n")
    assert max(map(len, text.splitlines())) <= 76
    assert parse_probe(text).outcome(80) is Connect.OK


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox ash"])
def test_every_shell_says_the_same(guest: NamespaceGuest, shell: str) -> None:
    if shutil.which(shell.partition(" ")[0]) is None:
        pytest.skip(f"NOT TRIED: no {shell} on this machine")
    guest.sh(f"{AGENT_RULES}\niptables -w -A OUTPUT -d {WIRE} -p tcp --dport 80 -j REJECT --reject-with tcp-reset")
    facts = guest.probe(shell)
    assert (facts.outcome(80), facts.outcome(32526)) == (Connect.REFUSED, Connect.OK)
    [block] = facts.rules.blocks
    assert block.ports == (80,)


#: each line takes one more tool away; what is left must tell the same
TOOLS = ("curl", "wget", "python", "bash", "nc")


@pytest.mark.parametrize("tool", TOOLS)
def test_each_tool_tells_the_outcomes_apart(guest: NamespaceGuest, tool: str) -> None:
    if tool != "python" and shutil.which(tool, path="/usr/bin:/bin") is None:
        pytest.skip(f"NOT TRIED: no {tool} on this machine")
    hidden = [f"/usr/bin/{name}" for name in TOOLS[: TOOLS.index(tool)] if name != "python"]
    if TOOLS.index(tool) > TOOLS.index("python"):
        hidden += [str(path) for path in Path("/usr/bin").glob("python*") if path.name[6:].replace(".", "").isdecimal()]
    before = "\n".join(f"[ ! -e {path} ] || mount --bind /dev/null {path}" for path in [*hidden, "/usr/bin/python"])
    guest.sh(f"iptables -w -A OUTPUT -d {WIRE} -p tcp --dport 80 -j REJECT --reject-with tcp-reset")
    facts = guest.probe("dash", before if tool != "python" else "\n".join(before.splitlines()[:-1]))
    assert (facts.wire[80].outcome, facts.wire[32526].outcome) == (Connect.REFUSED, Connect.OK)
    assert (facts.wire[32526].status, facts.wire[32526].tool) == (200, tool)
    guest.sh(f"iptables -w -F OUTPUT; ip route add unreachable {WIRE}")
    facts = guest.probe("dash", before if tool != "python" else "\n".join(before.splitlines()[:-1]))
    assert facts.outcome(80) is facts.outcome(32526) is Connect.NO_ROUTE


def test_busybox_alone(guest: NamespaceGuest, tmp_path: Path) -> None:
    """A chroot that holds busybox and nothing else: no systemd, curl, python, nft or iptables."""
    busybox = shutil.which("busybox")
    if busybox is None or b"not a dynamic" not in _ldd(busybox):
        pytest.skip("NOT TRIED: needs Debian's busybox-static")
    for folder in ("bin", "proc", "run", "dev", "etc", "var/log"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(busybox, tmp_path / "bin/busybox")
    before = f"""
        mount -t proc proc {tmp_path}/proc
        mount --bind /dev {tmp_path}/dev
        chroot {tmp_path} /bin/busybox --install -s /bin
    """
    shell = f"chroot {tmp_path} /bin/sh"
    facts = guest.probe(shell, before)
    assert facts.outcome(80) is facts.outcome(32526) is Connect.OK
    assert facts.service.has_systemd is False
    assert (facts.route.device, facts.interfaces[0].addresses) == ("eth0", ("10.0.0.4/24",))
    guest.sh(f"iptables -w -A OUTPUT -d {WIRE} -j DROP")
    facts = guest.probe(shell, before)
    assert facts.outcome(80) is facts.outcome(32526) is Connect.TIMED_OUT
    assert not facts.rules.complete
    assert list((tmp_path / "run").iterdir()) == []


def _ldd(binary: str) -> bytes:
    import subprocess

    ran = subprocess.run(["ldd", binary], capture_output=True, check=False)
    return ran.stdout + ran.stderr


def test_a_hanging_tool_is_given_up_and_named(guest: NamespaceGuest, tmp_path: Path) -> None:
    """`nft` never returns and ignores signals to end: the rest is told, nothing of it stays."""
    slow = tmp_path / "nft"
    slow.write_text("#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 1; done\n")
    slow.chmod(0o755)
    facts = guest.probe("dash", f"mount --bind {slow} /usr/sbin/nft")
    assert facts.outcome(80) is Connect.OK
    assert not facts.rules.complete
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]
    assert not any(str(slow).encode() in line or b"/usr/sbin/nft" in line for line in running)


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_nothing_is_left_behind(guest: NamespaceGuest) -> None:
    guest.sh(f"iptables -w -A OUTPUT -d {WIRE} -j REJECT")
    rules = guest.sh("iptables-save | grep '^-'")
    text = guest.answer("sh -c 'dash; ls -d /run/vmagent.* 2>/dev/null; :'", "mount -t tmpfs run /run")
    assert text.splitlines()[-1].startswith("end ")
    assert guest.sh("iptables-save | grep '^-'") == rules
