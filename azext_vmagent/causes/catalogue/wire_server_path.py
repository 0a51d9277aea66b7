"""Scenario 2, Linux: the way from the agent to the Wire Server (168.63.129.16)."""

from __future__ import annotations
