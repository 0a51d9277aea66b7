"""Scenario 2 by the agent's own rules in the wrong order: the DROP stands in front of the ACCEPT for root."""

from lab.arm.vm import LabVm
from lab.faults import _agent_rules
from lab.faults._in_guest import as_root

SUMMARY = "the agent's own rules are in the wrong order: the DROP comes before the ACCEPT for root"

_DELETE = f"{_agent_rules.CHAIN} -D {_agent_rules.ROOT_MAY}"


def inject(vm: LabVm) -> None:
    """Move the ACCEPT to the end."""
    _agent_rules.left_alone(vm)
    as_root(vm, f"{_DELETE} && {_agent_rules.CHAIN} -A {_agent_rules.ROOT_MAY}")


def heal(vm: LabVm) -> None:
    """Move it back."""
    back = _agent_rules.ROOT_MAY.replace("OUTPUT", "OUTPUT 2", 1)
    as_root(vm, f"{_DELETE} && {_agent_rules.CHAIN} -I {back}")
    _agent_rules.looked_after(vm)
