"""Scenario 1, Windows: the agent's services and what keeps them from working."""

from __future__ import annotations
