"""What the guest's SSH or RDP port showed, and whether the way to it is known to be open.

A time-out is not scenario 3 by itself: a security rule, just-in-time access or a private address look the same. It
counts only when a public address and the rules that guard it let the caller in. A *refused* port or a greeting always
counts, because only a live TCP stack sends them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class PortOutcome(str, Enum):
    """How the look at the port ended."""

    GREETING = "greeting"
    REFUSED = "refused"
    TIMED_OUT = "timed-out"
    #: connected, then nothing was said
    SILENT = "silent"
    #: connected, then closed or reset without a word
    CLOSED = "closed"
    NO_ROUTE = "no-route"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True)
class PortFacts:
    """One look at one port."""

    address: str
    port: int
    outcome: PortOutcome
    greeting: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class NetworkFacts:
    """The primary NIC. ``path_open``: do the rules let a caller from the Internet reach the port? None = not known.

    ``configurations`` counts its IP configurations; ``dynamic`` names the addresses (private, public) that Azure may
    give to others once the VM gives its place up; None = not known.
    """

    public_address: str | None
    private_address: str | None
    path_open: bool | None
    path_reason: str
    configurations: int | None = None
    dynamic: tuple[str, ...] | None = None


def way_is_open(port: PortFacts, network: NetworkFacts | None) -> bool:
    """Whether a time-out means something: this is the VM's public address, and its rules let callers in.

    Any other address (a private one, a tunnel, a name given by the user) may be out of reach from here.
    """
    return network is not None and network.path_open is True and port.address == network.public_address


def parse_nic(nic: dict[str, Any], port: int) -> NetworkFacts:
    """Addresses and rules of a NIC fetched with ``$expand``. Never raises on odd input.

    >>> parse_nic({"properties": {"ipConfigurations": []}}, 22).path_reason
    'the VM has no public address'
    """
    properties = _dict(nic.get("properties"))
    configurations = [_dict(_dict(c).get("properties")) for c in _list(properties.get("ipConfigurations"))]
    primary = next((c for c in configurations if c.get("primary")), configurations[0] if configurations else {})
    public = _dict(primary.get("publicIPAddress"))
    address = _text(_dict(public.get("properties")).get("ipAddress"))
    private = _text(primary.get("privateIPAddress"))
    count, dynamic = len(configurations) or None, _dynamic(primary, public)
    if address is None:
        return NetworkFacts(None, private, None, "the VM has no public address", count, dynamic)
    path_open, reason = _path(properties, _dict(primary.get("subnet")), public, port)
    return NetworkFacts(address, private, path_open, reason, count, dynamic)


def _dynamic(primary: dict[str, Any], public: dict[str, Any]) -> tuple[str, ...] | None:
    """Which addresses are allocated dynamically; None where one of them does not say how it is."""
    said = {"private": primary.get("privateIPAllocationMethod")}
    if public:
        said["public"] = _dict(public.get("properties")).get("publicIPAllocationMethod")
    if not all(isinstance(method, str) for method in said.values()):
        return None
    return tuple(name for name, method in said.items() if str(method).lower() == "dynamic")


def _path(nic: dict[str, Any], subnet: dict[str, Any], public: dict[str, Any], port: int) -> tuple[bool | None, str]:
    if "properties" not in subnet:
        return None, "the subnet's security rules are not known"
    if _dict(subnet["properties"]).get("networkSecurityGroup"):
        return None, "the subnet has security rules of its own, which were not read"
    group = nic.get("networkSecurityGroup")
    if not group:
        if str(_dict(public.get("sku")).get("name")).lower() == "basic":
            return True, "no security rules, and a basic public address is open"
        return False, "no security rules, and a standard public address is closed without them"
    if "properties" not in _dict(group):
        return None, "the network interface's security rules are not known"
    return inbound(_dict(group["properties"]), port)


def inbound(group: dict[str, Any], port: int) -> tuple[bool | None, str]:
    """What a security group does with tcp/``port`` from the Internet: (True, False or None for «depends», why)."""
    rules = [
        _dict(_dict(r).get("properties")) | {"name": _dict(r).get("name")} for r in _list(group.get("securityRules"))
    ]
    defaults = [
        _dict(_dict(r).get("properties")) | {"name": _dict(r).get("name")}
        for r in _list(group.get("defaultSecurityRules"))
    ]
    ordered = sorted(
        (r for r in rules + defaults if str(r.get("direction")).lower() == "inbound"),
        key=lambda r: _number(r.get("priority")),
    )
    for rule in ordered:
        if str(rule.get("protocol")).lower() not in ("*", "tcp") or not _covers_port(rule, port):
            continue
        sources = {
            str(s).lower() for s in [rule.get("sourceAddressPrefix"), *_list(rule.get("sourceAddressPrefixes"))] if s
        }
        allowed = str(rule.get("access")).lower() == "allow"
        if sources & {"*", "internet", "0.0.0.0/0", "any"}:
            return allowed, f"security rule {rule.get('name')} {'lets' if allowed else 'does not let'} tcp/{port} in"
        if not sources & {"virtualnetwork", "azureloadbalancer"}:
            return None, f"security rule {rule.get('name')} lets only some addresses in"
    return False, f"no security rule lets tcp/{port} in"


def _covers_port(rule: dict[str, Any], port: int) -> bool:
    for text in [rule.get("destinationPortRange"), *_list(rule.get("destinationPortRanges"))]:
        low, _, high = str(text or "").partition("-")
        if low == "*" or (low.isdigit() and int(low) <= port <= int(high if high.isdigit() else low)):
            return True
    return False


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 1 << 30
