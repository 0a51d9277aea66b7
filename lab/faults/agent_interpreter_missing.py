"""The first line of the agent's program names a Python that is not there."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, restart_agent

SUMMARY = "the agent's interpreter is missing"

_FILE = "/usr/sbin/waagent"


def inject(vm: LabVm) -> None:
    """Name another one."""
    as_root(vm, f"cp -p {_FILE} {_FILE}.away; sed -i '1s|.*|#!/usr/bin/python3.6|' {_FILE}")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Put the file back."""
    as_root(vm, f"mv {_FILE}.away {_FILE}")
    restart_agent(vm)
