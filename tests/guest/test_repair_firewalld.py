"""firewalld's rules: a ``firewall-cmd`` over files and the kernel's own iptables; the real one wants D-Bus and a daemon.

The real firewalld 1.3.3 was tried by hand with the same plans (direct, passthrough, policy, panic), as was ufw.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from azext_vmagent.repair.record import Result
from tests.guest.namespace import WIRE, lacking
from tests.guest.repairing import RepairGuest, act, repair_guest

pytestmark = [
    pytest.mark.this_machine,
    pytest.mark.skipif(bool(lacking()), reason=f"NOT TRIED against the kernel: lacking {lacking()}"),
]
#: one line of /run/fw/SCOPE for each rule; those of the runtime are in the kernel
FIREWALL_CMD = r"""
scope=runtime place=''
while [ $# -gt 0 ]; do
    case $1 in
        -q | --direct) ;;
        --permanent) scope=permanent ;;
        --zone=* | --policy=*) place="$1 " ;;
        --state) exit 0 ;;
        --get-all-* | --list-all-*) cat /run/fw/$scope; exit ;;
        --*-rich-rule=*) verb=${1%%-rich*} verb=${verb#--} line=$place${1#*=}; break ;;
        --*-rule) verb=${1%-rule} verb=${verb#--}; shift; line=$*; break ;;
        --*-passthrough) verb=${1%-passthrough} verb=${verb#--}; shift; line=$*; break ;;
        *) exit 2 ;;
    esac
    shift
done
kernel() {
    [ $scope = runtime ] || return 0
    case $line in
        *'port port="80"'*accept) iptables -w $1 OUTPUT $2 -d 168.63.129.16 -p tcp --dport 80 -j ACCEPT ;;
        *'port port="32526"'*accept) iptables -w $1 OUTPUT $2 -d 168.63.129.16 -p tcp --dport 32526 -j ACCEPT ;;
        *' drop') iptables -w $1 OUTPUT -d 168.63.129.16 -j DROP ;;
        'ipv4 filter OUTPUT '*) set -f; set -- $1 $line; iptables -w $1 OUTPUT "${6}" "${7}" "${8}" "${9}" ;;
        'ipv4 -t mangle -A'*) set -f; set -- $1 $line; iptables -w -t mangle $1 OUTPUT "$7" "$8" "$9" "${10}" ;;
    esac
}
case $verb in
    query) grep -qFx -- "$line" /run/fw/$scope ;;
    add) case $line in *accept) kernel -I 1 ;; *) kernel -A ;; esac && printf '%s\n' "$line" >>/run/fw/$scope ;;
    remove) kernel -D; grep -vFx -- "$line" /run/fw/$scope >/run/fw/new; cat /run/fw/new >/run/fw/$scope ;;
