"""What the host counted for the VM (Azure Monitor platform metrics): no agent and no guest needed.

A *step* of network out to about zero against the VM's own history dates a silence; a level that was always low says
nothing, and a missing sample is unknown, never zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from math import isfinite
from statistics import median
from typing import Any

from azext_vmagent.facts.arm_values import child, items, moment, text


class NetworkTrend(str, Enum):
    """Network out, newest whole minutes against the VM's own history.

    ``FELL``: about 0 for 3 or more minutes; ``FELL_JUST_NOW``: for 1 or 2 (weak); ``FLOWING``: as before;
    ``ALWAYS_LOW``: never carried enough for a step to show, so it says nothing.
    """

    FLOWING = "flowing"
    FELL = "fell"
    FELL_JUST_NOW = "fell-just-now"
    ALWAYS_LOW = "always-low"
    UNKNOWN = "unknown"


class CpuState(str, Enum):
    """Percentage CPU over the newest minutes: flat at about 0, pegged near 100, alive, or unknown.

    ``ONE_CORE_PEGGED`` is a plateau at what one spinning core of several gives.
    """

    ALIVE = "alive"
    FLAT_ZERO = "flat-zero"
    PEGGED = "pegged"
    ONE_CORE_PEGGED = "one-core-pegged"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class HostMetrics:
    """Judgements on the samples. Rates are bytes per minute, CPU is a percentage of all cores, times are the samples'
    UTC minutes.

    ``fell_at`` is the first minute of the silence (last sample above it exclusive); ``network_minutes`` and
    ``cpu_minutes`` count the newest samples in the state told; ``newest`` is the newest sample of any metric;
    ``seen`` is one English line.
    """

    network: NetworkTrend
    cpu: CpuState
    seen: str
    newest: datetime | None = None
    baseline_out: float | None = None
    newest_out: float | None = None
    newest_in: float | None = None
    fell_at: datetime | None = None
    network_minutes: int = 0
    newest_network: datetime | None = None
    newest_cpu: float | None = None
    newest_cpu_time: datetime | None = None
    cpu_minutes: int = 0
    cpu_since: datetime | None = None
    disk_idle_minutes: int | None = None

    def covers(self, moment: datetime) -> bool:
        """Whether a sample of a minute that began at or after ``moment`` exists."""
        return self.newest is not None and self.newest >= moment


NOTHING = 128.0
"""Bytes a minute that count as silence: no more than an address resolution or two."""

SPEAKING = 512.0
"""Bytes a minute from which a VM's usual traffic is enough for its end to be seen."""

STALE = timedelta(minutes=15)
"""A newest sample older than this says nothing about now (ingestion takes 1 to 3 minutes)."""

LASTING_MINUTES = 3
_MINUTE = timedelta(minutes=1)
_MINUTES_AFTER_GAP = 5
_HISTORY_MINUTES = 5
_RARELY = 0.02
_IDLE_CPU = 0.15
_USUAL_CPU = 0.3
_FULL_CPU = 97.0
_CORE_COUNTS = (2, 4, 8, 16)

Series = Mapping[datetime, float]
"""Samples by the UTC minute in which they begin; a minute without a sample is absent."""


def parse_metrics(answer: Any) -> HostMetrics:
    """Judge the answer of ``GET .../Microsoft.Insights/metrics`` with PT1M samples of up to 24 hours.

    Never raises: an answer that is no such answer gives facts that say «unknown».

    >>> parse_metrics({"value": []}).seen
    'no samples'
    """
    step = _step(text(answer, "interval"))
    asked_until = _timespan_end(answer)
    out = _whole(_series(answer, "Network Out Total", "total", step), asked_until, step)
    received = _whole(_series(answer, "Network In Total", "total", step), asked_until, step)
    cpu = _whole(_series(answer, "Percentage CPU", "average", _MINUTE), asked_until, step)
    disk = _disk(answer, asked_until, step)
    newest = max((time for series in (out, received, cpu) for time in series), default=None)
    if newest is None:
        return HostMetrics(NetworkTrend.UNKNOWN, CpuState.UNKNOWN, "no samples")
    now = asked_until or newest + step
    network = _judge_network(out, now, step)
    processor = _judge_cpu(cpu, now, step)
    # a minute that was silent from end to end speaks for the processor as well: whatever stops both leaves 0 in it
    if network.fell_at is not None and (not cpu or max(cpu) < network.fell_at):
        processor = _Processor(CpuState.UNKNOWN)
    facts = HostMetrics(
        network=network.trend,
        cpu=processor.state,
        seen="",
        newest=newest,
        baseline_out=network.baseline,
        newest_out=_newest_value(out),
        newest_in=_newest_value(received),
        fell_at=network.fell_at,
        network_minutes=network.minutes,
        newest_network=max(out, default=None),
        newest_cpu=_newest_value(cpu),
        newest_cpu_time=max(cpu, default=None),
        cpu_minutes=processor.minutes,
        cpu_since=processor.since,
        disk_idle_minutes=_minutes(_run(disk, lambda value: value == 0), step) if disk else None,
    )
    return replace(facts, seen=_seen(facts, now))


