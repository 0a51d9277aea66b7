"""The guest's clock is 40 days ahead."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "the guest's clock is 40 days ahead"

_SECONDS = 40 * 86400


def inject(vm: LabVm) -> None:
    """Set it ahead."""
    as_root(vm, f"date -s @$(($(date +%s) + {_SECONDS}))")


def heal(vm: LabVm) -> None:
    """Set it back."""
    as_root(vm, f"date -s @$(($(date +%s) - {_SECONDS}))")
