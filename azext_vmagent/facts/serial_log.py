"""What a serial console log says about the newest boot: how far it got, what stopped it, what network it saw.

The log is the guest's console as Azure keeps it for boot diagnostics: bytes, several boots, NUL padding, terminal
control. Only the newest boot is judged; a failure in an older one is history (``boots`` and ``earlier``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import Enum

from .console_text import Console, clean, printable
from .serial_boots import Boot, kernel_time, split_boots
from .serial_signatures import SIGNATURES, Kind, Signature


class SerialState(str, Enum):
    """Where the newest boot ends.

    ``SHELL`` is a prompt of a running system without a login (autologin, BusyBox); ``EMERGENCY`` covers systemd's
    emergency and rescue mode and the maintenance shell of a failed fsck; ``WINDOWS`` is a console that only Windows
    (SAC, health report) writes.
    """

    LOGIN_PROMPT = "login-prompt"
    SHELL = "shell"
    WINDOWS = "windows"
    EMERGENCY = "emergency"
    PANIC = "panic"
    DRACUT_SHELL = "dracut-shell"
    INITRAMFS_SHELL = "initramfs-shell"
    GRUB = "grub"
    FIRMWARE = "firmware"
    BOOTING = "booting"
    SHUTTING_DOWN = "shutting-down"
    POWERED_OFF = "powered-off"
    HUNG = "hung"
    EMPTY = "empty"
    UNKNOWN = "unknown"


class Outlook(str, Enum):
    """What the log alone says of the guest; the words of ``serialLog.outlook`` in the JSON contract.

    ``HEALTHY`` means «the newest boot reached a prompt and nothing contradicts it», no more: a NIC taken down later
    and a paused machine print nothing, so their logs look the same.
    """

    HEALTHY = "healthy"
    NETWORK_DOWN = "network_down"
    NOT_BOOTED = "not_booted"
    BOOTING = "booting"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class SerialEvent:
    """One line that matters. ``line`` is 1-based in the cleaned whole log, ``text`` is free of control characters.

    ``code`` and ``slug`` name the cause that the line argues for (None and "" when it names none), ``culprit`` the
    mount, device, interface or process in it, ``uptime`` the kernel time stamp of the line in seconds.
    """

    line: int
    text: str
    meaning: str
    slug: str = ""
    code: str | None = None
    culprit: str | None = None
    uptime: float | None = None


@dataclass(frozen=True)
class SerialLogFacts:
    """The newest boot, judged, with the lines that say so.

    ``deciding`` holds the lines that the state and the outlook rest on, the most specific cause first;
    ``cause_code``, ``cause_slug`` and ``culprit`` are those of the first that names a cause. ``failed_mount`` is a
    mount point («/data»), ``failed_device`` a device path («/dev/disk/by-uuid/5f3b…»), ``emergency`` the line that
    announces emergency mode. ``network``, ``agent``, ``hang`` and ``oom`` are lines of the newest boot; ``benign``
    those that look like a fault and are none (the log collector killed in its own 30 MB cgroup, I/O errors of the
    provisioning DVD). No agent line proves nothing: agents from 2.2.53 on are silent on the console after the first
    boot. ``boot_time`` is given only where the text has a date. ``dates`` are the first and the last date seen in the
    newest boot. ``uptime`` is the newest kernel time stamp, in seconds.
    """

    state: SerialState
    outlook: Outlook
    boots: int
    lines: int
    boot_line: int
    boot_time: datetime | None = None
    deciding: tuple[SerialEvent, ...] = ()
    cause_code: str | None = None
    cause_slug: str | None = None
    culprit: str | None = None
    emergency: SerialEvent | None = None
    failed_mount: str | None = None
    failed_device: str | None = None
    prompt: SerialEvent | None = None
    network: tuple[SerialEvent, ...] = ()
    agent: tuple[SerialEvent, ...] = ()
    hang: tuple[SerialEvent, ...] = ()
    oom: tuple[SerialEvent, ...] = ()
    benign: tuple[SerialEvent, ...] = ()
    earlier: tuple[SerialEvent, ...] = ()
    dates: tuple[datetime, ...] = ()
    uptime: float | None = None
    last_line: str = ""

_HITS_EACH_END = 300
"""How many lines with a signature's needle are looked at from either end of the log: bounds the time on hostile text."""

