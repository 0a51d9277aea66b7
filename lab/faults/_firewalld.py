"""firewalld, which the guest has installed and off. One that ran before goes on running after the healing.

It flushes every iptables table when it starts, reloads and stops, the agent's own rules among them. The agent puts them
back within half a minute; so that a healed guest is as it was at once, they are kept and put back here.
"""

from __future__ import annotations

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, remove_empty_table

_STARTED = "/run/lab-started-firewalld"
_KEPT = "/run/lab-security-rules"
_UNIT = "firewalld.service"


def start(vm: LabVm) -> None:
    """Have it running."""
    as_root(vm, f"iptables-save -t security >{_KEPT}")
    as_root(vm, f"systemctl -q is-active {_UNIT} || {{ systemctl start {_UNIT} && touch {_STARTED}; }}", 120)


def add_policy(vm: LabVm, name: str, *settings: str) -> None:
    """Start it with a policy for what the host sends anywhere; permanent first, as they are made, then in force."""
    start(vm)
    lines = [f"--new-policy {name}"]
    lines += [f"--policy {name} {one}" for one in ("--add-ingress-zone HOST", "--add-egress-zone ANY", *settings)]
    as_root(vm, " && ".join(f"firewall-cmd --permanent {line}" for line in lines), 120)
    as_root(vm, "firewall-cmd --reload", 90)


def delete_policy(vm: LabVm, name: str) -> None:
    """Delete it, and stop firewalld if it was started for it."""
    as_root(vm, f"firewall-cmd --permanent --delete-policy {name} && firewall-cmd --reload", 120)
    as_root(vm, f"rm -f /etc/firewalld/policies/{name}.xml.old")
    stop(vm)


def stop(vm: LabVm) -> None:
    """Stop it if it was started for a fault; put back what it flushed."""
    as_root(vm, f"if [ -e {_STARTED} ]; then systemctl stop {_UNIT}; rm {_STARTED}; fi", 120)
    # rule by rule: iptables-restore would also make the chains that no rule needs
    again = f"sed -n 's/^-A/iptables -w -t security -A/p' {_KEPT} | sh"
    as_root(vm, f"nft delete table ip security 2>/dev/null; {again}; rm {_KEPT}")
    for family in ("ip", "ip6"):
        for table in ("filter", "nat", "mangle", "raw"):
            remove_empty_table(vm, table, family)
