"""Where one boot ends and the next begins in a console log.

A boot begins with the firmware's or the boot loader's first line, or with the kernel's banner, whichever comes first;
where the banner is missing (quiet kernels, a cut log) the fall of the kernel's clock, or systemd greeting again after
a shutdown, tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, islice, pairwise

from azext_vmagent.facts.console_text import Console

_BANNER = re.compile(
    r"(?:^|(?<!kernel: )\[ {4}0\.000000\](?:\[ *[TC]?\d+\])? )(?:Linux version \d+\.\d+|Booting Linux on physical CPU)"
    r"|^(?:---<<BOOT>>---|Copyright \(c\) 1992-\d{4} The FreeBSD Project|Computer is booting, SAC started)"
)
_LOADER = re.compile(
    r"^ {0,2}(?:SeaBIOS \(version|BdsDxe: (?:loading|starting) Boot|U-Boot (?:SPL )?\d{4}|Welcome to GRUB!|GRUB loading"
    r"|Booting `|Probing EDD|Loading Linux \S+ \.\.\.|Booting from Hard Disk|EFI stub: "
    r"|early console in |Decompressing Linux|FreeBSD/\w{1,12} (?:EFI|bootstrap) loader)"
    r"|^ {0,60}(?:GNU GRUB {1,2}version|Windows Boot Manager$)"
)
_GREETING = re.compile(r"^Welcome to .{1,80}!$")
_OVER = re.compile(
    r"reboot: (?:Restarting system|Power down|System halted)|\] Restarting system|systemd-shutdown\[1\]: "
    r"|Reached target .{0,60}(?:Reboot|Power-Off|Power Off|Shutdown)|^ ?[A-Za-z0-9][\w.-]{0,63} login:"
)
_MARKS = (
    "Linux version ",
    "Booting ",
    "<<BOOT>>",
    "FreeBSD Project",
    "SeaBIOS",
    "BdsDxe",
    "U-Boot ",
    "GRUB",
    "Windows Boot Manager",
    "early console in ",
    "Decompressing Linux",
    "FreeBSD/",
    "Probing EDD",
    "Loading Linux ",
    "EFI stub: ",
    "Welcome to ",
    "SAC started",
    "estarting system",
    "ower down",
    "System halted",
    "systemd-shutdown[1]",
    "Reached target ",
    "login:",
)
"""Text that every line with a mark of a boot's beginning or end holds."""

_MARK_LIMIT = 5000
"""How many lines with a mark are looked at, and falls of the clock, from the end: bounds the time."""
_STAMP = re.compile(r"\[ {0,6}(\d{1,8}\.\d{1,6})\]")
_CONSOLE_HANDOVER = re.compile(r"console \[\w{1,20}\] (?:disabled|enabled)")

REPLAY = re.compile(r"^[^#$>]{0,120}[#$>] ?.{0,120}?\b(?:dmesg|cat|less|more|tail|head|zcat|grep|journalctl|awk|sed)\b")
"""A command at a shell prompt that may print old messages again; to be matched with the beginning of a line."""


@dataclass(frozen=True)
class Boot:
    """One boot: segments ``first`` up to but not including ``end``.

    ``uptime`` is its newest kernel time stamp in seconds; ``has_start`` whether the log shows its beginning.
    """

    first: int
    end: int
    uptime: float | None
    has_start: bool


def kernel_time(segment: str) -> float | None:
    """The kernel's time stamp at the start of a line, in seconds since the kernel started.

    >>> kernel_time("[   33.645090] SCSI subsystem initialized")
    33.64509
    """
    if not segment.startswith("["):
        return None
    found = _STAMP.match(segment)
    return float(found[1]) if found else None


def split_boots(console: Console) -> list[Boot]:
    """The boots of a log, oldest first; one for a log without any sign of a boot, none for an empty log."""
    count = len(console.segments)
    if not count:
        return []
    match = _STAMP.match
    stamps = ((at, match(text)) for at, text in enumerate(console.segments) if text[0] == "[")
    times = {at: float(stamp[1]) for at, stamp in stamps if stamp}
    starts = _starts(console, times)
    seen = bool(starts)
    if not starts or (starts[0] > 0 and _is_cut_boot(console, times, starts[0])):
        starts, seen = [0, *starts], False
    starts[0] = 0
    bounds = [*starts, count]
    return [Boot(first, end, _newest(times, first, end), seen or first > 0) for first, end in pairwise(bounds)]


def _newest(times: dict[int, float], first: int, end: int) -> float | None:
    return next((times[at] for at in range(end - 1, first - 1, -1) if at in times), None)


def _starts(console: Console, times: dict[int, float]) -> list[int]:
    """Segments at which a boot begins.

    ``loading`` holds from a boot loader's first line until the kernel's banner: both are one start. ``over`` holds
    once the boot reached a prompt or went down, so that systemd's greeting can only be the next boot's.
    """
    starts: list[int] = []
    loading = over = False
    clock = 0.0
    for index in _candidates(console, times):
        segment = console.ascii_segment(index)
        time = times.get(index)
        if _OVER.search(segment):
            loading, over, clock = False, True, time or clock
        elif _BANNER.search(segment):
            if not _is_repeat(console, index):
                starts += [] if loading else [index]
                loading = over = False
            clock = 0.0
        elif _LOADER.search(segment):
            starts += [] if loading else [index]
            loading, over, clock = True, False, 0.0
        elif _GREETING.match(segment):
            starts += [index] if over and _systemd_follows(console, index) else []
            loading = over = False
        elif time is not None:
            starts += [index] if _fell(clock, time) and not _is_repeat(console, index) else []
            clock = time
    return starts


def _fell(before: float, after: float) -> bool:
    """Whether the kernel's clock fell so far that it must have started again: lines out of order differ by less."""
    return after < 3 and before > 10


def _systemd_follows(console: Console, index: int) -> bool:
    after = console.segments[index + 1 : index + 12]
    return any(segment.startswith(("[  OK  ] ", "         Starting ")) for segment in after)


def _candidates(console: Console, times: dict[int, float]) -> list[int]:
    """The segments that may begin or end a boot, in order, and those at which the kernel's clock falls."""
    found: set[int] = set()
    for needle in filter(console.may_hold, _MARKS):
        at = console.text.rfind(needle)
        hits = 0
        while at >= 0 and hits < _MARK_LIMIT:
            index = console.segment_at(at)
            found.add(index)
            hits += 1
            at = console.text.rfind(needle, 0, console.offsets[index])
    newest_first = pairwise(reversed(times.items()))
    falls = ((earlier, later) for (later, low), (earlier, high) in newest_first if _fell(high, low))
    found.update(chain.from_iterable(islice(falls, _MARK_LIMIT)))
    return sorted(found)


def _is_repeat(console: Console, index: int) -> bool:
    """Whether a banner or an early time begins no boot: someone reads old messages, or another console gets them."""
    before = [console.ascii_segment(at) for at in range(max(0, index - 3), index)]
    return any(REPLAY.match(segment[:300]) or _CONSOLE_HANDOVER.search(segment[:300]) for segment in before)


def _is_cut_boot(console: Console, times: dict[int, float], end: int) -> bool:
    """Whether the text before the first start is the rest of an older boot rather than firmware chatter."""
    return any(time > 1 for index, time in times.items() if index < end) or any(
        "login:" in segment or "[  OK  ]" in segment or "Azure VM Health Report - " in segment
        for segment in console.segments[:end]
    )
