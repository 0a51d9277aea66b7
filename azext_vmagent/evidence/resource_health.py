"""Resource health: what the platform says of the VM's host, independent of the agent."""

from __future__ import annotations

from azext_vmagent.evidence.arm import ArmClient
from azext_vmagent.evidence.asking import Said
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import Target

API_VERSION = "2022-10-01"


def resource_health(arm: ArmClient, target: Target, deadline: Deadline) -> Said:
    """(line for people, the answer's JSON). Raises azure.core errors and SourceFailed."""
    path = f"{target.id}/providers/Microsoft.ResourceHealth/availabilityStatuses/current"
    return "asked", arm.get(path, {"api-version": API_VERSION}, deadline)
