"""The catalogue: every known cause, one module per area. Pure.

A new area is added to ``AREAS``; a new cause only to its area's module.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from azext_vmagent.causes.catalogue import (
    agent_builds,
    agent_goal_state,
    agent_provisioning,
    agent_runtime,
    agent_service,
    agent_silent,
    agent_storage,
    boot_loader,
    disk_damage,
    drivers_and_keys,
    evidence_channels,
    file_system,
    initramfs,
    kernel,
    network_agent,
    network_device,
    network_interface,
    platform,
    platform_faults,
    startup,
    windows_agent,
    windows_boot,
    windows_crypto,
    windows_network,
    windows_runtime,
    wire_server_agent,
    wire_server_dhcp,
    wire_server_path,
    wire_server_rules,
    wire_server_traps,
)
from azext_vmagent.causes.known_cause import KnownCause
from azext_vmagent.facts.serial_signature import Signature

AREAS: tuple[ModuleType, ...] = (
    platform,
    platform_faults,
    evidence_channels,
    agent_service,
    agent_silent,
    agent_runtime,
    agent_builds,
    agent_storage,
    agent_provisioning,
    agent_goal_state,
    wire_server_rules,
    wire_server_path,
    wire_server_agent,
    wire_server_dhcp,
    wire_server_traps,
    network_interface,
    network_device,
    network_agent,
    boot_loader,
    initramfs,
    drivers_and_keys,
    file_system,
    disk_damage,
    kernel,
    startup,
    windows_agent,
    windows_runtime,
    windows_crypto,
    windows_network,
    windows_boot,
)
"""In the order in which they are listed."""


@cache
def every_cause() -> tuple[KnownCause, ...]:
    """All entries, area by area, in the order in which they are written."""
    return tuple(entry for area in AREAS for entry in entries(area))


def entries(area: ModuleType) -> tuple[KnownCause, ...]:
    """The entries of one area."""
    return tuple(value for value in vars(area).values() if isinstance(value, KnownCause))


def title_of(area: ModuleType) -> str:
    """What an area is about: the first line of its module."""
    return (area.__doc__ or area.__name__).strip().splitlines()[0].rstrip(".")


def find_cause(name: str) -> KnownCause | None:
    """The entry with this code, slug or variant's slug, whatever its case; None when there is none.

    >>> find_cause("l01").slug
    'agent-stopped'
    """
    wanted = name.strip().lower()
    return next((entry for entry in every_cause() if wanted in (entry.code.lower(), *entry.slugs())), None)


@cache
def serial_signatures() -> tuple[Signature, ...]:
    """The lines of a serial log that the catalogue knows and that tell how a boot ended."""
    return tuple(signature for entry in every_cause() for signature in entry.signatures)
