"""No fault: a proxy in the unit's environment, which the agent does not use for the Wire Server."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import drop_in, no_drop_in, restart_agent

SUMMARY = "a proxy is set in the agent's environment (no fault)"


def inject(vm: LabVm) -> None:
    """Set it; nothing answers there."""
    drop_in(vm, "[Service]\\nEnvironment=http_proxy=http://10.0.0.99:3128 https_proxy=http://10.0.0.99:3128\\n")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Remove it."""
    no_drop_in(vm)
    restart_agent(vm)
