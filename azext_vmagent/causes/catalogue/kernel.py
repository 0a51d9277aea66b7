"""Scenario 4, Linux: the kernel panics, hangs, or has no memory."""

from __future__ import annotations
