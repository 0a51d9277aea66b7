"""Let an interface be again what the guest's own configuration says, where that is DHCP."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "back-to-dhcp"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: DEVICE MANAGER ADDRESS: the one that Azure gave, or - where it is not known."""
    device, manager, address = arguments
    given = "" if address == "-" else f": {address}"
    return Action(
        KIND,
        f"let DHCP set address and routes of {device} again ({manager}){given}",
        "what was set by hand goes; only where the guest's own configuration says DHCP: else nothing is changed",
        Risk.NONE,
        "seconds; a session through this interface may break",
        2,
        "addresses and routes are kept and put back",
        "the interface has Azure's address and a default route, and the Wire Server answers",
        arguments,
    )
