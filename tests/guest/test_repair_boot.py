"""A line of /etc/fstab that stops a boot: looked at, made harmless alone, and had back as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from azext_vmagent.facts.boot_stop import parse_boot_stop
from azext_vmagent.guest import emergency_script
from azext_vmagent.repair.record import Result
from tests.guest.namespace import lacking
from tests.guest.repairing import RepairGuest, act, repair_guest

pytestmark = [
    pytest.mark.this_machine,
    pytest.mark.skipif(bool(lacking()), reason=f"NOT TRIED in a namespace: lacking {lacking()}"),
]
TEXT = "UUID=0-0 /data ext4 defaults,comment=$(touch${IFS}/run/pwned) 0 2 # `reboot`"
LINE = act("fstab-line-harmless", "3", TEXT, "/data")
GO_ON = act("continue-boot")
FSTAB = r"""# static file system information
/dev/sda1 / ext4 defaults 0 1
  UUID=0-0	/data	ext4	defaults,comment=$(touch${IFS}/run/pwned)  0 2	# `reboot`
/dev/sdz1 /other xfs defaults,nofail 0 0
"""
#: systemd as the fstab generator leaves it: /data is required until its line has nofail
SYSTEMCTL = """
required=local-fs.target
grep -q 'pwned),nofail' /etc/fstab && required=
case $* in
    '-q is-active emergency.service') ;;
    'is-active emergency.service') echo active ;;
    *is-active*) exit 3 ;;
    *list-units*) echo 'data.mount loaded failed failed /data' ;;
    *show*'-- data.mount') echo ActiveState=inactive; echo Result=success; echo "RequiredBy=$required" ;;
    *show*) echo ActiveState=active; echo Result=success; echo RequiredBy=local-fs.target ;;
esac"""
STEPS = ("prechecked", "prechecked+", "backed-up", "backed-up+", "applying 1", "applying 1+", "applied 1", "applied 1+",
         "verified")  # fmt: skip


@pytest.fixture
def guest() -> Iterator[RepairGuest]:
    with repair_guest() as made:
        made.sh("mkdir /run/etc && cp -a /etc/. /run/etc && mount --bind /run/etc /etc && chmod 640 /etc/fstab || true")
        made.sh(f"cat >/etc/fstab <<'END_OF_FSTAB'\n{FSTAB}END_OF_FSTAB\nchmod 640 /etc/fstab")
        made.tool("systemctl", SYSTEMCTL)
        made.tool("systemd-escape", 'for last; do :; done; echo "$(echo "$last" | cut -c 2- | tr / -).mount"')
        made.tool("findfs", "exit 1")
        yield made


def fstab(guest: RepairGuest) -> str:
    return guest.sh("cat /etc/fstab; stat -c %a /etc/fstab; ls /etc/fstab*; ls /run/pwned 2>/dev/null || true")


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_the_look_names_the_line_for_which_the_boot_stopped(guest: RepairGuest, shell: str) -> None:
    before = fstab(guest)
    found = parse_boot_stop(guest.run(shell, emergency_script()).stdout)
    assert (found.whole, found.root, found.stage, found.failed) == (True, True, "emergency", ("data.mount",))
    assert [(line.number, line.text, line.device) for line in found.stopping] == [(3, TEXT, "absent")]
    assert fstab(guest) == before


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_nofail_is_added_to_that_line_alone_and_taken_back(guest: RepairGuest, shell: str) -> None:
    before = fstab(guest)
    assert guest.repair(LINE, GO_ON, shell=shell).result is Result.APPLIED
    assert fstab(guest) == before.replace("pwned)", "pwned),nofail")
    assert guest.repair(LINE, GO_ON, shell=shell).outcome(1, "precheck") == "skipped"
    assert guest.undo(shell).result is Result.UNDONE
    assert fstab(guest) == before


def test_a_line_that_no_longer_reads_so_is_left_alone(guest: RepairGuest) -> None:
    guest.sh("sed -i 1d /etc/fstab")
    before = fstab(guest)
    assert guest.repair(LINE, GO_ON).result is Result.CHANGED
    assert fstab(guest) == before


@pytest.mark.parametrize("mount", ["/", "/var", "/boot/efi", "/usr"])
def test_what_the_system_needs_is_refused_in_the_guest_as_well(guest: RepairGuest, mount: str) -> None:
    before = fstab(guest)
    assert guest.repair(act("fstab-line-harmless", "2", "/dev/sda1 / ext4 defaults 0 1", mount)).result is Result.FAILED
    assert fstab(guest) == before


def test_a_link_in_its_place_is_left_alone(guest: RepairGuest) -> None:
    guest.sh("mv /etc/fstab /etc/fstab.real; ln -s fstab.real /etc/fstab")
    before = fstab(guest)
    assert guest.repair(LINE, GO_ON).result is Result.CHANGED
    assert fstab(guest) == before


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_a_second_run_goes_on_and_undo_reverts_it(guest: RepairGuest, step: str) -> None:
    before = fstab(guest)
    guest.killed([LINE], step)
    assert guest.repair(LINE).result in (Result.APPLIED, Result.NOTHING_TO_DO)
    assert fstab(guest) == before.replace("pwned)", "pwned),nofail")
    assert guest.undo().result is Result.UNDONE
    assert fstab(guest) == before


def test_lines_that_others_added_since_stay_when_it_is_taken_back(guest: RepairGuest) -> None:
    assert guest.repair(LINE).result is Result.APPLIED
    guest.sh("sed -i '1i # by somebody else' /etc/fstab")
    assert guest.undo().result is Result.UNDONE
    assert guest.sh("cat /etc/fstab") == f"# by somebody else\n{FSTAB}"
