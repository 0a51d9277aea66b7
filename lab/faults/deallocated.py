"""A VM that somebody deallocated: no hardware, no agent, and nothing wrong."""

from lab.arm.vm import LabVm

SUMMARY = "the VM is deallocated"


def inject(vm: LabVm) -> None:
    """Deallocate."""
    vm.guest.deallocate()


def heal(vm: LabVm) -> None:
    """Start again; the guest boots from its disk."""
    vm.guest.start()
