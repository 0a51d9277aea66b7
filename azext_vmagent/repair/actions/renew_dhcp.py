"""Ask Azure's DHCP for an address, by what manages the guest's network."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "renew-dhcp"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: DEVICE MANAGER."""
    device, manager = arguments
    return Action(
        KIND,
        f"ask DHCP for the address of {device} ({manager})",
        "address, routes and gateway as Azure gave them",
        Risk.NONE,
        "none",
        1,
        "a lease is not given back",
        "the interface has an address, and the Wire Server answers",
        arguments,
    )
