"""firewalld's panic mode: it drops everything in and out, the Wire Server and SSH alike."""

from lab.arm.vm import LabVm
from lab.faults import _firewalld
from lab.faults._in_guest import as_root

SUMMARY = "firewalld is in panic mode and drops everything"


def inject(vm: LabVm) -> None:
    """Panic."""
    _firewalld.start(vm)
    as_root(vm, "firewall-cmd --panic-on")


def heal(vm: LabVm) -> None:
    """Calm down, and stop firewalld as it was before."""
    as_root(vm, "firewall-cmd --panic-off")
    _firewalld.stop(vm)
