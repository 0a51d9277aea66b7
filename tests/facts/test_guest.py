"""The probe's text as facts: whole, cut, wrapped, hostile, empty."""

from __future__ import annotations

import random
from datetime import datetime, timezone
from pathlib import Path

import pytest

from azext_vmagent.facts.guest import Connect, Disk, GuestFacts, LogLine, parse_probe
from azext_vmagent.facts.run_command import run_command_streams

ANSWERS = Path(__file__).parent / "probe_answers"

#: worded as the probe words it; values from the lab's recording of scenario 2 (Debian 12, agent 2.7.3.0)
BLOCKED = """vmagent-probe 1
uid 0
os Debian GNU/Linux 12 (bookworm)
kernel 6.1.0-49-cloud-amd64
uptime 275.10
now 2026-11-23T22:58:21Z
tz +0000
wire 80 timed-out - curl 28 * Connection timed out after 4001 milliseconds
wire 32526 timed-out - curl 28 * Connection timed out after 4001 milliseconds
systemd yes
unit walinuxagent.service LoadState=loaded
unit walinuxagent.service ActiveState=active
unit walinuxagent.service SubState=running
unit walinuxagent.service UnitFileState=enabled
unit walinuxagent.service Result=success
unit walinuxagent.service MainPID=277
unit walinuxagent.service ConditionResult=yes
unit walinuxagent.service FragmentPath=/lib/systemd/system/walinuxagent.service
unit walinuxagent.service ActiveEnterTimestamp=Mon 2026-11-23 22:53:48 UTC
disable_agent no
conf yes
conf OS.EnableFirewall=y
ps yes
process 277 S /usr/bin/python3 /usr/sbin/waagent -daemon
log yes 11064 120 2026-11-23T22:56:26.896024Z
log.fail 94 2026-11-23T22:56:26.896024Z [HTTP Failed] GET http://168.63.129.16/machine/ -- IOError timed out
log.first 94 2026-11-23T22:56:26.896024Z [HTTP Failed] GET http://168.63.129.16/machine/ -- IOError timed out
log.count 1
log.ok 67 2026-11-23T22:54:02.546971Z INFO ExtHandler ExtHandler ProcessExtensionsInGoalState completed
log.heartbeat 83 2026-11-23T22:54:07.037594Z INFO ExtHandler ExtHandler [HEARTBEAT] Agent is running
route 168.63.129.16 via 10.0.0.1 dev eth0 src 10.0.0.4 uid 0
via 168.63.129.16 via 10.0.0.1 dev eth0
default default via 10.0.0.1 dev eth0
link eth0 up UP 00:0d:3a:00:00:04
addr eth0 10.0.0.4/24
ip yes
fw.list iptables iptables
fw.iptables filter -A OUTPUT -d 168.63.129.16/32 -j DROP
fw.list nft
fw.firewalld running
fw.panic false
fw.direct ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP
disk 62% 171008 / 20% rw
journal 2026-11-23T22:58:03+0000 azlab waagent[277]: WARNING Daemon Daemon Agent failed with return code: 1
end 4 0
"""


def test_whole_answer() -> None:
    facts = parse_probe(BLOCKED)
    assert (facts.complete, facts.missing, facts.cut, facts.root) == (True, (), {}, True)
    assert facts.outcome(80) is facts.outcome(32526) is Connect.TIMED_OUT
    assert facts.wire[80].blocked
    assert (facts.service.unit, facts.service.running) == ("walinuxagent.service", True)
    assert facts.service.active_since == datetime(2026, 11, 23, 22, 53, 48, tzinfo=timezone.utc)
    assert (facts.service.restarts, facts.service.condition_met, facts.service.main_pid) == (0, True, 277)
    assert facts.config == {"OS.EnableFirewall": "y"}
    assert (facts.config_present, facts.disabled_by_file) == (True, False)
    assert [process.pid for process in facts.processes or ()] == [277]
    stamp = datetime(2026, 11, 23, 22, 56, 26, 896024, tzinfo=timezone.utc)
    text = "[HTTP Failed] GET http://168.63.129.16/machine/ -- IOError timed out"
    assert facts.log.first_failure == LogLine(94, stamp, text)
    assert facts.log.failures == (facts.log.first_failure,)
    assert (facts.log.lines, facts.log.newest, facts.log.failure_count) == (120, stamp, 1)
    assert (facts.route.kind, facts.route.device, facts.route.gateway) == ("unicast", "eth0", "10.0.0.1")
    assert facts.interfaces[0].addresses == ("10.0.0.4/24",)
    assert facts.disks == (Disk("/", 62, 20, False, 171008),)
    assert [block.tool for block in facts.rules.blocks] == ["firewalld-direct"]
    assert facts.contradictions == ()