@dataclass(frozen=True)
class _Network:
    trend: NetworkTrend
    baseline: float | None = None
    fell_at: datetime | None = None
    minutes: int = 0


@dataclass(frozen=True)
class _Processor:
    state: CpuState
    since: datetime | None = None
    minutes: int = 0


def _judge_network(out: Series, now: datetime, step: timedelta) -> _Network:
    """The trend of the bytes sent: a lasting silence counts only in a VM that is rarely silent."""
    silence = _run(out, lambda value: value <= NOTHING)
    always_silent = len(silence) == len(out) >= _HISTORY_MINUTES
    history = [value for time, value in out.items() if not silence or time < silence[0]]
    usual = median(history) if len(history) >= _HISTORY_MINUTES else None
    minutes = _minutes(silence, step)
    if not out or now - max(out) > STALE:
        return _Network(NetworkTrend.UNKNOWN, usual)
    if not silence:
        speaks = (_newest_value(out) or 0.0) >= SPEAKING
        return _Network(NetworkTrend.FLOWING if speaks else NetworkTrend.ALWAYS_LOW, usual)
    if always_silent:
        return _Network(NetworkTrend.ALWAYS_LOW, _newest_value(out), None, minutes)
    if usual is None:
        return _Network(NetworkTrend.UNKNOWN, None, None, minutes)
    if usual < SPEAKING or not _is_unusual(silence, history, out, step):
        return _Network(NetworkTrend.ALWAYS_LOW, usual, None, minutes)
    gap_before = silence[0] - step not in out
    enough = _MINUTES_AFTER_GAP if gap_before else LASTING_MINUTES
    trend = NetworkTrend.FELL if minutes >= enough else NetworkTrend.FELL_JUST_NOW
    return _Network(trend, usual, silence[0], minutes)


def _is_unusual(silence: Sequence[datetime], history: Sequence[float], out: Series, step: timedelta) -> bool:
    """Whether the VM was rarely silent before, or never for so long."""
    silent = sum(1 for value in history if value <= NOTHING)
    if silent <= _RARELY * len(history):
        return True
    longest = current = 0
    previous: datetime | None = None
    for time in sorted(time for time in out if time < silence[0]):
        quiet = out[time] <= NOTHING
        adjacent = previous is not None and time - previous == step
        current = (current + 1 if adjacent else 1) if quiet else 0
        longest, previous = max(longest, current), time
    return len(silence) > 1.5 * longest


def _judge_cpu(cpu: Series, now: datetime, step: timedelta) -> _Processor:
    """The state of the CPU over its newest samples, against the ones before; a minute or two is no state yet."""
    if not cpu or now - max(cpu) > STALE:
        return _Processor(CpuState.UNKNOWN)
    idle = _run(cpu, lambda value: value <= _IDLE_CPU)
    full = _run(cpu, lambda value: value >= _FULL_CPU)
    run = idle or full
    if run:
        minutes = _minutes(run, step)
        before = [value for time, value in cpu.items() if time < run[0]]
        state = _flat(cpu, run, before) if idle else _pegged(before)
        return _Processor(state if minutes >= LASTING_MINUTES else CpuState.UNKNOWN, run[0], minutes)
    plateau = _one_core(cpu, step)
    if plateau:
        return _Processor(CpuState.ONE_CORE_PEGGED, plateau[0], _minutes(plateau, step))
    return _Processor(CpuState.ALIVE)


def _flat(cpu: Series, run: Sequence[datetime], before: Sequence[float]) -> CpuState:
    """Flat at 0, unless the VM idles so low anyway that it does not show."""
    if len(before) < _HISTORY_MINUTES:
        return CpuState.FLAT_ZERO if max(cpu[time] for time in run) <= _IDLE_CPU / 3 else CpuState.UNKNOWN
    return CpuState.FLAT_ZERO if median(before) >= _USUAL_CPU else CpuState.UNKNOWN


def _pegged(before: Sequence[float]) -> CpuState:
    """Pegged, unless the VM usually computes at full load, which then does not show."""
    usual = len(before) >= _HISTORY_MINUTES and median(before) >= _FULL_CPU
    return CpuState.UNKNOWN if usual else CpuState.PEGGED


def _one_core(cpu: Series, step: timedelta) -> list[datetime]:
    """The newest samples that stay at what one spinning core of 2, 4, 8 or 16 gives, where the VM was calmer before."""
    latest = cpu[max(cpu)]
    level = next((100.0 / cores for cores in _CORE_COUNTS if abs(latest - 100.0 / cores) <= 1.5), None)
    if level is None:
        return []
    run = _run(cpu, lambda value: abs(value - level) <= 1.5)
    before = [value for time, value in cpu.items() if time < run[0]]
    calmer = len(before) >= _HISTORY_MINUTES and median(before) < level - 4
    return run if _minutes(run, step) >= LASTING_MINUTES + 2 and calmer else []


def _run(series: Series, holds: Callable[[float], bool]) -> list[datetime]:
    """The newest samples for which ``holds`` is true without a break, oldest first; missing minutes do not break it."""
    run: list[datetime] = []
    for time in sorted(series, reverse=True):
        if not holds(series[time]):
            break
        run.append(time)
    return run[::-1]


