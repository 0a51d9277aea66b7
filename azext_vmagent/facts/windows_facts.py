"""What only a Windows guest has to say, as types; ``facts/guest_windows.py`` reads them from ``probe.ps1``'s answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from azext_vmagent.facts.firewall_facts import BlockingRule
from azext_vmagent.facts.guest_facts import GuestFacts, LogFacts, LogLine, WireTest

AGENT_SERVICES = ("WindowsAzureGuestAgent", "RdAgent")
#: a service's Start value in the registry (MS-SCMR 2.2.15, dwStartType)
START_TYPES = {0: "boot", 1: "system", 2: "automatic", 3: "manual", 4: "disabled"}
#: the oldest version that VMAssist calls supported
LEAST_VERSION = "2.7.41491.1010"


@dataclass(frozen=True)
class WindowsService:
    """One service. ``state`` is ServiceController's word (Running, Stopped, StopPending, …), empty when not said.

    ``there`` tells whether the program that ``path`` names exists; ``exit_code`` is Win32_Service's (1066: see
    ``specific_code``).
    """

    name: str
    state: str = ""
    start: str = ""
    path: str = ""
    there: bool | None = None
    account: str = ""
    version: str = ""
    exit_code: int | None = None
    specific_code: int | None = None

    @property
    def running(self) -> bool | None:
        """None when the service manager did not say."""
        return self.state == "Running" if self.state else None


@dataclass(frozen=True)
class WindowsEvent:
    """Events of the last day about the agent's services or programs, one line for each kind: the newest, and how many.

    7000 and 7009: did not start; 7031 and 7034: ended unexpectedly (System); 1000 and 1026: crashed (Application).
    """

    id: int
    who: str
    count: int = 1
    time: datetime | None = None
    what: str = ""


@dataclass(frozen=True)
class Certificate:
    """A certificate that the platform issued to the agent, without its contents."""

    name: str
    until: datetime | None = None
    has_key: bool | None = None


@dataclass(frozen=True)
class FirewallProfile:
    """What is in force for one profile, Group Policy before the local setting."""

    name: str
    enabled: bool = True
    blocks_outbound: bool = False
    merges_local: bool = True
    by_policy: bool = False


@dataclass(frozen=True)
class WindowsFacts:
    """The parts of ``GuestFacts`` that Linux has no word for.

    ``elevated`` is None when not said; a test by neither SYSTEM nor an administrator proves nothing, because the
    agent's own filters turn it away. ``agent_only`` are firewall rules bound to the agent's own program or service:
    they block the agent and not the probe. ``probe_only`` block the probe and not the agent. ``known`` are log lines
    that name a known fault. ``proxies`` maps where a proxy is set (winhttp, system, script, machine.config,
    http_proxy) to it. ``adapter_models`` are the adapters' descriptions («Microsoft Hyper-V Network Adapter #2»).
    """

    system: bool | None = None
    elevated: bool | None = None
    services: Mapping[str, WindowsService] = field(default_factory=dict)
    profiles: tuple[FirewallProfile, ...] = ()
    active_profiles: tuple[str, ...] | None = None
    agent_only: tuple[BlockingRule, ...] = ()
    probe_only: tuple[BlockingRule, ...] = ()
    agent_version: str = ""
    started: datetime | None = None
    known: tuple[LogLine, ...] = ()
    installer: LogFacts = field(default_factory=LogFacts)
    events: tuple[WindowsEvent, ...] = ()
    proxies: Mapping[str, str] = field(default_factory=dict)
    bypasses: Mapping[str, str] = field(default_factory=dict)
    machine_config: str = ""
    wcf_profiling: bool | None = None
    enable_64bit: int | None = None
    certificates: tuple[Certificate, ...] | None = None
    adapters_off: tuple[str, ...] = ()
    without_dhcp: tuple[str, ...] = ()
    adapter_models: tuple[str, ...] = ()
    persistent_routes: tuple[str, ...] = ()
    registry: Mapping[str, str] = field(default_factory=dict)
    imds: WireTest | None = None
    reboot_pending: bool | None = None
    failed: Mapping[str, str] = field(default_factory=dict)

    def runs(self, service: str) -> bool:
        """Whether that service is known to run."""
        return service in self.services and self.services[service].running is True


def since_start(guest: GuestFacts, lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
    """The log lines since the agent's newest start, newest first; a line without a time is not counted."""
    started = guest.windows.started if guest.windows else None
    floor = started or (guest.clock - timedelta(days=1) if guest.clock else None)
    dated = [(line.time, line) for line in lines if line.time is not None and (floor is None or line.time >= floor)]
    return tuple(line for _, line in sorted(dated, key=lambda pair: pair[0], reverse=True))


def is_older(version: str, least: str) -> bool:
    """Whether a dotted version is below another; one that is no version is not.

    >>> is_older("2.7.41491.949", LEAST_VERSION), is_older("Unknown", LEAST_VERSION)
    (True, False)
    """
    parts = version.split(".")
    if len(parts) != 4 or not all(part.isdecimal() and len(part) < 9 for part in parts):
        return False
    return [int(part) for part in parts] < [int(part) for part in least.split(".")]
