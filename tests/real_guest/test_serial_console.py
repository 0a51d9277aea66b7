"""The serial console of a real guest: in and out again with neither network nor agent, and nothing left behind."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.laboratory import Laboratory, arm_calls, scenario

pytestmark = pytest.mark.real_guest

#: what must be as it was: our user's and the console's processes, sessions, files and histories (logind ends a user's own
#: service 10 s after the logout)
TRACES = r"""
{ ps -u azureuser -o args --no-headers; ps -t ttyS0 -o args --no-headers; } | grep -vE 'agetty|/bin/login|systemd --user|sd-pam'
who; loginctl list-sessions --no-legend
find /home /root /tmp /var/tmp /dev/shm /run/sudo /var/lib/sudo -type f -printf '%p %s %T@\n' 2>/dev/null | sort
"""


def typed(lab: Laboratory) -> list[str]:
    """What went to the guest through the websocket, one text a session."""
    end = time.monotonic() + 5
    while True:
        requests = lab.requests()
        found = [r["typed"] for r in requests if "typed" in r]
        connects = [r for r in requests if r["path"].split("?")[0].endswith("/connect") and r["status"] == 200]
        if len(found) >= len(connects) or time.monotonic() > end:
            return found
        time.sleep(0.2)


def diagnose(lab: Laboratory, *arguments: str, password: str | None = None) -> dict[str, Any]:
    lab.lab("journal", "--clear")
    lab.environment.pop("AZURE_VMAGENT_CONSOLE_PASSWORD", None)
    if password is not None:
        lab.environment["AZURE_VMAGENT_CONSOLE_PASSWORD"] = password
    return lab.diagnose("vm1", *arguments)


def console_step(document: dict[str, Any]) -> dict[str, Any]:
    step: dict[str, Any] = [one for one in document["channels"] if one["name"] == "serial console"][-1]
    return step


def console_log(lab: Laboratory) -> Path:
    return Path(lab.environment["VMAGENT_LAB_HOME"]) / "guests" / "vm1" / "serial.log"


def culprits(document: dict[str, Any]) -> str:
    return json.dumps(document["verdict"]["cause"]) + document["verdict"]["summary"]


@pytest.fixture(scope="module")
def nic_down(lab: Laboratory) -> Iterator[Laboratory]:
    with lab.fault("nic-down"):
        yield lab


def test_a_key_at_the_login_prompt_tells_3_at_once(nic_down):
    found = diagnose(nic_down)
    assert scenario(found) == "network-down"
    assert typed(nic_down) == ["\r"]
    assert any("fresh login prompt appeared after Enter at" in one["what"] for one in found["verdict"]["because"])
    assert len(arm_calls(nic_down.requests())) <= 6
    assert found["timings"]["total"] < 60


def test_a_login_names_the_interface_and_leaves_nothing(nic_down):
    before = nic_down.lab("sh", TRACES)
    found = diagnose(nic_down, "--console-user", "azureuser", "--serial-console", "always", password="lab")
    assert scenario(found) == "network-down"
    if "eth0" in culprits(found):  # a busy machine's guest is too slow to list its interfaces, which the verdict says
        assert found["verdict"]["confidence"] == "certain"
        assert found["verdict"]["cause"]["code"] == "I01"
    assert console_step(found)["detail"] == "root through sudo, at the console as azureuser"
    assert nic_down.lab("sh", TRACES) == before


def test_a_wrong_password_is_said_and_proves_that_the_guest_lives(nic_down):
    found = diagnose(nic_down, "--console-user", "azureuser", password="mistaken")
    assert (console_step(found)["status"], "wrong password" in console_step(found)["detail"]) == ("denied", True)
    assert scenario(found) == "network-down"
    assert "mistaken" not in json.dumps(found)


def test_a_connection_that_breaks_in_the_login_leaves_no_session(nic_down):
    before = nic_down.lab("sh", TRACES)
    nic_down.lab("inject", "cut:400*1@/client")
    found = diagnose(nic_down, "--console-user", "azureuser", "--timeout", "90", password="lab")
    assert "connection was lost" in console_step(found)["detail"]
    assert found["timings"]["total"] < 90
    end = time.monotonic() + 20
    while nic_down.lab("sh", TRACES) != before:
        assert time.monotonic() < end, nic_down.lab("sh", TRACES)
        time.sleep(1)


def test_a_console_that_is_in_use_is_left_to_whoever_uses_it(nic_down):
    nic_down.lab("set", "console_second=refused")
    log = console_log(nic_down)
    before = log.stat().st_size
    login = ("--console-user", "azureuser", "--serial-console", "always")
    with ThreadPoolExecutor(1) as aside:
        first = aside.submit(diagnose, nic_down, *login, password="lab")
        end = time.monotonic() + 60
        while b"azureuser" not in log.read_bytes()[before:]:
            assert time.monotonic() < end
            time.sleep(0.1)
        second = nic_down.diagnose("vm1", *login)
        one = first.result()
    nic_down.lab("set", "console_second=takes-over")
    assert console_step(second)["status"] == "failed"
    assert "Another user is connected" in console_step(second)["detail"]
    assert scenario(second) in ("network-down", "uncertain")
    assert console_step(one)["detail"] == "root through sudo, at the console as azureuser"
    assert scenario(one) == "network-down"


def test_through_the_console_the_rule_is_named(lab):
    lab.lab("heal")
    with lab.fault("wire-server-firewalld"):
        found = diagnose(lab, "--console-user", "azureuser", "--serial-console", "always", password="lab")
    assert scenario(found) == "wire-server-blocked"
    assert "ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP" in culprits(found)


def test_a_guest_that_stands_still_does_not_react(lab):
    with lab.fault("guest-paused"):
        found = diagnose(lab)
    assert scenario(found) == "os-not-running"
    assert typed(lab) in ([], ["\r"])


def test_no_key_is_pressed_in_emergency_mode(lab):
    lab.lab("fault", "fstab-emergency")
    console = console_log(lab)
    end = time.monotonic() + 180
    while b"root password for maintenance" not in console.read_bytes():
        assert time.monotonic() < end
        time.sleep(1)
    found = diagnose(lab, "--serial-console", "always", "--console-user", "azureuser", password="lab")
    assert scenario(found) == "os-not-running"
    assert typed(lab) == []
