"""Scenario 2 by a rich rule in a policy of firewalld; in a zone such a rule would only meet what comes in."""

from lab.arm.vm import LabVm
from lab.faults import _firewalld
from lab.faults._in_guest import as_root

SUMMARY = "a rich rule in a firewalld policy drops everything to 168.63.129.16"

_RULE = 'rule family="ipv4" destination address="168.63.129.16" drop'
_LINES = (
    "--new-policy outgoing",
    "--policy outgoing --add-ingress-zone HOST",
    "--policy outgoing --add-egress-zone ANY",
    f"--policy outgoing --add-rich-rule '{_RULE}'",
)


def inject(vm: LabVm) -> None:
    """Policies exist permanently first; a reload puts them in force."""
    _firewalld.start(vm)
    as_root(vm, " && ".join(f"firewall-cmd --permanent {line}" for line in _LINES), 120)
    as_root(vm, "firewall-cmd --reload", 90)


def heal(vm: LabVm) -> None:
    """Delete the policy, and stop firewalld as it was before."""
    as_root(vm, "firewall-cmd --permanent --delete-policy outgoing && firewall-cmd --reload", 120)
    as_root(vm, "rm -f /etc/firewalld/policies/outgoing.xml.old")
    _firewalld.stop(vm)
