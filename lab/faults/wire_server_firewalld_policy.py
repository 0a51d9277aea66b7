"""Scenario 2 by a policy of firewalld: what the host sends anywhere meets the target DROP."""

from lab.arm.vm import LabVm
from lab.faults import _firewalld

SUMMARY = "a firewalld policy (HOST to ANY) drops what leaves the guest"


def inject(vm: LabVm) -> None:
    """Add the policy."""
    _firewalld.add_policy(vm, "lockdown", "--set-target DROP")


def heal(vm: LabVm) -> None:
    """Delete it, and stop firewalld as it was before."""
    _firewalld.delete_policy(vm, "lockdown")
