"""How one boot ended and what the log says about its network: rules in the order in which they are tried."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from azext_vmagent.facts.console_text import Console, printable
from azext_vmagent.facts.serial_boots import REPLAY, Boot, kernel_time
from azext_vmagent.facts.serial_facts import Outlook, SerialEvent, SerialState
from azext_vmagent.facts.serial_lines import Hit
from azext_vmagent.facts.serial_signature import ADDRESS_SEEN, BARE_SHELL, MOUNT_WAITS, Kind, Signature
from azext_vmagent.facts.serial_signatures_network import OWN_LIMIT
from azext_vmagent.facts.windows_health_report import HealthReport, read_health_reports

_DEAD_ENDS = {
    Kind.EMERGENCY: SerialState.EMERGENCY,
    Kind.DRACUT: SerialState.DRACUT_SHELL,
    Kind.INITRAMFS: SerialState.INITRAMFS_SHELL,
    Kind.PASSPHRASE: SerialState.PASSPHRASE,
    Kind.GRUB: SerialState.GRUB,
    Kind.FIRMWARE: SerialState.FIRMWARE,
    Kind.PANIC: SerialState.PANIC,
    Kind.OFF: SerialState.POWERED_OFF,
}
_SHELLS = frozenset({Kind.EMERGENCY, Kind.DRACUT, Kind.INITRAMFS})
_DISK_FAULTS = frozenset({"xfs-corrupt", "ext4-corrupt", "disk-read-only", "storage-offline", "disk-io-error"})
_WAITS_FOR_A_PERSON = frozenset({Kind.GRUB, Kind.FIRMWARE})

_SYSLOG = re.compile(
    r"^(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8}|\d{4}-\d\d-\d\dT[\d:.]{8,15}(?:Z|[+-]\d\d:\d\d)) "
    r"\S{1,80} (?!kernel)\S{1,80}: "
)
_AGENT_LOG = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z [A-Z]+ ")
_TRACE = re.compile(
    r"^(?:\[ {0,6}\d{1,8}\.\d{1,6}\](?:\[ *[TC]?\d+\])?)? {0,8}"
    r"(?:\[<[0-9a-f]{8,16}>\]|(?:\? ?)?[\w.]{1,80}\+0x[0-9a-f]+/0x|Call [Tt]race:|</?TASK>|Modules linked in|Code: "
    r"|R[A-DS][XIP]: |R\d\d: |RSP: |RIP: |CR[02]: |IP: |PGD |Stack:|[0-9a-f]{4}: [0-9a-f]{8}|CPU: \d|Pid: \d)"
)
_UNANSWERED = frozenset({"dhcp-no-answer", "endpoint-discovery-by-dhcp"})
_STARTS = ("BdsDxe: starting ", "BdsDxe: loading ", "Loading Linux ")
"""What a loader prints when it goes on to the next entry."""
_MOUNTED = re.compile(
    r"(?:EXT[234]-fs \(([\w-]{1,32})\): mounted filesystem|XFS \(([\w-]{1,32})\): (?:Mounting V\d|Ending clean mount))"
)
_STILL_EARLY = 1800.0
"""Seconds after the start up to which a boot without a prompt may still be under way."""


@dataclass(frozen=True)
class Judgement:
    """State and outlook of a boot, and the lines they rest on, in no order."""

    state: SerialState
    outlook: Outlook
    deciding: tuple[Hit, ...] = ()


@dataclass(frozen=True)
class BootLines:
    """The segments of one boot and what was found among them.

    ``hits`` leaves out what someone who had logged in made the console print again (``dmesg``, ``cat``): text between
    a shell prompt with such a command and the next prompt.
    """

    console: Console
    boot: Boot
    found: Sequence[Hit]

    @cached_property
    def _replayed(self) -> Sequence[range]:
        login = next((hit.index for hit in self.found if hit.kind is Kind.LOGIN), None)
        if login is None:
            return ()
        prompts = [hit for hit in self.found if hit.kind is Kind.SHELL and hit.index > login]
        return [range(a.index + 1, b.index) for a, b in pairwise(prompts) if REPLAY.match(a.event.text)]

    def is_replayed(self, index: int) -> bool:
        """Whether this segment is old text that a person had printed again."""
        at = bisect_right(self._replayed, index, key=lambda printed: printed.start) - 1
        return at >= 0 and index in self._replayed[at]

    @cached_property
    def hits(self) -> Sequence[Hit]:
        """What was found, without replayed text."""
        return [hit for hit in self.found if not self.is_replayed(hit.index)]

    @cached_property
    def by_kind(self) -> dict[Kind, list[Hit]]:
        """The hits, in order, by what they tell."""
        kinds: dict[Kind, list[Hit]] = {}
        for hit in self.hits:
            kinds.setdefault(hit.kind, []).append(hit)
        return kinds

    def of(self, *kinds: Kind) -> list[Hit]:
        """The hits of these kinds, in order."""
        return sorted((hit for kind in kinds for hit in self.by_kind.get(kind, [])), key=lambda hit: hit.index)

    @cached_property
    def login(self) -> Hit | None:
        """The newest login prompt."""
        return self.of(Kind.LOGIN)[-1] if self.of(Kind.LOGIN) else None

    @property
    def login_index(self) -> int:
        """Where the newest login prompt is, -1 without one."""
        return self.login.index if self.login is not None else -1

    @property
    def segments(self) -> Sequence[str]:
        """The text of the boot."""
        return self.console.segments[self.boot.first : self.boot.end]

    @cached_property
    def health_report(self) -> HealthReport | None:
        """The newest whole health report of a Windows guest in this boot."""
        windows = Kind.WINDOWS_UP in self.by_kind
        return read_health_reports(self.console, self.boot.first, self.boot.end) if windows else None

    @cached_property
    def _living(self) -> list[int]:
        return [at for at, text in enumerate(self.segments, self.boot.first) if _is_living(text)]

    def living_after(self, index: int) -> int:
        """How many lines after this one only running programs print."""
        return len(self._living) - bisect_right(self._living, index)


def _is_living(segment: str) -> bool:
    """Whether only a running program prints such a line: systemd, the agent, or a daemon through syslog."""
    if segment.startswith("["):
        return segment.startswith("[  OK  ] ") or (
            segment.find("] systemd[1]: ", 0, 40) > 0 and "reezing" not in segment
        )
    if segment.startswith(" "):
        return segment.startswith("         Starting ")
    return bool(_AGENT_LOG.match(segment) or _SYSLOG.match(segment))


def judge(lines: BootLines) -> Judgement:
    """How the boot ended: the first rule that has an answer."""
    for rule in (_dead_end, _hung, _going_down, _arrived, _stopped, _offline, _under_way):
        answer = rule(lines)
        if answer is not None:
            return answer
    return Judgement(SerialState.UNKNOWN, Outlook.UNKNOWN)


def _dead_end(lines: BootLines) -> Judgement | None:
    """The boot ends in a maintenance shell, a loader's prompt, a panic, or switched off."""
    after = lines.login_index
    ends = [hit for hit in lines.of(*_DEAD_ENDS) if hit.index > after]
    ends = [hit for hit in ends if lines.login is None or hit.signature.slug != "boot-break-left"]
    while ends and _outlived(lines, ends[-1]):
        ends.pop()
    if not ends:
        root_shell = [hit for hit in lines.of(Kind.SHELL) if hit.signature.code and hit.index > after]
        why = (*root_shell[-1:], *_explanations(lines, after))
        return Judgement(SerialState.EMERGENCY, Outlook.NOT_BOOTED, why) if root_shell else None
    last = ends[-1]
    gone = lines.of(Kind.RESTART, Kind.SHUTDOWN)
    if last.kind in _SHELLS and gone and gone[-1].index > last.index:
        return None
    if last.kind not in _WAITS_FOR_A_PERSON:  # a system was started: what its loader said before was got over
        ends = [hit for hit in ends if hit.kind not in _WAITS_FOR_A_PERSON]
    explained = (*_reasons(ends), *_halted_by_audit(lines, last), *_explanations(lines, after))
    in_dracut = last.kind is Kind.EMERGENCY and any(
        hit.kind is Kind.DRACUT and not _outlived(lines, hit) for hit in ends
    )
    state = SerialState.DRACUT_SHELL if in_dracut else _DEAD_ENDS[last.kind]
    return Judgement(state, Outlook.NOT_BOOTED, explained)


