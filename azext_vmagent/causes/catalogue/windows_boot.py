"""Scenario 4, Windows: boot manager, blue screen, updates; seen on the screenshot."""

from __future__ import annotations
