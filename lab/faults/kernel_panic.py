"""The kernel panicked and stays so (``kernel.panic`` is 0)."""

import contextlib

from lab.arm.vm import LabVm
from lab.guests.base import LabError

SUMMARY = "the guest's kernel panicked"


def inject(vm: LabVm) -> None:
    """Ask the kernel to crash; the side door dies with it."""
    with contextlib.suppress(LabError):
        vm.guest.shell("sync; echo c >/proc/sysrq-trigger", 2)


def heal(vm: LabVm) -> None:
    """Reset the machine."""
    vm.guest.restart()
