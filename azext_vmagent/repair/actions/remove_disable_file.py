"""Remove the file that tells the agent to sleep."""

from __future__ import annotations

from azext_vmagent.causes.cures import DISABLE_FILE
from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "remove-disable-file"


def action(_arguments: tuple[str, ...], _facts: Facts) -> Action:
    """No arguments: there is one such file."""
    return Action(
        KIND,
        f"remove {DISABLE_FILE}",
        "the agent may work again once it is restarted",
        Risk.NONE,
        "none",
        1,
        "the file is kept and put back",
        "the file is gone",
    )