_DECIDING_LIMIT = 8
_LIST_LIMIT = 20

_BROKEN = {
    Kind.EMERGENCY: SerialState.EMERGENCY,
    Kind.DRACUT: SerialState.DRACUT_SHELL,
    Kind.INITRAMFS: SerialState.INITRAMFS_SHELL,
    Kind.GRUB: SerialState.GRUB,
    Kind.FIRMWARE: SerialState.FIRMWARE,
    Kind.PANIC: SerialState.PANIC,
    Kind.OFF: SerialState.POWERED_OFF,
}
_EXPLAINS = frozenset({Kind.CAUSE, Kind.STOPPER, *_BROKEN})
_USERSPACE = re.compile(
    r"^\[ {2}OK {2}\] |^ {9}Starting |^\d{4}-\d\d-\d\dT[\d:.]+Z [A-Z]+ |^[A-Z][a-z]{2} [ \d]\d [\d:]{8} \S+ (?!kernel)\S+: "
    r"|\] systemd\[1\]: (?!Freezing|Failed)"
)
_TRACE = re.compile(
    r"^(?:\[ {0,6}\d{1,8}\.\d{1,6}\](?:\[ *[TC]?\d+\])?)? {0,8}(?:\[<[0-9a-f]{8,16}>\]|\? ?[\w.]{1,80}\+0x[0-9a-f]+/0x"
    r"|[\w.]{1,80}\+0x[0-9a-f]+/0x|Call [Tt]race:|RIP: |RSP: |R[A-DS][XIP]: |R\d\d: |Code: |CR[02]: |Modules linked in|</?TASK>"
    r"|[0-9a-f]{4}: [0-9a-f]{8}|---\[ end |Pid: \d|CPU: \d|IP: |PGD |Stack:)"
)


@dataclass(frozen=True)
class _Hit:
    """A signature found at a segment."""

    index: int
    signature: Signature
    event: SerialEvent
    mount: str | None
    device: str | None

    @property
    def kind(self) -> Kind:
        return self.signature.kind


def parse_serial_log(data: bytes) -> SerialLogFacts:
    """Judge the newest boot of a console log. Never raises, whatever the bytes; time grows linearly with their number.

    >>> facts = parse_serial_log(b"[    0.000000] Linux version 6.1\\r\\n...\\r\\nweb login: \\x00\\x00")
    >>> facts.state.value, facts.outlook.value, facts.boots
    ('login-prompt', 'healthy', 1)
    """
    console = clean(data)
    boots = split_boots(console)
    if not boots:
        return SerialLogFacts(SerialState.EMPTY, Outlook.UNKNOWN, boots=0, lines=0, boot_line=0)
    hits = _find(console)
    newest = boots[-1]
    facts = _judge(console, newest, [hit for hit in hits if hit.index >= newest.first])
    earlier = tuple(event for boot in boots[-6:-1] for event in _history(console, boot, hits))
    dates = _dates(console, newest)
    return replace(
        facts,
        boots=len(boots),
        lines=console.numbers[-1],
        earlier=earlier,
        dates=dates,
        boot_time=_boot_time(console, newest),
        last_line=printable(next((line for line in reversed(console.segments) if line.strip()), "")),
    )


