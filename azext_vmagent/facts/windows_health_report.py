"""The health report that the Azure agent of a Windows guest writes to the serial port, as typed facts. Pure.

The agent writes one while the Special Administrative Console is off, whatever Azure thinks of the agent (sources:
microsoft/azserialconsole, Known_Issues/Windows_Health_Info.md; whole reports in MicrosoftDocs/SupportArticles-docs
issue 782 and azure-stack-docs issue 221)::

    ======== Microsoft Azure VM Health Report - Start 2018-03-06T02:06:40.6256349Z ========
    {"reportTime":"2018-03-06T02:06:29.0389712Z","networkAdapters":[{"name":"Ethernet 2","status":"Up","macAddress":
    "00-0F-3A-A7-71-D0","ipProperties":[{"protocolVersion":4,"address":"10.0.1.4","isDhcpEnabled":true},…]},…],…
    [{"errorControl":"Normal","exitCode":1067,"name":"WindowsAzureGuestAgent","processId":0,"startMode":"Auto",
    "startName":"LocalSystem","state":"Stopped","status":"OK"},…],"systemInfo":{"windows":{"osVersion":"Microsoft
    Windows NT 6.2.9200.0","emsEnabled":false,"safeBoot":-1,…}},"firewallPolicy":{"localPolicy":{"publicProfile":
    {"blockAllInboundConnections":-1,"enable":1},…},"domainPolicy":{…}}}
    ======== Microsoft Azure VM Health Report - End 2018-03-06T02:06:40.8506342Z =========

No schema is published: what has another shape counts as not said. A value of -1 means «not set».
"""

from __future__ import annotations

import ipaddress
import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import Any

from azext_vmagent.facts.arm_values import child, flag, items, moment, text
from azext_vmagent.facts.console_text import Console, clean, printable

_MARK = re.compile(r"^ {0,4}={4,20} Microsoft Azure VM Health Report - (Start|End)(?: (\S{1,40}))? ={4,20}")
_NEEDLE = "VM Health Report - "
#: a report is some 10 kB; what is larger is none
_LARGEST = 512 * 1024
#: adapters that carry a network only on top of another one, or none at all: their state says nothing of the guest's
#: way out. Windows gives an asterisk to those it hides («Local Area Connection* 3», a WAN miniport).
_VIRTUAL = re.compile(
    r"(?i)loopback|isatap|teredo|6to4|pseudo-interface|vethernet|\bvpn\b|openvpn|wireguard|wintun|\btap\b|tailscale"
    r"|npcap|bluetooth|wan miniport|virtualbox|vmware|\*"
)
_NAME = re.compile(r'"name" ?: ?"([^"\\]{1,200})"')
_START = {"Auto": "automatic", "Manual": "manual", "Disabled": "disabled", "Boot": "boot", "System": "system"}


@dataclass(frozen=True)
class AdapterAddress:
    """One address of an adapter; ``dhcp`` as the report says it (always false for a link-local IPv6 address)."""

    address: str
    version: int | None = None
    dhcp: bool | None = None

    @property
    def usable(self) -> bool:
        """Whether a peer outside the guest's own link could answer to it; 169.254.x.y is what Windows takes alone."""
        try:
            found = ipaddress.ip_address(self.address.split("%")[0])
        except ValueError:
            return False
        return not (found.is_link_local or found.is_loopback or found.is_unspecified or found.is_multicast)


@dataclass(frozen=True)
class HealthAdapter:
    """A network adapter. ``status`` is .NET's OperationalStatus (Up, Down, NotPresent, …), empty when not said.

    ``addresses`` is None when not said. A disabled adapter is not in the report at all.
    """

    name: str
    status: str = ""
    mac: str = ""
    addresses: tuple[AdapterAddress, ...] | None = None
    line: int = 0
    excerpt: str = ""

    @property
    def virtual(self) -> bool:
        """Whether it stands on another adapter (VPN, virtual switch, tunnel, loopback)."""
        return bool(_VIRTUAL.search(self.name))

    @property
    def carries(self) -> bool:
        """Up, with an address that the network knows."""
        return self.status == "Up" and any(found.usable for found in self.addresses or ())

    @property
    def trouble(self) -> str:
        """Why it carries no network, for people; only for an adapter that does not."""
        if self.virtual:
            return f"it lists no adapter but «{self.name}»; Windows leaves a disabled one out"
        if self.status != "Up":
            return f"adapter «{self.name}» is {self.status}"
        return f"adapter «{self.name}» has no address that the network knows"

    @property
    def dhcp(self) -> bool | None:
        """Whether IPv4 takes its address from DHCP, None when not said."""
        said = [found.dhcp for found in self.addresses or () if found.version == 4 and found.dhcp is not None]
        return any(said) if said else None


