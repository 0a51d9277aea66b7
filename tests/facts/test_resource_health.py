"""Resource Health: whose event it is, and what is over."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from azext_vmagent.facts.resource_health import HealthFacts, parse_health


def health(**properties: Any) -> HealthFacts:
    return parse_health({"name": "current", "properties": properties})


def test_available() -> None:
    facts = health(availabilityState="Available", title="Available", reasonType="", occuredTime="2026-11-23T23:00:00Z")
    assert (facts.state, facts.platform_event, facts.recently_resolved) == ("Available", False, False)
    assert facts.occurred_at == datetime(2026, 11, 23, 23, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("said", "platform"),
    [
        ({"reasonType": "Unplanned", "context": "Platform Initiated"}, True),
        ({"reasonType": "Planned"}, True),
        ({"serviceImpactingEvents": [{"status": {"value": "Active"}}]}, True),
        ({"reasonType": "UserInitiated"}, False),
        ({"reasonType": "Customer Initiated"}, False),
        ({"reasonType": "Unplanned", "context": "VM Initiated"}, False),
        ({}, False),
    ],
)
def test_whose_event_it_is(said: dict[str, Any], platform: bool) -> None:
    assert health(availabilityState="Unavailable", **said).platform_event is platform


def test_an_event_that_is_over_is_told_apart() -> None:
    resolved = {"resolvedTime": "2026-11-24T08:00:00Z", "unavailableSummary": "host failure"}
    facts = health(availabilityState="Available", reasonType="Unplanned", recentlyResolved=resolved)
    assert (facts.platform_event, facts.recently_resolved, facts.resolved_summary) == (False, True, "host failure")
    assert facts.resolved_at == datetime(2026, 11, 24, 8, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "odd", [None, [], 3, {}, {"properties": 3}, {"properties": {"availabilityState": 4, "recentlyResolved": 1}}]
)
def test_odd_answers_say_nothing(odd: Any) -> None:
    assert parse_health(odd) == HealthFacts()
