"""Scenario 4, Linux: firmware and boot loader."""

from __future__ import annotations
