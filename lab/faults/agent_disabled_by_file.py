"""The file ``disable_agent``: the agent's service runs and sleeps forever."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, restart_agent

SUMMARY = "the agent sleeps because /var/lib/waagent/disable_agent exists"

_FILE = "/var/lib/waagent/disable_agent"


def inject(vm: LabVm) -> None:
    """Make the file; the agent looks at it when it starts."""
    as_root(vm, f"touch {_FILE}")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Remove it."""
    as_root(vm, f"rm {_FILE}")
    restart_agent(vm)
