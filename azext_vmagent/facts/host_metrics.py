"""What the host counted for the VM (Azure Monitor platform metrics): no agent and no guest needed.

A *step* of network out to about zero against the VM's own history dates a silence; a level that was always low says
nothing, and a missing sample is unknown, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


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
    sample_times: tuple[datetime, ...] = ()

    def covers(self, moment: datetime) -> bool:
        """Whether a sample of a minute that began at or after ``moment`` exists."""
        return self.newest is not None and self.newest >= moment
