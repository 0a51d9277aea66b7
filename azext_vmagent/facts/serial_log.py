"""What a serial console log says about the newest boot: how far it got, what stopped it, what network it saw.

The log is the guest's console as Azure keeps it for boot diagnostics: bytes, several boots, NUL padding, terminal
control. Only the newest boot is judged; a failure in an older one is history (``boots`` and ``earlier``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from azext_vmagent.facts.console_text import Console, clean, printable
from azext_vmagent.facts.serial_boots import Boot, split_boots
from azext_vmagent.facts.serial_ci_info import read_ci_info
from azext_vmagent.facts.serial_dates import boot_time, first_and_last_date
from azext_vmagent.facts.serial_facts import Outlook, SerialEvent, SerialLogFacts, SerialState
from azext_vmagent.facts.serial_judge import BootLines, Judgement, is_own_limit, judge
from azext_vmagent.facts.serial_kernel import command_line, kernel_version
from azext_vmagent.facts.serial_lines import SIGNATURES, Hit, complete_device, find_hits
from azext_vmagent.facts.serial_newest import NewestBoot
from azext_vmagent.facts.serial_signature import Kind, Signature
from azext_vmagent.facts.serial_signatures_network import DHCP_ADDRESS

__all__ = ["Outlook", "SerialEvent", "SerialLogFacts", "SerialState", "parse_serial_log"]

_DECIDING_LIMIT = 8
_LIST_LIMIT = 20
_OLDER_BOOTS = 5
_ENDINGS = frozenset(
    {Kind.LOGIN, Kind.EMERGENCY, Kind.DRACUT, Kind.INITRAMFS, Kind.GRUB, Kind.PANIC, Kind.HANG, Kind.CAUSE}
    | {Kind.STOPPER}
)


def parse_serial_log(data: bytes, known: Sequence[Signature] = ()) -> SerialLogFacts:
    r"""Judge the newest boot of a console log. Never raises, whatever the bytes; time grows linearly with their number.

    ``known`` are signatures beside the reader's own, from the catalogue of causes. They are tried first, and count in
    the judgement as their ``Kind`` says.

    >>> facts = parse_serial_log(b"[    0.000000] Linux version 6.1\r\n...\r\nweb login: \x00\x00")
    >>> facts.state.value, facts.outlook.value, facts.boots
    ('login-prompt', 'healthy', 1)
    """
    console = clean(data)
    boots = split_boots(console)
    if not boots:
        return SerialLogFacts(SerialState.EMPTY, Outlook.UNKNOWN, boots=0, lines=0, boot_line=0)
    newest = boots[-1]
    signatures = (*known, *SIGNATURES)
    lines = BootLines(console, newest, find_hits(console, signatures, newest.first, newest.end))
    judgement = judge(lines)
    ordered = sorted(judgement.deciding, key=_specific_first)
    emergency = min(lines.of(Kind.EMERGENCY), key=_specific_first, default=None)
    cause = _cause(ordered) if judgement.outlook in (Outlook.NOT_BOOTED, Outlook.NETWORK_DOWN) else None
    device = _failed_device(lines, ordered) if cause else None
    return SerialLogFacts(
        state=judgement.state,
        outlook=judgement.outlook,
        boots=len(boots),
        lines=console.numbers[-1],
        boot_line=console.numbers[newest.first],
        boot_time=boot_time(console, newest),
        deciding=_distinct(ordered),
        cause_code=cause.event.code if cause else None,
        cause_slug=cause.event.slug if cause else None,
        culprit=_culprit(cause, ordered, device) if cause else None,
        emergency=emergency.event if emergency else None,
        failed_mount=next((hit.mount for hit in ordered if hit.mount), None) if cause else None,
        failed_device=device,
        prompt=lines.login.event if lines.login else None,
        network=_events(lines.of(Kind.NET_BAD, Kind.NET_GOOD)),
        agent=_events(lines.of(Kind.AGENT)),
        hang=_events(lines.of(Kind.HANG, Kind.OOPS)),
        oom=_events(hit for hit in lines.of(Kind.OOM) if not is_own_limit(hit)),
        benign=_events(hit for hit in lines.of(Kind.BENIGN, Kind.OOM) if hit.kind is Kind.BENIGN or is_own_limit(hit)),
        earlier=tuple(_history(console, boots, signatures)),
        dates=first_and_last_date(console, newest),
        uptime=newest.uptime,
        health_report=lines.health_report,
        kernel=kernel_version(console, newest),
        command_line=command_line(console, newest),
        ci_info=read_ci_info(console, newest),
        leases=_events(hit for hit in lines.of(Kind.NET_GOOD) if hit.signature.meaning == DHCP_ADDRESS),
        last_line=printable(next((text for text in reversed(console.segments) if text.strip()), "")),
        newest=NewestBoot(lines),
    )


def _specific_first(hit: Hit) -> tuple[int, int]:
    return hit.signature.rank, hit.index


def _events(hits: Iterable[Hit]) -> tuple[SerialEvent, ...]:
    """The newest events, oldest first."""
    return tuple(hit.event for hit in hits)[-_LIST_LIMIT:]


def _distinct(ordered: Iterable[Hit]) -> tuple[SerialEvent, ...]:
    """The first line of each meaning and culprit, the most specific first."""
    seen: dict[tuple[str, str | None], SerialEvent] = {}
    for hit in ordered:
        seen.setdefault((hit.event.meaning, hit.event.culprit), hit.event)
    return tuple(seen.values())[:_DECIDING_LIMIT]


def _cause(ordered: Iterable[Hit]) -> Hit | None:
    """The most specific line that names a cause; a login prompt is none."""
    return next((hit for hit in ordered if hit.signature.code and hit.kind is not Kind.LOGIN), None)


def _failed_device(lines: BootLines, ordered: Iterable[Hit]) -> str | None:
    device = next((hit.device for hit in ordered if hit.device), None)
    return complete_device(lines.segments, device) if device else None


def _culprit(cause: Hit, ordered: Iterable[Hit], device: str | None) -> str | None:
    """The mount that the cause's lines name, else what the cause's own line names."""
    mount = next((hit.mount for hit in ordered if hit.mount and hit.signature.code == cause.signature.code), None)
    return mount or (device if cause.device else cause.event.culprit)


def _history(console: Console, boots: list[Boot], signatures: Iterable[Signature]) -> Iterator[SerialEvent]:
    """One line for each of the older boots that are still in the log: how far it came."""
    endings = [signature for signature in signatures if signature.kind in _ENDINGS]
    for boot in boots[-1 - _OLDER_BOOTS : -1]:
        judgement = judge(BootLines(console, boot, find_hits(console, endings, boot.first, boot.end)))
        event = _headline(judgement)
        if event is not None:
            yield event


def _headline(judgement: Judgement) -> SerialEvent | None:
    ordered = sorted(judgement.deciding, key=_specific_first)
    return ordered[0].event if ordered else None
