"""A repair that was killed, two at once, the watchdog, a lock that nobody holds any more: never half done without a way back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from azext_vmagent.repair.record import Result, parse_record
from azext_vmagent.repair.script import plan_id, repair_script, undo_script
from tests.guest.namespace import WIRE, lacking
from tests.guest.repairing import BASE, RepairGuest, act, repair_guest

pytestmark = [
    pytest.mark.this_machine,
    pytest.mark.skipif(bool(lacking()), reason=f"NOT TRIED against the kernel: lacking {lacking()}"),
]
TEXT = f"-A OUTPUT -d {WIRE}/32 -p tcp -m tcp --dport {{}} -j REJECT --reject-with icmp-port-unreachable"
FIRST, SECOND = (
    act("remove-rule", "iptables", "iptables", "filter", "OUTPUT", at, TEXT.format(port))
    for at, port in (("2", 80), ("4", 32526))
)
OTHER = act("remove-route", "blackhole", WIRE)
STEPS = ("prechecked", "prechecked+", "backed-up", "backed-up+", "applying 1", "applying 1+", "applied 1", "applied 1+",
         "applying 2", "applying 2+", "applied 2", "applied 2+", "verified")  # fmt: skip


@pytest.fixture
def guest() -> Iterator[RepairGuest]:
    with repair_guest() as made:
        made.sh(f"""
            iptables -w -A OUTPUT -d 10.1.1.1 -j DROP
            iptables -w -A OUTPUT -d {WIRE} -p tcp --dport 80 -j REJECT
            iptables -w -A OUTPUT -d 10.1.1.2 -j DROP
            iptables -w -A OUTPUT -d {WIRE} -p tcp --dport 32526 -j REJECT
            iptables -w -A OUTPUT -d 10.1.1.3 -j DROP
        """)
        yield made


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_a_second_run_goes_on_and_undo_reverts_it(guest: RepairGuest, step: str) -> None:
    before = guest.rules()
    guest.killed([FIRST, SECOND], step)
    record = guest.repair(FIRST, SECOND)
    assert (record.result, record.other_rules_same) == (Result.APPLIED, True)
    assert guest.blocked() == frozenset()
    assert guest.undo().result is Result.UNDONE
    assert guest.rules() == before


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_undo_alone_reverts_it(guest: RepairGuest, step: str) -> None:
    before = guest.rules()
    guest.killed([FIRST, SECOND], step)
    begun = guest.rules() != before
    result = guest.undo().result
    assert result in ((Result.UNDONE,) if begun else (Result.UNDONE, Result.NOTHING_TO_DO))
    assert guest.rules() == before
    assert guest.repair(FIRST, SECOND).result is Result.APPLIED


@pytest.mark.parametrize("step", ["applying 1+", *STEPS[6:]])
def test_killed_after_it_began_it_is_gone_on_with_from_the_record_alone(guest: RepairGuest, step: str) -> None:
    """Nothing of the plan is sent again: the guest has kept it."""
    before = guest.rules()
    guest.killed([FIRST, SECOND], step)
    look = guest.look()
    assert look.last_repair is not None
    assert (look.last_repair.broken_off, look.repairing) == (True, None)
    record = guest.resume()
    assert (record.result, record.other_rules_same, record.resumed) == (Result.APPLIED, True, True)
    assert guest.blocked() == frozenset()
    looked = guest.look().last_repair
    assert looked is not None
    assert (looked.repair, looked.state, looked.plan) == (record.repair, "verified", plan_id([FIRST, SECOND]))
    again = guest.resume()
    assert (again.result, again.last and again.last.state) == (Result.NOTHING_TO_DO, "verified")
    assert guest.undo().result is Result.UNDONE
    assert guest.rules() == before


def test_nothing_is_gone_on_with_where_nothing_was_begun(guest: RepairGuest) -> None:
    before = guest.rules()
    assert guest.resume().result is Result.NOTHING_TO_DO
    assert guest.look().last_repair is None
    assert guest.rules() == before


def test_what_the_watchdog_takes_back_meanwhile_is_not_gone_on_with(guest: RepairGuest) -> None:
    before = guest.rules()
    guest.killed([FIRST, SECOND], "applied 2+", watchdog=1)
    guest.wait_for(f"grep -qx reverted {BASE}/repairs/*/state")
    record = guest.resume()
    assert (record.result, record.last and record.last.state) == (Result.NOTHING_TO_DO, "reverted")
    assert guest.rules() == before


def test_the_same_plan_again_tells_when_it_was_applied(guest: RepairGuest) -> None:
    guest.repair(FIRST, SECOND)
    record = guest.repair(FIRST, SECOND)
    assert (record.result, record.resumed) == (Result.NOTHING_TO_DO, False)
    assert record.last is not None
    assert (record.last.plan, record.last.state) == (plan_id([FIRST, SECOND]), "verified")


@pytest.mark.parametrize("step", ["undone 2", "undone 2+", "undone 1+"])
@pytest.mark.parametrize("killed_before", [False, True])
def test_an_undo_that_was_killed_is_finished_by_a_second_one(
    guest: RepairGuest, step: str, killed_before: bool
) -> None:
    before = guest.rules()
    if killed_before:
        guest.killed([FIRST, SECOND], "applied 2+")
    else:
        guest.repair(FIRST, SECOND)
    guest.killed_while(undo_script(), step)
    assert guest.undo().result is Result.UNDONE
    assert guest.rules() == before


def test_a_repair_after_an_undo_that_was_killed_begins_anew(guest: RepairGuest) -> None:
    before = guest.rules()
    guest.killed([FIRST, SECOND], "applied 2+")
    guest.killed_while(undo_script(), "undone 2+")
    assert guest.repair(FIRST, SECOND).result is Result.APPLIED
    assert guest.blocked() == frozenset()
    assert guest.undo().result is Result.UNDONE
    assert guest.rules() == before


@pytest.mark.parametrize("step", ["applied 1+", "applied 2+"])
def test_killed_between_apply_and_verify_the_watchdog_takes_it_back(guest: RepairGuest, step: str) -> None:
    before = guest.rules()
    guest.killed([FIRST, SECOND], step, watchdog=2)
    assert guest.rules() != before
    guest.wait_for(f"grep -qx reverted {BASE}/repairs/*/state")
    assert guest.rules() == before
    assert guest.undo().result is Result.UNDONE, "nothing is left to take back"
    assert guest.rules() == before
    assert guest.repair(FIRST, SECOND).result is Result.APPLIED


def test_after_verify_the_watchdog_does_nothing(guest: RepairGuest) -> None:
    assert guest.repair(FIRST, SECOND, watchdog=2).result is Result.APPLIED
    after = guest.rules()
    time.sleep(3)
    assert guest.rules() == after
    assert guest.blocked() == frozenset()
    assert guest.state([FIRST, SECOND])[-1] == "verified"


def test_systemd_keeps_the_watchdog_where_it_can(guest: RepairGuest) -> None:
    """A run command's own processes may be ended with it."""
    guest.tool("systemd-run", 'echo "$*" >>/run/asked')
    guest.sh("mkdir -p /run/systemd/system")
    guest.killed([FIRST, SECOND], "applied 1+", watchdog=45)
    [asked] = guest.sh("cat /run/asked").split("\n")[:-1]
    assert asked.startswith("--quiet --on-active=45 ")
    program = asked.partition(" /bin/sh ")[2]
    assert program == f"{guest.sh(f'ls -d {BASE}/repairs/*').strip()}/program watchdog 1"
    before = guest.rules()
    guest.sh(f"/bin/sh {program}")
    assert guest.rules() != before, "what systemd would start takes it back"
    assert guest.blocked() == frozenset({80, 32526})


