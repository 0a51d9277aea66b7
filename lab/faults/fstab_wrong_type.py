"""Scenario 4: a line of /etc/fstab names a disk that is there with a file system that it does not hold."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "a line in /etc/fstab with the wrong type of file system: the guest boots into emergency mode"

_LINE = "/dev/vda\t/data\txfs\tdefaults\t0 0  # the data disk"


def inject(vm: LabVm) -> None:
    """Add the line and reboot."""
    as_root(vm, f"mkdir -p /data && printf '{_LINE}\\n' >>/etc/fstab && sync && systemctl --no-block reboot")


def heal(vm: LabVm) -> None:
    """Take the line out again and reboot."""
    as_root(vm, "mount -o remount,rw / && sed -i '/the data disk/d' /etc/fstab && sync", 180)
    vm.guest.restart()
