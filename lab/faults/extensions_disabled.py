"""``Extensions.Enabled=n``: the agent is Ready and runs no extension, so no run command either."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, restart_agent

SUMMARY = "the agent is told to run no extensions"

_FILE = "/etc/waagent.conf"


def inject(vm: LabVm) -> None:
    """Set it."""
    as_root(vm, f"cp -p {_FILE} {_FILE}.away; sed -i 's/^Extensions.Enabled=.*/Extensions.Enabled=n/' {_FILE}")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Put the file back."""
    as_root(vm, f"mv {_FILE}.away {_FILE}")
    restart_agent(vm)
