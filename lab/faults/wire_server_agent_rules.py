"""Scenario 2 by the agent's own rules: the one that lets root pass is lost, the DROP stays."""

from lab.arm.vm import LabVm
from lab.faults import _agent_rules
from lab.faults._in_guest import as_root

SUMMARY = "the agent's own rules are half applied: the ACCEPT for root is missing"


def inject(vm: LabVm) -> None:
    """Delete the ACCEPT."""
    _agent_rules.left_alone(vm)
    as_root(vm, f"{_agent_rules.CHAIN} -D {_agent_rules.ROOT_MAY}")


def heal(vm: LabVm) -> None:
    """Put it back where it was."""
    as_root(vm, f"{_agent_rules.CHAIN} -I {_agent_rules.ROOT_MAY.replace('OUTPUT', 'OUTPUT 2', 1)}")
    _agent_rules.looked_after(vm)
