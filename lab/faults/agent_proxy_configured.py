"""No fault: a proxy in ``waagent.conf``, which the agent does not use for the Wire Server."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, restart_agent

SUMMARY = "a proxy is set in waagent.conf (no fault)"

_FILE = "/etc/waagent.conf"


def inject(vm: LabVm) -> None:
    """Set it; nothing answers there."""
    as_root(vm, f"cp -p {_FILE} {_FILE}.away; printf 'HttpProxy.Host=10.0.0.99\\nHttpProxy.Port=3128\\n' >>{_FILE}")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Put the file back."""
    as_root(vm, f"mv {_FILE}.away {_FILE}")
    restart_agent(vm)
