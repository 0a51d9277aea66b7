"""A VM in its first minutes: it boots for the first time, and its set-up has not come to the agent yet."""

import time

from lab.arm.vm import LabVm
from lab.faults._hardware import real_guest
from lab.faults._held_back import hold_back, let_go

SUMMARY = "the VM was created just now; its agent has not started yet"


def inject(vm: LabVm) -> None:
    """Hold the agent back, and let the VM begin anew: model, console, metrics, uploads."""
    hold_back(vm)
    guest = real_guest(vm)
    guest.power_off()
    guest.forget_past()
    guest.start()
    vm.time_created = time.time()


def heal(vm: LabVm) -> None:
    """The set-up ends; the agent starts. The VM stays as young as it is."""
    let_go(vm)
