"""The program ``openssl``, with which the agent makes and reads its certificates, is gone."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import move_away, move_back

SUMMARY = "openssl is missing"

_FILE = "/usr/bin/openssl"


def inject(vm: LabVm) -> None:
    """Move it away; the agent needs it when it starts."""
    move_away(vm, _FILE)


def heal(vm: LabVm) -> None:
    """Move it back."""
    move_back(vm, _FILE)