def _find(console: Console) -> list[_Hit]:
    """Every signature in the log, in order; one hit for a segment and kind."""
    hits: dict[tuple[int, Kind], _Hit] = {}
    for signature in SIGNATURES:
        for index in _segments_with(console, signature.needle):
            if (index, signature.kind) in hits:
                continue
            found = signature.pattern.search(console.ascii_segment(index))
            if found:
                hits[index, signature.kind] = _hit(console, index, signature, found)
    return sorted(hits.values(), key=lambda hit: hit.index)


def _segments_with(console: Console, needle: str) -> Iterator[int]:
    """Segments that hold the needle: all of them, or the first and the last few hundred when there are more."""
    text, at, last = console.text, -1, -1
    for _ in range(_HITS_EACH_END):
        at = text.find(needle, at + 1)
        if at < 0:
            return
        last = console.segment_at(at)
        yield last
        at = console.offsets[last] + len(console.segments[last])
    at = len(text)
    for _ in range(_HITS_EACH_END):
        at = text.rfind(needle, 0, at)
        if at < 0:
            return
        index = console.segment_at(at)
        if index <= last:
            return
        yield index
        at = console.offsets[index]


def _hit(console: Console, index: int, signature: Signature, found: re.Match[str]) -> _Hit:
    groups = {name: _original(console, index, found, name) for name in found.groupdict() if found[name]}
    mount, device = groups.get("mount"), groups.get("device")
    if device is not None:
        device = _device_path(device)
    event = SerialEvent(
        line=console.numbers[index],
        text=printable(console.segments[index]),
        meaning=signature.meaning,
        slug=signature.slug,
        code=signature.code,
        culprit=groups.get("culprit") or mount or device,
        uptime=kernel_time(console.segments[index]),
    )
    return _Hit(index, signature, event, mount, device)


def _original(console: Console, index: int, found: re.Match[str], name: str) -> str:
    """A group's text with its characters beyond ASCII, safe to show."""
    start, end = found.span(name)
    return printable(console.segments[index][start:end])


def _device_path(text: str) -> str:
    """A device as people write it, from a path or a systemd unit name.

    >>> _device_path("dev-disk-by\\\\x2duuid-5f3b.device")
    '/dev/disk/by-uuid/5f3b'
    """
    if not text.endswith(".device") or "…" in text or not text.startswith("dev-"):
        return text
    path = "/" + text.removesuffix(".device").replace("-", "/")
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), path)


def _judge(console: Console, boot: Boot, hits: list[_Hit]) -> SerialLogFacts:
    """The state and the outlook of one boot from its lines."""
    by_kind: dict[Kind, list[_Hit]] = {}
    for hit in hits:
        by_kind.setdefault(hit.kind, []).append(hit)
    logins = by_kind.get(Kind.LOGIN, [])
    login = logins[-1] if logins else None
    facts = SerialLogFacts(
        SerialState.UNKNOWN,
        Outlook.UNKNOWN,
        boots=1,
        lines=0,
        boot_line=console.numbers[boot.first],
        prompt=login.event if login else None,
        emergency=next((hit.event for hit in by_kind.get(Kind.EMERGENCY, [])), None),
        network=_events(by_kind, Kind.NET_BAD, Kind.NET_GOOD),
        agent=_events(by_kind, Kind.AGENT),
        hang=_events(by_kind, Kind.HANG, Kind.OOPS),
        oom=tuple(hit.event for hit in by_kind.get(Kind.OOM, []) if not _is_benign_oom(hit))[-_LIST_LIMIT:],
        benign=_benign(by_kind),
        uptime=boot.uptime,
    )
    for rule in (_dead, _hung, _going_down, _arrived, _stopped, _offline, _under_way):
        answer = rule(console, boot, by_kind, login)
        if answer is not None:
            state, outlook, deciding = answer
            return _conclude(console, boot, replace(facts, state=state, outlook=outlook), deciding)
    return facts


_Answer = tuple[SerialState, Outlook, list[_Hit]]
_ByKind = dict[Kind, list[_Hit]]


