"""Give the agent's program its execute bit back."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "restore-executable"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: PATH."""
    return Action(
        KIND,
        f"make {arguments[0]} executable",
        "systemd can start the agent",
        Risk.NONE,
        "none",
        1,
        "the file's mode is kept and set again",
        "the file is executable",
        arguments,
    )
