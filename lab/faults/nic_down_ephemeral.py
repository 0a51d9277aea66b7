"""As ``nic_down``, on a VM whose OS disk is ephemeral: what Azure could do about it would erase the disk."""

from lab.arm.vm import LabVm
from lab.faults import nic_down

SUMMARY = "the network interface eth0 was taken down; the OS disk is ephemeral"


def inject(vm: LabVm) -> None:
    """Change the model, as at creation, and take the interface down."""
    vm.ephemeral_os_disk = True
    nic_down.inject(vm)


def heal(vm: LabVm) -> None:
    """Undo both."""
    nic_down.heal(vm)
    vm.ephemeral_os_disk = False