def _reasons(ends: list[Hit]) -> list[Hit]:
    """The ends, without the first words of a shell that a maintenance mode opened: nobody asked the boot for it."""
    maintenance = any(hit.kind is Kind.EMERGENCY and hit.signature.code != "B34" for hit in ends)
    return [hit for hit in ends if not (maintenance and hit.signature.needle == "job control")]


def _halted_by_audit(lines: BootLines, last: Hit) -> list[Hit]:
    """auditd's start, where it never came to its end and the machine switched itself off before a prompt."""
    auditing = lines.of(Kind.AUDITING)[-1:] if last.kind is Kind.OFF and lines.login is None else []
    return [hit for hit in auditing if " Started " not in hit.event.text]


def _outlived(lines: BootLines, hit: Hit) -> bool:
    """Whether the system went on after a line that should have been its last: it was quoted, or got over."""
    if hit.kind in _WAITS_FOR_A_PERSON:
        later = lines.console.segments[hit.index + 1 : lines.boot.end]
        return lines.living_after(hit.index) >= 2 or any(
            kernel_time(segment) is not None or segment.startswith(_STARTS) for segment in later
        )
    if hit.kind is Kind.PASSPHRASE:
        return lines.living_after(hit.index) >= 5
    if hit.kind is Kind.DRACUT:
        later = lines.console.segments[hit.index : lines.boot.end]
        return any("Switching root" in segment for segment in later)
    return (hit.kind is Kind.PANIC or lines.login is not None) and lines.living_after(hit.index) >= 5


