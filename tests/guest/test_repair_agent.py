"""The agent's service, its files and its package put right; ``systemctl`` is a stub over files, the worker a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from azext_vmagent.repair.record import Result
from tests.guest.namespace import lacking
from tests.guest.repairing import RepairGuest, act, repair_guest

pytestmark = [
    pytest.mark.this_machine,
    pytest.mark.skipif(bool(lacking()), reason=f"NOT TRIED in a namespace: lacking {lacking()}"),
]
UNIT = "walinuxagent.service"
#: a unit is a folder of properties; what it starts is a python whose command line is the worker's
SYSTEMCTL = r"""
unit=/run/unit
property() { cat "$unit/$1" 2>/dev/null; }
begin() {
    [ "$(property LoadState)" = loaded ] || exit 1
    echo active >$unit/ActiveState
    [ -e $unit/dies ] || {
        setsid python3 -c 'import time; time.sleep(120)' waagent -run-exthandlers >/dev/null 2>&1 </dev/null &
        echo $! >$unit/MainPID
    }
}
end() { [ "$(property MainPID)" = 0 ] || kill -9 "$(property MainPID)" 2>/dev/null; echo inactive >$unit/ActiveState; echo 0 >$unit/MainPID; }
echo "$*" >>/run/asked
for last; do :; done
while :; do case $1 in -q | --no-block | --runtime) shift ;; *) break ;; esac; done
[ "$1" = daemon-reload ] && exit
[ "$1" = is-active ] || [ "$last" = walinuxagent.service ] || exit 4
case $1 in
    show) for word; do case $word in show | -p | -- | *.service) ;; *) echo "$word=$(property "$word")" ;; esac; done ;;
    start) begin ;;
    stop) end ;;
    restart) end; begin ;;
    enable) echo enabled >$unit/UnitFileState ;;
    disable) echo disabled >$unit/UnitFileState ;;
    mask) echo masked >$unit/UnitFileState; echo masked >$unit/LoadState ;;
    unmask) echo disabled >$unit/UnitFileState; echo loaded >$unit/LoadState ;;
    reset-failed) echo inactive >$unit/ActiveState; echo success >$unit/Result ;;
    thaw) echo running >$unit/FreezerState ;;
    freeze) echo frozen >$unit/FreezerState ;;
    kill) kill "-$3" "$(property MainPID)" ;;
    *) exit 3 ;;
