"""Let the agent start at boot."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "enable-agent"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: UNIT."""
    unit = arguments[0]
    return Action(
        KIND,
        f"let {unit} start at boot",
        "the agent comes back after a restart of the VM",
        Risk.NONE,
        "none",
        1,
        f"systemctl disable {unit}",
        "systemd calls the unit enabled",
        arguments,
    )