def _hung(lines: BootLines) -> Judgement | None:
    """CPUs or tasks are stuck, or the kernel broke, and nothing alive was printed since."""
    alive = max((hit.index for hit in lines.of(Kind.LOGIN, Kind.SHUTDOWN, Kind.RESTART)), default=-1)
    signs = [hit for hit in lines.of(Kind.HANG, Kind.OOPS) if hit.index > alive]
    in_trace = _ends_in_trace(lines)
    if signs:
        if lines.living_after(signs[-1].index) >= 3:
            return None
        if lines.login is not None and len(signs) == 1 and not in_trace:
            return Judgement(SerialState.LOGIN_PROMPT, Outlook.UNKNOWN, (*signs, lines.login))
        return Judgement(SerialState.HUNG, Outlook.NOT_BOOTED, tuple(signs))
    if not in_trace:
        return None
    if lines.login is not None:
        return Judgement(SerialState.LOGIN_PROMPT, Outlook.UNKNOWN, (_last_line(lines), lines.login))
    return Judgement(SerialState.HUNG, Outlook.NOT_BOOTED, (_last_line(lines),))


def _ends_in_trace(lines: BootLines) -> bool:
    """Whether the console stops within a kernel's call trace: the kernel printed no more."""
    tail = [segment[:200] for segment in lines.segments[-12:] if segment.strip()][-4:]
    return len(tail) == 4 and sum(1 for segment in tail if _TRACE.search(segment)) >= 3


def _last_line(lines: BootLines) -> Hit:
    """The last line with text, as a fault of the kernel that no signature names."""
    first, end = lines.boot.first, lines.boot.end
    index = next(at for at in range(end - 1, first - 1, -1) if lines.console.segments[at].strip())
    text = lines.console.segments[index]
    meaning = "the console ends inside a kernel trace"
    signature = Signature(Kind.OOPS, "", _TRACE.pattern, meaning, "B09", "kernel-oops", 90)
    event = SerialEvent(lines.console.numbers[index], printable(text), meaning, "kernel-oops", "B09")
    return Hit(index, signature, event)


def _going_down(lines: BootLines) -> Judgement | None:
    """The newest thing that happened is a shutdown or a restart."""
    down = lines.of(Kind.SHUTDOWN, Kind.RESTART, *([Kind.STOPPING] if lines.login else []))
    if not down or lines.login_index > down[-1].index:
        return None
    return Judgement(SerialState.SHUTTING_DOWN, Outlook.UNKNOWN, (down[-1],))