esac
"""


@pytest.fixture
def guest() -> Iterator[RepairGuest]:
    with repair_guest() as made:
        made.tool("systemctl", SYSTEMCTL)
        made.sh("""
            mkdir -p /run/unit /var/lib/waagent
            cd /run/unit
            echo loaded >LoadState; echo inactive >ActiveState; echo enabled >UnitFileState; echo success >Result
            echo 0 >MainPID; echo running >FreezerState
        """)
        yield made
        made.run("sh", f"systemctl stop {UNIT}")


def unit(guest: RepairGuest, *properties: str) -> list[str]:
    return [guest.sh(f"cat /run/unit/{name}").strip() for name in properties]


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_a_stopped_agent_is_started_and_its_worker_seen(guest: RepairGuest, shell: str) -> None:
    record = guest.repair(act("start-agent", UNIT), shell=shell)
    assert record.result is Result.APPLIED
    assert "active, worker" in record.steps[-1].detail
    assert record.wire == (), "the network was not this plan's business"
    assert guest.repair(act("start-agent", UNIT), shell=shell).result is Result.NOTHING_TO_DO
    assert guest.undo(shell).result is Result.UNDONE
    assert unit(guest, "ActiveState") == ["inactive"]


def test_an_agent_that_does_not_stay_is_not_called_repaired(guest: RepairGuest) -> None:
    guest.sh("touch /run/unit/dies")
    guest.tool("sleep", "exec /bin/sleep 0.05")
    record = guest.repair(act("start-agent", UNIT))
    assert (record.result, record.outcome(1, "verify")) == (Result.FAILED, "failed")
    assert "no lasting worker" in record.steps[-1].detail


def test_masked_disabled_and_stopped_in_one_plan(guest: RepairGuest) -> None:
    guest.sh("cd /run/unit; echo masked >LoadState; echo masked >UnitFileState")
    plan = (act("unmask-agent", UNIT), act("enable-agent", UNIT), act("start-agent", UNIT))
    record = guest.repair(*plan)
    assert record.result is Result.APPLIED
    assert unit(guest, "LoadState", "UnitFileState", "ActiveState") == ["loaded", "enabled", "active"]
    assert guest.repair(*plan).result is Result.NOTHING_TO_DO
    assert guest.undo().result is Result.UNDONE
    assert unit(guest, "LoadState", "UnitFileState", "ActiveState") == ["masked", "masked", "inactive"]


def test_a_start_limit_is_reset_before_the_start(guest: RepairGuest) -> None:
    guest.sh("cd /run/unit; echo failed >ActiveState; echo start-limit-hit >Result")
    record = guest.repair(act("reset-start-limit", UNIT), act("start-agent", UNIT))
    assert record.result is Result.APPLIED
    assert unit(guest, "ActiveState", "Result") == ["active", "success"]


@pytest.mark.parametrize("how", ["echo frozen >/run/unit/FreezerState", "kill -STOP $(cat /run/unit/MainPID)"])
def test_a_frozen_or_stopped_agent_goes_on(guest: RepairGuest, how: str) -> None:
    guest.sh(f"systemctl start {UNIT}")
    guest.wait_for("grep -q run-exthandlers /proc/$(cat /run/unit/MainPID)/cmdline")
    guest.sh(how)
    if "STOP" in how:
        guest.wait_for("grep -q '^State:.T' /proc/$(cat /run/unit/MainPID)/status")
    record = guest.repair(act("thaw-agent", UNIT))
    assert record.result is Result.APPLIED
    assert guest.repair(act("thaw-agent", UNIT)).result is Result.NOTHING_TO_DO


def test_a_restart_now_is_proven_by_another_process(guest: RepairGuest) -> None:
    guest.sh(f"systemctl start {UNIT}")
    [pid] = unit(guest, "MainPID")
    plan = act("restart-agent", UNIT, "now", pid)
    assert guest.repair(plan).result is Result.APPLIED
    assert unit(guest, "MainPID") != [pid]
    assert guest.repair(plan).result is Result.NOTHING_TO_DO, "it is not the process of the diagnosis any more"


def test_a_detached_restart_comes_after_the_answer(guest: RepairGuest) -> None:
    guest.sh(f"systemctl start {UNIT}")
    [pid] = unit(guest, "MainPID")
    record = guest.repair(act("restart-agent", UNIT, "detached", pid))
    assert (record.result, record.outcome(1, "verify")) == (Result.APPLIED, "skipped")
    assert unit(guest, "MainPID") == [pid]
    guest.wait_for(f'[ "$(cat /run/unit/MainPID)" != {pid} ] && [ "$(cat /run/unit/MainPID)" != 0 ]')


def test_systemd_carries_a_detached_restart_where_it_can(guest: RepairGuest) -> None:
    guest.tool("systemd-run", 'echo "systemd-run $*" >>/run/asked')
    guest.repair(act("restart-agent", UNIT, "detached", "-"))
    [asked] = [line for line in guest.sh("cat /run/asked").split("\n") if line.startswith("systemd-run")]
    assert "--on-active=10" in asked
    assert asked.endswith(f"systemctl restart -- {UNIT}")


def test_disable_agent_is_removed_and_put_back_as_it_was(guest: RepairGuest) -> None:
    file = "/var/lib/waagent/disable_agent"
    guest.sh(f"echo ours >{file}; chmod 640 {file}; touch -d 2024-01-02 {file}")
    before = guest.sh(f"stat -c '%a %u %Y %s' {file}")
    assert guest.repair(act("remove-disable-file")).result is Result.APPLIED
    assert guest.sh(f"[ -e {file} ] && echo yes || echo no") == "no\n"
    assert guest.repair(act("remove-disable-file")).result is Result.NOTHING_TO_DO
    guest.undo()
    assert guest.sh(f"stat -c '%a %u %Y %s' {file}; cat {file}") == f"{before}ours\n"


def test_an_executable_bit_comes_back(guest: RepairGuest) -> None:
    guest.sh(
        "mount -t tmpfs agent /usr/local; mkdir /usr/local/sbin; : >/usr/local/sbin/waagent; chmod 640 /usr/local/sbin/waagent"
    )
    plan = act("restore-executable", "/usr/local/sbin/waagent")
    assert guest.repair(plan).result is Result.APPLIED
    assert guest.sh("stat -c %a /usr/local/sbin/waagent") == "751\n"
    assert guest.repair(plan).result is Result.NOTHING_TO_DO
    guest.undo()
    assert guest.sh("stat -c %a /usr/local/sbin/waagent") == "640\n"


def test_a_file_of_another_user_is_not_made_executable(guest: RepairGuest) -> None:
    guest.sh(
        "mount -t tmpfs agent /usr/local; mkdir /usr/local/sbin; : >/usr/local/sbin/waagent; chown 1000 /usr/local/sbin/waagent; chmod 640 /usr/local/sbin/waagent"
    )
    assert guest.repair(act("restore-executable", "/usr/local/sbin/waagent")).result is Result.CHANGED


def test_without_a_unit_nothing_is_tried(guest: RepairGuest) -> None:
    guest.sh("echo not-found >/run/unit/LoadState")
    assert guest.repair(act("start-agent", UNIT)).result is Result.CHANGED
