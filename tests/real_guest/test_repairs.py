"""The matrix of repairs on the real guest: faults that one command puts right, and those where it rightly refuses.

The product gets the VM's name and a login. What it did is held against the stand-in's own records and against what the
guest says through the side door: a service and rules of somebody else stay as they are. What was seen and how long it
took is recorded for docs/repaired.md (``make repair-table``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest

from tests.laboratory import Laboratory, arm_calls, cause, scenario
from tests.real_guest.matrix import CONSOLE, FIREWALLD, PACKAGES, REFUSALS, REPAIRS, SSH, Refusal, Repair
from tests.real_guest.recorded import Result, keep

pytestmark = [pytest.mark.real_guest, pytest.mark.every_repair]

#: an agent uploads every 6 s; a busy machine's guest takes its time
NOT_READY_AFTER = 12
WAIT = 300

#: somebody's service, and somebody's rules in each of the tools
OTHERS = r"""
printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/canary.service
systemctl daemon-reload && systemctl enable -q --now canary.service
set -e
iptables -w -A OUTPUT -d 192.0.2.9/32 -p tcp -j DROP
iptables -w -A INPUT -s 192.0.2.77/32 -m comment --comment 'not yours; $(reboot) "quoted"' -j DROP
ip6tables -w -A OUTPUT -d 2001:db8::9/128 -j REJECT
nft -f - <<'EOF'
table inet somebodys {
    chain out {
        type filter hook output priority 5; policy accept;
        ip daddr 192.0.2.8 counter drop
    }
}
EOF
ip route add blackhole 203.0.113.0/24
"""
FOREIGN = ("192.0.2.9", "192.0.2.77", "2001:db8::9", "192.0.2.8", "203.0.113.0")
BEFORE = {
    "": "true",
    PACKAGES: (Path(__file__).parent / "packages.sh").read_text(),
    FIREWALLD: "systemctl start firewalld && firewall-cmd -q --permanent --direct --add-rule ipv4 filter OUTPUT 9 -d 192.0.2.7/32 -j DROP"
    " && firewall-cmd -q --direct --add-rule ipv4 filter OUTPUT 9 -d 192.0.2.7/32 -j DROP",
}

#: firewalld flushes the agent's own rules when it starts or reloads; the agent puts them back within half a minute
AGENTS_RULES = "until iptables -w -t security -S OUTPUT | grep -q 'INVALID,NEW -j DROP'; do sleep 1; done; sleep 2"

RULES = r"""
nft -s list ruleset 2>/dev/null
(iptables-save; ip6tables-save; iptables-legacy-save) | sed '/^#/d; s/ \[[0-9:]*\]$//'
ip -4 route show table all; ip rule; ip -4 -o addr | sed 's/\\ .*//'; tc qdisc show dev eth0; ipset save
grep -rs --exclude='*.old' . /etc/firewalld /etc/ufw/user.rules /etc/ufw/user6.rules /etc/default/ufw
if systemctl -q is-active firewalld; then
    for scope in '' --permanent; do firewall-cmd $scope --direct --get-all-rules; firewall-cmd $scope --list-all-policies; done
