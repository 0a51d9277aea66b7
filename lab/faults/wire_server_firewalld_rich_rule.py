"""Scenario 2 by a rich rule in a policy of firewalld; in a zone such a rule would only meet what comes in."""

from lab.arm.vm import LabVm
from lab.faults import _firewalld

SUMMARY = "a rich rule in a firewalld policy drops everything to 168.63.129.16"

_RULE = 'rule family="ipv4" destination address="168.63.129.16" drop'


def inject(vm: LabVm) -> None:
    """Add a policy with the rule."""
    _firewalld.add_policy(vm, "outgoing", f"--add-rich-rule '{_RULE}'")


def heal(vm: LabVm) -> None:
    """Delete it, and stop firewalld as it was before."""
    _firewalld.delete_policy(vm, "outgoing")
