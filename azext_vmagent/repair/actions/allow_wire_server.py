"""Let root past a rule that covers more than the Wire Server; the rule stays."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.actions.rules import NAMES, PROOF, rule_text
from azext_vmagent.repair.model import Action, Risk

KIND = "allow-wire-server"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: TOOL and where the rule is, as guest/repair_network.sh reads it."""
    tool = arguments[0]
    again = "; until the rules are loaded anew: add it where they are kept" if tool in ("iptables", "nft") else ""
    return Action(
        KIND,
        f"let tcp/80 and tcp/32526 to 168.63.129.16 past {NAMES.get(tool, tool)}  {rule_text(arguments)}",
        f"the agent reaches the Wire Server again; the rule itself stays{again}",
        Risk.NONE,
        "none",
        1,
        "all rules are kept; --undo takes the exception away again",
        PROOF,
        arguments,
    )
