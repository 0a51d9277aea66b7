"""Forget the failed starts, after which systemd waits for somebody."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "reset-start-limit"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: UNIT."""
    unit = arguments[0]
    return Action(
        KIND,
        f"forget the failed starts of {unit}",
        "systemd starts the unit when asked to",
        Risk.NONE,
        "none",
        1,
        "not needed: nothing is lost but a counter",
        "systemd no longer calls the unit failed",
        arguments,
    )
