"""Scenario 3: a static configuration names a gateway that is not there; only neighbours reach the guest."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "a static default gateway that does not exist (10.0.0.254)"

_STOP = "kill -9 $(cat /run/dhclient.eth0.pid)"


def inject(vm: LabVm) -> None:
    """All routes over the wrong gateway, as a static configuration would have them."""
    as_root(vm, f"{_STOP}; ip route flush dev eth0 scope global; ip route add default via 10.0.0.254 dev eth0")


def heal(vm: LabVm) -> None:
    """Ask DHCP again."""
    as_root(vm, "ip route del default; ifdown --force eth0; ifup eth0", 120)