def test_the_watchdog_of_a_killed_run_does_not_act_on_the_second(guest: RepairGuest) -> None:
    guest.killed([FIRST, SECOND], "applied 2+", watchdog=3)
    assert guest.repair(FIRST, SECOND).result is Result.APPLIED
    time.sleep(3.5)
    assert guest.blocked() == frozenset()


def test_another_plan_settles_what_a_killed_run_left(guest: RepairGuest) -> None:
    """Half a change that does not help is taken back before the next plan begins; one that helps stays."""
    guest.sh(f"ip route add blackhole {WIRE}")
    before = guest.rules()
    guest.killed([FIRST], "applied 1+")
    record = guest.repair(OTHER)
    assert record.earlier.endswith("reverted")
    assert record.result is Result.REVERTED, "the rules of iptables still stand"
    assert guest.rules() == before
    guest.sh(f"ip route del blackhole {WIRE}")
    guest.killed([FIRST, SECOND], "applied 2+")
    record = guest.repair(OTHER)
    assert (record.earlier.endswith("kept"), record.result) == (True, Result.NOTHING_TO_DO)
    assert guest.blocked() == frozenset()


def test_two_at_once_one_does_it_and_the_other_says_so(guest: RepairGuest) -> None:
    before = guest.rules()
    running = [guest.start(repair_script([FIRST, SECOND])) for _ in range(4)]
    records = [parse_record(process.communicate(timeout=60)[0]) for process in running]
    results = sorted(record.result.value for record in records)
    assert results.count("applied") == 1
    assert set(results) <= {"applied", "locked", "nothing-to-do"}
    assert "locked" in results
    assert guest.blocked() == frozenset()
    guest.undo()
    assert guest.rules() == before
    assert guest.sh(f"ls {BASE}").split() == ["last", "repairs"], "no lock is left"


