"""Take an interface up that was taken down."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "interface-up"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: DEVICE."""
    return Action(
        KIND,
        f"take the interface {arguments[0]} up",
        "the guest has its network again, until the next boot; then what its own configuration says",
        Risk.NONE,
        "none",
        1,
        "an interface that is up is not taken down by itself; --undo does it",
        "the interface is up",
        arguments,
    )
