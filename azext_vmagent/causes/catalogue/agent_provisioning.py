"""Scenario 1: the agent waits or is told to do nothing: cloud-init, configuration, unknown distributions."""

from __future__ import annotations
