"""Scenario 4, Linux: the initramfs does not find the root file system."""

from __future__ import annotations
