"""The lines of a console log that match a signature."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from azext_vmagent.facts.console_text import Console, printable
from azext_vmagent.facts.serial_boots import kernel_time
from azext_vmagent.facts.serial_facts import SerialEvent
from azext_vmagent.facts.serial_signature import Kind, Signature
from azext_vmagent.facts.serial_signatures_boot import BOOT_SIGNATURES
from azext_vmagent.facts.serial_signatures_kernel import KERNEL_SIGNATURES
from azext_vmagent.facts.serial_signatures_loader import LOADER_SIGNATURES
from azext_vmagent.facts.serial_signatures_network import NETWORK_SIGNATURES

SIGNATURES: tuple[Signature, ...] = (
    *BOOT_SIGNATURES,
    *LOADER_SIGNATURES,
    *KERNEL_SIGNATURES,
    *NETWORK_SIGNATURES,
)
"""Every known kind of line. Of the patterns of one kind, the first that matches a line counts."""

_CONFIRM_WITHIN = 4


@dataclass(frozen=True)
class Hit:
    """A signature found in the segment ``index``; ``mount`` and ``device`` as the line has them."""

    index: int
    signature: Signature
    event: SerialEvent
    mount: str | None = None
    device: str | None = None

    @property
    def kind(self) -> Kind:
        """What the line tells."""
        return self.signature.kind


def find_hits(console: Console, signatures: Iterable[Signature], first: int, end: int) -> list[Hit]:
    """The signatures' lines in the segments from ``first`` up to ``end``, in order; one hit for a segment and kind."""
    by_needle: dict[str, list[Signature]] = {}
    for signature in signatures:
        by_needle.setdefault(signature.needle, []).append(signature)
    hits: dict[tuple[int, Kind], Hit] = {}
    for needle, candidates in by_needle.items():
        for index in console.segments_with(needle, first, end):
            line = console.ascii_segment(index)
            for signature in candidates:
                if (index, signature.kind) in hits:
                    continue
                found = signature.pattern.search(line)
                if found and _confirmed(console, index, signature):
                    hits[index, signature.kind] = _hit(console, index, signature, found)
    return sorted(hits.values(), key=lambda hit: hit.index)


def _confirmed(console: Console, index: int, signature: Signature) -> bool:
    if signature.confirm is None:
        return True
    after = range(index + 1, min(index + 1 + _CONFIRM_WITHIN, len(console.segments)))
    return any(signature.confirm.search(console.ascii_segment(at)) for at in after)


def _hit(console: Console, index: int, signature: Signature, found: re.Match[str]) -> Hit:
    named = _named(console, index, found)
    event = _event(console, index, named, signature.meaning, signature.slug, signature.code)
    return Hit(index, signature, event, named.get("mount"), named.get("device"))


def event_of(console: Console, index: int, found: re.Match[str], meaning: str) -> SerialEvent:
    """A line that a pattern matched, as an event; the group ``culprit``, ``mount`` or ``device`` is what it blames."""
    return _event(console, index, _named(console, index, found), meaning)


def _event(
    console: Console, index: int, named: dict[str, str], meaning: str, slug: str = "", code: str | None = None
) -> SerialEvent:
    culprit = named.get("culprit") or named.get("mount") or named.get("device")
    segment = console.segments[index]
    uptime = kernel_time(segment)
    return SerialEvent(console.numbers[index], printable(segment), meaning, slug, code, culprit, uptime)


def _named(console: Console, index: int, found: re.Match[str]) -> dict[str, str]:
    """The pattern's groups as the line has them: the searched text shows «?» for all beyond ASCII."""
    segment = console.segments[index]
    named = {name: printable(segment[slice(*found.span(name))]) for name in found.groupdict() if found[name]}
    if "device" in named:
        named["device"] = device_path(named["device"])
    return named


def device_path(text: str) -> str:
    r"""A device as people write it, from a path or a systemd unit name.

    >>> device_path(r"dev-disk-by\x2duuid-5f3b.device")
    '/dev/disk/by-uuid/5f3b'
    """
    if not (text.startswith("dev-") and text.endswith(".device")) or "…" in text:
        return text
    path = "/" + text.removesuffix(".device").replace("-", "/")
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), path)


_UNIT_HEAD = re.compile(
    r"dev-disk-by\\x2d(uuid|partuuid|label|partlabel|id)-"
    r"([\w\\]{1,120}?)(?:\\x?2?d?)?(?:…|\.{3})"
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def complete_device(segments: Iterable[str], device: str) -> str:
    r"""A device that systemd shortened to «…end», completed from the beginning it printed while it waited.

    systemd shortens a name in the middle: ``Job dev-disk-by\x2duuid-5f3b1d2e\x2…ice/start running`` while it waits and
    ``Timed out waiting for device …b1d2e-0000-4000-8000-00000badf00d.`` when it gives up.

    >>> waiting = r"Job dev-disk-by\x2duuid-5f3b1d2e\x2…ice/start running (13s / 1min 30s)"
    >>> complete_device([waiting], "…b1d2e-0000-4000-8000-00000badf00d")
    '/dev/disk/by-uuid/5f3b1d2e-0000-4000-8000-00000badf00d'
    """
    if "…" not in device:
        return device
    tail = device.rsplit("…", 1)[-1]
    for segment in segments:
        found = _UNIT_HEAD.search(segment) if "dev-disk-by" in segment else None
        if not found:
            continue
        head = found[2].replace(r"\x2d", "-").rstrip("\\")
        for overlap in range(min(len(head), len(tail)), 3, -1):
            whole = head + tail[overlap:]
            if head.endswith(tail[:overlap]) and (found[1] != "uuid" or _UUID.fullmatch(whole)):
                return f"/dev/disk/by-{found[1]}/{whole}"
    return device