def _dead(console: Console, boot: Boot, by_kind: _ByKind, login: _Hit | None) -> _Answer | None:
    """The boot ends in a maintenance shell, a loader's prompt, a panic, or switched off."""
    after = login.index if login else -1
    ends = [hit for kind in _BROKEN for hit in by_kind.get(kind, []) if hit.index > after]
    ends = [hit for hit in ends if not _outlived(console, boot, by_kind, hit)]
    if not ends:
        broken_shell = [hit for hit in by_kind.get(Kind.SHELL, []) if hit.signature.code and hit.index > after]
        return (SerialState.EMERGENCY, Outlook.NOT_BOOTED, broken_shell[-1:]) if broken_shell else None
    last = max(ends, key=lambda hit: hit.index)
    if last.kind is Kind.OFF and by_kind.get(Kind.RESTART, [last])[-1].index > last.index:
        return None
    return _BROKEN[last.kind], Outlook.NOT_BOOTED, [*ends, *_explanations(by_kind, after)]


def _outlived(console: Console, boot: Boot, by_kind: _ByKind, hit: _Hit) -> bool:
    """Whether the system went on after a line that should have been its last: then the line was quoted, or got over."""
    if hit.kind in {Kind.FIRMWARE, Kind.GRUB}:
        later = console.segments[hit.index + 1 : boot.end]
        return any((kernel_time(segment) or 0) > 0 for segment in later) or _userspace_lines(later, 2) >= 2
    if hit.kind is Kind.PANIC:
        return _userspace_lines(console.segments[hit.index + 1 : boot.end], 5) >= 5
    if hit.kind is Kind.DRACUT and not by_kind.get(Kind.EMERGENCY):
        return any("Switching root" in segment for segment in console.segments[hit.index : boot.end])
    return False


def _userspace_lines(segments: Sequence[str], enough: int) -> int:
    """How many lines only running programs print, counted up to ``enough``."""
    count = 0
    for segment in segments:
        if _USERSPACE.search(segment[:200]):
            count += 1
            if count >= enough:
                break
    return count


def _hung(console: Console, boot: Boot, by_kind: _ByKind, login: _Hit | None) -> _Answer | None:
    """CPUs or tasks are stuck, or the kernel broke, and nothing alive was printed since."""
    signs = sorted((*by_kind.get(Kind.HANG, []), *by_kind.get(Kind.OOPS, [])), key=lambda hit: hit.index)
    going_on = [hit for kind in (Kind.LOGIN, Kind.SHUTDOWN, Kind.RESTART) for hit in by_kind.get(kind, [])]
    alive = max((hit.index for hit in going_on), default=-1)
    signs = [hit for hit in signs if hit.index > alive]
    if signs:
        since_last = console.segments[signs[-1].index + 1 : boot.end]
        if _userspace_lines(since_last, 3) >= 3:
            return None
        if login is not None and len(signs) == 1 and signs[0].signature.slug == "hung-task":
            return SerialState.LOGIN_PROMPT, Outlook.UNKNOWN, signs
        return SerialState.HUNG, Outlook.NOT_BOOTED, signs
    tail = [segment for segment in console.segments[boot.first : boot.end] if segment.strip()][-4:]
    if len(tail) >= 4 and sum(1 for segment in tail if _TRACE.search(segment[:200])) >= 3:
        return SerialState.HUNG, Outlook.NOT_BOOTED, [_last_segment_hit(console, boot, _TRACE_END)]
    return None


def _going_down(_: Console, __: Boot, by_kind: _ByKind, login: _Hit | None) -> _Answer | None:
    """The newest thing that happened is a shutdown or a restart."""
    down = [hit for kind in (Kind.SHUTDOWN, Kind.RESTART) for hit in by_kind.get(kind, [])]
    last = max(down, key=lambda hit: hit.index, default=None)
    if last is None or (login is not None and login.index > last.index):
        return None
    return SerialState.SHUTTING_DOWN, Outlook.UNKNOWN, [last]


