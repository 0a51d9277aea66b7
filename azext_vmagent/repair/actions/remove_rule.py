"""Remove exactly one rule that blocks the Wire Server, by the tool that owns it."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.actions.rules import NAMES, PROOF, kept, rule_text
from azext_vmagent.repair.model import Action, Risk

KIND = "remove-rule"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: TOOL and what the rule is, as guest/repair_network.sh reads it."""
    tool = arguments[0]
    part = "a rich rule of " if tool == "firewalld-policy" else ""
    return Action(
        KIND,
        f"remove {part}{NAMES.get(tool, tool)}  {rule_text(arguments)}",
        f"the agent reaches the Wire Server again; {kept(arguments)}",
        Risk.NONE,
        "none",
        1,
        "all rules are kept; --undo puts this one back in its place",
        PROOF,
        arguments,
    )
