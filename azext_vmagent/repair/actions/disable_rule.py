"""Windows: switch exactly one local firewall rule off. A rule that was deleted could not be put back as it was."""

from __future__ import annotations

from azext_vmagent.causes.cures_windows import AGENT
from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "disable-rule"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: ID TEXT agent|all."""
    name, text, whom = arguments
    test = "the agent's own log (no test of ours meets this rule)" if whom == AGENT else "the Wire Server answers"
    return Action(
        KIND,
        f"switch off the Windows Firewall rule  {name}  {text}",
        "the agent reaches the Wire Server again; the rule stays listed, and off after a restart",
        Risk.NONE,
        "none",
        1,
        "its text is kept; --undo switches it on again",
        f"the rule is off, {test}, every other rule is as before, Azure reports Ready",
        arguments,
    )
