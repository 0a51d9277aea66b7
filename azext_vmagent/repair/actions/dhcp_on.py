"""Windows: let an adapter use DHCP again, which gives the agent its host's address as well."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "dhcp-on"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: MAC ADDRESS."""
    mac, address = arguments
    return Action(
        KIND,
        f"let the network adapter {mac} use DHCP in place of the fixed address {address}",
        "the address that Azure has for it; name servers that were entered by hand stay",
        Risk.NONE,
        "sessions over this adapter break",
        2,
        "address, mask and gateway are kept, and --undo sets them again",
        "the adapter has an address by DHCP, and the Wire Server answers",
        arguments,
    )
