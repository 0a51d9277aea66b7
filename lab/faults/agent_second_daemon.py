"""No fault: somebody started the agent by hand, so systemd's own gave up; the agent works."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root, restart_agent

SUMMARY = "the agent runs outside its service, which is inactive (no fault)"


def inject(vm: LabVm) -> None:
    """Start it by hand, then the service, which finds it running."""
    as_root(
        vm, f"systemctl stop {AGENT}; cd /; setsid /usr/sbin/waagent -daemon >/dev/null 2>&1 </dev/null & sleep 3", 90
    )
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """End it and start the service."""
    as_root(vm, "kill $(cat /run/waagent.pid); pkill -f '[r]un-exthandlers' || true; sleep 1")
    restart_agent(vm)
