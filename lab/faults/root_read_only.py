"""The root file system became read-only, as the kernel does after an error."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, restart_agent

SUMMARY = "the root file system is read-only"


def inject(vm: LabVm) -> None:
    """Remount it by sysrq, which asks no writer, and restart the agent."""
    as_root(vm, "sync; echo u >/proc/sysrq-trigger; until grep -q ' / ext4 ro' /proc/mounts; do sleep 0.1; done")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Remount it."""
    as_root(vm, "mount -o remount,rw /")
    restart_agent(vm)
