"""Remove a routing rule that swallows what goes to the Wire Server."""

from __future__ import annotations

import shlex

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.actions.rules import PROOF, UNKNOWN
from azext_vmagent.repair.model import Action, Risk

KIND = "remove-policy-rule"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: PRIORITY and the words of the rule as listed."""
    priority, *words = arguments
    return Action(
        KIND,
        f"remove the routing rule  {priority}: {' '.join(words)}",
        f"the agent reaches the Wire Server again; {UNKNOWN}",
        Risk.NONE,
        "none",
        1,
        f"ip rule add {shlex.join(words)} priority {shlex.quote(priority)}",
        PROOF,
        arguments,
    )
