"""Running a fault's commands inside the guest."""

from __future__ import annotations

from lab.arm.vm import LabVm
from lab.guests.base import LabError

AGENT = "walinuxagent.service"


def as_root(vm: LabVm, command: str, timeout: float = 60) -> str:
    """Run ``command`` through the side door and return its output; LabError when it fails."""
    code, output = vm.guest.shell(command, timeout)
    if code != 0:
        raise LabError(f"`{command}` failed in the guest with {code}: {output.strip()}")
    return output