def _arrived(lines: BootLines) -> Judgement | None:
    """A prompt was reached; the network's lines say whether with a network."""
    others = [hit for hit in lines.of(Kind.SHELL, Kind.WINDOWS_UP) if not hit.signature.code]
    arrival = lines.login or (others[-1] if others else None)
    if arrival is None:
        return None
    states = {Kind.SHELL: SerialState.SHELL, Kind.WINDOWS_UP: SerialState.WINDOWS}
    state = states.get(arrival.kind, SerialState.LOGIN_PROMPT)
    bad = network_failures(lines) + _adapters_without_network(lines)
    if bad:
        return Judgement(state, Outlook.NETWORK_DOWN, (*bad, arrival))
    if arrival.signature.meaning == BARE_SHELL:
        return Judgement(state, Outlook.UNKNOWN, (arrival,))
    doubts = _network_doubts(lines)
    damage = _damage_since(lines, arrival)
    if doubts or damage:
        return Judgement(state, Outlook.UNKNOWN, (*doubts, *damage, arrival))
    starved = _starved(lines, arrival.index)
    if starved:
        return Judgement(state, Outlook.UNKNOWN, (*starved, arrival))
    return Judgement(state, Outlook.HEALTHY, (arrival,))


def _damage_since(lines: BootLines, arrival: Hit) -> list[Hit]:
    """Faults of the system's own disk after the prompt: the guest may be up in name only.

    The first file system that a boot mounts is the system's; a fault of another disk does not stop the system.
    """
    faults = [hit for hit in lines.of(Kind.CAUSE) if hit.signature.slug in _DISK_FAULTS and hit.index > arrival.index]
    if not faults:
        return []
    mounted = (_MOUNTED.search(segment) for segment in lines.segments)
    root = next((found[1] or found[2] for found in mounted if found), None)
    return [hit for hit in faults if root is None or not hit.device or _disk(hit.device) == _disk(root)]


def _disk(device: str) -> str:
    """The disk of a partition; device mapper names stay as they are."""
    return re.sub(r"(?<=\d)p\d+$|(?<=^[svx]d[a-z])\d+$|(?<=^xvd[a-z])\d+$", "", device)


def _starved(lines: BootLines, after: int) -> list[Hit]:
    """The last processes killed for lack of memory, if there were three; the kernel prints two lines for each."""
    killed = [hit for hit in lines.of(Kind.OOM) if not is_own_limit(hit) and hit.index > after]
    often = max(Counter(hit.signature.needle for hit in killed).values(), default=0)
    return killed[-3:] if often >= 3 else []


def _stopped(lines: BootLines) -> Judgement | None:
    """No prompt, and a line that stops a boot, with nothing after it that shows that the boot went on."""
    stoppers = lines.of(Kind.STOPPER)
    if not stoppers:
        starved = _starved(lines, -1)
        why = (*starved, *_explanations(lines, -1))
        return Judgement(SerialState.HUNG, Outlook.NOT_BOOTED, why) if starved else None
    certain = any(hit.signature.slug in {"local-fs-failed", "udev-failed"} for hit in stoppers)
    if not certain and lines.living_after(stoppers[-1].index) >= 8:
        return None
    mounts = any(hit.mount or hit.signature.code in {"B01", "B02", "B05", "B06"} for hit in stoppers)
    state = SerialState.EMERGENCY if mounts else SerialState.HUNG
    return Judgement(state, Outlook.NOT_BOOTED, tuple(_explanations(lines, -1)))


def _offline(lines: BootLines) -> Judgement | None:
    """No prompt seen, but the network failed: the text is an excerpt, or the boot waits for the network."""
    bad = network_failures(lines)
    return Judgement(SerialState.UNKNOWN, Outlook.NETWORK_DOWN, tuple(bad)) if bad else None


def _under_way(lines: BootLines) -> Judgement | None:
    """The boot goes on, as far as the text tells; or it is the one that only saves the memory of a crashed kernel."""
    if dump := lines.of(Kind.CRASH_DUMP):
        return Judgement(SerialState.PANIC, Outlook.NOT_BOOTED, (dump[0],))
    waiting = [hit for hit in lines.of(Kind.WAITING) if lines.living_after(hit.index) < 3][-1:]
    late = lines.of(Kind.BOOTED)
    if late and not waiting:
        return Judgement(SerialState.UNKNOWN, Outlook.UNKNOWN, (late[-1],))
    marks = lines.of(Kind.WINDOWS_BOOT)[-1:]
    early = lines.boot.uptime is not None and lines.boot.uptime < _STILL_EARLY and lines.boot.has_start
    if waiting or marks or early or (lines.boot.has_start and lines.boot.uptime is None):
        return Judgement(SerialState.BOOTING, Outlook.BOOTING, (*waiting, *marks))
    return None


