"""Scenario 4 of the article: a mount that does not exist in /etc/fstab, then a reboot into emergency mode.

The wait for the device is 10 s here, not systemd's 90.
"""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "a bad line in /etc/fstab: the guest boots into emergency mode"

_UUID = "5f3b1d2e-0000-4000-8000-00000badf00d"
_LINE = f"UUID={_UUID} /data ext4 defaults,x-systemd.device-timeout=10s 0 2"


def inject(vm: LabVm) -> None:
    """Add the line and reboot."""
    as_root(vm, f"mkdir -p /data && echo '{_LINE}' >>/etc/fstab && sync && systemctl --no-block reboot")


def heal(vm: LabVm) -> None:
    """Take the line out again and reboot."""
    as_root(vm, f"mount -o remount,rw / && sed -i '/{_UUID}/d' /etc/fstab && sync", 180)
    vm.guest.restart()
