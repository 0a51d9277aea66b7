"""Scenario 3, Linux: the network interface, its driver, its name, its address."""

from __future__ import annotations
