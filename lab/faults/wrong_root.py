"""Scenario 4: the kernel line names a root disk that is not there; the initramfs waits for it and gives up.

The machine gets its kernel from outside, so that is where its line is changed. The wait is 5 s here, not 30.
"""

from lab.arm.vm import LabVm
from lab.faults._hardware import machine

SUMMARY = "the kernel line names a root file system that does not exist"

_WRONG = "root=/dev/vdz rootdelay=5"


def inject(vm: LabVm) -> None:
    """Change the line and boot."""
    hardware = machine(vm)
    vm.guest.power_off()
    hardware.kernel_line = hardware.kernel_line.replace("root=/dev/vda", _WRONG, 1)
    vm.guest.start()


def heal(vm: LabVm) -> None:
    """Change it back and boot."""
    hardware = machine(vm)
    vm.guest.power_off()
    hardware.kernel_line = hardware.kernel_line.replace(_WRONG, "root=/dev/vda", 1)
    vm.guest.start()
