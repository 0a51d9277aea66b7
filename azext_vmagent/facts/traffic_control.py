"""What traffic control loses on the way to the Wire Server: below every packet filter, and in none of their listings.

Pure. ``tc`` lines are the queueing disciplines that are none of the kernel's defaults, ``filter`` lines their filters
with all that ``tc filter show`` prints of one. A discipline that loses everything (netem, loss 100%) blocks if it is
the root or if a filter leads the Wire Server's packets to it; a filter's own ``drop`` blocks what it matches.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from azext_vmagent.facts.rules import address_range, number_range

_MATCH = re.compile(r"match ([0-9a-f]{8})/([0-9a-f]{8}) at (\d+)")
_FLOWER = re.compile(r"\b(dst_ip|src_ip|dst_port|src_port|ip_proto) (\S+)")
_WORD = re.compile(r"[A-Za-z0-9_.:@-]+")
_TCP = 6


@dataclass(frozen=True)
class Shaping:
    """Something of traffic control that loses the Wire Server's packets, or may: then ``doubt`` says why."""

    text: str
    where: str
    ports: tuple[int, ...]
    undo: str | None
    inbound: bool = False
    doubt: str = ""


@dataclass(frozen=True)
class _Discipline:
    kind: str
    device: str
    parent: str
    text: str

    @property
    def loses_all(self) -> bool:
        return self.kind == "blackhole" or (self.kind == "netem" and "loss 100%" in self.text)


@dataclass(frozen=True)
class _Filter:
    device: str
    place: str
    text: str

    @property
    def inbound(self) -> bool:
        return self.place == "ingress"

    @property
    def drops(self) -> bool:
        return bool(re.search(r"\bgact action drop\b|\bpolice\b.*\bconform-exceed drop\b", self.text))

    def leads_to(self, parent: str) -> bool:
        return re.search(rf"(?:flowid|classid) {re.escape(parent)}(?: |$)", self.text) is not None


def losses(lines: Iterable[str], server: str, ports: tuple[int, ...], device: str | None) -> list[Shaping]:
    """Everything on ``device`` (any, when not known) that loses what goes to the server, or its replies.

    >>> [found] = losses(["tc netem 8001: dev eth0 root refcnt 2 limit 1000 loss 100%"], "168.63.129.16", (80,), "eth0")
    >>> found.undo
    'tc qdisc del dev eth0 root'
    """
    disciplines, filters = _read(lines)
    here = [one for one in disciplines if device in (None, one.device)]
    chosen = [one for one in filters if device in (None, one.device)]
    return [*_lossy(here, chosen, server, ports), *_dropping(chosen, server, ports)]


def _read(lines: Iterable[str]) -> tuple[list[_Discipline], list[_Filter]]:
    disciplines, filters = [], []
    for line in lines:
        words = line.split()
        if words[:1] == ["tc"] and words[3:4] == ["dev"] and len(words) > 5:
            parent = words[6] if words[5] == "parent" and len(words) > 6 else words[5]
            disciplines.append(_Discipline(words[1], words[4], parent, line.removeprefix("tc ")))
        elif words[:2] == ["filter", "dev"] and len(words) > 3:
            head, _, text = line.removeprefix("filter ").partition(" filter ")
            place = " ".join(head.split()[2:])
            filters.append(_Filter(words[2], place, text))
    return disciplines, filters


def _lossy(
    disciplines: list[_Discipline], filters: list[_Filter], server: str, ports: tuple[int, ...]
) -> Iterator[Shaping]:
    for one in disciplines:
        if one.kind != "netem" and not one.loses_all:
            continue
        at = ("root",) if one.parent == "root" else ("parent", one.parent)
        undo = _command("qdisc", "del", "dev", one.device, *at)
        where = f"qdisc of {one.device}"
        leading = [found for found in filters if found.device == one.device and found.leads_to(one.parent)]
        hit = ports if one.parent == "root" else tuple(p for p in ports if any(_takes(f, server, p) for f in leading))
        if one.loses_all and hit:
            yield Shaping(one.text, where, hit, undo)
        elif "loss " in one.text and (hit or not leading):
            why = "what is led to it is not known" if one.loses_all else "it loses a part of the packets"
            yield Shaping(one.text, where, ports, undo, doubt=why)


def _dropping(filters: list[_Filter], server: str, ports: tuple[int, ...]) -> Iterator[Shaping]:
    for one in filters:
        if not one.drops:
            continue
        told = {port: _takes(one, server, port) for port in ports}
        hit = tuple(port for port, taken in told.items() if taken)
        unsure = tuple(port for port, taken in told.items() if taken is None)
        where = f"{one.place or 'filter'} of {one.device}"
        if hit:
            yield Shaping(one.text, where, hit, _filter_undo(one), one.inbound)
        elif unsure:
            yield Shaping(one.text, where, unsure, _filter_undo(one), one.inbound, "its match is not understood")


def _filter_undo(found: _Filter) -> str | None:
    named = {key: m.group(1) for key in ("parent", "protocol", "pref") if (m := re.search(rf"{key} (\S+)", found.text))}
    place = [found.place] if found.place else ["parent", named["parent"]] if "parent" in named else []
    if "pref" not in named:
        return None
    protocol = ["protocol", named["protocol"]] if "protocol" in named else []
    return _command("filter", "del", "dev", found.device, *place, *protocol, "pref", named["pref"])


def _command(*words: str) -> str | None:
    return shlex.join(["tc", *words]) if all(_WORD.fullmatch(word) for word in words) else None


def _takes(found: _Filter, server: str, port: int) -> bool | None:
    """Whether the filter matches the server's packets of that port; None when its match is not understood."""
    kind = re.search(r"pref \d+ (\w+)", found.text)
    if kind is None or not re.search(r"protocol (ip|all)\b", found.text):
        return False if kind else None
    if kind.group(1) == "u32":
        matches = [(int(value, 16), int(mask, 16), int(at)) for value, mask, at in _MATCH.findall(found.text)]
        answers = [_u32(found, one, server, port) for one in matches]
        return None if not answers or None in answers else all(answers)
    if kind.group(1) == "flower":
        answers = [_flower(found, key, value, server, port) for key, value in _FLOWER.findall(found.text)]
        return None if None in answers else all(answers)
    return True if kind.group(1) == "matchall" else None


def _u32(found: _Filter, match: tuple[int, int, int], server: str, port: int) -> bool | None:
    value, mask, at = match
    address = int(IPv4Address(server))
    ours, theirs = (12, 16) if found.inbound else (16, 12)
    if at == ours:
        return address & mask == value
    if at == theirs:
        return None
    if at == 8 and mask == 0x00FF0000:  # the protocol's byte
        return value == _TCP << 16
    if at == 20:  # both ports
        told = port << 16 if found.inbound else port
        wanted = 0xFFFF0000 if found.inbound else 0xFFFF
        return told & mask == value if not mask & ~wanted else None
    return None


def _flower(found: _Filter, key: str, value: str, server: str, port: int) -> bool | None:
    if key == "ip_proto":
        return value == "tcp"
    near, far = ("dst", "src") if found.inbound else ("src", "dst")
    if key.startswith(near):
        return None
    if key == f"{far}_ip":
        reach = address_range(value)
        return None if reach is None else reach[0] <= int(IPv4Address(server)) <= reach[1]
    reach = number_range(value, "-")
    return None if reach is None else reach[0] <= port <= reach[1]
