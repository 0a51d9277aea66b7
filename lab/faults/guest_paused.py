"""The guest does not run although the VM does: its processors are stopped by the host."""

from lab.arm.vm import LabVm
from lab.faults._hardware import machine

SUMMARY = "the guest hangs: its processors stand still"


def inject(vm: LabVm) -> None:
    """Stop the processors."""
    machine(vm).execute("stop")


def heal(vm: LabVm) -> None:
    """Let them go on."""
    machine(vm).execute("cont")