def _arrived(console: Console, _: Boot, by_kind: _ByKind, login: _Hit | None) -> _Answer | None:
    """A prompt was reached; the network lines say whether it was with a network."""
    shells = [hit for hit in by_kind.get(Kind.SHELL, []) if not hit.signature.code]
    windows = by_kind.get(Kind.WINDOWS_UP, [])
    arrival = login or (shells[-1] if shells else None) or (windows[-1] if windows else None)
    if arrival is None:
        return None
    state = {Kind.SHELL: SerialState.SHELL, Kind.WINDOWS_UP: SerialState.WINDOWS}.get(arrival.kind, SerialState.LOGIN_PROMPT)
    bad = _network_failures(by_kind)
    if bad:
        return state, Outlook.NETWORK_DOWN, [*bad, arrival]
    killed = [hit for hit in by_kind.get(Kind.OOM, []) if not _is_benign_oom(hit) and hit.index > arrival.index]
    if len(killed) >= 3:
        return state, Outlook.UNKNOWN, [*killed[-3:], arrival]
    return state, Outlook.HEALTHY, [arrival]


def _stopped(console: Console, boot: Boot, by_kind: _ByKind, _: _Hit | None) -> _Answer | None:
    """No prompt, and a line that stops a boot, with nothing after it that shows that the boot went on."""
    stoppers = by_kind.get(Kind.STOPPER, [])
    if not stoppers:
        return None
    sure = [hit for hit in stoppers if "Dependency failed" in hit.signature.needle]
    after = console.segments[stoppers[-1].index + 1 : boot.end]
    if not sure and _userspace_lines(after, 8) >= 8:
        return None
    state = SerialState.EMERGENCY if any(_is_mount(hit) for hit in stoppers) else SerialState.HUNG
    return state, Outlook.NOT_BOOTED, _explanations(by_kind, -1)


def _offline(_: Console, __: Boot, by_kind: _ByKind, ___: _Hit | None) -> _Answer | None:
    """No prompt seen, but the network failed: the text is an excerpt, or the boot waits for the network."""
    bad = _network_failures(by_kind)
    return (SerialState.UNKNOWN, Outlook.NETWORK_DOWN, bad) if bad else None


def _under_way(console: Console, boot: Boot, by_kind: _ByKind, _: _Hit | None) -> _Answer | None:
    """The boot goes on, as far as the text tells."""
    waiting = by_kind.get(Kind.WAITING, [])
    if by_kind.get(Kind.BOOTED) and not waiting:
        return SerialState.UNKNOWN, Outlook.UNKNOWN, by_kind[Kind.BOOTED][-1:]
    early = boot.uptime is not None and boot.uptime < 1800
    marks = by_kind.get(Kind.WINDOWS_BOOT, [])
    statuses = _userspace_lines(console.segments[boot.first : boot.end][-200:], 1) and any(
        segment.startswith(("[  OK  ]", "         Starting ")) for segment in console.segments[boot.first : boot.end]
    )
    if waiting or early or marks or statuses:
        return SerialState.BOOTING, Outlook.BOOTING, [*waiting[-1:], *marks[-1:]]
    return None


_TRACE_END = "the console ends inside a kernel trace"


def _last_segment_hit(console: Console, boot: Boot, meaning: str) -> _Hit:
    """The last line with text, as a kernel fault that no signature names."""
    index = next(at for at in range(boot.end - 1, boot.first - 1, -1) if console.segments[at].strip())
    text = printable(console.segments[index])
    event = SerialEvent(console.numbers[index], text, meaning, "kernel-oops", "B09", uptime=kernel_time(console.segments[index]))
    return _Hit(index, Signature(Kind.OOPS, "", _TRACE, meaning, "B09", "kernel-oops", 90), event, None, None)


def _explanations(by_kind: _ByKind, after: int) -> list[_Hit]:
    """Lines that explain why the boot failed."""
    return [hit for kind in (Kind.CAUSE, Kind.STOPPER) for hit in by_kind.get(kind, []) if hit.index > after]


