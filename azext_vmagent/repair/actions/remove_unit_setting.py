"""Take one line out of a drop-in of the agent's unit: what cuts it off, or keeps it from starting."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "remove-unit-setting"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: UNIT PATH SETTING."""
    unit, path, setting = arguments
    return Action(
        KIND,
        f"take the line {setting} out of {path}",
        f"{unit} is what its package made it in this; every other line of the file stays",
        Risk.NONE,
        "none",
        1,
        "the file is kept and put back",
        "the line is gone, and the agent's worker stays up",
        arguments,
    )
