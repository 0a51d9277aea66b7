"""Scenario 4 with the cloud's default: the same bad line in /etc/fstab, and a root that nobody can log in as."""

from lab.arm.vm import LabVm
from lab.faults import fstab_emergency
from lab.faults._in_guest import as_root

SUMMARY = "a bad line in /etc/fstab, and root is locked: nobody can log in where the boot stops"


def inject(vm: LabVm) -> None:
    """Lock root, add the line, reboot."""
    as_root(vm, "passwd -l root")
    fstab_emergency.inject(vm)


def heal(vm: LabVm) -> None:
    """Unlock root, take the line out again and reboot."""
    as_root(vm, "mount -o remount,rw / && passwd -u root", 180)
    fstab_emergency.heal(vm)