esac
"""
DIRECT = f"ipv4 filter OUTPUT 0 -d {WIRE}/32 -j DROP"
PASSTHROUGH = f"ipv4 -t mangle -A OUTPUT -d {WIRE}/32 -j DROP"
RICH = f'rule family="ipv4" destination address="{WIRE}/32" drop'
CASES = {
    "direct": (f"--direct --add-rule {DIRECT}", "firewalld-direct", DIRECT.split()),
    "passthrough": (f"--direct --add-passthrough {PASSTHROUGH}", "firewalld-passthrough", PASSTHROUGH.split()),
    "rich": (f"--zone=public '--add-rich-rule={RICH}'", "firewalld-rich", ["public", RICH]),
    "policy": (f"--policy=out '--add-rich-rule={RICH}'", "firewalld-policy", ["out", RICH]),
}


@pytest.fixture
def guest() -> Iterator[RepairGuest]:
    with repair_guest() as made:
        made.tool("firewall-cmd", FIREWALL_CMD)
        made.sh(
            "mkdir /run/fw; echo 'ipv4 filter OUTPUT 0 -d 10.1.1.1/32 -j DROP' | tee /run/fw/runtime >/run/fw/permanent"
        )
        made.sh("iptables -w -A OUTPUT -d 10.1.1.1 -j DROP")
        yield made


def kept(guest: RepairGuest) -> str:
    return guest.sh("cat /run/fw/runtime; echo; cat /run/fw/permanent")


@pytest.mark.parametrize("name", CASES)
def test_runtime_and_permanent_go_and_come_back(guest: RepairGuest, name: str) -> None:
    make, tool, words = CASES[name]
    guest.sh(f"firewall-cmd {make}; firewall-cmd --permanent {make}")
    before, saved = guest.rules(), kept(guest)
    assert guest.blocked()
    plan = act("remove-rule", tool, "both", *words)
    record = guest.repair(plan)
    assert (record.result, record.other_rules_same, guest.blocked()) == (Result.APPLIED, True, frozenset())
    assert WIRE not in kept(guest)
    assert "10.1.1.1" in kept(guest)
    assert guest.repair(plan).result is Result.NOTHING_TO_DO
    assert guest.undo().result is Result.UNDONE
    assert (guest.rules(), kept(guest)) == (before, saved)


def test_a_rule_that_only_comes_back_at_the_next_boot_goes_too(guest: RepairGuest) -> None:
    make, tool, words = CASES["direct"]
    guest.sh(f"firewall-cmd --permanent {make}")
    saved = kept(guest)
    assert guest.repair(act("remove-rule", tool, "both", *words)).result is Result.APPLIED
    assert WIRE not in kept(guest)
    guest.undo()
    assert kept(guest) == saved, "and only there it is put back"


def test_a_rule_that_changed_stops(guest: RepairGuest) -> None:
    make, tool, words = CASES["direct"]
    guest.sh(f"firewall-cmd {make.replace('OUTPUT 0', 'OUTPUT 1')}")
    before = guest.rules(), kept(guest)
    assert guest.repair(act("remove-rule", tool, "runtime", *words)).result is Result.CHANGED
    assert (guest.rules(), kept(guest)) == before


def test_a_firewalld_that_does_not_answer_is_no_licence(guest: RepairGuest) -> None:
    make, tool, words = CASES["direct"]
    guest.sh(f"firewall-cmd {make}")
    guest.tool("firewall-cmd", "exit 252")
    before = guest.rules()
    assert guest.repair(act("remove-rule", tool, "both", *words)).result is Result.FAILED
    assert guest.rules() == before


def test_a_policy_that_drops_gets_an_exception(guest: RepairGuest) -> None:
    guest.sh("iptables -w -A OUTPUT -p tcp -j REJECT")
    before, saved = guest.rules(), kept(guest)
    record = guest.repair(act("allow-wire-server", "firewalld-policy", "both", "out"))
    assert (record.result, record.other_rules_same, guest.blocked()) == (Result.APPLIED, True, frozenset())
    guest.undo()
    assert (guest.rules(), kept(guest)) == (before, saved)


#: what firewalld 1.3 puts there (core/nftables.py, build_set_policy_rules)
PANIC = """
nft add table inet firewalld_policy_drop
for hook in prerouting output; do
    nft "add chain inet firewalld_policy_drop raw_$hook { type filter hook $hook priority -291; policy drop; }"
done"""
PANIC_TOOL = """
case "$*" in
    *--query-panic) nft list table inet firewalld_policy_drop >/dev/null 2>&1 ;;
    *--panic-off) nft delete table inet firewalld_policy_drop; %s ;;
    *--state) exit 0 ;;
    *--get-all*|*--list-all*) ;;
    *) exit 2 ;;
esac"""
THEIRS = """
nft add table inet theirs; nft add chain inet theirs o '{ type filter hook output priority 5; }'
nft add rule inet theirs o ip daddr 10.2.2.2 drop"""


@pytest.mark.parametrize(
    ("more", "besides", "same"),
    [
        ("", "", True),
        ("nft add rule inet firewalld_policy_drop raw_output ip daddr 10.3.3.3 counter drop", "", False),
        ("", "nft flush chain inet theirs o", False),
        ("", "nft delete table inet theirs", False),
    ],
)
def test_panic_mode_takes_its_own_table_along_and_every_other_line_counts(
    guest: RepairGuest, more: str, besides: str, same: bool
) -> None:
    guest.tool("firewall-cmd", PANIC_TOOL % (besides or ":"))
    guest.sh(f"{THEIRS}\n{PANIC}\n{more}")
    assert guest.blocked()
    record = guest.repair(act("remove-rule", "firewalld-panic"))
    assert (record.result, record.other_rules_same) == (Result.APPLIED, same)
    assert guest.blocked() == frozenset()
