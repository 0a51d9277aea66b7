"""Install the agent's package again, by the package manager that the distribution comes with."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "reinstall-agent"


def action(arguments: tuple[str, ...], _facts: Facts) -> Action:
    """Arguments: MANAGER PACKAGE."""
    manager, package = arguments
    return Action(
        KIND,
        f"install the package {package} again ({manager})",
        "puts program, Python module, unit and configuration back; needs a package source that the guest reaches",
        Risk.AGENT_RESTART,
        "none",
        5,
        "a package is not taken back; /etc/waagent.conf is kept",
        "the agent's program comes up and tells its version",
        arguments,
    )
