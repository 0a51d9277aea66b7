"""Azure Resource Health of the VM: the platform's heartbeat, not the guest agent's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azext_vmagent.facts.arm_values import child, items, moment, text


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


def parse_health(answer: Any) -> HealthFacts:
    """Facts from ``GET .../availabilityStatuses/current``. Never raises on odd or missing parts.

    >>> facts = parse_health({"name": "current", "properties": {
    ...     "availabilityState": "Available", "title": "Available", "occuredTime": "2026-11-23T23:00:00Z",
    ...     "summary": "There aren't any known Azure platform problems affecting this virtual machine."}})
    >>> facts.state, facts.platform_event
    ('Available', False)
    """
    properties = child(answer, "properties")
    resolved = child(properties, "recentlyResolved")
    state = text(properties, "availabilityState")
    return HealthFacts(
        state=state,
        title=text(properties, "title"),
        summary=text(properties, "summary"),
        reason_type=text(properties, "reasonType"),
        context=text(properties, "context"),
        category=text(properties, "category"),
        occurred_at=moment(properties, "occuredTime") or moment(properties, "occurredTime"),
        reported_at=moment(properties, "reportedTime"),
        platform_event=_platform_event(properties, state),
        recently_resolved=isinstance(resolved, dict) and bool(resolved),
        resolved_at=moment(resolved, "resolvedTime"),
        resolved_summary=text(resolved, "unavailableSummary"),
    )


_CUSTOMER = ("customer", "user", "vm initiated")


def _platform_event(properties: Any, state: str) -> bool:
    """Whether the platform reports trouble of its own: not available for a reason that no customer caused.

    ``reasonType`` is Unplanned or Planned (platform) or UserInitiated; ``context`` says «Platform Initiated», «Customer
    Initiated» or «VM Initiated»; a list of impacting events comes only with an outage.
    """
    if state.lower() not in {"unavailable", "degraded"}:
        return False
    said = " ".join(text(properties, key) for key in ("reasonType", "context", "healthEventCause")).lower()
    if any(word in said for word in _CUSTOMER):
        return False
    planned = any(word in said for word in ("planned", "platform"))
    return planned or next(items(properties, "serviceImpactingEvents"), None) is not None
