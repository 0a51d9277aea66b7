"""The VM's primary NIC with its public address and security rules, in as few calls as the API allows.

``$expand`` brings address, subnet and rules in one call (documented for the NIC; several at once: unverified on Azure);
where it does not, one more GET fetches the public address and the rules stay unknown.
"""

from __future__ import annotations

from typing import Any

from azext_vmagent.evidence.arm import ArmClient
from azext_vmagent.evidence.asking import Said
from azext_vmagent.evidence.deadline import Deadline

API_VERSION = "2023-09-01"
_EXPAND = "ipConfigurations/publicIPAddress,ipConfigurations/subnet,networkSecurityGroup"


def network_interface(arm: ArmClient, nic_id: str, deadline: Deadline) -> Said:
    """(line for people, the NIC's JSON, its public address filled in). Raises azure.core errors and SourceFailed."""
    nic = arm.get(nic_id, {"api-version": API_VERSION, "$expand": _EXPAND}, deadline)
    for configuration in _ip_configurations(nic):
        public = (configuration.get("properties") or {}).get("publicIPAddress")
        if isinstance(public, dict) and "properties" not in public and isinstance(public.get("id"), str):
            public.update(arm.get(public["id"], {"api-version": API_VERSION}, deadline))
            break
    return "asked", nic


def _ip_configurations(nic: dict[str, Any]) -> list[dict[str, Any]]:
    found = (nic.get("properties") or {}).get("ipConfigurations") or []
    return [c for c in found if isinstance(c, dict)]