@dataclass(frozen=True)
class HealthService:
    """A service. ``state`` and ``exit_code`` are Win32_Service's; ``start`` is automatic, manual, disabled, …"""

    name: str
    state: str = ""
    start: str = ""
    exit_code: int | None = None
    account: str = ""
    line: int = 0
    excerpt: str = ""

    @property
    def running(self) -> bool | None:
        """None when not said."""
        return self.state == "Running" if self.state else None


@dataclass(frozen=True)
class HealthProfile:
    """A firewall profile (domain, private, public): Group Policy before the local word, None when neither says."""

    name: str
    enabled: bool | None = None
    blocks_inbound: bool | None = None
    by_policy: bool = False


@dataclass(frozen=True)
class HealthReport:
    """The newest whole report, and how many there are.

    ``written`` is the time of its start line, ``time`` the report's own; ``line`` the number of its start line in the
    log. ``unreadable`` counts whole reports that are newer and are no JSON; ``cut`` tells that a newer one began and
    has no end. ``adapters`` is None when the report does not speak of them.
    """

    line: int
    reports: int = 1
    written: datetime | None = None
    time: datetime | None = None
    adapters: tuple[HealthAdapter, ...] | None = None
    services: Mapping[str, HealthService] = field(default_factory=dict)
    profiles: tuple[HealthProfile, ...] = ()
    os_version: str = ""
    safe_boot: int | None = None
    ems: bool | None = None
    cut: bool = False
    unreadable: int = 0

    @property
    def without_network(self) -> tuple[HealthAdapter, ...]:
        """The adapters that show that the guest has no network, or none: one that works is enough.

        An adapter that is up without an address beside a virtual one that has it proves nothing: a virtual switch
        takes the address over. Only the loopback means that Windows does not list the real one: it is disabled.
        """
        every = self.adapters or ()
        real = [adapter for adapter in every if not adapter.virtual]
        if not real:
            return tuple(adapter for adapter in every if "loopback" in adapter.name.lower())[:1]
        for adapter in real:
            if not adapter.status or adapter.carries or (adapter.status == "Up" and adapter.addresses is None):
                return ()
        switched = any(adapter.carries for adapter in every if adapter.virtual)
        if switched and any(adapter.status == "Up" for adapter in real):
            return ()
        return tuple(real)

    @property
    def without_dhcp(self) -> tuple[HealthAdapter, ...]:
        """Adapters that are up and have a fixed IPv4 address; Azure gives each its address by DHCP."""
        real = [adapter for adapter in self.adapters or () if not adapter.virtual and adapter.status == "Up"]
        return tuple(adapter for adapter in real if adapter.dhcp is False)


def parse_health_reports(data: bytes) -> HealthReport | None:
    r"""The newest whole report of a serial log, or None. Never raises; time grows linearly with the number of bytes.

    >>> start, end = (b"======== Microsoft Azure VM Health Report - %s 2026-11-24T09:00:00.1Z ========\r\n" % word
    ...               for word in (b"Start", b"End"))
    >>> adapter = b'{"networkAdapters":[{"name":"Ethernet","status":"Down","ipProperties":[]}]}\r\n'
    >>> parse_health_reports(start + adapter + end).without_network[0].status
    'Down'
    """
    console = clean(data)
    return read_health_reports(console, 0, len(console.segments))


def read_health_reports(console: Console, first: int, end: int) -> HealthReport | None:
    """The newest whole report among the segments from ``first`` up to ``end``, or None."""
    spans: list[tuple[int, int]] = []
    opened: int | None = None
    for index, word in _marks(console, first, end):
        if word == "Start":
            opened = index
        elif opened is not None:
            spans.append((opened, index))
            opened = None
    for unreadable, (start, stop) in enumerate(reversed(spans)):
        report = _report(console, start, stop, len(spans), opened is not None, unreadable)
        if report is not None:
            return report
    return None


def _marks(console: Console, first: int, end: int) -> Iterator[tuple[int, str]]:
    """The segments that begin or end a report, in order."""
    if first >= end:
        return
    at = console.offsets[first]
    stop = console.offsets[end] if end < len(console.offsets) else len(console.text)
    while (at := console.text.find(_NEEDLE, at, stop)) >= 0:
        index = console.segment_at(at)
        found = _MARK.match(console.ascii_segment(index))
        if found:
            yield index, found[1]
        at = console.offsets[index] + len(console.segments[index])


