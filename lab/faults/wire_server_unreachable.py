"""Scenario 2 by a route of the type unreachable: the kernel answers «no route to host»."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "a route of the type unreachable takes what goes to 168.63.129.16"


def inject(vm: LabVm) -> None:
    """Put it in the place of the route that DHCP made."""
    as_root(vm, "ip route replace unreachable 168.63.129.16/32")


def heal(vm: LabVm) -> None:
    """Put DHCP's own one back."""
    as_root(vm, "ip route replace 168.63.129.16/32 via 10.0.0.1 dev eth0")
