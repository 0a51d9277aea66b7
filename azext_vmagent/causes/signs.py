"""The ways in which causes show, to be used in the entries of the catalogue. Pure.

>>> agent_says("openssl: not found", what="the agent finds no openssl")[0].need.value
"the agent's log"

Patterns are compiled when they are first needed: most are never. A pattern is only tried on lines that hold ``needle``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from azext_vmagent.causes.known_cause import KnownCause, Look, Need, Scene, Seen, Sign
from azext_vmagent.facts.guest_facts import LogFacts, LogLine
from azext_vmagent.facts.instance_view import VmFacts
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import AGENT_LOG, INSTANCE_VIEW, SCREENSHOT, SERIAL_LOG, Facts
from azext_vmagent.facts.screenshot import ScreenKind, Sure
from azext_vmagent.facts.serial_log import Outlook, SerialEvent
from azext_vmagent.facts.serial_signature import ADDRESS_SEEN
from azext_vmagent.facts.serial_signatures_network import ROUTE_SEEN
from azext_vmagent.facts.windows_facts import since_start
from azext_vmagent.facts.windows_health_report import HealthAdapter, HealthReport, HealthService
from azext_vmagent.model import Reason, State

LINUX_LOG = "/var/log/waagent.log"

_LINES = 2


def told(*sections: str) -> Callable[[Facts], bool]:
    """Settled where the guest told these sections of the probe's answer in time (``GuestFacts.missing``)."""

    def settled(facts: Facts) -> bool:
        guest = facts.guest
        return guest is not None and guest.complete and not set(sections) & set(guest.missing)

    return settled


def inside(*sections: str) -> Sign:
    """Named by the guest's own word (``inside.py``); settled where the guest told these sections."""
    return Sign(Need.GUEST, _named_inside, told(*sections))


