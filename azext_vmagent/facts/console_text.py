"""Console bytes as lines that can be searched: padding, terminal control and overprinting taken out.

A console log is what a terminal would have been told to paint: NUL padding (Azure keeps the log in a page blob), CR
CR LF, colours, cursor movements (GRUB's menu, systemd's moving asterisks), UTF-8 cut in half. The number of a line is
the one an editor shows for the raw file; one line gives several segments where the cursor moved within it.

>>> console = clean(b"[\\x1b[0;32m  OK  \\x1b[0m] Started ssh.\\r\\r\\nweb login: \\x00\\x00")
>>> console.segments, console.numbers
(['[  OK  ] Started ssh.', 'web login: '], [1, 2])
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, compress
from operator import add

SEGMENT_LIMIT = 1000
"""Longest segment in characters; the rest goes into further segments with the same line number: searches stay cheap."""

_HITS_EACH_END = 200
_TEXT_EACH_END = 60_000
"""How many lines with a needle, and characters in them, are looked at from either end: bounds the time."""

_MOVES = re.compile(rb"\x1b\[[0-9;]{0,16}[ABEFGHJdf]|\x1b[EMDc78]")
_CONTROL = re.compile(
    rb"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]?|[\]PX^_][^\x07\x1b\n]{0,256}(?:\x07|\x1b\\)?|[ #%()*+][ -~]|[0-~])?"
)
_LOST_ESCAPE = re.compile(rb"\[(?:(?:[0-9]{1,3}(?:;[0-9]{1,3}){0,8})?m|K(?=\[))")
_LETTERS = re.compile("[A-Za-z]+")
_WORDS = bytes(code if chr(code).isalpha() and code < 128 else 32 for code in range(256))
_SPACING = bytes.maketrans(b"\t\x0b\x0c", b" \r\r")
_NOT_TEXT = bytes([*range(9), *range(0x0E, 0x20), 0x7F])
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


@dataclass(frozen=True)
class Console:
    """The cleaned log. ``text``, for searching, is ``segments`` joined by newlines with «?» for all beyond ASCII."""

    segments: list[str]
    numbers: list[int]
    text: str
    offsets: list[int]

    def segment_at(self, offset: int) -> int:
        """The index of the segment that holds this offset of ``text``."""
        return bisect_right(self.offsets, offset) - 1

    @cached_property
    def words(self) -> str:
        """Each word of ``text`` once: a log repeats few words, so looking here first makes most searches cheap."""
        return " ".join({*self.text.encode().translate(_WORDS).decode().split()})

    def may_hold(self, needle: str) -> bool:
        """Whether ``text`` holds the longest word of ``needle``; if not, it does not hold the needle either."""
        longest = max(_LETTERS.findall(needle), key=len, default="")
        return longest in self.words

    def segments_with(self, needle: str, first: int, end: int) -> Iterator[int]:
        """The segments from ``first`` up to ``end`` with the needle; of very many, the first and the last few hundred.

        The first ones come in order, the last ones backwards.
        """
        if not self.may_hold(needle):
            return
        text = self.text
        start = self.offsets[first]
        stop = self.offsets[end] if end < len(self.offsets) else len(text)
        at, last, looked_at = start, -1, 0
        for _ in range(_HITS_EACH_END):
            at = text.find(needle, at, stop)
            if at < 0:
                return
            last = self.segment_at(at)
            yield last
            at = self.offsets[last] + len(self.segments[last])
            looked_at += len(self.segments[last])
            if looked_at > _TEXT_EACH_END:
                break
        at, looked_at = stop, 0
        for _ in range(_HITS_EACH_END):
            at = text.rfind(needle, start, at)
            index = self.segment_at(at) if at >= 0 else -1
            if index <= last or looked_at > _TEXT_EACH_END:
                return
            yield index
            at = self.offsets[index]
            looked_at += len(self.segments[index])

    def ascii_segment(self, index: int) -> str:
        """A segment as it stands in ``text``."""
        start = self.offsets[index]
        return self.text[start : start + len(self.segments[index])]


def clean(data: bytes) -> Console:
    """The console log as segments; see the module."""
    data = data.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r\n", b"\n")
    if b"\x1b" in data:
        data = _CONTROL.sub(b"", _MOVES.sub(b"\r", data))
    data = _LOST_ESCAPE.sub(b"", data.replace(b"%G%G", b"")).translate(_SPACING, _NOT_TEXT)
    segments, numbers = _segments(data.decode("utf-8", "replace").split("\n"))
    offsets = list(map(add, accumulate(map(len, segments), initial=0), range(len(segments))))
    return Console(segments, numbers, "\n".join(segments).encode("ascii", "replace").decode("ascii"), offsets)


def _segments(lines: list[str]) -> tuple[list[str], list[int]]:
    """The pieces of all lines that are not empty, and their lines' numbers; most lines are one piece."""
    segments: list[str] = []
    numbers: list[int] = []
    done = 0
    divided = (at for at, line in enumerate(lines) if len(line) > SEGMENT_LIMIT or "\r" in line)
    for at in chain(divided, (len(lines),)):
        segments += filter(None, lines[done:at])
        numbers += compress(range(done + 1, at + 1), lines[done:at])
        for piece in filter(None, lines[at].split("\r")) if at < len(lines) else ():
            parts = [piece[start : start + SEGMENT_LIMIT] for start in range(0, len(piece), SEGMENT_LIMIT)]
            segments += parts
            numbers += [at + 1] * len(parts)
        done = at + 1
    return segments, numbers


def printable(text: str, limit: int = 300) -> str:
    """Text from a guest that is safe to show: no control, bidirectional or invisible characters, and not too long.

    >>> printable("\\x1b[31mred\\u202e")
    '[31mred'
    """
    text = _UNPRINTABLE.sub("", text).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"
