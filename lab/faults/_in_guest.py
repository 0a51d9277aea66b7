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


def wait_for_door(vm: LabVm, attempts: int = 12) -> None:
    """Wait until the guest listens again; it may be in the middle of a reboot, which swallows a request."""
    for _ in range(attempts - 1):
        try:
            vm.guest.shell("true", 5)
        except LabError:
            continue
        return
    vm.guest.shell("true", 5)
