"""Scenarios 2 and 3, Windows: firewall, proxy, adapter, DHCP."""

from __future__ import annotations