fi
"""
STATE = f"""
systemctl show -p ActiveState,UnitFileState,MainPID walinuxagent.service
cat /proc/sys/kernel/random/boot_id; cut -d ' ' -f 1-4 /proc/mounts | grep -v /run/user/
find /etc /usr/sbin /usr/lib/systemd -type f -exec sha256sum {{}} + | sort | sha256sum
ls -d /var/lib/azure-vmagent /var/lib/waagent/disable_agent
{RULES}"""
#: the POSTs that change nothing: the serial log's address, and a key pressed at the console's login prompt
_ONLY_READS = ("/retrieveBootDiagnosticsData", "/connect")
FILES = "find /etc -type f -exec sha256sum {} + | sort"
BOOT, CANARY = "cat /proc/sys/kernel/random/boot_id", "systemctl show -p MainPID,ActiveState canary.service | sort -r"
RUNNING = "systemctl list-units --type=service --state=running --no-legend --plain | cut -d ' ' -f 1 | grep -v '^user@'"


@pytest.fixture
def guest(lab: Laboratory) -> Iterator[Laboratory]:
    lab.lab("set", "not_ready_after=120")
    yield lab
    lab.lab("set", "not_ready_after=120")
    lab.lab("renew")


#: what the product is told besides the VM's name
LOGIN = {
    SSH: ["--ssh-user", "azureuser"],
    CONSOLE: ["--console-user", "azureuser", "--timeout", "240"],
}


def repair_of(lab: Laboratory, login: str, *allow: str) -> tuple[dict[str, Any], float]:
    """The document, and how many seconds the command took.

    The guest of a busy machine may be too slow to test everything: the plan says so, nothing is changed, and it is
    asked again.
    """
    more = ["--allow", *allow] if allow else []
    lab.environment["AZURE_VMAGENT_CONSOLE_PASSWORD"] = "lab"
    for _ in range(3):
        began = time.monotonic()
        told = lab.diagnose("vm1", *LOGIN[login], "--repair", "--yes", *more, "--wait-timeout", str(WAIT))
        refusal = told["repair"]["plan"]["refusal"]
        if refusal is None or refusal["code"] not in ("uncertain", "answer-not-whole"):
            break
    return told, time.monotonic() - began


def lines(lab: Laboratory, command: str) -> list[str]:
    """What it prints, without what the agent adds at a moment of its own choice.

    That is the rule with which it asks DHCP in need (test_network_faults.py), and what it hands a firewalld to keep.
    """
    found = (line.strip() for line in lab.in_guest(command, 180).splitlines())
    return [line for line in found if not _AGENTS.search(line)]


_AGENTS = re.compile(r"\budp .*dport 68 .*(?:accept|ACCEPT)$|<passthrough ipv=.ipv4.>-t security -[AI] OUTPUT -d 168")


def changes(was: list[str], now: list[str]) -> tuple[list[str], list[str]]:
    """The lines that are gone and those that are new, in their order."""
    gone, new = [], []
    for kind, a, b, c, d in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if kind != "equal":
            gone += was[a:b]
            new += now[c:d]
    return gone, new


def assert_are(found: list[str], patterns: tuple[str, ...]) -> None:
    """Each pattern stands for one line, and no line is left."""
    left, strange = list(patterns), []
    for line in found:
        match = next((one for one in left if line == one or re.fullmatch(one, line)), None)
        if match is None:
            strange.append(line)
        else:
            left.remove(match)
    assert (strange, left) == ([], []), "\n".join(found)


def at_rest(guest: Laboratory) -> list[str]:
    """The state of a guest that does not change by itself (any more: one may boot or be set up)."""
    now = lines(guest, STATE)
    for _ in range(20):
        was, now = now, lines(guest, STATE)
        if was == now:
            return now
    raise AssertionError("the guest does not come to rest")


def noticed(guest: Laboratory) -> None:
    guest.lab("set", f"not_ready_after={NOT_READY_AFTER}")
    guest.wait_for_agent("Not Ready")


@pytest.mark.parametrize("row", REPAIRS, ids=lambda row: row.name)
def test_one_command_puts_it_right(guest: Laboratory, row: Repair) -> None:
    guest.lab("sh", "--timeout", "180", BEFORE[row.has])
    guest.lab("sh", "--timeout", "180", OTHERS)
    before, boot, canary, running = lines(guest, RULES), lines(guest, BOOT), lines(guest, CANARY), lines(guest, RUNNING)
    files = lines(guest, FILES)
    guest.lab("fault", row.fault)
    if row.has == FIREWALLD:
        guest.lab("sh", "--timeout", "180", AGENTS_RULES)
    if row.silent:
        noticed(guest)
    time.sleep(row.settles)
    was = before if row.as_before or row.allow else lines(guest, RULES)
    began = time.time()

    told, seconds = repair_of(guest, row.login, *row.allow)

    repair = told["repair"]
    plan, applied, verified = repair["plan"], repair["applied"], repair["verified"]
    assert applied is not None, (plan["refusal"], told["verdict"])
    kinds = tuple(action["kind"] for action in plan["actions"] if action["kind"] != "reset-start-limit")
    assert (verified["before"]["cause"], kinds) == (row.cause, row.kinds), repair
    assert (repair["outcome"] in ("repaired", "applied"), applied["result"]) == (True, "applied"), repair
    assert applied["otherRulesSame"] is not False, repair
    guest.wait_for_agent("Ready")
    assert time.time() - guest.status()["secondsSinceUpload"] > began
    if repair["outcome"] == "applied":  # by then Azure did not show it, or the guest was too slow to be looked at
        told = guest.diagnose("vm1", *LOGIN[row.login])
    assert (scenario(told), cause(told)) == ("healthy", {}), told["verdict"]
    assert set(running) - set(lines(guest, RUNNING)) == set()
    if row.allow:
        assert (lines(guest, BOOT) != boot, lines(guest, FILES), lines(guest, CANARY)[-1]) == (True, files, canary[-1])
    else:
        after = lines(guest, RULES)
        gone, new = changes(was, after)
        assert_are(gone, row.gone)
        assert_are(new, row.new)
        # a reload of firewalld, which some faults take, flushes what others set
        theirs = [one for one in FOREIGN if any(one in line for line in was)]
        assert [one for one in theirs if not any(one in line for line in after)] == []
        assert (lines(guest, BOOT), lines(guest, CANARY)) == (boot, canary)
    keep(Result.of_repair(row, repair, seconds))


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.name)
def test_what_must_not_be_touched_is_left_alone(guest: Laboratory, row: Refusal) -> None:
    if row.fault:
        guest.lab("fault", row.fault)
    if row.silent:
        noticed(guest)
    if row.before:
        assert guest.az(*row.before).code == 0
    guest.lab("journal", "--clear")
    before = at_rest(guest) if row.inside else [guest.status()["power"]]

    told, _seconds = repair_of(guest, row.login, *row.allow)

    repair = told["repair"]
    assert repair["outcome"] == ("nothing-to-do" if row.code == "healthy" else "refused"), repair
    refusal = repair["plan"]["refusal"]
    assert refusal is not None, repair["plan"]
    assert (refusal["code"], repair["plan"]["actions"], repair["applied"]) == (row.code, [], None), repair
    said = "\n".join(f"{step['action']} {step['command']}" for step in refusal["nextSteps"][:1])
    assert row.step in said, refusal
    assert (lines(guest, STATE) if row.inside else [guest.status()["power"]]) == before
    asked = [one["path"] for one in arm_calls(guest.requests()) if one["method"] != "GET"]
    assert [path for path in asked if not path.partition("?")[0].endswith(_ONLY_READS)] == []
    keep(Result.of_refusal(row, told))
