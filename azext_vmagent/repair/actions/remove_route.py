"""Remove a route that swallows what goes to the Wire Server."""

from __future__ import annotations

import shlex

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.actions.rules import PROOF, UNKNOWN
from azext_vmagent.repair.model import Action, Risk

KIND = "remove-route"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: the words of the route as listed."""
    return Action(
        KIND,
        f"remove the route  {' '.join(arguments)}",
        f"the agent reaches the Wire Server again; {UNKNOWN}",
        Risk.NONE,
        "none",
        1,
        f"ip route add {shlex.join(arguments)}",
        PROOF,
        arguments,
    )
