"""``/var`` is mounted noexec: the agent is well, its extensions cannot be started."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "/var is mounted noexec"


def inject(vm: LabVm) -> None:
    """Mount it so."""
    as_root(vm, "mount --bind /var /var && mount -o remount,bind,noexec /var")


def heal(vm: LabVm) -> None:
    """Take that mount away."""
    as_root(vm, "umount -l /var")
