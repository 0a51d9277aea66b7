"""What Azure itself does cures a real guest that nobody can log in to: restart, and the reset of its interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.laboratory import Laboratory, scenario

pytestmark = [pytest.mark.real_guest, pytest.mark.every_repair]

BOOT = "cat /proc/sys/kernel/random/boot_id"
ADDRESS = "ip -4 -br addr show eth0"


@pytest.fixture
def guest(lab: Laboratory) -> Iterator[Laboratory]:
    lab.lab("journal", "--clear")
    yield lab
    lab.lab("renew")


def repair(lab: Laboratory, *arguments: str) -> dict[str, Any]:
    """Without any login: nothing leads into this guest."""
    return lab.diagnose("vm1", "--repair", *arguments)


def changes(lab: Laboratory) -> list[str]:
    """What was sent to Azure beside what looks into the guest."""
    sent = [r for r in lab.requests() if r["method"] in ("POST", "PUT", "PATCH", "DELETE") and "vm" in r]
    ends = [r["path"].partition("?")[0].rsplit("/", 1)[-1] for r in sent]
    return [end for end in ends if end not in ("retrieveBootDiagnosticsData", "connect", "runCommand")]


def interface_changes(lab: Laboratory) -> int:
    return sum(r["method"] == "PUT" and "/networkInterfaces/" in r["path"] for r in lab.requests())


@pytest.mark.parametrize(
    ("fault", "found"),
    [("nic-down", "network-down"), ("guest-paused", "os-not-running"), ("kernel-panic", "os-not-running")],
)
def test_a_restart_cures_what_was_not_made_permanent(guest: Laboratory, fault: str, found: str) -> None:
    guest.lab("fault", fault)
    guest.wait_for_agent("Not Ready")
    shown = repair(guest, "--dry-run", "--yes", "--allow", "restart")
    assert (scenario(shown), shown["repair"]["applied"]) == (found, None)
    assert repair(guest, "--yes")["repair"]["applied"] is None  # not named, so not done
    assert changes(guest) == []
    told = repair(guest, "--yes", "--allow", "restart", "--wait-timeout", "420")
    assert changes(guest) == ["restart"]
    done = told["repair"]
    assert done["applied"]["result"] == "applied", done
    assert done["verified"]["before"]["scenario"] == found
    assert done["verified"]["readyAfter"] is not None, done
    assert scenario(told) == "healthy", told["verdict"]
    guest.wait_for_agent("Ready")


def test_the_reset_of_the_interface_cures_one_that_is_down_and_leaves_its_address_as_it_was(guest: Laboratory) -> None:
    address, boot = guest.in_guest(ADDRESS), guest.in_guest(BOOT)
    guest.lab("fault", "nic-down")
    guest.wait_for_agent("Not Ready")
    told = repair(guest, "--yes", "--allow", "reset-nic", "--wait-timeout", "420")
    done = told["repair"]
    assert done["applied"]["result"] == "applied", done
    assert "10.0.0.4 (Dynamic) again" in done["applied"]["detail"]
    assert interface_changes(guest) == 3
    assert scenario(told) == "healthy", told["verdict"]
    guest.wait_for_agent("Ready")
    assert guest.in_guest(ADDRESS).split()[:3] == address.split()[:3]
    assert guest.in_guest(BOOT) != boot
    assert guest.status()["privateAddress"] == "10.0.0.4"


def test_another_address_reaches_the_guest_with_its_next_lease(guest: Laboratory) -> None:
    interface = ["-g", "lab", "--nic-name", "vm1-nic", "-n", "ipconfig1"]
    changed = guest.az("network", "nic", "ip-config", "update", *interface, "--private-ip-address", "10.0.0.9")
    assert changed.code == 0, changed
    guest.wait_for_agent("Not Ready")
    guest.wait_for_agent("Ready")
    assert "10.0.0.9/24" in guest.in_guest(ADDRESS)