@pytest.mark.parametrize(
    "content",
    [
        "999999 $(cat /proc/sys/kernel/random/boot_id) 1",
        "1 another-boot 2",
        "1 $(cat /proc/sys/kernel/random/boot_id) 99999999999",
    ],
)
def test_a_lock_that_nobody_holds_is_taken(guest: RepairGuest, content: str) -> None:
    guest.sh(f"mkdir -p {BASE}; echo {content} >{BASE}/lock")
    assert guest.repair(FIRST, SECOND).result is Result.APPLIED


def test_a_lock_that_is_held_is_respected(guest: RepairGuest) -> None:
    before = guest.rules()
    guest.sh(f"""
        mkdir -p {BASE}
        sleep 30 >/dev/null 2>&1 &
        echo $! $(cat /proc/sys/kernel/random/boot_id) $(sed 's/.*) //' /proc/$!/stat | cut -d ' ' -f 20) >{BASE}/lock
        echo $! >/run/holder
    """)
    record = guest.repair(FIRST, SECOND)
    assert record.result is Result.LOCKED
    assert record.locked_by is not None
    assert (str(record.locked_by.pid), record.locked_by.who) == (guest.sh("cat /run/holder").strip(), "root")
    assert guest.look().repairing == record.locked_by
    assert guest.rules() == before
    guest.sh("kill $(cat /run/holder)")
    assert guest.repair(FIRST, SECOND).result is Result.APPLIED


def test_where_nothing_can_be_saved_nothing_is_changed(guest: RepairGuest) -> None:
    before = guest.rules()
    guest.sh("mount -o remount,ro /var/lib")
    assert guest.repair(FIRST, SECOND).result is Result.NO_PLACE
    assert guest.rules() == before


def test_a_full_disk_stops_before_anything_is_changed(guest: RepairGuest) -> None:
    before = guest.rules()
    guest.sh("mount -t tmpfs -o size=4k,nr_inodes=40 small /var/lib")
    assert guest.repair(FIRST, SECOND).result in (Result.NO_PLACE, Result.FAILED)
    assert guest.rules() == before


def test_the_record_is_for_root_alone(guest: RepairGuest) -> None:
    guest.repair(FIRST, SECOND)
    assert guest.sh(f"stat -c '%u %a' {BASE}") == "0 700\n"
    assert guest.sh(f"find {BASE} -perm /077 ! -type d | head -n 3") == ""


def test_a_channel_that_is_lost_does_not_end_it_half_way(guest: RepairGuest) -> None:
    process = guest.start(repair_script([FIRST, SECOND]))
    assert process.stdout is not None
    process.stdout.close()
    process.wait(60)
    assert guest.state([FIRST, SECOND])[-1] == "verified"
    assert guest.blocked() == frozenset()
