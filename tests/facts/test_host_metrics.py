"""Steps, levels and gaps in the host's metrics: each judgement with its near miss."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from azext_vmagent.facts.host_metrics import CpuState, HostMetrics, NetworkTrend, parse_metrics

NEWEST = datetime(2026, 11, 24, 9, 24, tzinfo=timezone.utc)
Samples = Sequence[float | None]


def metric(name: str, aggregation: str, samples: Samples, newest: datetime = NEWEST) -> dict[str, Any]:
    first = newest - timedelta(minutes=len(samples) - 1)
    data = [
        {"timeStamp": f"{first + timedelta(minutes=at):%Y-%m-%dT%H:%M:%SZ}"}
        | ({} if value is None else {aggregation: value})
        for at, value in enumerate(samples)
    ]
    return {"name": {"value": name, "localizedValue": name}, "timeseries": [{"metadatavalues": [], "data": data}]}


def judge(out: Samples = (), cpu: Samples = (), asked: datetime = NEWEST + timedelta(seconds=90)) -> HostMetrics:
    value = [metric("Network Out Total", "total", out), metric("Percentage CPU", "average", cpu)]
    timespan = f"{asked - timedelta(hours=24):%Y-%m-%dT%H:%M:%SZ}/{asked:%Y-%m-%dT%H:%M:%SZ}"
    return parse_metrics({"cost": 0, "timespan": timespan, "interval": "PT1M", "value": value})


def test_usual_traffic_flows() -> None:
    facts = judge([41_000] * 1400, [3.0] * 1400)
    assert (facts.network, facts.cpu) == (NetworkTrend.FLOWING, CpuState.ALIVE)
    assert facts.seen == "41 kB/min out, CPU 3 %, as in the hours before"


def test_a_fall_is_dated_and_named() -> None:
    facts = judge([41_000] * 1400 + [0] * 12, [3.0] * 1412)
    assert facts.network is NetworkTrend.FELL
    assert facts.fell_at == datetime(2026, 11, 24, 9, 13, tzinfo=timezone.utc)
    assert facts.baseline_out == 41_000
    assert facts.seen == "network out fell from 41 kB/min to 0 at 09:13 UTC, 12 min ago, CPU 3 %"


@pytest.mark.parametrize(("minutes", "trend"), [(1, "fell-just-now"), (2, "fell-just-now"), (3, "fell")])
def test_a_fall_needs_three_whole_minutes_to_be_sure(minutes: int, trend: str) -> None:
    assert judge([41_000] * 60 + [0] * minutes).network.value == trend


def test_the_minute_under_way_is_not_counted() -> None:
    facts = judge([41_000] * 60 + [0], asked=NEWEST + timedelta(seconds=20))
    assert facts.network is NetworkTrend.FLOWING
    assert facts.newest == NEWEST - timedelta(minutes=1)


def test_an_idle_private_vm_says_nothing() -> None:
    assert judge([0] * 1400).network is NetworkTrend.ALWAYS_LOW
    assert judge([0, 0, 90, 0] * 350).network is NetworkTrend.ALWAYS_LOW


def test_a_nightly_batch_that_ended_is_no_fall() -> None:
    assert judge([0] * 700 + [9_000_000] * 800 + [0] * 30).network is NetworkTrend.ALWAYS_LOW


def test_a_vm_that_pauses_every_hour_is_no_fall_until_it_pauses_longer() -> None:
    hour = [50_000.0] * 50 + [0.0] * 10
    assert judge(hour * 20).network is NetworkTrend.ALWAYS_LOW
    assert judge(hour * 20 + [0] * 10).network is NetworkTrend.FELL


def test_less_traffic_than_usual_is_still_traffic() -> None:
    facts = judge([41_000] * 600 + [700] * 12, [3.0] * 612)
    assert facts.network is NetworkTrend.FLOWING
    assert facts.seen == "700 B/min out (usually 41 kB/min), CPU 3 %"


def test_missing_samples_are_unknown_not_zero() -> None:
    facts = judge([41_000] * 60 + [None] * 30, [3.0] * 60 + [None] * 30)
    assert (facts.network, facts.cpu) == (NetworkTrend.UNKNOWN, CpuState.UNKNOWN)
    assert facts.fell_at is None


def test_ingestion_lag_of_a_few_minutes_does_not_hide_the_state() -> None:
    assert judge([41_000] * 60 + [None] * 3).network is NetworkTrend.FLOWING


def test_a_start_after_deallocation_needs_time_before_silence_counts() -> None:
    assert judge([41_000] * 600 + [None] * 120 + [0] * 3).network is NetworkTrend.FELL_JUST_NOW
    assert judge([41_000] * 600 + [None] * 120 + [0] * 5).network is NetworkTrend.FELL


def test_a_restart_that_came_back_flows() -> None:
    assert judge([41_000] * 600 + [0, 0] + [38_000] * 4).network is NetworkTrend.FLOWING


def test_too_little_history_is_unknown() -> None:
    assert judge([41_000] * 2 + [0] * 4).network is NetworkTrend.UNKNOWN


def test_a_dead_processor_is_flat() -> None:
    facts = judge([41_000] * 60 + [0] * 8, [3.0] * 60 + [0.0] * 8)
    assert (facts.cpu, facts.cpu_minutes) == (CpuState.FLAT_ZERO, 8)


def test_two_flat_minutes_are_neither_alive_nor_dead() -> None:
    assert judge([41_000] * 60 + [0] * 2, [3.0] * 60 + [0.0] * 2).cpu is CpuState.UNKNOWN


def test_a_vm_that_always_idles_is_not_flat() -> None:
    assert judge(cpu=[0.1] * 600).cpu is CpuState.UNKNOWN


def test_a_pegged_processor_and_one_that_always_computes() -> None:
    assert judge(cpu=[3.0] * 60 + [100.0] * 4).cpu is CpuState.PEGGED
    assert judge(cpu=[100.0] * 600 + [80.0] + [100.0] * 9).cpu is CpuState.UNKNOWN


def test_one_core_of_four_spins() -> None:
    assert judge(cpu=[3.0] * 60 + [25.2, 25.0, 25.1, 25.3, 25.1, 25.0]).cpu is CpuState.ONE_CORE_PEGGED
    assert judge(cpu=[25.0] * 60).cpu is CpuState.ALIVE


def test_an_older_processor_sample_does_not_speak_for_the_time_after_the_fall() -> None:
    facts = judge([41_000] * 60 + [0] * 5, [3.0] * 60 + [None] * 5)
    assert facts.network is NetworkTrend.FELL
    assert facts.cpu is CpuState.UNKNOWN


def test_one_wholly_silent_minute_tells_a_living_processor_from_a_dead_one() -> None:
    alive = judge([41_000] * 60 + [13_000, 0], [3.0] * 61 + [2.5])
    assert (alive.network, alive.cpu) == (NetworkTrend.FELL_JUST_NOW, CpuState.ALIVE)
    dead = judge([41_000] * 60 + [13_000, 0], [3.0] * 60 + [1.0, 0.0])
    assert dead.network is NetworkTrend.FELL_JUST_NOW
    assert dead.cpu is not CpuState.ALIVE


def test_covers_asks_for_a_minute_that_began_later() -> None:
    facts = judge([41_000] * 10)
    assert facts.covers(NEWEST)
    assert not facts.covers(NEWEST + timedelta(seconds=1))


def test_five_minute_samples_become_rates() -> None:
    answer = {"interval": "PT5M", "value": [metric("Network Out Total", "total", [5_000] * 30)]}
    assert parse_metrics(answer).newest_out == 1000


def test_idle_disks_are_counted_only_where_both_directions_are_known() -> None:
    read, written = [10.0, 0.0, 0.0, 0.0], [10.0, 0.0, 0.0, None]
    answer = {
        "value": [
            metric("Network Out Total", "total", [41_000] * 4),
            metric("Disk Read Bytes", "total", read),
            metric("Disk Write Bytes", "total", written),
        ]
    }
    assert parse_metrics(answer).disk_idle_minutes == 2


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        [],
        "text",
        {},
        {"value": None},
        {"value": [None, 3, {"name": 7}]},
        {
            "value": [
                {"name": {"value": "Percentage CPU"}, "timeseries": [{"data": [{"timeStamp": "soon", "average": 1}]}]}
            ]
        },
        {
            "value": [
                {"name": {"value": "Percentage CPU"}, "timeseries": [{"data": [{"timeStamp": 5, "average": "x"}]}]}
            ]
        },
        {
            "timespan": "x/y",
            "interval": "PT0M",
            "value": [metric("Network Out Total", "total", [float("nan"), -4.0, True])],
        },
    ],
)
def test_garbage_says_unknown(garbage: Any) -> None:
    facts = parse_metrics(garbage)
    assert (facts.network, facts.cpu, facts.seen) == (NetworkTrend.UNKNOWN, CpuState.UNKNOWN, "no samples")
