"""Scenario 2 of the article: a direct rule of firewalld drops what goes to the Wire Server."""

from lab.arm.vm import LabVm
from lab.faults import _firewalld
from lab.faults._in_guest import as_root

SUMMARY = "a direct rule of firewalld drops everything to 168.63.129.16"

_RULE = "ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP"


def inject(vm: LabVm) -> None:
    """Start firewalld (the article's VM had it running), then add the article's rule."""
    _firewalld.start(vm)
    as_root(vm, f"firewall-cmd --direct --add-rule {_RULE}")


def heal(vm: LabVm) -> None:
    """Remove the rule, and stop firewalld as it was before."""
    as_root(vm, f"firewall-cmd --direct --remove-rule {_RULE}")
    _firewalld.stop(vm)
