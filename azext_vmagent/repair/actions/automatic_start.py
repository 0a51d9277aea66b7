"""Windows: let a service of the agent start at boot."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "automatic-start"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: SERVICE."""
    return Action(
        KIND,
        f"set the start type of the service {arguments[0]} to Automatic",
        "the agent comes back after a restart of the VM; a policy that set the start type may set it again",
        Risk.NONE,
        "none",
        1,
        "the start type is kept, and --undo sets it again",
        "the service's start type is Automatic",
        arguments,
    )
