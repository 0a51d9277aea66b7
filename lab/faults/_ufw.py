"""ufw on a guest that has it installed and off; its files are kept, so that healing is exact."""

from __future__ import annotations

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, remove_empty_table

_KEPT = "/run/lab-ufw"
#: ufw's own chains, and the jumps to them, stay when it is off
_REMOVE_CHAINS = (
    "{tool}-save -t filter | sed -n 's/^-A \\(.* -j ufw6*-.*\\)/\\1/p' | while read -r rule; do {tool} -D $rule; done; "
    "{tool}-save -t filter | sed -n 's/^:\\(ufw6*-[^ ]*\\).*/\\1/p' | while read -r chain; do {tool} -X $chain; done"
)


def enable(vm: LabVm, *rules: str) -> None:
    """Set the rules, SSH's way in among them, and turn it on."""
    as_root(vm, f"mkdir {_KEPT} && cp -a /etc/ufw /etc/default/ufw {_KEPT}/ --parents")
    for rule in ("allow 22/tcp", *rules):
        as_root(vm, f"ufw {rule}", 60)
    as_root(vm, "ufw --force enable", 90)


def disable(vm: LabVm) -> None:
    """Turn it off; put its files back, and remove the empty chains that it leaves behind."""
    as_root(vm, f"ufw --force disable && cp -a {_KEPT}/etc / && rm -r {_KEPT}", 90)
    for tool, family in (("iptables", "ip"), ("ip6tables", "ip6")):
        as_root(vm, _REMOVE_CHAINS.format(tool=tool), 90)
        remove_empty_table(vm, "filter", family)
