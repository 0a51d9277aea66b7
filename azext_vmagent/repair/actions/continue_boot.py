"""Leave the maintenance shell in which the boot stopped: systemd goes on with it."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "continue-boot"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """No arguments."""
    return Action(
        KIND,
        "leave the maintenance shell: the boot goes on",
        "the services start, and the agent with them",
        Risk.NONE,
        "none",
        2,
        "a boot is not taken back",
        "a login prompt on the console, and Azure reports Ready",
        arguments,
    )
