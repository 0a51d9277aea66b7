"""Scenario 3: the DHCP client was killed, and with its lease went the address and every route."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "the DHCP client is gone, and the address with it"


def inject(vm: LabVm) -> None:
    """End the client without its giving the lease back, then drop the address."""
    as_root(vm, "kill -9 $(cat /run/dhclient.eth0.pid); ip -4 addr flush dev eth0")


def heal(vm: LabVm) -> None:
    """Ask DHCP again."""
    as_root(vm, "ifdown --force eth0; ifup eth0", 120)
