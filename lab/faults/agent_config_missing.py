"""``/etc/waagent.conf`` is gone."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import move_away, move_back

SUMMARY = "the agent's configuration file is missing"

_FILE = "/etc/waagent.conf"


def inject(vm: LabVm) -> None:
    """Move it away; the agent reads it when it starts."""
    move_away(vm, _FILE)


def heal(vm: LabVm) -> None:
    """Move it back."""
    move_back(vm, _FILE)