def _report(console: Console, start: int, stop: int, reports: int, cut: bool, unreadable: int) -> HealthReport | None:
    body = _Body(console, start + 1, stop)
    try:
        document = json.loads(body.text) if 0 < len(body.text) <= _LARGEST else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    mark = _MARK.match(console.ascii_segment(start))
    system = child(document, "systemInfo", "windows")
    return HealthReport(
        line=console.numbers[start],
        reports=reports,
        written=moment({"at": mark[2] or ""}, "at") if mark else None,
        time=moment(document, "reportTime"),
        adapters=_adapters(document, body),
        services=_services(document, body),
        profiles=tuple(_profiles(document)),
        os_version=_word(system, "osVersion", 120),
        safe_boot=_set(child(system, "safeBoot")),
        ems=flag(system, "emsEnabled"),
        cut=cut,
        unreadable=unreadable,
    )


class _Body:
    """A report's text, whole although the console may have broken it into lines, and where each piece of it stands."""

    def __init__(self, console: Console, first: int, end: int) -> None:
        pieces = console.segments[first:end]
        self._numbers = console.numbers[first:end]
        self._offsets = list(accumulate((len(piece) for piece in pieces), initial=0))
        self.text = "".join(pieces)

    @cached_property
    def _named(self) -> dict[str, int]:
        """Where each name is first given."""
        found: dict[str, int] = {}
        for match in _NAME.finditer(self.text):
            found.setdefault(match[1], match.start())
        return found

    def where(self, name: str) -> tuple[int, str]:
        """(line, excerpt) of the first object of that name, or the report's first line."""
        at = self._named.get(name, 0)
        opened = max(self.text.rfind("{", max(0, at - 200), at + 1), 0)
        index = min(bisect_right(self._offsets, at) - 1, len(self._numbers) - 1)
        return self._numbers[index], printable(self.text[opened : opened + 300], 240)


def _adapters(document: Any, body: _Body) -> tuple[HealthAdapter, ...] | None:
    if not isinstance(child(document, "networkAdapters"), list):
        return None
    found = []
    for item in items(document, "networkAdapters"):
        name = text(item, "name")
        line, excerpt = body.where(name)
        known = isinstance(child(item, "ipProperties"), list)
        addresses = tuple(
            AdapterAddress(
                _word(entry, "address", 60), _number(child(entry, "protocolVersion")), flag(entry, "isDhcpEnabled")
            )
            for entry in items(item, "ipProperties")
        )
        found.append(
            HealthAdapter(
                _shown(name, 120),
                _word(item, "status", 40),
                _word(item, "macAddress", 40),
                addresses if known else None,
                line,
                excerpt,
            )
        )
    return tuple(found)


def _services(document: Any, body: _Body) -> dict[str, HealthService]:
    """Every object that looks like a Win32_Service: where in the report they stand is not published."""
    found: dict[str, HealthService] = {}
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(value))
        elif isinstance(value, dict):
            name = text(value, "name")
            if name and text(value, "state") and "startMode" in value and name not in found:
                found[name] = _service(value, name, body)
            waiting.extend(item for item in value.values() if isinstance(item, list | dict))
    return found


def _service(value: Any, name: str, body: _Body) -> HealthService:
    line, excerpt = body.where(name)
    mode = _word(value, "startMode", 40)
    return HealthService(
        name=_shown(name, 120),
        state=_word(value, "state", 40),
        start=_START.get(mode, mode.lower()),
        exit_code=_number(child(value, "exitCode")),
        account=_word(value, "startName", 120),
        line=line,
        excerpt=excerpt,
    )


def _profiles(document: Any) -> Iterator[HealthProfile]:
    for key, name in (("domainProfile", "domain"), ("standardProfile", "private"), ("publicProfile", "public")):
        policy = child(document, "firewallPolicy", "domainPolicy", key)
        local = child(document, "firewallPolicy", "localPolicy", key)
        if not isinstance(policy, dict) and not isinstance(local, dict):
            continue
        by_policy = _set(child(policy, "enable"))
        enabled = _set(child(local, "enable")) if by_policy is None else by_policy
        blocks = _set(child(policy, "blockAllInboundConnections"))
        blocks = _set(child(local, "blockAllInboundConnections")) if blocks is None else blocks
        yield HealthProfile(
            name,
            None if enabled is None else enabled != 0,
            None if blocks is None else blocks != 0,
            by_policy is not None,
        )


def _word(value: Any, key: str, limit: int) -> str:
    return _shown(text(value, key), limit)


def _shown(found: str, limit: int) -> str:
    """Fit to be printed: JSON can spell halves of characters that no terminal takes."""
    return printable(found[: 2 * limit].encode("utf-8", "replace").decode(), limit)


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _set(value: Any) -> int | None:
    """A number of the registry that was set there: -1 says that it was not."""
    found = _number(value)
    return None if found is None or found < 0 else found
