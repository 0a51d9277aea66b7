"""Windows: allow the Wire Server where a firewall profile blocks what no rule allows; the profile stays as it is."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "allow-rule"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: the profile, as the registry calls it."""
    return Action(
        KIND,
        "add a Windows Firewall rule AzureWireServer that lets tcp/80 and tcp/32526 out to 168.63.129.16",
        f"the agent reaches the Wire Server again; the {arguments[0]} goes on blocking what no rule allows",
        Risk.NONE,
        "none",
        1,
        "--undo removes this rule, unless somebody has changed it since",
        "the Wire Server answers on tcp/80 and tcp/32526, every other rule is as before, Azure reports Ready",
        arguments,
    )
