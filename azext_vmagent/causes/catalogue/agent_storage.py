"""Scenario 1: the agent cannot write: disk, inodes, read-only or noexec mounts."""

from __future__ import annotations