def _is_mount(hit: _Hit) -> bool:
    return hit.mount is not None or (hit.signature.code or "") in {"B01", "B02", "B05", "B06"}


def _network_failures(by_kind: _ByKind) -> list[_Hit]:
    """Network faults that nothing printed later takes back, most specific first."""
    good = by_kind.get(Kind.NET_GOOD, [])
    last_good = good[-1].index if good else -1
    bad = [hit for hit in by_kind.get(Kind.NET_BAD, []) if hit.index > last_good and not _same_table(hit, good)]
    counts: dict[str, int] = {}
    for hit in bad:
        counts[hit.signature.slug] = counts.get(hit.signature.slug, 0) + 1
    return [hit for hit in bad if counts[hit.signature.slug] >= hit.signature.at_least]


def _same_table(bad: _Hit, good: Iterable[_Hit]) -> bool:
    """Whether a good row of the same cloud-init table stands near this bad row: a second interface may be down."""
    return bad.signature.needle == "ci-info:" and any(
        hit.signature.needle == "ci-info:" and abs(hit.index - bad.index) <= 12 for hit in good
    )


def _is_benign_oom(hit: _Hit) -> bool:
    """Whether the process was killed inside its own memory limit, as the agent's log collector is every hour (30 MB)."""
    return hit.signature.needle.startswith("Memory cgroup")


def _events(by_kind: _ByKind, *kinds: Kind) -> tuple[SerialEvent, ...]:
    """The newest events of these kinds, in order."""
    hits = sorted((hit for kind in kinds for hit in by_kind.get(kind, [])), key=lambda hit: hit.index)
    return tuple(hit.event for hit in hits[-_LIST_LIMIT:])


def _benign(by_kind: _ByKind) -> tuple[SerialEvent, ...]:
    cgroup = [hit.event for hit in by_kind.get(Kind.OOM, []) if _is_benign_oom(hit)]
    return (*(hit.event for hit in by_kind.get(Kind.BENIGN, [])[-_LIST_LIMIT:]), *cgroup[-_LIST_LIMIT:])


def _conclude(console: Console, boot: Boot, facts: SerialLogFacts, deciding: list[_Hit]) -> SerialLogFacts:
    """Name the cause, the mount and the device, and order the deciding lines."""
    ordered = sorted(deciding, key=lambda hit: (hit.signature.rank, hit.index))
    sick = facts.outlook in {Outlook.NOT_BOOTED, Outlook.NETWORK_DOWN}
    named = next((hit for hit in ordered if hit.signature.code), None) if sick else None
    mount = next((hit.mount for hit in ordered if hit.mount), None) if sick else None
    device = next((hit.device for hit in ordered if hit.device), None) if sick else None
    if device is not None:
        device = _complete_device(console, boot, device)
    same_cause = [hit for hit in ordered if named is not None and hit.signature.code == named.signature.code]
    culprit = next((hit.mount for hit in same_cause if hit.mount), None) or (named.event.culprit if named else None)
    if named is not None and culprit == named.device:
        culprit = device
    return replace(
        facts,
        deciding=_distinct(ordered),
        cause_code=named.signature.code if named else None,
        cause_slug=named.signature.slug if named else None,
        culprit=culprit,
        failed_mount=mount,
        failed_device=device,
    )


def _distinct(ordered: list[_Hit]) -> tuple[SerialEvent, ...]:
    """The first line of each meaning and culprit, most specific first."""
    seen: dict[tuple[str, str | None], SerialEvent] = {}
    for hit in ordered:
        seen.setdefault((hit.event.meaning, hit.event.culprit), hit.event)
    return tuple(seen.values())[:_DECIDING_LIMIT]