def _named_inside(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
    for named in scene.inside.get(cause.code, ()):
        reason = Reason(named.detail or named.title, scene.facts.guest_channel or "", excerpt=named.culprit)
        yield Seen(reason, named.culprit, named.slug if named.slug in cause.slugs() else "")


def guest_shows(look: Look, *sections: str) -> Sign:
    """What ``look`` finds in the guest's facts; settled where the guest told these sections."""
    return Sign(Need.GUEST, look, told(*sections))


def guest_word(
    facts: Facts, what: str, source: str, excerpt: str | None = None, culprit: str | None = None, variant: str = ""
) -> Seen:
    """Something that the guest told, with the tool or file that it was read from."""
    return Seen(Reason(what, facts.guest_channel or "", source or None, excerpt=excerpt), culprit, variant)


def kernel_says(pattern: str, what: str) -> Sign:
    """The kernel's complaints since the boot, as the guest tells them; the group ``culprit`` names the culprit."""

    def look(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
        words = scene.facts.guest.kernel_words if scene.facts.guest is not None else ()
        for line in words:
            found = re.search(pattern, line)
            if found:
                yield guest_word(scene.facts, what, "kernel log", line, found.groupdict().get("culprit"))

    return Sign(Need.GUEST, look)


def vm_model(
    says: Callable[[VmFacts], str | None], path: str, settles: Callable[[VmFacts], bool] = lambda _: True
) -> Sign:
    """What ``says`` reads from the VM's model and instance view, at that JSON path; settled as ``settles`` says."""

    def look(scene: Scene, _cause: KnownCause) -> Iterable[Seen]:
        what = says(scene.facts.vm) if scene.facts.vm is not None else None
        return (Seen(Reason(what, INSTANCE_VIEW, path)),) if what else ()

    return Sign(Need.VM_MODEL, look, lambda facts: facts.vm is not None and settles(facts.vm))


def refused(need: Need, *channels: str) -> Sign:
    """An answer of one of these channels that bears this cause's code; settled where one of them got through."""

    def look(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
        for channel in channels:
            answer = scene.facts.answers.get(channel)
            if answer is not None and answer.state is not State.OK and answer.cause == cause.code:
                yield Seen(Reason(answer.detail or cause.title, channel))

    return Sign(need, look, lambda facts: any(facts.state(channel) is State.OK for channel in channels))


def serial_boot(settled_by_a_prompt: bool = True) -> Sign:
    """A line that decides how the newest boot ended and bears this cause's code.

    Settled by a boot that came up and lives, unless the cause can also hit a running guest, silently.
    """
    return Sign(Need.SERIAL_LOG, _deciding, came_up) if settled_by_a_prompt else Sign(Need.SERIAL_LOG, _deciding)


def came_up(facts: Facts) -> bool:
    """The newest boot reached a prompt, nothing in it speaks against, and the guest lives.

    Without a word from the guest the log may be an old one: firmware and GRUB often write to the screen only, so that
    a restart that ended there leaves the prompt of the boot before it as the last line.
    """
    serial = facts.serial
    return serial is not None and serial.outlook is Outlook.HEALTHY and _answers_now(facts)


def _answers_now(facts: Facts) -> bool:
    greets = facts.port is not None and facts.port.outcome is PortOutcome.GREETING
    return greets or facts.guest is not None or (facts.console is not None and facts.console.lives)


def _deciding(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
    serial = scene.facts.serial
    found = serial.deciding if serial is not None else ()
    return _events((event for event in found if event.code == cause.code), cause)


def serial_words(*kinds: str) -> Sign:
    """Lines of the newest boot that bear this cause's code, of the lists ``agent``, ``oom``, ``hang`` or ``benign``."""

    def look(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
        serial = scene.facts.serial
        lines = [event for kind in kinds for event in getattr(serial, kind) if event.code == cause.code]
        return _events(lines, cause)

    return Sign(Need.SERIAL_LOG, look)


def serial_line(needle: str, pattern: str = "", what: str = "", settles: Callable[[Facts], bool] | None = None) -> Sign:
    """Lines of the newest boot that hold ``needle`` and match ``pattern``; a group ``culprit`` names the culprit."""

    def look(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
        serial = scene.facts.serial
        if serial is None or serial.newest is None:
            return iter(())
        return _events(serial.newest.search(needle, pattern or re.escape(needle), what), cause)

    return Sign(Need.SERIAL_LOG, look, settles or (lambda _: False))


def unrecovered(sign: Sign) -> Sign:
    """What the sign sees on the serial line, without what a later line takes back: an address, a route, an answer."""

    def look(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
        network = scene.facts.serial.network if scene.facts.serial is not None else ()
        good = [event.line for event in network if event.slug == ADDRESS_SEEN or event.meaning == ROUTE_SEEN]
        return (seen for seen in sign.look(scene, cause) if (seen.reason.line or 0) > max(good, default=0))

    return replace(sign, look=look)


def _events(events: Iterable[SerialEvent], cause: KnownCause) -> Iterator[Seen]:
    for event in list(events)[-_LINES:]:
        variant = event.slug if event.slug in cause.slugs() else ""
        reason = Reason(event.meaning or cause.title, SERIAL_LOG, None, event.line, event.text)
        yield Seen(reason, event.culprit, variant)


def health_report(
    shows: Callable[[HealthReport], Iterable[tuple[str, HealthAdapter | HealthService]]],
    tells: Callable[[HealthReport], bool],
    variant: str = "",
) -> Sign:
    """What a Windows guest's health report on the serial line ``shows``: (what, adapter or service).

    Settled by a report that ``tells`` of the matter. A guest that was asked itself knows better: then it is history.
    """

    def report(facts: Facts) -> HealthReport | None:
        return facts.serial.health_report if facts.serial is not None and facts.guest is None else None

    def look(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
        found = report(scene.facts)
        for what, item in shows(found) if found is not None else ():
            time = found.time or found.written if found is not None else None
            yield Seen(Reason(what, SERIAL_LOG, None, item.line, item.excerpt, time), item.name, variant)

    def settled(facts: Facts) -> bool:
        found = report(facts)
        return found is not None and tells(found)

    return Sign(Need.HEALTH_REPORT, look, settled)


def screen_shows(*kinds: ScreenKind) -> Sign:
    """A screenshot of one of these kinds; settled by one that surely shows Windows' lock screen."""

    def look(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
        screen = scene.facts.screenshot
        if screen is not None and screen.kind in kinds:
            yield Seen(Reason(f"it shows {screen.shown}", SCREENSHOT, excerpt="; ".join(screen.why)))

    def settled(facts: Facts) -> bool:
        screen = facts.screenshot
        return screen is not None and screen.kind is ScreenKind.LOCK_SCREEN and screen.sure is Sure.LIKELY

    return Sign(Need.SCREENSHOT, look, settled)


def screen_says(pattern: str, what: str) -> Sign:
    """Words on the screen, whatever their case and wherever their lines end; settled by a lock screen's own words."""

    def words(facts: Facts) -> str:
        return " ".join(facts.screenshot.text.split()) if facts.screenshot is not None else ""

    def look(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
        text = words(scene.facts)
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            start = max(0, found.start() - 60)
            yield Seen(
                Reason(what, SCREENSHOT, excerpt=text[start : found.end() + 60]), found.groupdict().get("culprit")
            )

    return Sign(Need.SCREENSHOT_TEXT, look, lambda facts: _UNLOCK.search(words(facts)) is not None)


_UNLOCK = re.compile(r"(?i)press ctrl ?\+ ?alt ?\+ ?del(?:ete)? to (?:unlock|sign in)")


def agent_says(
    needle: str, pattern: str = "", what: str = "", recovered_by: str | re.Pattern[str] = "", on_console: bool = True
) -> tuple[Sign, ...]:
    """The agent's own word, wherever it is heard: its log, its journal, the serial console.

    ``recovered_by`` is text, or a pattern, of a later line that takes it back: then it is no cause. A log never settles
    that something is not there.
    """

    def look(scene: Scene, cause: KnownCause) -> Iterable[Seen]:
        found, title = re.compile(pattern or re.escape(needle)), what or cause.title
        taken_back = re.escape(recovered_by) if isinstance(recovered_by, str) else recovered_by
        recovery = re.compile(taken_back) if taken_back else None
        log = scene.facts.agent_log
        lines = log.search(needle, found, recovered_by=recovery) if log is not None else ()
        seen = [_said(Reason(title, AGENT_LOG, None, one.line, one.text, one.time), found) for one in lines]
        if recovery is None or not _newest_is(scene.facts, recovery, needle):
            heard = [reason for reason in spoken(scene.facts) if needle in (reason.excerpt or "")]
            seen += [_said(_with(reason, title), found) for reason in heard if found.search(reason.excerpt or "")]
        return seen[-_LINES:]

    said = Sign(Need.AGENT_LOG, look)
    return (said, serial_line(needle, pattern, what)) if on_console else (said,)


def _said(reason: Reason, pattern: re.Pattern[str]) -> Seen:
    match = pattern.search(reason.excerpt or "")
    return Seen(reason, match.groupdict().get("culprit") if match else None)


def failing_with(pattern: str, what: str) -> Sign:
    """The agent's run of failures to reach the Wire Server goes on, and its lines match ``pattern``."""

    def look(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
        found = re.compile(pattern)
        for channel, log in wire_logs(scene.facts):
            for line in log.failures[-_LINES:]:
                if found.search(line.text):
                    yield said_in_log(what, channel, line)

    return Sign(Need.AGENT_LOG, look)


def wire_logs(facts: Facts) -> Iterator[tuple[str, LogFacts]]:
    """What the agent's logs say about the Wire Server, each with where it was read."""
    if facts.guest is not None:
        yield facts.guest_channel or "", facts.guest.log
    if facts.agent_log is not None:
        yield AGENT_LOG, facts.agent_log.wire_server


def said_in_log(what: str, channel: str, line: LogLine) -> Seen:
    """A line of the agent's log, of a guest that was asked or of a saved file."""
    return Seen(Reason(what, channel, None if channel == AGENT_LOG else LINUX_LOG, line.line, line.text, line.time))


def only_when(holds: Callable[[Facts], bool], sign: Sign) -> Sign:
    """The sign counts only where the facts agree."""
    return replace(sign, look=lambda scene, cause: sign.look(scene, cause) if holds(scene.facts) else ())


def _with(reason: Reason, what: str) -> Reason:
    return Reason(what, reason.channel, reason.source, reason.line, reason.excerpt, reason.time)


def spoken(facts: Facts) -> Iterator[Reason]:
    """Every line of the agent that a diagnosis has, oldest first within one source; ``excerpt`` is the line."""
    guest, channel = facts.guest, facts.guest_channel or ""
    if guest is None:
        return
    log = r"C:\WindowsAzure\Logs\WaAppAgent.log" if guest.windows else LINUX_LOG
    lines: Iterable[LogLine] = (*guest.log.errors, *guest.log.failures)
    if guest.windows:
        # the probe reads the end of the log, which may hold older runs of the agent
        lines = reversed(since_start(guest, (*lines, *guest.windows.known)))
    for line in lines:
        yield Reason("", channel, log, line.line, line.text, line.time)
    for text in guest.journal:
        yield Reason("", channel, "journal", excerpt=text)


def _newest_is(facts: Facts, recovery: re.Pattern[str], needle: str) -> bool:
    """The newest of both kinds of line is the recovery."""
    last = None
    for reason in spoken(facts):
        text = reason.excerpt or ""
        if needle in text or recovery.search(text):
            last = needle not in text
    return bool(last)
