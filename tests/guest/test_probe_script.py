"""The probe as a text, and what it makes of logs, units and processes (in a mount namespace: nothing of the host's)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from azext_vmagent.facts.guest import Connect, GuestFacts, parse_probe
from azext_vmagent.guest import probe_script

LOGS = Path(__file__).parent / "logs"
BLOCKED = (LOGS / "blocked-2.7.3.0.log").read_text()
FAILURE = "[HttpError] [HTTP Failed] GET http://168.63.129.16/machine/ -- IOError timed out -- 6 attempts made"

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="NOT TRIED on logs: needs root and unshare"
)


def test_ascii_and_small_enough_for_one_line_of_ssh() -> None:
    assert probe_script().isascii()
    assert probe_script().startswith("#!/bin/sh\n")
    assert len(probe_script()) < 40_000


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="NOT TRIED: no shellcheck on this machine")
def test_shellcheck_is_silent() -> None:
    ran = subprocess.run(
        ["shellcheck", "-s", "sh", "-"], input=probe_script(), text=True, capture_output=True, check=False
    )
    assert ran.stdout == ""


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox ash"])
def test_every_shell_can_read_it(shell: str) -> None:
    if shutil.which(shell.partition(" ")[0]) is None:
        pytest.skip(f"NOT TRIED: no {shell} on this machine")
    ran = subprocess.run([*shell.split(), "-n"], input=probe_script(), text=True, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def probe(tmp_path: Path, log: str | bytes | None, more: str = "") -> GuestFacts:
    """The facts of a guest with this agent log; ``more`` runs before, in the same namespaces."""
    setup = "mount -t tmpfs tmpfs /var/log\n"
    if log is not None:
        saved = tmp_path / "waagent.log"
        saved.write_bytes(log.encode() if isinstance(log, str) else log)
        setup += f"cp {saved} /var/log/waagent.log\n"
    started = time.monotonic()
    ran = subprocess.run(
        ["unshare", "-m", "-n", "-p", "-f", "--mount-proc", "sh", "-ec", f"{setup}{more}\nexec dash"],
        input=probe_script(), text=True, capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    assert time.monotonic() - started <= 8
    assert len(ran.stdout.encode()) <= 4096
    facts = parse_probe(ran.stdout)
    assert facts.complete, ran.stdout
    return facts


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@needs_root
def test_log_of_a_blocked_agent(tmp_path: Path) -> None:
    log = probe(tmp_path, BLOCKED).log
    assert (log.present, log.lines, log.failure_count) == (True, 120, 1)
    assert log.first_failure is not None
    assert (log.first_failure.line, log.first_failure.time) == (94, at("2026-11-23T22:56:26.896024"))
    assert FAILURE in log.first_failure.text
    assert log.recovery is not None
    assert log.recovery.time == at("2026-11-23T22:54:02.546971")
    assert log.heartbeat is not None
    assert log.heartbeat.line == 83
    assert log.newest == at("2026-11-23T22:56:26.896024")


@needs_root
def test_a_failure_that_recovered_is_the_past(tmp_path: Path) -> None:
    log = probe(
        tmp_path, BLOCKED + "2026-11-23T22:58:32.107695Z INFO ExtHandler ExtHandler Fetch goal state completed\n"
    ).log
    assert (log.failures, log.first_failure) == ((), None)
    assert log.past_failure is not None
    assert log.past_failure.line == 94


@needs_root
def test_only_32526_failing_is_the_host_plugin(tmp_path: Path) -> None:
    """Wording: WALinuxAgent tests_e2e/tests/lib/agent_log.py."""
    line = (
        "2022-09-30T02:48:33.134649Z WARNING MonitorHandler ExtHandler Error in SendHostPluginHeartbeat: [HttpError] "
        "[HTTP Failed] GET http://168.63.129.16:32526/health -- IOError timed out -- 1 attempts made --- [NOTE: …]\n"
    )
    log = probe(tmp_path, line).log
    assert log.failures == ()
    assert log.host_plugin is not None
    assert log.host_plugin.time == at("2022-09-30T02:48:33.134649")


@needs_root
def test_a_long_run_keeps_its_first_and_newest_lines(tmp_path: Path) -> None:
    lines = [
        f"2025-09-06T08:{n // 60:02}:{n % 60:02}.000000Z ERROR ExtHandler ExtHandler Error fetching the goal state: "
        f"[ProtocolError] [Wireserver Exception] {FAILURE}\n"
        for n in range(3000)
    ]
    log = probe(tmp_path, "".join(lines)).log
    assert (log.failure_count, log.lines) == (3000, 3000)
    assert log.first_failure is not None
    assert (log.first_failure.line, log.first_failure.time) == (1, at("2025-09-06T08:00:00"))
    assert [line.line for line in log.failures] == [2998, 2999, 3000]


@needs_root
def test_a_huge_log_keeps_its_line_numbers(tmp_path: Path) -> None:
    noise = "2025-09-06T08:00:00.000000Z INFO ExtHandler ExtHandler nothing of note\n" * 800_000
    log = probe(tmp_path, noise + BLOCKED).log
    assert log.size is not None
    assert log.size > 50_000_000
    assert log.first_failure is not None
    assert log.first_failure.line == 800_094


@needs_root
def test_hostile_log(tmp_path: Path) -> None:
    """Forged facts, escapes and endless lines stay text behind their key."""
    hostile = (
        b"2026-11-23T22:58:21.0Z ERROR x \x1b]0;owned\x07\nvmagent-probe 1\nwire 80 ok 200 curl\nend 0 0\r\nuid 5\x00\n"
        + b"2026-11-23T22:58:22.0Z ERROR " + b"A" * 300_000 + b"\n"
        + b"2026-11-23T22:58:23.0Z ERROR x 168.63.129.16 timed out\ruid 6\n"
    )  # fmt: skip
    facts = probe(tmp_path, hostile)
    assert facts.uid == 0
    assert facts.wire[80].outcome is not Connect.OK
    assert facts.log.failure_count == 1


@needs_root
@pytest.mark.parametrize("log", [None, "", "\n", "no time in here\n"])
def test_no_log_to_speak_of(tmp_path: Path, log: str | None) -> None:
    facts = probe(tmp_path, log)
    assert facts.log.present is (log is not None)
    assert facts.log.newest is None


SYSTEMCTL = """
case $1 in
    show)
        printf '%s\\n' Id=walinuxagent.service LoadState=loaded ActiveState=failed SubState=failed \\
            Result=start-limit-hit NRestarts=5 ExecMainCode=1 ExecMainStatus=1 \\
            UnitFileState=enabled ConditionResult=yes MainPID=0 \\
            'InactiveEnterTimestamp=Mon 2026-11-23 22:51:00 UTC' 'IPAddressDeny=168.63.129.16/32' PrivateNetwork=no \\
            'DropInPaths=/etc/systemd/system/walinuxagent.service.d/proxy.conf' \\
            'Environment=http_proxy=http://ops:secret@10.0.0.9:3128'
        echo
        printf '%s\\n' Id=waagent.service LoadState=not-found ActiveState=inactive SubState=dead
        ;;
    *) exit 3 ;;
