"""How the Linux agent's own troubles show: what it said and has not taken back, and what its Python printed. Pure.

>>> [sign.need.value for sign in complains("Daemon is already running")]
["the agent's log", 'serial log']

A line counts until a later one shows that the agent works: it fetched its goal state, or worked it off. An error before
the newest start of a service that runs is history as well.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from azext_vmagent.causes.known_cause import KnownCause, Need, Scene, Seen, Sign
from azext_vmagent.causes.signs import spoken
from azext_vmagent.facts.agent_log import GOAL_STATE_FETCHED
from azext_vmagent.facts.agent_log_text import LogFormat
from azext_vmagent.facts.guest_facts import GuestFacts
from azext_vmagent.facts.reading import AGENT_LOG, SERIAL_LOG, Facts
from azext_vmagent.facts.serial_log import SerialEvent
from azext_vmagent.model import Reason

_KEPT = 2
#: lines of a Python traceback between its frames and its last line, with those of an exception it was raised in
_TRACEBACK = 40
#: on the console the agent falls silent when it has come through its start
_GONE_ON = GOAL_STATE_FETCHED.pattern + "|End of log to /dev/console|Output to /dev/console will be"


def works(guest: GuestFacts) -> bool:
    """A worker of the agent, which its daemon starts last, is alive."""
    return any(process.worker and not process.halted for process in guest.processes or ())


def complains(
    needle: str, pattern: str = "", what: str = "", *, at_start: bool = False, on_console: bool = True
) -> tuple[Sign, ...]:
    """What the agent says in log, journal or on the console and does not take back by working.

    ``at_start`` is for what keeps it from coming up: a worker that is alive takes that back. A group ``culprit`` names
    the culprit. A log never settles that something is not there.
    """

    def look(scene: Scene, cause: KnownCause) -> Sequence[Seen]:
        found, title = re.compile(pattern or re.escape(needle)), what or cause.title
        heard = [*_saved(scene.facts, needle, found), *_in_guest(scene.facts, needle, found, at_start)]
        return [_seen(reason, title, found) for reason in heard[-_KEPT:]]

    def console(scene: Scene, cause: KnownCause) -> Sequence[Seen]:
        found, title = pattern or re.escape(needle), what or cause.title
        good = _went_on(scene.facts)
        events = [event for event in _on_console(scene.facts, needle, found) if event.line > good]
        return [_shown(event, title) for event in events[-_KEPT:]]

    said = Sign(Need.AGENT_LOG, look)
    return (said, Sign(Need.SERIAL_LOG, console)) if on_console else (said,)


def printed(needle: str, pattern: str, what: str = "") -> tuple[Sign, ...]:
    """The last line of a traceback of the agent's, on the serial console or in a saved journal of its unit.

    Other programs print the same errors, in the unit's journal the extensions that the agent started: a frame of the
    agent's code must stand above it, or on the console the agent's tag before it.
    """

    def console(scene: Scene, cause: KnownCause) -> Sequence[Seen]:
        facts = scene.facts
        events = [event for event in _on_console(facts, needle, pattern) if event.line > _went_on(facts)]
        frames = _frames(facts) if events else ()
        events = [event for event in events if _TAG.search(event.text) or _below(frames, event.line)]
        return [_shown(event, what or cause.title) for event in events[-_KEPT:]]

    def journal(scene: Scene, cause: KnownCause) -> Sequence[Seen]:
        log, found = scene.facts.agent_log, re.compile(pattern)
        if log is None or log.format is not LogFormat.JOURNAL:
            return ()
        framed = sorted(
            line.line or 0 for needle in _OWN_CODE for line in log.search(needle, re.compile(_FRAME)) if line.line
        )
        heard = [reason for reason in _saved(scene.facts, needle, found) if _below(framed, reason.line or 0)]
        return [_seen(reason, what or cause.title, found) for reason in heard[-_KEPT:]]

    return (Sign(Need.SERIAL_LOG, console), Sign(Need.AGENT_LOG, journal))


def _frames(facts: Facts) -> list[int]:
    """The lines of the console on which a frame of the agent's code stands."""
    return sorted({event.line for needle in _OWN_CODE for event in _on_console(facts, needle, _FRAME)})


