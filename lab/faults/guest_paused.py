"""The guest does not run although the VM does: its processors are stopped by the host."""

import time

from lab.arm.vm import LabVm
from lab.faults._hardware import machine
from lab.faults._in_guest import as_root

SUMMARY = "the guest hangs: its processors stand still"


def inject(vm: LabVm) -> None:
    """Stop the processors."""
    machine(vm).execute("stop")


def heal(vm: LabVm) -> None:
    """Let them go on, and put right the clock that stood still, as a hypervisor's time service does."""
    machine(vm).execute("cont")
    as_root(vm, f"date -s @{time.time():.3f}")