_UNIT_HEAD = re.compile(r"dev-disk-by\\x2d(uuid|partuuid|label|partlabel|id)-([\w\\]{1,120}?)(?:\\x?2?d?)?(?:…|\.{3})")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _complete_device(console: Console, boot: Boot, device: str) -> str:
    """A device path that systemd shortened to «…end», completed from the beginning it printed while it waited.

    systemd shortens a name in the middle, in two ways: ``Job dev-disk-by\\x2duuid-5f3b1d2e\\x2…ice/start running`` while it
    waits and ``Timed out waiting for device …b1d2e-0000-4000-8000-00000badf00d.`` when it gives up.
    """
    if not device.startswith("…") and "…" not in device:
        return device
    tail = device.rsplit("…", 1)[-1]
    for index in range(boot.first, boot.end):
        segment = console.segments[index]
        if "dev-disk-by" not in segment:
            continue
        found = _UNIT_HEAD.search(segment)
        if not found:
            continue
        head = found[2].replace("\\x2d", "-").rstrip("\\")
        for overlap in range(min(len(head), len(tail)), 3, -1):
            whole = head + tail[overlap:]
            if head.endswith(tail[:overlap]) and (found[1] != "uuid" or _UUID.fullmatch(whole)):
                return f"/dev/disk/by-{found[1]}/{whole}"
    return device


def _history(console: Console, boot: Boot, hits: list[_Hit]) -> Iterator[SerialEvent]:
    """One line for an older boot: how it ended."""
    facts = _judge(console, boot, [hit for hit in hits if boot.first <= hit.index < boot.end])
    if facts.deciding:
        yield facts.deciding[0]


_CLOCK = re.compile(r"setting system clock to (\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d) UTC")
_CLOUD_INIT = re.compile(
    r"Cloud-init v\. \S+ (?:running|finished) .{0,40}(?:at|on) \w{3}, (\d\d \w{3} \d{4} \d\d:\d\d:\d\d) \+0000\. .{0,60}?Up (\d+\.\d+) seconds"
)
_AGENT_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z [A-Z]")


def _stamped(segment: str) -> datetime | None:
    """The UTC date in a line, where it has one that is certain to be UTC."""
    found = _AGENT_TIME.search(segment[:200]) or _CLOCK.search(segment) or _CLOUD_INIT.search(segment)
    if not found:
        return None
    try:
        if found.re is _CLOUD_INIT:
            return datetime.strptime(found[1], "%d %b %Y %H:%M:%S").replace(tzinfo=timezone.utc)
        text = found[1] if found.re is _AGENT_TIME else f"{found[1]}T{found[2]}"
        return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def _dated(console: Console, boot: Boot) -> Iterator[tuple[str, datetime]]:
    """Lines of a boot with a date, at most a few from either end."""
    needles = ("setting system clock to ", "Cloud-init v. ", "Z INFO ", "Z WARNING ", "Z ERROR ")
    indexes: set[int] = set()
    start = console.offsets[boot.first]
    stop = console.offsets[boot.end] if boot.end < len(console.offsets) else len(console.text)
    for needle in needles:
        for at in (console.text.find(needle, start, stop), console.text.rfind(needle, start, stop)):
            if at >= 0:
                indexes.add(console.segment_at(at))
    for index in sorted(indexes):
        moment = _stamped(console.segments[index])
        if moment is not None:
            yield console.segments[index], moment


def _dates(console: Console, boot: Boot) -> tuple[datetime, ...]:
    """The first and the last date in a boot."""
    moments = [moment for _, moment in _dated(console, boot)]
    return (min(moments), max(moments)) if moments else ()


def _boot_time(console: Console, boot: Boot) -> datetime | None:
    """When the kernel started, from a line that has both a date and the time since the start."""
    for segment, moment in _dated(console, boot):
        found = _CLOUD_INIT.search(segment)
        up = float(found[2]) if found else kernel_time(segment)
        if up is not None:
            return moment - timedelta(seconds=up)
    return None
