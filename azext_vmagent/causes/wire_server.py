"""Scenario 2: the guest keeps its agent from the Wire Server (168.63.129.16)."""

from __future__ import annotations

from azext_vmagent.causes.access import in_guest
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.firewall_facts import BlockingRule
from azext_vmagent.facts.guest import Connect, GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Cause, NextStep

LINK = "https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16"

_BY_TOOL = {
    "firewalld-direct": ("N01", "firewalld-direct-rule", "A firewalld direct rule drops the Wire Server"),
    "firewalld-passthrough": ("N01", "firewalld-passthrough", "A firewalld passthrough drops the Wire Server"),
    "firewalld-policy": ("N03", "firewalld-policy", "A firewalld policy drops the Wire Server"),
    "firewalld-panic": ("N03", "firewalld-panic", "firewalld is in panic mode and drops everything"),
    "ufw": ("N05", "ufw-rule", "A ufw rule denies the Wire Server"),
    "nft": ("N06", "nftables-rule", "An nftables rule drops the Wire Server"),
    "agent": ("N04", "agent-rules-half-applied", "The agent's own rules are half applied and stop root as well"),
    "traffic-control": ("N23", "traffic-control", "Traffic control loses what goes to the Wire Server"),
    "ip-route": ("N08", "route-blocks", "A route keeps the guest from the Wire Server"),
}
_KEPT = {
    True: "the permanent rule is removed as well",
    False: "runtime rule only, nothing permanent to remove",
    None: "whether it comes back after a reboot is not known",
}
_IPTABLES = ("N02", "iptables-rule", "An iptables rule drops the Wire Server")


def rule_cause(rule: BlockingRule) -> Cause:
    """The cause that one blocking rule is."""
    code, slug, title = _BY_TOOL.get(rule.tool, _IPTABLES)
    ports = ", ".join(f"tcp/{port}" for port in rule.ports)
    return Cause(code, slug, title, f"{rule.action} in {rule.where}, stops {ports} from root.", rule.rule)


def causes(guest: GuestFacts) -> tuple[Cause, ...]:
    """Every rule or route that blocks, the one that acts first in front."""
    found = tuple(rule_cause(rule) for rule in guest.rules.blocks)
    kind = guest.route.kind
    if kind not in _NO_WAY and not found:  # the errno of the test is the kernel's own word on the route
        kind = next((word for outcome, word in _MET.items() if guest.outcome(80) is outcome), kind)
    if kind in _NO_WAY and not any(c.code == "N08" for c in found):
        code, slug, title = _BY_TOOL["ip-route"]
        found += (Cause(code, slug, title, f"The route to 168.63.129.16 is: {kind}.", guest.route.text or None),)
    return found


_NO_WAY = ("blackhole", "unreachable", "prohibit", "none")
_MET = {Connect.BLACKHOLE: "blackhole", Connect.DENIED: "prohibit"}


def remedies(facts: Facts, wish: Wish) -> tuple[NextStep, ...]:
    """Take back each rule by the tool that owns it."""
    guest = facts.guest or GuestFacts()
    steps = []
    for rule in guest.rules.blocks:
        if rule.undo:
            kept = _KEPT[rule.stays]
            steps.append(
                NextStep(
                    "remove the rule in the guest",
                    in_guest(facts, wish, rule.undo),
                    effect=f"the agent reaches the Wire Server again; {kept}",
                    risk="the rule may have been set on purpose: tell whoever hardened this VM",
                    downtime="none",
                    undo=f"set it again: {rule.rule}",
                    link=LINK,
                )
            )
    if not steps:
        steps.append(
            NextStep(
                "allow tcp/80 and tcp/32526 to 168.63.129.16 for root in the guest's firewall and routes",
                downtime="none",
                link=LINK,
            )
        )
    return tuple(steps)
