"""Scenario 2: the guest keeps its agent from the Wire Server (168.63.129.16)."""

from __future__ import annotations

from azext_vmagent.causes.access import in_guest
from azext_vmagent.causes.catalogue.wire_server_path import ROUTE
from azext_vmagent.causes.catalogue.wire_server_rules import (
    AGENT_RULES,
    FIREWALLD_DIRECT,
    HOST_FIREWALL_PANEL,
    IPTABLES,
    OTHER_FIREWALL,
    TRAFFIC_CONTROL,
)
from azext_vmagent.causes.cures import ALLOW, rule_cure
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.firewall_facts import BlockingRule
from azext_vmagent.facts.guest import Connect, GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Cause, NextStep

LINK = "https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16"

_BY_TOOL = {
    "firewalld-direct": (FIREWALLD_DIRECT, ""),
    "firewalld-passthrough": (FIREWALLD_DIRECT, "firewalld-passthrough"),
    "firewalld-policy": (OTHER_FIREWALL, "firewalld-policy"),
    "firewalld-panic": (OTHER_FIREWALL, "firewalld-panic"),
    "ufw": (OTHER_FIREWALL, "ufw-rule"),
    "nft": (OTHER_FIREWALL, ""),
    "csf": (HOST_FIREWALL_PANEL, ""),
    "agent": (AGENT_RULES, ""),
    "traffic-control": (TRAFFIC_CONTROL, ""),
    "ip-route": (ROUTE, ""),
}
_KEPT = {
    True: "the permanent rule is removed as well",
    False: "runtime rule only, nothing permanent to remove",
    None: "whether it comes back after a reboot is not known",
}


def rule_cause(rule: BlockingRule) -> Cause:
    """The cause that one blocking rule is."""
    known, variant = _BY_TOOL.get(rule.tool, (IPTABLES, ""))
    ports = ", ".join(f"tcp/{port}" for port in rule.ports)
    return known.named(f"{rule.action} in {rule.where}, stops {ports} from root.", rule.rule, variant)


def causes(guest: GuestFacts) -> tuple[Cause, ...]:
    """Every rule or route that blocks, the one that acts first in front."""
    found = tuple(rule_cause(rule) for rule in guest.rules.blocks)
    kind = guest.route.kind
    if kind not in _NO_WAY and not found:  # the errno of the test is the kernel's own word on the route
        kind = next((word for outcome, word in _MET.items() if guest.outcome(80) is outcome), kind)
    if kind in _NO_WAY and not any(cause.code == ROUTE.code for cause in found):
        found += (ROUTE.named(f"The route to 168.63.129.16 is: {kind}.", guest.route.text or None),)
    return found


_NO_WAY = ("blackhole", "unreachable", "prohibit", "none")
_MET = {Connect.BLACKHOLE: "blackhole", Connect.DENIED: "prohibit"}


def remedies(facts: Facts, wish: Wish) -> tuple[NextStep, ...]:
    """Take back each rule by the tool that owns it."""
    guest = facts.guest or GuestFacts()
    steps = []
    for rule in guest.rules.blocks:
        if rule.undo:
            cure = rule_cure(rule)
            past = cure is not None and cure.kind == ALLOW
            steps.append(
                NextStep(
                    "let root past the rule in the guest" if past else "remove the rule in the guest",
                    in_guest(facts, wish, rule.undo),
                    effect="the agent reaches the Wire Server again; "
                    + ("the rule covers more than that, and stays" if past else _KEPT[rule.stays]),
                    risk="the rule may have been set on purpose: tell whoever hardened this VM",
                    downtime="none",
                    undo="take the exception out again" if past else f"set it again: {rule.rule}",
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
