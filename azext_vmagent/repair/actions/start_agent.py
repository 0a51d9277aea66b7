"""Start the service of the agent."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "start-agent"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: UNIT."""
    unit = arguments[0]
    return Action(
        KIND,
        f"start {unit}",
        "the agent reports again within about a minute",
        Risk.NONE,
        "none",
        1,
        f"systemctl stop {unit}",
        "the service is active, its worker stays up, and Azure reports Ready",
        arguments,
    )
