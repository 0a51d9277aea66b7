"""Take the mask off the unit of the agent."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "unmask-agent"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: UNIT."""
    unit = arguments[0]
    return Action(
        KIND,
        f"unmask {unit}",
        "the unit can be started again",
        Risk.NONE,
        "none",
        1,
        f"systemctl mask {unit}",
        "systemd no longer calls the unit masked",
        arguments,
    )
