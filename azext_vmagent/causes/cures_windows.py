"""Which change in a Windows guest cures which cause: the twin of ``cures.py``. Pure.

Only the agent's two services, a local firewall rule for the Wire Server alone, a profile that blocks what no rule
allows, and an adapter's DHCP are changed; for all other causes the remedies of the catalogue are for a person. Nothing
of it was tried on Windows.
"""

from __future__ import annotations

import re

from azext_vmagent.causes.cures import Step
from azext_vmagent.facts.firewall_facts import WIRE_RANGE, BlockingRule
from azext_vmagent.facts.guest_facts import GuestFacts
from azext_vmagent.facts.port import NetworkFacts
from azext_vmagent.facts.rules import address_range
from azext_vmagent.facts.windows_facts import WindowsFacts
from azext_vmagent.facts.windows_firewall import ALLOW_WIRE_SERVER, PROFILE_TOOL, TOOL, rule_fields
from azext_vmagent.model import Cause

START, AUTOMATIC = "start-service", "automatic-start"
DISABLE, ALLOW, DHCP = "disable-rule", "allow-rule", "dhcp-on"
#: the order in which changes are made: what leads to the server first, the agent last
ORDER = (DHCP, DISABLE, ALLOW, AUTOMATIC, START)
#: RdAgent starts and installs the other
SERVICES = ("RdAgent", "WindowsAzureGuestAgent")
#: whom a rule that is switched off is for: everybody, or the agent's program alone, whose test nobody else can make
ALL, AGENT = "all", "agent"
#: what the registry calls the profiles
_PROFILES = {"domain": "DomainProfile", "private": "StandardProfile", "public": "PublicProfile"}
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")


def service_cure(cause: Cause, guest: GuestFacts) -> tuple[Step, ...]:
    """Starts what is stopped and sets what does not start at boot; empty where one of the two could not start.

    A service whose program crashes, is gone or hangs while stopping is started by nobody but a person.
    """
    windows = guest.windows or WindowsFacts()
    ours = [windows.services[name] for name in SERVICES if name in windows.services]
    startable = all(one.there is True and one.state in ("Running", "Stopped") for one in ours)
    if cause.code not in ("W01", "W03") or len(ours) < len(SERVICES) or not startable:
        return ()
    automatic = [Step(AUTOMATIC, (one.name,)) for one in ours if one.start in ("manual", "disabled")]
    return (*automatic, *(Step(START, (one.name,)) for one in ours if one.running is False))


def rule_cure(rule: BlockingRule, whom: str) -> Step | None:
    """What switches this rule off, or lets the Wire Server past a profile; None where that is not surely safe.

    A rule is named by its id, which Windows keeps unique, and compared by its whole text. On Windows a rule that blocks
    beats any that allows: one that covers more than the Wire Server cannot be let past, and is left to a person.
    """
    if rule.tool == PROFILE_TOOL and rule.undo == ALLOW_WIRE_SERVER and rule.place[:1] == ("local",):
        return Step(ALLOW, (_PROFILES[rule.place[1]],))
    if rule.tool != TOOL or rule.undo is None or rule.undo.startswith("netsh") or not covers_only_wire_server(rule):
        return None
    return Step(DISABLE, (rule.place[1], rule.rule, whom))


def is_managed(rule: BlockingRule) -> bool:
    """Policy wrote it and would bring it back."""
    return rule.place[:1] in (("gpo",), ("mdm",))


def covers_only_wire_server(rule: BlockingRule) -> bool:
    """The rule is for 168.63.129.16 and nothing else, and not for chosen accounts, whom it may well be meant for.

    >>> text = "v2.30|Action=Block|Active=TRUE|Dir=Out|RA4=168.63.129.16|"
    >>> rule = BlockingRule(TOOL, text, "local rules", "block", (80,), None)
    >>> covers_only_wire_server(rule)
    True
    """
    fields = rule_fields(rule.rule) or {}
    addresses = [value for key in ("ra4", "ra42", "ra6", "ra62") for value in fields.get(key, ())]
    narrow = bool(addresses) and all(address_range(value) == WIRE_RANGE for value in addresses)
    return narrow and not {"luauth", "luown"} & fields.keys()


def dhcp_cure(cause: Cause, guest: GuestFacts, network: NetworkFacts | None) -> tuple[Step, ...]:
    """Turns DHCP on for the adapter that has one address entered by hand, where Azure gives one by DHCP.

    Not where the NIC has several configurations: Windows wants those addresses entered by hand.
    """
    windows = guest.windows or WindowsFacts()
    if cause.slug != "windows-dhcp-off" or network is None or network.configurations != 1:
        return ()
    if "private" not in (network.dynamic or ()):
        return ()
    found = [one for one in guest.interfaces if one.name in windows.without_dhcp]
    if len(found) != 1 or len(found[0].addresses) != 1 or not _MAC.fullmatch(found[0].mac):
        return ()
    return (Step(DHCP, (found[0].mac.upper().replace(":", "-"), found[0].addresses[0])),)