def _minutes(run: Sequence[datetime], step: timedelta) -> int:
    return len(run) * int(step.total_seconds() // 60)


def _newest_value(series: Series) -> float | None:
    return series[max(series)] if series else None


def _step(interval: str) -> timedelta:
    """The length of a sample: ``PT1M``, ``PT5M``, ``PT1H``; a minute when the answer does not say."""
    found = re.fullmatch(r"PT(\d{1,3})([MH])", interval)
    minutes = int(found[1]) * (60 if found[2] == "H" else 1) if found else 1
    return timedelta(minutes=minutes or 1)


def _timespan_end(answer: Any) -> datetime | None:
    """The end of the time asked for, which is when the question was asked."""
    return moment({"end": text(answer, "timespan").rpartition("/")[2]}, "end")


def _series(answer: Any, name: str, aggregation: str, step: timedelta) -> dict[datetime, float]:
    """The samples of one metric, as values per minute. A datum without the aggregation is no sample."""
    minutes = step.total_seconds() / 60
    samples: dict[datetime, float] = {}
    for metric in items(answer, "value"):
        if text(metric, "name", "value").lower() != name.lower():
            continue
        for series in items(metric, "timeseries"):
            for datum in items(series, "data"):
                time, value = moment(datum, "timeStamp"), child(datum, aggregation)
                number = isinstance(value, (int, float)) and not isinstance(value, bool)
                if time is not None and number and isfinite(value) and value >= 0:
                    samples[time] = samples.get(time, 0.0) + value / minutes
    return samples


def _whole(series: dict[datetime, float], end: datetime | None, step: timedelta) -> dict[datetime, float]:
    """Without the samples whose minute was not over when the question was asked: they hold a part of the traffic."""
    return series if end is None else {time: value for time, value in series.items() if time + step <= end}


def _disk(answer: Any, end: datetime | None, step: timedelta) -> dict[datetime, float]:
    """Bytes read and written per minute, for the minutes in which both are known."""
    read = _whole(_series(answer, "Disk Read Bytes", "total", step), end, step)
    written = _whole(_series(answer, "Disk Write Bytes", "total", step), end, step)
    return {time: read[time] + written[time] for time in read.keys() & written.keys()}


def _seen(facts: HostMetrics, now: datetime) -> str:
    """One line for people: what the network and the CPU did."""
    return ", ".join(part for part in (_seen_network(facts, now), _seen_cpu(facts)) if part) or "no samples"


def _seen_network(facts: HostMetrics, now: datetime) -> str:
    if facts.newest_out is None or facts.newest_network is None:
        return "no network samples"
    usual = "" if facts.baseline_out is None else rate(facts.baseline_out)
    if facts.network in (NetworkTrend.FELL, NetworkTrend.FELL_JUST_NOW) and facts.fell_at is not None:
        ago = int((now - facts.fell_at).total_seconds() // 60)
        return f"network out fell from {usual} to {rate(facts.newest_out)} at {facts.fell_at:%H:%M} UTC, {ago} min ago"
    if facts.network is NetworkTrend.ALWAYS_LOW:
        return f"{rate(facts.newest_out)} sent, which says nothing: it is often as low"
    if facts.network is NetworkTrend.FLOWING:
        return f"{rate(facts.newest_out)} out" + (f" (usually {usual})" if usual and _differs(facts) else "")
    if now - facts.newest_network > STALE:
        return f"no network samples since {facts.newest_network:%H:%M} UTC"
    return f"{rate(facts.newest_out)} out, with too little history to compare"


def _differs(facts: HostMetrics) -> bool:
    """Whether the newest traffic is far from the usual, up or down."""
    low, high = sorted((facts.newest_out or 0.0, facts.baseline_out or 0.0))
    return high > 5 * low


def _seen_cpu(facts: HostMetrics) -> str:
    if facts.newest_cpu is None:
        return "no CPU samples"
    level = f"{facts.newest_cpu:.0f} %"
    if facts.cpu is CpuState.FLAT_ZERO:
        return f"CPU flat at 0 for {facts.cpu_minutes} min"
    if facts.cpu is CpuState.PEGGED:
        return f"CPU pegged at {level} for {facts.cpu_minutes} min"
    if facts.cpu is CpuState.ONE_CORE_PEGGED:
        return f"CPU steady at {level} for {facts.cpu_minutes} min, as one busy core gives"
    as_before = facts.network is NetworkTrend.FLOWING and facts.baseline_out is not None and not _differs(facts)
    return f"CPU {level}" + (", as in the hours before" if as_before and facts.cpu is CpuState.ALIVE else "")


def rate(per_minute: float) -> str:
    """Bytes per minute for people.

    >>> rate(41_300), rate(0), rate(2_500_000)
    ('41 kB/min', '0', '2.5 MB/min')
    """
    if per_minute < 1:
        return "0"
    if per_minute < 1000:
        return f"{per_minute:.0f} B/min"
    if per_minute < 1_000_000:
        return f"{per_minute / 1000:.0f} kB/min"
    return f"{per_minute / 1_000_000:.1f} MB/min"
