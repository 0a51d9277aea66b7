"""The real guest itself: Ready, a run command through its agent, and faults made, seen from outside, and undone.

One guest for all; each test leaves it Ready. The article's four faults are made in ``test_diagnose``.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import faults
from lab.arm.vm import LabVm
from lab.guests.real import RealGuest
from lab.home import cache

pytestmark = pytest.mark.real_guest

#: a living agent uploads every six seconds; one upload may be under way when a fault is made
_UNDER_WAY, _SILENCE = 8, 16
#: a reboot takes half a minute, and four times that on a machine that is busy with others
_RECOVERY = 240
ANSWERS, TIMES_OUT = "answers", "times out"


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGuest]:
    made = RealGuest("tested", tmp_path_factory.mktemp("guest"), cache())
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def vm(guest: RealGuest) -> LabVm:
    assert guest.wait_for_upload(time.time() - _UNDER_WAY, _RECOVERY), "the agent does not report"
    return LabVm(guest)


def ssh(guest: RealGuest, user: str = "root") -> str:
    """What a client at the public address gets."""
    options = {
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "BatchMode": "yes",
        "ConnectTimeout": 6,
    }
    command = ["ip", "netns", "exec", guest.namespace, "ssh", "-i", str(guest.ssh_key)]
    command += [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    done = subprocess.run(
        [*command, f"{user}@{guest.public_address}", "true"], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return ANSWERS
    return TIMES_OUT if "timed out" in done.stderr else done.stderr


def is_silent(guest: RealGuest) -> bool:
    """Whether the agent has stopped uploading."""
    return not guest.wait_for_upload(time.time() + _UNDER_WAY, _UNDER_WAY + _SILENCE)


def test_a_ready_guest_is_what_azure_would_see(vm: LabVm, guest: RealGuest) -> None:
    upload = guest.status_upload()
    assert upload is not None
    agent = upload.document["aggregateStatus"]["guestAgentStatus"]
    assert (agent["status"], agent["version"]) == ("Ready", "2.7.3.0")
    assert guest.power_state() == "running"
    assert b"vm1 login:" in guest.serial_log()
    assert {ssh(guest, user) for user in guest.ssh_users} == {ANSWERS}


def test_its_clock_is_right_and_its_agents_rules_are_on(vm: LabVm, guest: RealGuest) -> None:
    asked = time.time()
    code, output = guest.shell("date +%s; iptables -t security -S OUTPUT")
    assert code == 0
    assert asked - 5 < int(output.split()[0]) < time.time() + 5
    assert "--uid-owner 0 -j ACCEPT" in output


def test_its_past_day_has_traffic_in_every_minute(vm: LabVm, guest: RealGuest) -> None:
    samples = guest.minute_samples(time.time() - 23 * 3600, time.time())
    assert len(samples) > 23 * 60 - 3
    assert all(sample.network_out_bytes and sample.network_out_bytes > 100_000 for sample in samples)


def test_a_run_command_goes_through_the_agent(vm: LabVm, guest: RealGuest) -> None:
    sequence = guest.submit_run_command(['echo "hello $1"', "id -un >&2"], [("who", "world")], 60)
    end = time.monotonic() + 60
    while (result := guest.run_command_result(sequence)) is None:
        assert time.monotonic() < end, "no result"
        time.sleep(0.2)
    assert result.succeeded
    assert result.message == "Enable succeeded: \n[stdout]\nhello world\n\n[stderr]\nroot\n"


@pytest.mark.parametrize(("name", "seen_by_ssh"), [("no-agent", ANSWERS), ("guest-paused", TIMES_OUT)])
def test_a_fault_silences_the_agent_until_it_is_undone(
    vm: LabVm, guest: RealGuest, name: str, seen_by_ssh: str
) -> None:
    console = guest.serial_log()
    faults.load(name).inject(vm)
    assert is_silent(guest)
    assert ssh(guest) == seen_by_ssh
    assert guest.serial_log().startswith(console)
    faults.load(name).heal(vm)
    assert guest.wait_for_upload(time.time(), _RECOVERY)


def test_a_deallocated_vm_boots_from_its_disk_again(vm: LabVm, guest: RealGuest) -> None:
    guest.shell("echo kept >/root/mark")
    faults.load("deallocated").inject(vm)
    assert guest.power_state() == "deallocated"
    faults.load("deallocated").heal(vm)
    assert guest.wait_for_upload(time.time(), _RECOVERY)
    assert guest.shell("cat /root/mark") == (0, "kept\n")


def test_nothing_is_left_after_the_end(tmp_path: Path) -> None:
    short = RealGuest("short", tmp_path, cache())
    short.start()
    pid = short.machine.pid
    short.close()
    assert not Path(f"/proc/{pid}").exists()
    assert not Path("/run/netns", short.namespace).exists()
