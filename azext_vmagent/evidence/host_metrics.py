"""Platform metrics of the last 24 hours: one call, minute grain, no agent involved (Azure Monitor)."""

from __future__ import annotations

from datetime import datetime, timedelta

from azext_vmagent.evidence.arm import ArmClient
from azext_vmagent.evidence.asking import Said
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import Target

API_VERSION = "2023-10-01"
NAMES = "Percentage CPU,Network In Total,Network Out Total,Disk Read Bytes,Disk Write Bytes"
HISTORY = timedelta(hours=24)


def host_metrics(arm: ArmClient, target: Target, now: datetime, deadline: Deadline) -> Said:
    """(line for people, the answer's JSON). Raises azure.core errors and SourceFailed."""
    since, until = (now - HISTORY).strftime("%Y-%m-%dT%H:%MZ"), (now + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%MZ")
    params = {
        "api-version": API_VERSION,
        "metricnames": NAMES,
        "timespan": f"{since}/{until}",
        "interval": "PT1M",
        "aggregation": "Average,Total",
    }
    return "asked", arm.get(f"{target.id}/providers/Microsoft.Insights/metrics", params, deadline)
