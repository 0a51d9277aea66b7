"""Several causes show in one log: the one named is what the repair begins with, and its effects are not listed."""

from __future__ import annotations

import time

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.reading import SERIAL_LOG
from azext_vmagent.flow import judge
from azext_vmagent.model import Answer, Evidence, State
from tests.causes.case import ASKED, TARGET

KERNEL = "[    0.000000] Linux version 5.14.0-427.el9.x86_64 (mockbuild@example) (gcc) #1 SMP"
MANY = {
    "dracut of EL6 gives up, and the kernel stops without init": (
        "B10",
        [
            'dracut Warning: Boot has failed. To debug this issue add "rdshell" to the kernel command line.',
            "Kernel panic - not syncing: Attempted to kill init!",
        ],
    ),
    "old boot scripts open a root shell, for fsck wants a person": (
        "B06",
        [
            "/: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.",
            "*fsck failed.  Please repair manually and reboot.  Please note",
            "root@(none):~# ",
        ],
    ),
    "the shell of a maintenance mode has no job control": (
        "B06",
        [
            "An automatic file system check (fsck) of the root filesystem failed.",
            "A maintenance shell will now be started.",
            "bash: no job control in this shell",
            "root@vm:~# ",
        ],
    ),
    "the volume with the key of an encrypted disk cannot be mounted": (
        "B33",
        ["[FAILED] Failed to mount /bek.", "See 'systemctl status bek.mount' for details."],
    ),
    "a mount waits for the check that failed: its disk is there": (
        "B06",
        [
            "[FAILED] Failed to start systemd-fsck@dev-sdc1.service - File System Check on /dev/sdc1.",
            "[DEPEND] Dependency failed for data.mount - /data.",
            "[DEPEND] Dependency failed for local-fs.target - Local File Systems.",
            "You are in emergency mode. After logging in, type",
        ],
    ),
    "the check of the root file system failed in the guest's own systemd": (
        "B06",
        [
            "[FAILED] Failed to start systemd-fsck-root.service - File System Check on Root Device.",
            "[DEPEND] Dependency failed for Local File Systems.",
            "You are in emergency mode. After logging in, type",
        ],
    ),
    "the firmware refuses a loader, then finds nothing else": (
        "B18",
        [
            'BdsDxe: failed to load Boot0001 "UEFI Misc Device" from VenHw(1): Access Denied',
            "BdsDxe: No bootable option or device was found.",
        ],
    ),
    "mkinitcpio does not find the root file system": (
        "B11",
        [
            "mount: /new_root: can't find UUID=0b6a.",
            "ERROR: Failed to mount 'UUID=0b6a' on real root",
            "You are now being dropped into an emergency shell.",
        ],
    ),
}


@pytest.mark.parametrize("name", MANY)
def test_the_cause_that_the_repair_begins_with_is_named(name: str):
    code, lines = MANY[name]
    log = "\r\n".join([KERNEL, *lines]).encode()
    evidence = Evidence(TARGET, ASKED, {SERIAL_LOG: Answer(SERIAL_LOG, State.OK, "", log)})
    verdict = judge(evidence, Wish(), time.monotonic()).verdict
    assert verdict.cause is not None
    assert verdict.cause.code == code
    assert verdict.other_causes == ()
