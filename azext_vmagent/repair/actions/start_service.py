"""Windows: start a service of the agent."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "start-service"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: SERVICE."""
    service = arguments[0]
    return Action(
        KIND,
        f"start the service {service}",
        "the agent reports again within a few minutes",
        Risk.NONE,
        "none",
        1,
        f"a service that runs is not stopped by --undo; by hand: Stop-Service -Name {service}",
        "the service runs and stays up, and Azure reports Ready",
        arguments,
    )
