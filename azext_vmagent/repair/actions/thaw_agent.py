"""Wake a unit that is frozen."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "thaw-agent"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: UNIT."""
    unit = arguments[0]
    return Action(
        KIND,
        f"thaw {unit}",
        "the agent goes on where it was frozen",
        Risk.NONE,
        "none",
        1,
        f"systemctl freeze {unit}",
        "the service is active, its worker stays up, and Azure reports Ready",
        arguments,
    )
