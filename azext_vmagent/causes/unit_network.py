"""Settings of the agent's own unit that cut it off from the Wire Server, while root's shell reaches it."""

from __future__ import annotations

import ipaddress

from azext_vmagent.causes.catalogue.wire_server_path import UNIT_CUT_OFF
from azext_vmagent.facts.guest import GuestFacts
from azext_vmagent.model import Cause

_WIRE_SERVER = ipaddress.ip_address("168.63.129.16")


def unit_cut_off(guest: GuestFacts) -> Cause | None:
    """The setting that cuts the unit off, with its drop-in, or None (systemd.resource-control(5), systemd.exec(5)).

    An address that is allowed is so whatever is denied; a slice's list counts for the units in it.
    """
    service = guest.service
    setting = ""
    if _covers(service.ip_address_deny) and not _covers(service.ip_address_allow):
        setting = f"IPAddressDeny={service.ip_address_deny}"
    elif service.private_network:
        setting = "PrivateNetwork=yes"
    elif service.network_namespace:
        setting = f"NetworkNamespacePath={service.network_namespace}"
    elif _without_ipv4(service.address_families):
        setting = f"RestrictAddressFamilies={service.address_families}"
    if setting:
        return UNIT_CUT_OFF.named(f"{service.unit} has {setting}.", _where(guest, setting))
    for name, denied in service.slice_deny.items():
        if _covers(denied) and not _covers(service.ip_address_allow):
            return UNIT_CUT_OFF.named(f"{name} has IPAddressDeny={denied}.", name)
    return None


def _where(guest: GuestFacts, setting: str) -> str:
    key = setting.partition("=")[0]
    lines = [line for line in guest.service.drop_in_lines if line.setting.partition("=")[0].strip() == key]
    return f"{lines[-1].path}: {lines[-1].setting}" if lines else f"{guest.service.unit}: {setting}"


def _covers(addresses: str) -> bool:
    """``168.63.129.0/24 10.0.0.1`` holds the Wire Server.

    >>> _covers("10.0.0.0/8"), _covers("0.0.0.0/0 ::/0"), _covers("168.63.129.16"), _covers("nonsense")
    (False, True, True, False)
    """
    return any(_holds(word) for word in addresses.split())


def _holds(network: str) -> bool:
    try:
        return _WIRE_SERVER in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _without_ipv4(families: str) -> bool:
    """``AF_UNIX AF_NETLINK`` lets nothing else be used, ``~AF_INET AF_INET6`` all but these.

    >>> _without_ipv4("AF_UNIX"), _without_ipv4("~AF_INET6"), _without_ipv4("~AF_INET"), _without_ipv4("")
    (True, False, True, False)
    """
    names = families.removeprefix("~").split()
    if not names or names == ["none"]:
        return bool(names)
    return ("AF_INET" in names) == families.startswith("~")
