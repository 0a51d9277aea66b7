"""Diagnosing changes nothing: what the guest holds before and after is the same, whichever way in was taken.

Compared: the names of all files outside the agent's own folders and the logs, the contents of /etc, the processes, the
kernel's modules, the firewall's rules and the routes.
"""

from __future__ import annotations

import time

import pytest

from tests.laboratory import Laboratory, run_commands, scenario

pytestmark = pytest.mark.real_guest

#: the agent, the run command handler, the logs and systemd write here while nobody looks (and the agent checks its rules)
_MOVES = (
    r"^/(proc|sys|dev/(pts|char)|var/lib/waagent|var/log|run/(systemd|log|user|udev)|var/lib/(systemd|private))(/|$)"
)
_LOOK = {
    "files": f"find / -xdev /run /dev/shm /tmp 2>/dev/null | grep -Ev '{_MOVES}' | sort -u",
    "contents of /etc": "find /etc -type f -exec sha256sum {} + | sort",
    "processes": "ps -eo user,args --no-headers | grep -Ev '\\[|ps -eo|sort|sshd: azureuser|iptables .*168.63.129.16' | sort",
    "kernel modules": "cut -d' ' -f1 /proc/modules | sort",
    "rules": "(iptables-save; nft list ruleset) | sed '/^#/d; s/packets [0-9]* bytes [0-9]*//; s/\\[[0-9:]*\\]//'",
    "routes": "ip route show table all; ip rule; ip -o link | grep -o '^[^<]*<[^>]*>'",
}


def state(lab: Laboratory) -> dict[str, list[str]]:
    return {what: lab.lab("sh", command).splitlines() for what, command in _LOOK.items()}


def changes(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, set[str]]:
    return {what: found for what in before if (found := set(before[what]) ^ set(after[what]))}


def settled(lab: Laboratory, before: dict[str, list[str]]) -> dict[str, set[str]]:
    """What is still different once the sessions of the look have ended."""
    end = time.monotonic() + 20
    while (found := changes(before, state(lab))) and time.monotonic() < end:
        time.sleep(1)
    return found


def test_nothing_is_left_behind_by_ssh_or_run_command(lab: Laboratory) -> None:
    lab.diagnose("vm1", "--ssh-user", "azureuser")  # what a first login makes for good (a user's systemd) is there now
    lab.diagnose("vm1")
    before = state(lab)
    assert scenario(lab.diagnose("vm1", "--ssh-user", "azureuser")) == "healthy"
    assert settled(lab, before) == {}
    lab.lab("journal", "--clear")
    assert scenario(lab.diagnose("vm1")) == "healthy"
    assert len(run_commands(lab.requests())) == 1
    assert settled(lab, before) == {}
    assert lab.az("vm", "run-command", "list", "-g", "lab", "--vm-name", "vm1", "-o", "json").document() == []