def _explanations(lines: BootLines, after: int) -> list[Hit]:
    """Lines that explain why a boot failed."""
    return _checked_first([hit for hit in lines.of(Kind.CAUSE, Kind.STOPPER) if hit.index > after])


def _checked_first(hits: list[Hit]) -> list[Hit]:
    """A mount that waits for a check which failed: its device is there, so no line of /etc/fstab is wrong.

    Where any other line tells of a device that is missing, the check failed for that.
    """
    failed = [hit for hit in hits if hit.signature.slug == "fsck-failed"]
    if not failed or any(hit.signature.code == "B01" and not _waits(hit) for hit in hits):
        return hits
    why = failed[0].signature
    return [replace(hit, signature=why, event=_as(hit.event, why)) if _waits(hit) else hit for hit in hits]


def _waits(hit: Hit) -> bool:
    return hit.signature.meaning == MOUNT_WAITS


def _as(event: SerialEvent, signature: Signature) -> SerialEvent:
    return replace(event, meaning="a mount waits for the check that failed", slug=signature.slug, code=signature.code)


def network_failures(lines: BootLines) -> list[Hit]:
    """Network faults that nothing printed later takes back."""
    good = lines.of(Kind.NET_GOOD)
    last_good = good[-1].index if good else -1
    silent = _UNANSWERED if _address_seen(lines) else ()
    bad = [hit for hit in lines.of(Kind.NET_BAD) if hit.index > last_good and not _same_table(hit, good)]
    bad = [hit for hit in bad if hit.signature.slug not in silent]
    counts: dict[str, int] = {}
    for hit in bad:
        counts[hit.signature.slug] = counts.get(hit.signature.slug, 0) + 1
    return [hit for hit in bad if counts[hit.signature.slug] >= hit.signature.at_least]


def _network_doubts(lines: BootLines) -> list[Hit]:
    """What speaks against a network without proof: it came late, or DHCP is silent where an address was seen.

    DHCP gives no answer to a guest that has its address from elsewhere, or on an interface that is not connected.
    """
    unanswered = [hit for hit in lines.of(Kind.NET_BAD) if hit.signature.slug in _UNANSWERED]
    if _address_seen(lines):
        good = lines.of(Kind.NET_GOOD)[-1].index
        return [hit for hit in unanswered if hit.index > good]
    return lines.of(Kind.NET_DOUBT)


def _address_seen(lines: BootLines) -> bool:
    return any(hit.signature.slug == ADDRESS_SEEN for hit in lines.of(Kind.NET_GOOD))


def _adapters_without_network(lines: BootLines) -> list[Hit]:
    """What the newest health report of a Windows guest shows of a network that is down."""
    found = []
    for adapter in lines.health_report.without_network if lines.health_report else ():
        meaning = f"the guest's own report: {adapter.trouble}"
        index = bisect_left(lines.console.numbers, adapter.line)
        signature = Signature(Kind.NET_BAD, "", "", meaning, "I18", "windows-adapter-down", 20)
        event = SerialEvent(adapter.line, adapter.excerpt, meaning, "windows-adapter-down", "I18", adapter.name)
        found.append(Hit(index, signature, event))
    return found


def _same_table(bad: Hit, good: Iterable[Hit]) -> bool:
    """Whether a good row of the same cloud-init table stands near this bad row: a second interface may be down."""
    return bad.signature.needle == "ci-info:" and any(
        hit.signature.needle == "ci-info:" and abs(hit.index - bad.index) <= 12 for hit in good
    )


def is_own_limit(hit: Hit) -> bool:
    """Whether a killed process outgrew its own memory limit, as the agent's log collector does every hour (30 MB)."""
    return hit.signature.meaning == OWN_LIMIT
