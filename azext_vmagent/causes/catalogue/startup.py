"""Scenario 4, Linux: systemd, SELinux, auditd and what a started system says of itself."""

from __future__ import annotations