def test_rules_and_connection_that_disagree() -> None:
    answers = parse_probe(
        BLOCKED.replace("timed-out - curl 28 * Connection timed out after 4001 milliseconds", "ok 200 curl")
    )
    assert len(answers.contradictions) == 2
    assert answers.contradictions[0] == "a rule blocks tcp/80, yet the Wire Server answers on it"
    free = "".join(line for line in BLOCKED.splitlines(True) if "-j DROP" not in line)
    silent = parse_probe(free)
    assert silent.rules.blocks == ()
    assert silent.contradictions[0] == "tcp/80 ends timed-out, yet no rule or route of the guest blocks it"


def test_no_contradiction_is_claimed_from_a_cut_listing() -> None:
    free = "".join(line for line in BLOCKED.splitlines(True) if "-j DROP" not in line)
    facts = parse_probe(free.replace("end 4 0", "cut netfilter 900\nend 4 900"))
    assert facts.cut == {"netfilter": 900}
    assert not facts.rules.complete
    assert facts.contradictions == ()


def test_wrapped_by_the_run_command_handler() -> None:
    out, err, code = run_command_streams(f"Enable succeeded: \n[stdout]\n{BLOCKED}\n[stderr]\n")
    assert (err, code) == ("", 0)
    assert parse_probe(out) == parse_probe(BLOCKED)


def test_the_script_may_print_the_handlers_marks() -> None:
    assert run_command_streams("Enable succeeded: \n[stdout]\na\n[stdout]\n[stderr]\nb\n[stderr]\n")[0].startswith(
        "a\n[stdout]"
    )
    assert run_command_streams("") == ("", "", None)


@pytest.mark.parametrize("part", ["head", "tail"])
def test_a_part_is_known_to_be_a_part(part: str) -> None:
    facts = parse_probe(BLOCKED[:400] if part == "head" else BLOCKED[600:])
    assert not facts.complete
    assert facts.missing


def test_nothing_and_foreign_text() -> None:
    for text in ("", "\n\n", "sh: 1: Syntax error", "Permission denied (publickey).", "\x00" * 100):
        facts = parse_probe(text)
        assert not facts.complete
        assert "wire server 80" in facts.missing
        assert facts.service.running is None
        assert facts.outcome(80) is Connect.NOT_SAID
        assert facts.rules.blocks == ()


def test_text_before_the_marker_is_no_fact() -> None:
    facts = parse_probe("uid 7\nwire 80 ok 200 curl\n" + BLOCKED)
    assert facts == parse_probe(BLOCKED)


def test_escapes_are_taken_out() -> None:
    facts = parse_probe(BLOCKED.replace("Debian GNU", "\x1b[2J\u202eDebian\x07 GNU"))
    assert facts.distribution == "[2JDebian GNU/Linux 12 (bookworm)"


def test_late_jobs_are_missing() -> None:
    facts = parse_probe(BLOCKED.replace("ps yes", "late netfilter"))
    assert "firewall" in facts.missing
    assert not facts.rules.complete


def test_a_rule_cut_short_is_not_read_as_whole() -> None:
    long = f"fw.iptables filter -A OUTPUT -d 168.63.129.16/32 -m comment --comment {'x' * 340}..."
    assert not parse_probe(BLOCKED.replace("fw.list nft", f"{long}\nfw.list nft")).rules.complete


def test_two_units_the_running_one_counts() -> None:
    other = "unit waagent.service LoadState=masked\nunit waagent.service ActiveState=inactive\n"
    assert (
        parse_probe(BLOCKED.replace("disable_agent no", other + "disable_agent no")).service.unit
        == "walinuxagent.service"
    )


def test_no_unit_at_all() -> None:
    text = "".join(line for line in BLOCKED.splitlines(True) if not line.startswith("unit"))
    facts = parse_probe(text.replace("systemd yes", "systemd yes\nunit none"))
    assert (facts.service.unit, facts.service.has_systemd, facts.missing) == (None, True, ())


@pytest.mark.parametrize("seed", range(40))
def test_no_garbling_raises(seed: int) -> None:
    dice = random.Random(seed)
    text = BLOCKED + "".join(path.read_text() for path in sorted(ANSWERS.glob("*.txt")))
    lines = text.splitlines()
    dice.shuffle(lines)
    garbled = list("\n".join(lines))
    for _ in range(400):
        garbled[dice.randrange(len(garbled))] = dice.choice("\x00\x1b\n {}\"'\\-!@:=é9")
    assert isinstance(parse_probe("".join(garbled)), GuestFacts)
