"""The policy alone, without any allow list: nothing leaves the guest, and no SSH answer either."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, remove_empty_table

SUMMARY = "iptables drops all that leaves the guest"


def inject(vm: LabVm) -> None:
    """Set the policy."""
    as_root(vm, "iptables -w -P OUTPUT DROP")


def heal(vm: LabVm) -> None:
    """Take it back."""
    as_root(vm, "iptables -w -P OUTPUT ACCEPT")
    remove_empty_table(vm, "filter")
