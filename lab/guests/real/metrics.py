"""Host metrics of one VM, measured on its QEMU process: CPU time, the tap's byte counters, the disk's bytes.

A restored guest stands for a VM that had been running idle for long. So the minutes before its start are real minutes
of the same idle guest, measured once when the snapshot was made and repeated: the only thing here that is not measured
at the time it is given for.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from lab.guests.base import LabError, MinuteSample
from lab.guests.real.network import TAP
from lab.guests.real.qemu import VCPUS, Machine

MINUTE = 60
HISTORY = 24 * 60 * MINUTE
_INTERVAL = 5
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What a VM used in a length of time; also, from its start on, what its counters say."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    network_in: float = 0.0
    network_out: float = 0.0
    disk_read: float = 0.0
    disk_write: float = 0.0

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def times(self, factor: float) -> Usage:
        """A part of it."""
        return Usage(*(getattr(self, f.name) * factor for f in fields(self)))

    def since(self, earlier: Usage) -> Usage:
        """From one state of the counters to another."""
        return self.plus(earlier.times(-1))


@dataclass(frozen=True)
class Reading:
    """The counters of one QEMU process at a time (epoch seconds)."""

    time: float
    pid: int
    counters: Usage


class MinuteBook:
    """Usage booked to the minutes in which it happened. Pure: it has no clock."""

    def __init__(self) -> None:
        self._minutes: dict[int, Usage] = {}
        self._known_until = 0.0

    def add(self, begin: float, end: float, usage: Usage) -> None:
        """Book what was used from ``begin`` to ``end``, evenly."""
        at = begin
        while at < end:
            minute = _minute(at)
            stop = min(end, minute + MINUTE)
            share = usage.times((stop - at) / (end - begin))
            self._minutes[minute] = self._minutes.get(minute, Usage()).plus(share)
            at = stop
        self.known_until(end)

    def known_until(self, when: float) -> None:
        """Nothing will be booked before ``when`` any more."""
        self._known_until = max(self._known_until, when)

    def repeat_before(self, start: float, idle: Sequence[Usage]) -> None:
        """Fill the 24 hours before ``start`` with the given minutes, over and over."""
        first = _minute(start - HISTORY)
        for number, minute in enumerate(range(first, _minute(start) + MINUTE, MINUTE)):
            usage = idle[number % len(idle)]
            self.add(minute, min(minute + MINUTE, start), usage.times((min(minute + MINUTE, start) - minute) / MINUTE))

    def samples(self, since: float, until: float) -> list[MinuteSample]:
        """Every whole minute between the two that is over; without values when nothing ran."""
        first = _minute(since) if since == _minute(since) else _minute(since) + MINUTE
        last = min(until, self._known_until) - MINUTE
        return [self._sample(minute) for minute in range(first, int(last) + 1, MINUTE)]

    def _sample(self, minute: int) -> MinuteSample:
        usage = self._minutes.get(minute)
        if usage is None or usage.seconds <= 0:
            return MinuteSample(minute, None, None, None, None, None)
        percent = min(100.0, 100 * usage.cpu_seconds / (usage.seconds * VCPUS))
        return MinuteSample(
            minute,
            round(percent, 3),
            round(usage.network_in),
            round(usage.network_out),
            round(usage.disk_read),
            round(usage.disk_write),
        )


class Sampler:
    """Reads a VM's counters every few seconds into a book, in a thread of its own."""

    def __init__(self, read: Callable[[], Reading | None]) -> None:
        self._read = read
        self._book = MinuteBook()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self, idle: Sequence[Usage] = ()) -> None:
        """Begin; with the minutes of an idle guest, the 24 hours before now are theirs."""
        if idle:
            self._book.repeat_before(time.time(), idle)
        self._thread.start()

    def samples(self, since: float, until: float) -> list[MinuteSample]:
        """Whole minutes that are over, oldest first."""
        with self._lock:
            return self._book.samples(since, until)

    def forget(self) -> None:
        """Have no samples from before now."""
        with self._lock:
            self._book = MinuteBook()

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        last: Reading | None = None
        while not self._stop.is_set():
            reading = self._read()
            with self._lock:
                if reading and last and reading.pid == last.pid:
                    self._book.add(last.time, reading.time, reading.counters.since(last.counters))
                self._book.known_until(time.time() - _INTERVAL)
            last = reading
            self._stop.wait(_INTERVAL)


def read(machine: Machine) -> Reading | None:
    """The machine's counters now, or None when it is off."""
    pid = machine.pid
    if pid is None:
        return None
    try:
        now = time.time()
        received, sent = tap_bytes(Path(f"/proc/{pid}/net/dev").read_text())
        disks = [disk["stats"] for disk in machine.execute("query-blockstats")]
        counters = Usage(
            seconds=now,
            cpu_seconds=cpu_seconds(Path(f"/proc/{pid}/stat").read_text()),
            network_in=sent,
            network_out=received,
            disk_read=sum(stats["rd_bytes"] for stats in disks),
            disk_write=sum(stats["wr_bytes"] for stats in disks),
        )
    except (OSError, LabError, ValueError):
        return None
    return Reading(now, pid, counters)


def measure_minutes(machine: Machine, count: int) -> list[Usage]:
    """Watch a machine for some minutes and say what it used in each."""
    minutes = []
    before = _read_surely(machine)
    for _ in range(count):
        time.sleep(MINUTE)
        after = _read_surely(machine)
        used = after.counters.since(before.counters)
        minutes.append(replace(used.times(MINUTE / used.seconds), seconds=MINUTE))
        before = after
    return minutes


def tap_bytes(proc_net_dev: str) -> tuple[int, int]:
    """(received, sent) bytes of the tap. What it receives is what the guest sent."""
    for line in proc_net_dev.splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == TAP:
            values = numbers.split()
            return int(values[0]), int(values[8])
    raise ValueError(f"no {TAP} in /proc/net/dev")


def cpu_seconds(proc_stat: str) -> float:
    """User and system time of a process, from /proc/PID/stat (proc(5), fields 14 and 15)."""
    after_name = proc_stat.rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def _read_surely(machine: Machine) -> Reading:
    reading = read(machine)
    if reading is None:
        raise LabError("the guest stopped while its idle minutes were measured")
    return reading


def _minute(when: float) -> int:
    return int(when // MINUTE) * MINUTE
