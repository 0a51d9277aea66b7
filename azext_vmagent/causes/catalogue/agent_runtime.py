"""Scenario 1: the agent's program cannot start or breaks: Python, modules, certificates, versions, its own state."""

from __future__ import annotations
