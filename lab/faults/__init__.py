"""Faults by name, made in the real guest as a person would make them.

A fault is one module here: ``SUMMARY`` says what is wrong, ``inject(vm)`` makes it so, ``heal(vm)`` undoes it. The
module ``nic_down`` is the fault ``nic-down``; nothing else has to know it.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol, cast

from lab.arm.vm import LabVm
from lab.guests.base import LabError


class Fault(Protocol):
    """What a fault's module holds."""

    SUMMARY: str

    def inject(self, vm: LabVm) -> None:
        """Make it so; returns when it is (not when anybody has noticed)."""

    def heal(self, vm: LabVm) -> None:
        """Undo it; returns when the cause is gone (not when the agent has reported)."""


def names() -> list[str]:
    """All faults."""
    return sorted(found.name.replace("_", "-") for found in pkgutil.iter_modules(__path__) if found.name[0] != "_")


def load(name: str) -> Fault:
    """The fault of that name."""
    if name not in names():
        raise LabError(f"there is no fault {name!r}; there are {', '.join(names())}")
    return cast(Fault, importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))
