"""Dates in a console log: only those that are certain to be UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from azext_vmagent.facts.console_text import Console
from azext_vmagent.facts.serial_boots import Boot, kernel_time

_CLOCK = re.compile(r"setting system clock to (\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d) UTC")
_CLOUD_INIT = re.compile(
    r"Cloud-init v\. \S{1,60} (?:running|finished) .{0,40}(?:at|on) \w{3}, (\d\d \w{3} \d{4} \d\d:\d\d:\d\d) \+0000\. "
    r".{0,60}?Up (\d{1,9}\.\d{1,6}) seconds"
)
_AGENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z [A-Z]")
_FIRST_YEAR = 2010
_NEEDLES = ("setting system clock to ", "Cloud-init v. ", "Z INFO ", "Z WARNING ", "Z ERROR ")


def first_and_last_date(console: Console, boot: Boot) -> tuple[datetime, ...]:
    """The first and the last date in a boot, or nothing."""
    moments = [moment for _, moment in _dated(console, boot)]
    return (min(moments), max(moments)) if moments else ()


def boot_time(console: Console, boot: Boot) -> datetime | None:
    """When the kernel started, from a line that has both a date and the time since the start.

    The kernel prints ``[    2.41] rtc_cmos 00:02: setting system clock to 2026-11-23T23:23:00 UTC``, cloud-init
    ``Cloud-init v. 22.4 running 'init' at Tue, 03 Jun 2025 17:36:40 +0000. Up 8.55 seconds.``
    """
    for segment, moment in _dated(console, boot):
        cloud_init = _CLOUD_INIT.search(segment)
        up = float(cloud_init[2]) if cloud_init else kernel_time(segment)
        if up is not None and up < timedelta(days=365).total_seconds():
            return moment - timedelta(seconds=up)
    return None


def _dated(console: Console, boot: Boot) -> Iterator[tuple[str, datetime]]:
    """The first and the last line of each kind that carries a date, in order."""
    start = console.offsets[boot.first]
    stop = console.offsets[boot.end] if boot.end < len(console.offsets) else len(console.text)
    needles = [needle for needle in _NEEDLES if console.may_hold(needle)]
    found = {find(needle, start, stop) for needle in needles for find in (console.text.find, console.text.rfind)}
    for index in sorted({console.segment_at(at) for at in found if at >= 0}):
        moment = _moment(console.segments[index])
        if moment is not None:
            yield console.segments[index], moment


def _moment(segment: str) -> datetime | None:
    """The date in a line; a clock that was never set (1970) is none."""
    try:
        if cloud_init := _CLOUD_INIT.search(segment):
            moment = parsedate_to_datetime(cloud_init[1] + " +0000")
        elif plain := _CLOCK.search(segment) or _AGENT.search(segment[:200]):
            moment = datetime.fromisoformat(f"{plain[1]}T{plain[2]}")
        else:
            return None
    except ValueError:
        return None
    return moment.replace(tzinfo=timezone.utc) if moment.year >= _FIRST_YEAR else None
