"""Repairs through the serial console of a real guest: with no network, no agent, and where the boot itself stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.laboratory import Laboratory, laboratory, scenario
from tests.real_guest.test_network_faults import network_of
from tests.real_guest.test_serial_console import TRACES, console_log, typed

pytestmark = [pytest.mark.real_guest, pytest.mark.every_repair]

ASKS, LOCKED = b"root password for maintenance", b"the root account is locked"
FSTAB = "cat /proc/sys/kernel/random/boot_id; ls -l /etc/fstab*; cat /etc/fstab; ls /var/lib"


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[Laboratory]:
    with laboratory(tmp_path_factory.mktemp("lab"), "--guest", "real") as made:
        yield made


@pytest.fixture
def guest(lab: Laboratory) -> Iterator[Laboratory]:
    yield lab
    lab.lab("renew")


def diagnose(guest: Laboratory, user: str, *arguments: str, password: str = "lab") -> dict[str, Any]:
    guest.lab("journal", "--clear")
    guest.environment["AZURE_VMAGENT_CONSOLE_PASSWORD"] = password
    return guest.diagnose("vm1", "--console-user", user, *arguments)


def patiently(guest: Laboratory, user: str, *arguments: str) -> dict[str, Any]:
    """A busy machine's guest is too slow to test everything, which the plan says, and nothing is changed: ask again."""
    for _ in range(5):
        told = diagnose(guest, user, *arguments)
        refusal = told["repair"]["plan"]["refusal"]
        if refusal is None or refusal["code"] not in ("uncertain", "answer-not-whole"):
            break
    return told


def stopped(guest: Laboratory, fault: str, words: bytes) -> None:
    """A boot that has come as far as the words."""
    begun = console_log(guest).stat().st_size
    guest.lab("fault", fault)
    end = time.monotonic() + 240
    while words not in console_log(guest).read_bytes()[begun:]:
        assert time.monotonic() < end, console_log(guest).read_bytes()[-500:]
        time.sleep(1)


@pytest.mark.parametrize(
    ("fault", "found", "first"),
    [
        ("nic-down", "network-down", "interface-up"),
        ("dhcp-lost", "network-down", "renew-dhcp"),
        ("wrong-address", "network-down", "back-to-dhcp"),
        ("agent-masked", "agent-stopped", "unmask-agent"),
        ("wire-server-iptables", "wire-server-blocked", "remove-rule"),
    ],
)
def test_a_repair_goes_through_the_console_alone(guest: Laboratory, fault: str, found: str, first: str) -> None:
    rules, traces = network_of(guest), guest.in_guest(TRACES)
    guest.lab("fault", fault)
    login = ("--serial-console", "always", "--timeout", "240", "--wait-timeout", "240")
    told = patiently(guest, "azureuser", *login, "--repair", "--yes")
    repair = told["repair"]
    assert repair["verified"]["before"]["scenario"] == found
    assert (repair["plan"]["channel"], repair["plan"]["actions"][0]["kind"]) == ("serial console", first), repair
    assert repair["applied"]["result"] == "applied", repair
    assert scenario(told) in ("healthy", "platform")
    assert "--serial-console always --console-user azureuser --undo" in repair["undo"]
    guest.wait_for_agent("Ready")
    assert sorted(network_of(guest).splitlines()) == sorted(rules.splitlines())
    until(lambda: guest.in_guest(TRACES) == traces)


def until(found) -> None:
    end = time.monotonic() + 30
    while not found():
        assert time.monotonic() < end
        time.sleep(1)


def test_a_connection_that_breaks_half_way_is_taken_up_again(guest: Laboratory) -> None:
    guest.lab("fault", "agent-masked")
    guest.lab("inject", "cut:12000*1@/client")
    told = patiently(guest, "azureuser", "--serial-console", "always", "--repair", "--yes", "--timeout", "240")
    assert told["repair"]["applied"]["result"] == "applied", told["repair"]
    guest.wait_for_agent("Ready")


@pytest.mark.parametrize("fault", ["fstab-emergency", "fstab-wrong-type"])
def test_a_boot_that_stopped_goes_on_without_the_line_and_the_line_can_be_had_back(
    guest: Laboratory, fault: str
) -> None:
    stopped(guest, fault, ASKS)
    broken = guest.in_guest("cat /etc/fstab")
    told = diagnose(guest, "root", "--repair", "--yes", "--wait-timeout", "240")
    repair = told["repair"]
    assert repair["verified"]["before"]["scenario"] == "os-not-running"
    assert [action["kind"] for action in repair["plan"]["actions"]] == ["fstab-line-harmless", "continue-boot"]
    assert repair["applied"]["result"] == "applied", repair
    assert repair["verified"]["readyAfter"] is not None
    assert scenario(told) in ("healthy", "platform")
    assert guest.in_guest("cat /etc/fstab").replace(",nofail", "") == broken
    assert guest.in_guest("ls /etc/fstab*").split() == ["/etc/fstab"]
    undone = diagnose(guest, "root", "--serial-console", "always", "--undo", "--yes", "--no-wait")
    assert undone["repair"]["applied"]["result"] == "undone", undone["repair"]
    assert guest.in_guest("cat /etc/fstab") == broken


def test_where_the_boot_stopped_nothing_changes_without_consent_or_the_right_password(guest: Laboratory) -> None:
    stopped(guest, "fstab-emergency", ASKS)
    before = guest.in_guest(FSTAB)
    told = diagnose(guest, "root", "--repair", "--dry-run")
    assert told["repair"]["plan"]["actions"][0]["kind"] == "fstab-line-harmless"
    assert guest.in_guest(FSTAB) == before
    assert console_log(guest).read_bytes().rstrip().endswith(b"to continue):")
    assert guest.in_guest("ps -t ttyS0 -o args= | grep -v sulogin").strip() == ""
    told = diagnose(guest, "root", "--repair", "--yes", password="mistaken")
    assert told["repair"]["plan"]["refusal"]["code"] == "emergency-shell"
    assert "refuses root's password" in told["repair"]["plan"]["refusal"]["why"]
    assert "mistaken" not in json.dumps(told)
    guest.lab("journal", "--clear")
    assert "--console-user root" in json.dumps(guest.diagnose("vm1", "--repair", "--yes")["repair"]["plan"]["refusal"])
    assert diagnose(guest, "azureuser", "--repair", "--yes")["repair"]["applied"] is None
    assert typed(guest) == []
    assert guest.in_guest(FSTAB) == before


def test_where_root_is_locked_no_key_is_pressed_and_the_offline_repair_is_named(guest: Laboratory) -> None:
    stopped(guest, "fstab-root-locked", LOCKED)
    before = guest.in_guest(FSTAB)
    told = diagnose(guest, "root", "--repair", "--yes", "--serial-console", "always")
    refusal = told["repair"]["plan"]["refusal"]
    assert (refusal["code"], told["repair"]["applied"]) == ("root-locked", None)
    assert "az vm repair repair-button -g lab -n vm1 --button-command fstab" in refusal["nextSteps"][0]["command"]
    assert typed(guest) == []
    assert guest.in_guest(FSTAB) == before
