"""Scenario 3: a static address that Azure did not give to this NIC; nothing comes back to it."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "a static address that is not the one Azure gave (10.0.0.77)"

_STOP = "kill -9 $(cat /run/dhclient.eth0.pid)"


def inject(vm: LabVm) -> None:
    """Another address of the same subnet, with the right gateway."""
    as_root(vm, f"{_STOP}; ip -4 addr flush dev eth0; ip addr add 10.0.0.77/24 dev eth0")
    as_root(vm, "ip route add default via 10.0.0.1 dev eth0")


def heal(vm: LabVm) -> None:
    """Ask DHCP again."""
    as_root(vm, "ip -4 addr flush dev eth0; ifdown --force eth0; ifup eth0", 120)
