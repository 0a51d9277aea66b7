"""A VM made without an agent on purpose: ``provisionVMAgent: false``.

Where the image has the agent all the same, provisioning leaves ``/var/lib/waagent/disable_agent``, and its daemon
sleeps for ever (WALinuxAgent's daemon/main.py): the service is active and never reports.
"""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root

SUMMARY = "the VM was made without an agent (provisionVMAgent is false)"

_MARK = "/var/lib/waagent/disable_agent"


def inject(vm: LabVm) -> None:
    """Change the model, as at creation, and put the agent to sleep."""
    as_root(vm, f"touch {_MARK} && systemctl restart {AGENT}", 90)
    vm.provision_vm_agent = vm.allow_extension_operations = False


def heal(vm: LabVm) -> None:
    """Undo both."""
    as_root(vm, f"rm -f {_MARK} && systemctl restart {AGENT}", 90)
    vm.provision_vm_agent = vm.allow_extension_operations = True
