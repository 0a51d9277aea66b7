"""Azure Resource Health of the VM: the platform's heartbeat, not the guest agent's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class HealthFacts:
    """``state`` is Available, Unavailable, Degraded or Unknown ("" when the answer does not say).

    ``platform_event`` is True when the platform, not the customer, caused what is reported now; ``recently_resolved``
    when the answer tells of an unavailability that is over, which ended at ``resolved_at``.
    """

    state: str = ""
    title: str = ""
    summary: str = ""
    reason_type: str = ""
    context: str = ""
    category: str = ""
    occurred_at: datetime | None = None
    reported_at: datetime | None = None
    platform_event: bool = False
    recently_resolved: bool = False
    resolved_at: datetime | None = None
    resolved_summary: str = ""
