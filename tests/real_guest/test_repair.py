"""Repairs of the real guest: put right by one command, proved in the guest and by the stand-in's own records."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.laboratory import Laboratory, scenario
from tests.real_guest.test_repairs import AGENTS_RULES, SSH, repair_of
from tests.real_guest.test_untouched import settled, state

pytestmark = [pytest.mark.real_guest, pytest.mark.every_repair]

RULES = (
    "nft list ruleset 2>/dev/null | sed 's/packets [0-9]* bytes [0-9]*//';"
    " iptables-save | grep -v '^#' | sed 's/ \\[[0-9:]*\\]//';"
    " ip route; ip rule; firewall-cmd --direct --get-all-rules 2>&1; grep -rs --exclude='*.old' . /etc/firewalld"
)
STATE = (
    f"systemctl show -p ActiveState,UnitFileState walinuxagent.service; cat /proc/sys/kernel/random/boot_id; {RULES}"
)
OTHER_RULE = "firewall-cmd --direct --add-rule ipv4 filter OUTPUT 9 -d 192.0.2.9/32 -j DROP"


@pytest.fixture
def guest(lab: Laboratory) -> Iterator[Laboratory]:
    yield lab
    lab.lab("renew")


def diagnose(lab: Laboratory, *arguments: str) -> dict[str, Any]:
    return lab.diagnose("vm1", "--ssh-user", "azureuser", *arguments)


@pytest.mark.parametrize(
    ("fault", "found", "kinds"),
    [
        ("agent-stopped", "agent-stopped", ["start-agent"]),
        ("agent-masked", "agent-stopped", ["unmask-agent", "enable-agent", "start-agent"]),
        ("agent-not-executable", "agent-stopped", ["restore-executable", "start-agent"]),
        ("agent-halted", "agent-stopped", ["restart-agent"]),
    ],
)
def test_an_agent_that_does_not_run_runs_again(guest: Laboratory, fault: str, found: str, kinds: list[str]) -> None:
    rules = guest.in_guest(RULES)
    guest.lab("fault", fault)
    told = diagnose(guest, "--repair", "--yes", "--wait-timeout", "240")
    repair = told["repair"]
    assert repair["verified"]["before"]["scenario"] == found
    assert [action["kind"] for action in repair["plan"]["actions"] if action["kind"] != "reset-start-limit"] == kinds
    assert repair["applied"]["result"] == "applied", repair
    assert scenario(told) in ("healthy", "platform")  # the platform may still be at the word of the minutes before
    guest.wait_for_agent("Ready")
    assert guest.in_guest(RULES) == rules


def test_a_rule_that_blocks_the_wire_server_is_removed_alone_and_can_be_put_back(guest: Laboratory) -> None:
    guest.lab("sh", "--timeout", "180", f"systemctl start firewalld; {OTHER_RULE}; {AGENTS_RULES}")
    before = guest.in_guest(RULES)
    guest.lab("fault", "wire-server-firewalld")
    broken = guest.in_guest(RULES)
    assert broken != before
    told, _seconds = repair_of(guest, SSH)
    repair = told["repair"]
    assert [action["kind"] for action in repair["plan"]["actions"]] == ["remove-rule"]
    assert (repair["applied"]["result"], repair["applied"]["otherRulesSame"]) == ("applied", True), repair
    assert repair["verified"]["wireServer"] == {"80": 200, "32526": 200}
    assert scenario(told) == "healthy"
    assert guest.in_guest(RULES) == before
    undone = diagnose(guest, "--undo", "--yes", "--no-wait")
    assert undone["repair"]["applied"]["result"] == "undone", undone["repair"]
    assert guest.in_guest(RULES) == broken


def test_looking_at_the_plan_and_saying_no_change_nothing(guest: Laboratory) -> None:
    guest.lab("fault", "agent-stopped")
    diagnose(guest)  # what a first login makes for good (a user's systemd) is there now
    before, holds = guest.in_guest(STATE), state(guest)
    for arguments in (("--dry-run", "--yes"), ()):
        told = diagnose(guest, "--repair", *arguments)
        assert told["repair"]["plan"]["actions"][0]["kind"] == "start-agent"
        assert told["repair"]["applied"] is None
    assert guest.in_guest(STATE) == before
    assert settled(guest, holds) == {}
    assert guest.in_guest("ls /var/lib/azure-vmagent 2>&1").strip().endswith("No such file or directory")


def test_the_printed_script_does_the_same_by_hand(guest: Laboratory) -> None:
    guest.lab("fault", "agent-stopped")
    printed = guest.az(
        "vm", "agent-diagnose", "-g", "lab", "-n", "vm1", "--ssh-user", "azureuser", "--repair", "--print-script"
    )
    assert printed.code == 0, printed
    said = guest.in_guest(f"echo {base64.b64encode(printed.stdout.encode()).decode()} | base64 -d | sh")
    assert "result applied" in said, said
    guest.wait_for_agent("Ready")
