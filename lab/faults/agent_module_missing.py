"""The agent's Python module is gone, so its service dies and systemd starts it again and again."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root, drop_in, no_drop_in, restart_agent

SUMMARY = "the agent crashes at every start: its Python module is missing"

_MODULE = "/usr/lib/python3/dist-packages/azurelinuxagent"


def inject(vm: LabVm) -> None:
    """Move the module away; restart as the agent's own unit file does (Debian's does not)."""
    as_root(vm, f"systemctl stop {AGENT}; mv {_MODULE} {_MODULE}.away", 90)
    drop_in(vm, "[Service]\\nRestart=always\\nRestartSec=5\\n")
    restart_agent(vm)
    as_root(vm, f"while systemctl show -p NRestarts {AGENT} | grep -qx NRestarts=0; do sleep 0.2; done", 60)


def heal(vm: LabVm) -> None:
    """Move it back, over what a Python that still ran may have left there."""
    as_root(vm, f"systemctl stop {AGENT}; rm -rf {_MODULE}; mv {_MODULE}.away {_MODULE}", 90)
    no_drop_in(vm)
    restart_agent(vm)
