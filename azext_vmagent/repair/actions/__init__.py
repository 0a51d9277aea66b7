"""The actions, one small file for each kind: what it changes, risks, needs to be undone, and what proves it.

What is done in the guest is in ``guest/repair*.sh``; ``azure.py`` has what Azure itself carries out.
"""

from __future__ import annotations

from collections.abc import Callable

from azext_vmagent.causes.cures import Step
from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.actions import (
    allow_wire_server,
    enable_agent,
    interface_up,
    reinstall_agent,
    remove_disable_file,
    remove_policy_rule,
    remove_route,
    remove_rule,
    renew_dhcp,
    reset_start_limit,
    restart_agent,
    restore_executable,
    start_agent,
    thaw_agent,
    unmask_agent,
)
from azext_vmagent.repair.model import Action

_BY_KIND: dict[str, Callable[[tuple[str, ...], Facts], Action]] = {
    one.KIND: one.action
    for one in (
        allow_wire_server,
        enable_agent,
        interface_up,
        reinstall_agent,
        remove_disable_file,
        remove_policy_rule,
        remove_route,
        remove_rule,
        renew_dhcp,
        reset_start_limit,
        restart_agent,
        restore_executable,
        start_agent,
        thaw_agent,
        unmask_agent,
    )
}
KINDS = frozenset(_BY_KIND)


def guest_action(step: Step, facts: Facts) -> Action:
    """The action that carries out one step of a cure."""
    return _BY_KIND[step.kind](step.arguments, facts)
