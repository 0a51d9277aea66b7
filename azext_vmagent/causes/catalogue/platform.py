"""Not the guest's fault, or not a fault at all: the VM's state, its model, the platform."""

from __future__ import annotations
