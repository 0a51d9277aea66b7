"""The machine under a real guest, for faults that happen to hardware."""

from __future__ import annotations

from lab.arm.vm import LabVm
from lab.guests.base import LabError
from lab.guests.real import RealGuest
from lab.guests.real.qemu import Machine


def real_guest(vm: LabVm) -> RealGuest:
    """The VM's guest; LabError when it is a recorded one."""
    if not isinstance(vm.guest, RealGuest):
        raise LabError("this fault needs the real guest")
    return vm.guest


def machine(vm: LabVm) -> Machine:
    """The hardware under the VM."""
    return real_guest(vm).machine
