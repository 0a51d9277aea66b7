"""The frame around what the probe said: first and last line, packing, checksum. Pure; never raises on any input.

A whole answer is ``vmagent-probe 1``, lines, ``end SECONDS BYTES_LEFT_OUT CHECKSUM``; a large one is packed:
``vmagent-probe 1 gzip``, base64 lines, the same last line. Whatever reached us of either is read: a deflate stream that
was cut still gives its beginning, and a line that was not base64 (a kernel message on the console) is left out.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from dataclasses import dataclass

#: no answer of the probe unpacks to more; a hostile guest's may
LIMIT = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True)
class ProbeAnswer:
    """``lines`` are clean printable ASCII. ``whole``: neither cut nor garbled, and an answer at all."""

    lines: tuple[str, ...]
    whole: bool
    packed: bool
    seconds: str | None = None


def read_answer(text: str) -> ProbeAnswer:
    """The lines between the frame, unpacked where need be.

    >>> read_answer("Welcome!\\nvmagent-probe 1\\nuid 0\\nend 0.3 0 -\\n")
    ProbeAnswer(lines=('uid 0',), whole=True, packed=False, seconds='0.3')
    """
    raw = [line for line in (_clean(line) for line in text.splitlines()) if line]
    begun = next((at for at, line in enumerate(raw) if line.startswith("vmagent-probe ")), None)
    ended = next((at for at in reversed(range(len(raw))) if raw[at].startswith("end ")), None)
    if begun is not None and ended is not None and ended < begun:
        ended = None
    body = raw[0 if begun is None else begun + 1 : ended]
    last = raw[ended].split() if ended is not None else []
    packed = raw[begun].split()[2:3] == ["gzip"] if begun is not None else _looks_packed(body)
    whole = begun is not None and ended is not None
    if len(last) > 3 and last[3].isdigit():
        whole = whole and posix_checksum("".join(f"{line}\n" for line in body).encode()) == int(last[3])
    if packed:
        unpacked, finished = _unpack([line for line in body if _BASE64.fullmatch(line)])
        body = [line for line in (_clean(line) for line in unpacked.splitlines()) if line]
        whole = whole and finished
    return ProbeAnswer(tuple(body), whole, packed, last[1] if len(last) > 1 else None)


def posix_checksum(content: bytes) -> int:
    """What ``cksum`` prints (POSIX: CRC-32/CKSUM over the content and its length).

    >>> posix_checksum(b"uid 0\\n")
    2421433656
    """
    length = len(content)
    octets = bytearray(content)
    while length:
        octets.append(length & 0xFF)
        length >>= 8
    crc = 0
    for octet in octets:
        crc = (crc << 8) & 0xFFFFFFFF ^ _TABLE[crc >> 24 ^ octet]
    return crc ^ 0xFFFFFFFF


def _table_entry(octet: int) -> int:
    crc = octet << 24
    for _ in range(8):
        crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
        crc &= 0xFFFFFFFF
    return crc


_TABLE = tuple(_table_entry(octet) for octet in range(256))


def _clean(line: str) -> str:
    return "".join(character for character in line if " " <= character <= "~").rstrip()


def _looks_packed(body: list[str]) -> bool:
    """A packed answer whose head is lost: gzip begins with these letters in base64."""
    return bool(body) and body[0].startswith("H4sI") and _BASE64.fullmatch(body[0]) is not None


def _unpack(lines: list[str]) -> tuple[str, bool]:
    """(text, whether the stream came to its end and its checksum is right); else without the last, broken line."""
    letters = "".join(lines).partition("=")[0]
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    try:
        stream = base64.b64decode(letters + "=" * (-len(letters) % 4))
    except binascii.Error:
        return "", False
    opener = zlib.decompressobj(_GZIP)
    out = b""
    try:
        for octet in stream:  # one at a time: an error then costs nothing of what came before it
            out += opener.decompress(bytes((octet,)), LIMIT - len(out))
            if opener.eof or len(out) >= LIMIT:
                break
    except zlib.error:
        return _whole_lines(out), False
    return (out.decode("ascii", "replace"), True) if opener.eof else (_whole_lines(out), False)


def _whole_lines(out: bytes) -> str:
    return out.decode("ascii", "replace").rpartition("\n")[0]
