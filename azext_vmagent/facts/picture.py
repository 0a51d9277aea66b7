"""A screenshot's pixels, without a library: BMP as Azure keeps it, PNG as people send it. Pure, bounded.

Only every ``step``-th pixel of every ``step``-th row is kept, some 300,000 at most: enough to tell screens apart.
The bytes are hostile: what they claim is checked against what is there, and a PNG is unpacked no further than needed.
Sources: BITMAPFILEHEADER and BITMAPINFOHEADER (learn.microsoft.com), PNG (Third Edition, W3C).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, sqrt

LARGEST_BYTES = 40 * 1024 * 1024
LARGEST_SIDE = 8192
#: a PNG must be unpacked whole; more than this takes seconds
LARGEST_PNG = 16 * 1024 * 1024
_KEPT = 320_000
_PNG = b"\x89PNG\r\n\x1a\n"
_RGB, _BITFIELDS = 0, 3
_FIVE_SIX_FIVE, _FIVE_FIVE_FIVE = (0xF800, 0x07E0, 0x001F), (0x7C00, 0x03E0, 0x001F)
_PLAIN = (0xFF0000, 0xFF00, 0xFF)
#: channels of a PNG's colour types
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


class NotReadable(Exception):
    """These bytes are no picture that is read here; the message says why."""


@dataclass(frozen=True)
class Picture:
    """The kept pixels, 0xRRGGBB, row by row from the top; ``width`` and ``height`` are those of the whole picture."""

    width: int
    height: int
    step: int
    rows: tuple[Sequence[int], ...]


def read_picture(data: bytes) -> Picture:
    """The picture in a BMP or PNG file. Raises NotReadable and nothing else."""
    if len(data) > LARGEST_BYTES:
        raise NotReadable(f"{len(data)} bytes are too many for a screenshot")
    if not data:
        raise NotReadable("it is empty")
    try:
        if data.startswith(b"BM"):
            return _bmp(data)
        if data.startswith(_PNG):
            return _png(data)
    except struct.error:
        raise NotReadable("its header is cut off") from None
    raise NotReadable("it is neither a BMP nor a PNG file")


def _checked_size(width: int, height: int) -> int:
    """The step for a picture of that size."""
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        raise NotReadable(f"its size is {width} x {height}")
    return max(1, ceil(sqrt(width * height / _KEPT)))


# -- BMP ---------------------------------------------------------------------------------------------------------------


def _bmp(data: bytes) -> Picture:
    offset, header = struct.unpack_from("<II", data, 10)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression, colours, entry = _RGB, 0, 3
    elif header >= 40:
        width, height, _, bits, compression, _, _, _, colours = struct.unpack_from("<iiHHIIiiI", data, 18)
        entry = 4
    else:
        raise NotReadable(f"its BMP header has {header} bytes")
    step = _checked_size(width, abs(height))
    masks = struct.unpack_from("<III", data, 54) if compression == _BITFIELDS else None
    if compression not in (_RGB, _BITFIELDS):
        raise NotReadable(f"its BMP compression is {compression}")
    line = (width * bits + 31) // 32 * 4
    if offset + line * abs(height) > len(data):
        raise NotReadable(f"it is cut off: {len(data)} of {offset + line * abs(height)} bytes")
    palette = _bmp_palette(data, 14 + header, min(colours or 256, 256), entry) if bits <= 8 else []
    pixels = _bmp_pixels(bits, masks, palette)
    length = (width * bits + 7) // 8
    lines = range(0, abs(height), step) if height < 0 else range(height - 1, -1, -step)
    starts = (offset + line * at for at in lines)
    rows = tuple(pixels(data[start : start + length], width, step) for start in starts)
    return Picture(width, abs(height), step, rows)


def _bmp_palette(data: bytes, start: int, colours: int, entry: int) -> list[int]:
    whole = data[start : start + colours * entry]
    found = [
        blue | green << 8 | red << 16
        for blue, green, red in zip(whole[::entry], whole[1::entry], whole[2::entry], strict=False)
    ]
    return found + [0] * (256 - len(found))


_Pixels = Callable[[bytes, int, int], Sequence[int]]


def _bmp_pixels(bits: int, masks: tuple[int, ...] | None, palette: list[int]) -> _Pixels:
    """What turns the bytes of one line into pixels."""
    if bits in (1, 4, 8) and masks is None:
        return lambda line, width, step: [palette[at] for at in _expanded(line, bits)[:width:step]]
    if bits == 16 and masks in (None, _FIVE_FIVE_FIVE, _FIVE_SIX_FIVE):
        green_bits = 6 if masks == _FIVE_SIX_FIVE else 5
        return lambda line, _, step: _sixteen(line, step, green_bits)
    if bits == 24 and masks is None:
        return lambda line, _, step: _joined(line[2 :: 3 * step], line[1 :: 3 * step], line[:: 3 * step])
    if bits == 32 and masks in (None, _PLAIN):
        return lambda line, _, step: _joined(line[2 :: 4 * step], line[1 :: 4 * step], line[:: 4 * step])
    raise NotReadable(f"a BMP of {bits} bits a pixel is not read here")


def _joined(red: bytes, green: bytes, blue: bytes) -> list[int]:
    return [r << 16 | g << 8 | b for r, g, b in zip(red, green, blue, strict=False)]


def _sixteen(line: bytes, step: int, green_bits: int) -> list[int]:
    largest = (1 << green_bits) - 1
    found = []
    for low, high in zip(line[:: 2 * step], line[1 :: 2 * step], strict=False):
        value = low | high << 8
        red, green, blue = value >> (5 + green_bits) & 31, value >> 5 & largest, value & 31
        found.append(red * 255 // 31 << 16 | green * 255 // largest << 8 | blue * 255 // 31)
    return found


def _expanded(line: bytes, bits: int) -> bytes:
    """One byte for each pixel of a line that packs several into a byte, the leftmost in the high bits."""
    if bits == 8:
        return line
    places, mask = range(8 - bits, -1, -bits), (1 << bits) - 1
    table = [bytes(value >> place & mask for place in places) for value in range(256)]
    return b"".join([table[value] for value in line])


# -- PNG ---------------------------------------------------------------------------------------------------------------


def _png(data: bytes) -> Picture:
    header, palette, packed = b"", b"", []
    for name, body in _chunks(data):
        if name == b"IHDR":
            header = header or body
        elif name == b"PLTE":
            palette = body
        elif name == b"IDAT":
            packed.append(body)
    width, height, bits, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", header)
    step = _checked_size(width, height)
    channels = _CHANNELS.get(colour, 0)
    if interlaced or not channels or not (bits == 8 or (bits in (1, 2, 4) and channels == 1)):
        way = "interlaced" if interlaced else f"of colour type {colour} with {bits} bits"
        raise NotReadable(f"a PNG {way} is not read here")
    length = (width * channels * bits + 7) // 8
    whole = _unpacked(packed, (length + 1) * height)
    found = [0x10101 * value for value in range(256)]
    if colour == 3:
        found = [
            red << 16 | green << 8 | blue
            for red, green, blue in zip(palette[::3], palette[1::3], palette[2::3], strict=False)
        ]
        found = (found + [0] * 256)[:256]
    elif bits < 8:
        found = [0x10101 * (value * 255 // ((1 << bits) - 1)) for value in range(1 << bits)]
    rows = []
    for number, line in enumerate(_unfiltered(whole, length, height, channels)):
        if number % step:
            continue
        if channels >= 3:
            rows.append(_joined(line[:: channels * step], line[1 :: channels * step], line[2 :: channels * step]))
        else:
            rows.append([found[at] for at in _expanded(line[::channels], bits)[:width:step]])
    return Picture(width, height, step, tuple(rows))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + 8 + length]
        if name == b"IEND":
            return
        at += 12 + length


def _unpacked(packed: list[bytes], needed: int) -> bytes:
    if needed > LARGEST_PNG:
        raise NotReadable(f"a PNG of {needed} bytes of pixels is too large to be read here")
    try:
        whole = zlib.decompressobj().decompress(b"".join(packed), needed)
    except zlib.error as error:
        raise NotReadable(f"its pixels do not unpack ({error})") from None
    if len(whole) < needed:
        raise NotReadable(f"it is cut off: {len(whole)} of {needed} bytes of pixels")
    return whole


def _unfiltered(whole: bytes, length: int, height: int, pixel: int) -> Iterator[bytes]:
    """The lines of a PNG; each says in its first byte how it was written as a difference to its neighbours."""
    before = bytes(length)
    low = int.from_bytes(b"\x7f" * length, "little")
    for at in range(0, (length + 1) * height, length + 1):
        way, line = whole[at], whole[at + 1 : at + 1 + length]
        if way == 1:
            line = _by_channel(line, before, pixel, _sub)
        elif way == 2:
            line = _up(line, before, low)
        elif way == 3:
            line = _by_channel(line, before, pixel, _average)
        elif way == 4:
            line = _by_channel(line, before, pixel, _paeth)
        elif way:
            raise NotReadable(f"its line {at // (length + 1)} has an unknown filter ({way})")
        yield line
        before = line


def _by_channel(line: bytes, before: bytes, pixel: int, undo: Callable[[bytes, bytes], bytes]) -> bytes:
    """A line whose filter looks at the pixel to the left, one channel after the other."""
    found = bytearray(len(line))
    for channel in range(pixel):
        found[channel::pixel] = undo(line[channel::pixel], before[channel::pixel])
    return bytes(found)


def _sub(line: bytes, _before: bytes) -> bytes:
    return bytes([value & 255 for value in accumulate(line)])


def _up(line: bytes, before: bytes, low: int) -> bytes:
    """All bytes at once: the lower seven bits are added without a carry into the next byte, the highest by hand."""
    one, other = int.from_bytes(line, "little"), int.from_bytes(before, "little")
    highest = (one ^ other) & ~low
    return ((one & low) + (other & low) ^ highest).to_bytes(len(line), "little")


def _average(line: bytes, before: bytes) -> bytes:
    found, left = [], 0
    for value, up in zip(line, before, strict=False):
        left = value + (left + up >> 1) & 255
        found.append(left)
    return bytes(found)


def _paeth(line: bytes, before: bytes) -> bytes:
    if not any(line) and before.count(before[:1]) == len(before):
        return before
    found, left, corner = [], 0, 0
    for value, up in zip(line, before, strict=False):
        by_left, by_up = up - corner, left - corner
        by_corner = abs(by_left + by_up)
        by_left, by_up = abs(by_left), abs(by_up)
        if by_left <= by_up and by_left <= by_corner:
            left = value + left & 255
        elif by_up <= by_corner:
            left = value + up & 255
        else:
            left = value + corner & 255
        found.append(left)
        corner = up
    return bytes(found)
