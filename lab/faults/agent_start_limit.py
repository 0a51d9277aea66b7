"""systemd has given up: the service failed too often in too short a time, for a reason that is gone."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root, drop_in, no_drop_in, restart_agent

SUMMARY = "systemd no longer starts the agent: its start limit is hit"


def inject(vm: LabVm) -> None:
    """Let it fail until systemd gives up, then take the reason away."""
    drop_in(vm, "[Service]\\nExecStart=\\nExecStart=/bin/false\\nRestart=always\\nRestartSec=0\\n")
    restart_agent(vm)
    as_root(vm, f'until [ "$(systemctl is-active {AGENT})" = failed ]; do sleep 0.2; done', 60)
    no_drop_in(vm)


def heal(vm: LabVm) -> None:
    """Forget the failures and start it."""
    restart_agent(vm)