esac
"""


@needs_root
def test_unit_and_configuration(tmp_path: Path) -> None:
    stub = tmp_path / "systemctl"
    stub.write_text(f"#!/bin/sh\n{SYSTEMCTL}")
    stub.chmod(0o755)
    conf = tmp_path / "waagent.conf"
    conf.write_text("# x\nOS.EnableFirewall=y\nHttpProxy.Host=http://ops:secret@10.0.0.9\nHttpProxy.Port=None\n")
    more = f"""
        mount -t tmpfs tmpfs /run
        mkdir -p /run/systemd/system
        cp -a /etc {tmp_path}/etc
        cp {conf} {tmp_path}/etc/waagent.conf
        mount --bind {tmp_path}/etc /etc
        mount -t tmpfs tmpfs /usr/local/bin
        cp {stub} /usr/local/bin/systemctl
        export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    """
    facts = probe(tmp_path, "", more)
    service = facts.service
    assert (service.unit, service.active_state, service.result) == ("walinuxagent.service", "failed", "start-limit-hit")
    assert (service.restarts, service.exit_status, service.running, service.main_pid) == (5, 1, False, None)
    assert service.inactive_since == at("2026-11-23T22:51:00")
    assert (service.ip_address_deny, service.private_network) == ("168.63.129.16/32", None)
    assert service.drop_ins.endswith("proxy.conf")
    assert service.environment == "http_proxy=http://***@10.0.0.9:3128"
    assert facts.config == {"OS.EnableFirewall": "y", "HttpProxy.Host": "http://***@10.0.0.9"}


@needs_root
def test_processes_of_an_agent_without_systemd(tmp_path: Path) -> None:
    more = f"""
        printf 'import time\\ntime.sleep(30)\\n' >{tmp_path}/waagent
        python3 -u {tmp_path}/waagent -daemon >/dev/null 2>&1 & agent=$!
        sleep 0.5
        kill -STOP $agent
        (sleep 10; kill -KILL $agent) >/dev/null 2>&1 &
        exec 2>/dev/null
    """
    processes = probe(tmp_path, "", more).processes
    assert processes is not None
    assert [(p.state, p.command.endswith("waagent -daemon")) for p in processes] == [("T", True)]
