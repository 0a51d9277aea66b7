"""``/etc/waagent.conf`` is gone."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, restart_agent

SUMMARY = "the agent's configuration file is missing"

_FILE = "/etc/waagent.conf"


def inject(vm: LabVm) -> None:
    """Move it away; the agent reads it when it starts."""
    as_root(vm, f"mv {_FILE} {_FILE}.away")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Move it back."""
    as_root(vm, f"mv {_FILE}.away {_FILE}")
    restart_agent(vm)
