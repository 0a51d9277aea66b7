"""Scenario 4, Linux: a mount or a file system stops the boot."""

from __future__ import annotations
