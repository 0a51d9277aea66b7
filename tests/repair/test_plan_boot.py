"""A boot that stopped in a maintenance shell: what is planned there, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_vmagent.facts.boot_stop import parse_boot_stop
from azext_vmagent.facts.reading import SERIAL_CONSOLE
from azext_vmagent.model import Scenario
from azext_vmagent.report.repaired import undo_command
from tests.facts.test_boot_stop import RECORDED
from tests.repair.case import diagnosis, planned, refused, steps
from tests.verdict.build import EMERGENCY, NOT_READY, facts

STOPPED = replace(parse_boot_stop(RECORDED))
LINE = STOPPED.stopping[0]
LOCKED = b"[    0.000000] Linux version 6.1\r\n[ TIME ] Timed out waiting for device dev-sdc1.device - /dev/sdc1.\r\n[DEPEND] Dependency failed for data.mount - /data.\r\nCannot open access to console, the root account is locked.\r\nSee sulogin(8) man page for more details.\r\n\r\nPress Enter to continue.\r\n"


def stopped(**changed):
    return facts(vm=NOT_READY, serial=EMERGENCY, stopped=replace(STOPPED, **changed))


def test_the_line_alone_is_made_harmless_and_the_boot_goes_on():
    found = planned(stopped())
    assert steps(found) == [("fstab-line-harmless", "2", LINE.text, "/data"), ("continue-boot",)]
    assert found.channel == SERIAL_CONSOLE
    assert (
        "nofail to line 2 of /etc/fstab (UUID=5f3b1d2e-0000-4000-8000-00000badf00d is not there)"
        in found.actions[0].change
    )


def test_the_verdict_rests_on_the_console_and_on_the_look():
    verdict = diagnosis(stopped()).verdict
    assert verdict.scenario is Scenario.OS_NOT_RUNNING
    (seen,) = [reason for reason in verdict.because if reason.channel == SERIAL_CONSOLE]
    assert (seen.source, seen.line, seen.excerpt) == ("/etc/fstab", 2, LINE.text)


def test_two_lines_are_two_changes_and_one_boot():
    second = replace(LINE, number=3, text="/dev/sdd1 /data/more ext4 defaults 0 2", mount="/data/more")
    assert [kind for kind, *_ in steps(planned(stopped(lines=(LINE, second))))] == [
        "fstab-line-harmless", "fstab-line-harmless", "continue-boot",
    ]  # fmt: skip


@pytest.mark.parametrize("mount", ["/", "/usr", "/var", "/var/lib", "/boot", "/boot/efi", "/etc"])
def test_what_the_system_needs_is_not_touched_nor_anything_beside_it(mount: str):
    needed = replace(LINE, number=3, text=f"/dev/sdd1 {mount} ext4 defaults 0 2", mount=mount)
    assert refused(planned(stopped(lines=(LINE, needed)))) == "needed-mount"


@pytest.mark.parametrize("mount", ["/var/log", "/home", "/srv/data", "/bootstrap"])
def test_what_others_keep_on_a_disk_of_their_own_may_be_missing(mount: str):
    line = replace(LINE, text=f"/dev/sdd1 {mount} ext4 defaults 0 2", mount=mount)
    assert steps(planned(stopped(lines=(line,))))[0][3] == mount


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"whole": False}, "answer-not-whole"),
        ({"root": False}, "not-root"),
        ({"stage": ""}, "not-root"),
        ({"writable": False}, "root-file-system"),
        ({"failed": ("systemd-fsck-root.service",)}, "root-file-system"),
        ({"plain": False}, "fstab-not-plain"),
        ({"lines": ()}, "no-safe-cure"),
        (
            {"lines": (replace(LINE, text="/dev/sdc1 /my\\040data ext4 defaults 0 2", mount="/my\\040data"),)},
            "needed-mount",
        ),
    ],
)
def test_it_is_refused_where_the_look_does_not_bear_it(changed, code):
    assert refused(planned(stopped(**changed))) == code


def test_without_a_login_the_command_that_logs_in_is_named():
    found = planned(facts(vm=NOT_READY, serial=EMERGENCY))
    assert refused(found) == "emergency-shell"
    assert found.refusal.next_steps[0].command.endswith("--console-user root --repair")


def test_with_root_locked_the_offline_repair_comes_first():
    from azext_vmagent.causes.catalogue import serial_signatures
    from azext_vmagent.facts.serial_log import parse_serial_log

    found = planned(facts(vm=NOT_READY, serial=parse_serial_log(LOCKED, serial_signatures())))
    assert refused(found) == "root-locked"
    assert "repair-button" in found.refusal.next_steps[0].command
    assert "--button-command fstab" in found.refusal.next_steps[0].command


def test_the_command_that_undoes_goes_through_the_console_again():
    before = diagnosis(stopped())
    wish = replace(before.wish, ssh_user=None, console_user="root")
    assert undo_command(replace(before, wish=wish)).endswith("--serial-console always --console-user root --undo")
