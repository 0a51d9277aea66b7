"""Scenario 3 of the article: ``ifconfig eth0 down``."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "the network interface eth0 was taken down"


def inject(vm: LabVm) -> None:
    """Take the interface down."""
    as_root(vm, "ifconfig eth0 down")


def heal(vm: LabVm) -> None:
    """Bring up the link, and by DHCP the address and the routes that went with it."""
    as_root(vm, "ifdown --force eth0; ifup eth0", 120)
