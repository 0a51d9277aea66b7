"""Scenario 2 below the firewall: traffic control loses every packet to the Wire Server, and no table lists a rule."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "traffic control (netem) loses everything to 168.63.129.16"

_LINES = (
    "tc qdisc add dev eth0 root handle 1: prio bands 4",
    "tc qdisc add dev eth0 parent 1:4 handle 30: netem loss 100%",
    "tc filter add dev eth0 parent 1: protocol ip prio 1 u32 match ip dst 168.63.129.16/32 flowid 1:4",
)


def inject(vm: LabVm) -> None:
    """A band behind the usual three that loses all; a filter sends the Wire Server's packets there."""
    for line in _LINES:
        as_root(vm, line)


def heal(vm: LabVm) -> None:
    """Remove the root: the kernel puts its default back."""
    as_root(vm, "tc qdisc del dev eth0 root")
