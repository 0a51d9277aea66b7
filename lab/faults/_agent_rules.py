"""The agent's own rules in the table ``security``, with the agent told to leave them as they are.

It looks after them every 30 s (OS.EnableFirewallPeriod) and would put them right. ``OS.EnableFirewall=n`` ends that and
removes nothing, which is how a half-applied set stays behind in the field (WALinuxAgent#3492).
"""

from __future__ import annotations

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root

CHAIN = "iptables -w -t security"
ROOT_MAY = "OUTPUT -d 168.63.129.16/32 -p tcp -m owner --uid-owner 0 -j ACCEPT"
_CONF = "/etc/waagent.conf"
_KEPT = "/run/lab-waagent.conf"
_CHECKED = "OUTPUT -d 168.63.129.16/32 -p tcp -m conntrack --ctstate INVALID,NEW -j DROP"


def left_alone(vm: LabVm) -> None:
    """The agent no longer looks after its rules; they are there, as a whole."""
    as_root(vm, f"cp -p {_CONF} {_KEPT} && sed -i 's/^OS.EnableFirewall=.*/OS.EnableFirewall=n/' {_CONF}")
    as_root(vm, f"systemctl restart {AGENT}", 90)
    as_root(vm, f"{CHAIN} -C {ROOT_MAY} && {CHAIN} -C {_CHECKED}")


def looked_after(vm: LabVm) -> None:
    """The agent does again."""
    as_root(vm, f"mv {_KEPT} {_CONF} && systemctl restart {AGENT}", 90)