def _below(frames: Sequence[int], line: int) -> bool:
    """Whether the last frame above that line is near enough to belong to it."""
    at = bisect_left(frames, line)
    return at > 0 and line - frames[at - 1] <= _TRACEBACK


_OWN_CODE = ("waagent", "azurelinuxagent")
#: its start script and its library; the programs of extensions lie in /var/lib/waagent as well
_FRAME = r"File \"[^\"]{0,160}(?:/s?bin/waagent(?:2\.0)?|azurelinuxagent/[^\"]{1,80})\", line \d"
_TAG = re.compile(r"(?:^|[ \]])(?:waagent|walinuxagent)\[\d+\]: ")


def console_line(
    needle: str, pattern: str, what: str = "", until: tuple[str, str] = ("", ""), variant: str = ""
) -> Sign:
    """A line of the newest boot that no later line takes back, one with the needle and pattern of ``until``."""

    def look(scene: Scene, cause: KnownCause) -> Sequence[Seen]:
        good = _last(_on_console(scene.facts, *until)) if until[0] else 0
        events = [event for event in _on_console(scene.facts, needle, pattern) if event.line > good]
        return [replace(_shown(event, what or cause.title), variant=variant) for event in events[-_KEPT:]]

    return Sign(Need.SERIAL_LOG, look)


def _on_console(facts: Facts, needle: str, pattern: str) -> Iterable[SerialEvent]:
    newest = facts.serial.newest if facts.serial is not None else None
    return newest.search(needle, pattern) if newest is not None else ()


def _went_on(facts: Facts) -> int:
    """The last line of the console on which the agent worked, or had come through its start; 0 without one."""
    needles = ("oal state", "oalState", "vmSettings", "/dev/console")
    return max(_last(_on_console(facts, needle, _GONE_ON)) for needle in needles)


def _last(events: Iterable[SerialEvent]) -> int:
    return max((event.line for event in events), default=0)


def _saved(facts: Facts, needle: str, found: re.Pattern[str]) -> Iterator[Reason]:
    lines = facts.agent_log.search(needle, found, recovered_by=GOAL_STATE_FETCHED) if facts.agent_log else ()
    for line in lines:
        yield Reason("", AGENT_LOG, None, line.line, line.text, line.time)


def _in_guest(facts: Facts, needle: str, found: re.Pattern[str], at_start: bool) -> Iterator[Reason]:
    guest = facts.guest
    if guest is None or (at_start and works(guest)):
        return
    since_start: list[Reason] = []
    for reason in spoken(facts):
        text = reason.excerpt or ""
        if reason.source == "journal" and ": Started " in text:
            since_start.clear()
        elif needle not in text or not found.search(text):
            continue
        elif reason.source == "journal":
            since_start.append(reason)
        elif not _history(guest, reason):
            yield reason
    yield from since_start


def _history(guest: GuestFacts, reason: Reason) -> bool:
    """Something later in the log shows that the agent works, or the service was started afresh since."""
    good = guest.log.recovery
    if good is not None and good.line is not None and reason.line is not None and good.line > reason.line:
        return True
    return _before(reason.time, good.time if good else None) or (
        guest.service.running is True and _before(reason.time, guest.service.active_since)
    )


def _before(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other


def _seen(reason: Reason, what: str, pattern: re.Pattern[str]) -> Seen:
    match = pattern.search(reason.excerpt or "")
    culprit = match.groupdict().get("culprit") if match else None
    return Seen(Reason(what, reason.channel, reason.source, reason.line, reason.excerpt, reason.time), culprit)


def _shown(event: SerialEvent, what: str) -> Seen:
    return Seen(Reason(what, SERIAL_LOG, None, event.line, event.text), event.culprit)
