"""Where one boot ends and the next begins in a console log.

A boot begins with the firmware's or the boot loader's first line, or with the kernel's banner, whichever comes first; where the
banner is missing (quiet kernels, a cut log) the fall of the kernel's clock, or systemd greeting again after a shutdown, tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .console_text import Console

_BANNER = re.compile(
    r"(?:^|(?<!kernel: )\[ {4}0\.000000\](?:\[ *[TC]?\d+\])? )(?:Linux version \d+\.\d+|Booting Linux on physical CPU)"
    r"|^(?:---<<BOOT>>---|Copyright \(c\) 1992-\d{4} The FreeBSD Project)"
)
_LOADER = re.compile(
    r"^ {0,2}(?:SeaBIOS \(version|BdsDxe: (?:loading|starting) Boot|U-Boot (?:SPL )?\d{4}|Welcome to GRUB!|GRUB loading|"
    r"GNU GRUB {1,2}version|Booting `|Probing EDD|iPXE initialising|Loading Linux \S+ \.\.\.|UEFI firmware \(version|"
    r"KASLR|EFI stub: |Booting from Hard Disk|Computer is booting, SAC started|>> FreeBSD|Decompressing Linux)"
)
_SYSTEMD_GREETING = re.compile(r"^Welcome to .{1,80}!$")
_GONE = re.compile(
    r"reboot: (?:Restarting system|Power down|System halted|machine restart)|\] Restarting system|systemd-shutdown\[1\]: "
    r"|Reached target .{0,60}(?:Reboot|Power-Off|Power Off|Shutdown)"
)
_STAMP = re.compile(r"\[ {0,6}(\d{1,8})\.(\d{1,6})\]")
_REPLAY = re.compile(r"[#$>] ?.{0,200}\b(?:dmesg|cat|less|more|tail|head|zcat|grep|journalctl|awk|sed)\b")
_CONSOLE_HANDOVER = re.compile(r"(?:bootconsole|console) \[\w+\] (?:disabled|enabled)")
_MARK_NEEDLES = (
    "Linux version ",
    "Booting Linux on physical CPU",
    "---<<BOOT>>---",
    "The FreeBSD Project",
    "SeaBIOS (version",
    "BdsDxe: ",
    "U-Boot ",
    "Welcome to ",
    "GRUB loading",
    "GNU GRUB",
    "Booting `",
    "Booting from Hard Disk",
    "Probing EDD",
    "iPXE initialising",
    "Loading Linux ",
    "UEFI firmware (version",
    "KASLR",
    "EFI stub: ",
    "SAC started",
    ">> FreeBSD",
    "Decompressing Linux",
    "reboot: ",
    "systemd-shutdown[1]: ",
    "Restarting system",
    "Reached target ",
)
_MARK_LIMIT = 5000


@dataclass(frozen=True)
class Boot:
    """One boot: segments ``first`` up to but not including ``end``, and its newest kernel time stamp in seconds."""

    first: int
    end: int
    uptime: float | None


def kernel_time(segment: str) -> float | None:
    """The kernel's time stamp at the start of a line, in seconds since the kernel started.

    >>> kernel_time("[   33.645090] SCSI subsystem initialized")
    33.64509
    """
    if not segment.startswith("["):
        return None
    found = _STAMP.match(segment)
    return float(f"{found[1]}.{found[2]}") if found else None


def split_boots(console: Console) -> list[Boot]:
    """The boots of a log, oldest first; one for a log without any sign of a boot, none for an empty log."""
    count = len(console.segments)
    if not count:
        return []
    times = [kernel_time(segment) for segment in console.segments]
    starts = _starts(console, times)
    if starts[0] > 0:
        starts = [0, *starts] if _is_cut_boot(console, times, starts[0]) else [0, *starts[1:]]
    bounds = [*starts, count]
    return [
        Boot(first, end, next((time for time in reversed(times[first:end]) if time is not None), None))
        for first, end in zip(bounds, bounds[1:])  # noqa: B905, RUF007 - pairwise of neighbours, one shorter
    ]


def _starts(console: Console, times: list[float | None]) -> list[int]:
    """Segments at which a boot begins; the first one is 0 when nothing tells of a boot."""
    starts: list[int] = []
    loader_since: int | None = None
    gone = False
    newest = 0.0
    for index in _candidates(console, times):
        segment = console.ascii_segment(index)
        time = times[index]
        if _GONE.search(segment):
            gone, newest = True, time or newest
            continue
        banner = _BANNER.search(segment)
        if banner and not _is_repeat(console, index):
            if loader_since is None:
                starts.append(index)
            loader_since, gone, newest = None, False, 0.0
        elif not banner and _LOADER.search(segment):
            if loader_since is None:
                starts.append(index)
                loader_since, gone, newest = index, False, 0.0
        elif gone and _SYSTEMD_GREETING.match(segment):
            starts.append(index)
            loader_since, gone, newest = None, False, 0.0
        elif time is not None:
            if time < 3 and newest > 20 and not banner:
                starts.append(index)
                loader_since, gone = None, False
            newest = time
    return starts or [0]


def _candidates(console: Console, times: list[float | None]) -> list[int]:
    """The segments that may begin or end a boot, in order, and those at which the kernel's clock falls."""
    found: set[int] = set()
    for needle in _MARK_NEEDLES:
        at = console.text.find(needle)
        hits = 0
        while at >= 0 and hits < _MARK_LIMIT:
            index = console.segment_at(at)
            found.add(index)
            hits += 1
            at = console.text.find(needle, console.offsets[index] + len(console.segments[index]))
    previous = (0, 0.0)
    for index, time in enumerate(times):
        if time is not None:
            if time < 3 and previous[1] > 20:
                found.update((previous[0], index))
            previous = (index, time)
    return sorted(found)


def _is_repeat(console: Console, index: int) -> bool:
    """Whether this banner begins no boot: someone shows old messages, or the kernel repeats them on its second console."""
    before = [console.ascii_segment(at) for at in range(max(0, index - 3), index)]
    return any(_REPLAY.search(segment) or _CONSOLE_HANDOVER.search(segment) for segment in before)


def _is_cut_boot(console: Console, times: list[float | None], end: int) -> bool:
    """Whether the text before the first start is the rest of an older boot rather than firmware chatter."""
    return any(time is not None and time > 1 for time in times[:end]) or any(
        "login:" in segment or "[  OK  ]" in segment for segment in console.segments[:end]
    )
