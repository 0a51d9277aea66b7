"""The root file system hangs: the kernel and what is in memory go on, whoever writes to the disk waits for ever.

The kernel says so on the console after 10 s here, not 120.
"""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "the root file system hangs: nothing that writes to it goes on"


def inject(vm: LabVm) -> None:
    """Freeze it. The door writes to /run only, so it still answers."""
    as_root(vm, "echo 10 >/proc/sys/kernel/hung_task_timeout_secs; sync; fsfreeze -f /")


def heal(vm: LabVm) -> None:
    """Thaw it: all that waited goes on."""
    as_root(vm, "fsfreeze -u /; echo 120 >/proc/sys/kernel/hung_task_timeout_secs")
