"""Restart an agent that runs and does nothing."""

from __future__ import annotations

from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, RUN_COMMAND, Facts
from azext_vmagent.repair.model import DETACHED, Action, Risk

KIND = "restart-agent"


def action(arguments: tuple[str, ...], facts: Facts) -> Action:
    """Arguments: UNIT MODE PID: detached within a run command, whose channel a restart would end."""
    unit = arguments[0]
    detached = facts.guest_channel in (RUN_COMMAND, MANAGED_RUN_COMMAND)
    pid = facts.guest.service.main_pid if facts.guest is not None else None
    return Action(
        KIND,
        f"restart {unit}",
        "the agent starts afresh; extensions go on running",
        Risk.AGENT_RESTART,
        "none",
        2,
        "not needed: it runs as before",
        "another process is the agent, its worker stays up, and Azure reports Ready",
        (unit, DETACHED if detached else "now", str(pid) if pid else "-"),
    )
