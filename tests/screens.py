"""Screens drawn in code, as guests show them, and the files they come in: BMP and PNG of several kinds."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence

Colour = tuple[int, int, int]
BLACK, GREY, WHITE = (0, 0, 0), (170, 170, 170), (255, 255, 255)
WINDOWS_10, WINDOWS_2012, WINDOWS_7, BOOT_RED = (0, 120, 215), (32, 103, 178), (0, 0, 128), (170, 0, 0)


class Screen:
    """A canvas; ``rows`` are lists of colours from the top."""

    def __init__(self, background: Colour = BLACK, width: int = 1024, height: int = 768) -> None:
        self.width, self.height = width, height
        self.rows = [[background] * width for _ in range(height)]
        self._random = random.Random(8)

    def box(self, left: int, top: int, width: int, height: int, colour: Colour = WHITE) -> Screen:
        for row in self.rows[max(0, top) : top + height]:
            row[left : left + width] = [colour] * (min(left + width, self.width) - left)
        return self

    def frame(self, left: int, top: int, width: int, height: int, colour: Colour = GREY) -> Screen:
        self.box(left, top, width, 1, colour).box(left, top + height - 1, width, 1, colour)
        return self.box(left, top, 1, height, colour).box(left + width - 1, top, 1, height, colour)

    def disc(self, x: int, y: int, radius: int, colour: Colour = WHITE) -> Screen:
        for down in range(-radius, radius + 1):
            half = int((radius * radius - down * down) ** 0.5)
            self.box(x - half, y + down, 2 * half + 1, 1, colour)
        return self

    def text(self, left: int, top: int, letters: int, height: int = 16, colour: Colour = GREY) -> Screen:
        """A line of letter-like strokes, each half as wide as the line is high, with a blank every six letters."""
        stroke = max(1, height // 8)
        for at in range(letters):
            x = left + at * height // 2
            if at % 6 == 5 or x + height // 2 > self.width:
                continue
            wide, high = height // 2 - 2 * stroke, height - 4 * stroke
            self.box(x, top + stroke, stroke, high, colour)
            for bar in self._random.sample(range(0, high, 2 * stroke), 2):
                self.box(x, top + stroke + bar, wide, stroke, colour)
            self.box(x + wide - stroke, top + stroke + self._random.randrange(high // 2), stroke, high // 2, colour)
        return self

    def sad_face(self, left: int, top: int, height: int) -> Screen:
        radius = height // 16
        self.disc(left + radius, top + height // 4, radius).disc(left + radius, top + 3 * height // 4, radius)
        for down in range(height):
            bow = abs(2 * down / height - 1) ** 2
            self.box(left + 4 * radius + int(bow * height / 5), top + down, max(2, height // 18), 1)
        return self

    def ring(self, x: int, y: int, dots: int = 5, radius: int = 24, size: int = 4) -> Screen:
        for place in [(0, -1), (0.7, -0.7), (1, 0), (0.7, 0.7), (0, 1)][:dots]:
            self.disc(x + int(place[0] * radius), y + int(place[1] * radius), size)
        return self

    def photograph(self) -> Screen:
        """A landscape: soft changes of many colours."""
        for y, row in enumerate(self.rows):
            sky = y / self.height
            for x in range(self.width):
                row[x] = (
                    int(60 + 120 * sky),
                    int(90 + 80 * x / self.width),
                    int(200 - 150 * sky + 30 * x / self.width),
                )
        return self

    def colours(self) -> set[Colour]:
        return set().union(*self.rows)

    def noise(self) -> Screen:
        for row in self.rows:
            row[:] = [
                (self._random.randrange(256), self._random.randrange(256), self._random.randrange(256)) for _ in row
            ]
        return self


# -- the files ---------------------------------------------------------------------------------------------------------


def bmp(screen: Screen, bits: int = 24, top_down: bool = False) -> bytes:
    """A Windows bitmap; 8 bits: with a palette; 16 bits: 5, 6 and 5."""
    colours = sorted(screen.colours())[:256] if bits == 8 else []
    at = {colour: number for number, colour in enumerate(colours)}
    pixel: dict[int, Callable[[Colour], bytes]] = {
        8: lambda c: bytes([at[c]]),
        16: lambda c: struct.pack("<H", c[0] >> 3 << 11 | c[1] >> 2 << 5 | c[2] >> 3),
        24: lambda c: bytes([c[2], c[1], c[0]]),
        32: lambda c: bytes([c[2], c[1], c[0], 255]),
    }
    known = {colour: pixel[bits](colour) for colour in screen.colours()}
    lines = [b"".join(map(known.__getitem__, row)) for row in screen.rows]
    lines = [line + bytes(-len(line) % 4) for line in (lines if top_down else lines[::-1])]
    palette = b"".join(bytes([blue, green, red, 0]) for red, green, blue in colours)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F) if bits == 16 else b""
    height = -screen.height if top_down else screen.height
    header = struct.pack("<IiiHHIIiiII", 40, screen.width, height, 1, bits, 3 if masks else 0, 0, 0, 0, len(colours), 0)
    start = 14 + len(header) + len(masks) + len(palette)
    body = b"".join(lines)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + header + masks + palette + body


def png(screen: Screen, colour_type: int = 2, filters: Sequence[int] = (0, 1, 2, 3, 4)) -> bytes:
    """A PNG; the lines are filtered in turn. 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA."""
    colours = sorted(screen.colours())[:256] if colour_type == 3 else []
    at = {colour: number for number, colour in enumerate(colours)}
    pixel: dict[int, Callable[[Colour], bytes]] = {
        0: lambda c: bytes([c[1]]),
        2: bytes,
        3: lambda c: bytes([at[c]]),
        4: lambda c: bytes([c[1], 255]),
        6: lambda c: bytes([*c, 255]),
    }
    known = {colour: pixel[colour_type](colour) for colour in screen.colours()}
    lines = [b"".join(map(known.__getitem__, row)) for row in screen.rows]
    size = len(lines[0]) // screen.width
    before, packed = bytes(len(lines[0])), []
    for number, line in enumerate(lines):
        way = filters[number % len(filters)]
        packed.append(bytes([way]) + _filtered(line, before, size, way))
        before = line
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", screen.width, screen.height, 8, colour_type, 0, 0, 0)),
            chunk(b"PLTE", b"".join(map(bytes, colours))) if colours else b"",
            chunk(b"IDAT", zlib.compress(b"".join(packed), 1)),
            chunk(b"IEND", b""),
        )
    )


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _filtered(line: bytes, up: bytes, size: int, way: int) -> bytes:
    left, corner = bytes(size) + line[:-size], bytes(size) + up[:-size]
    if way == 0:
        return line
    if way == 1:
        guess: list[int] = list(left)
    elif way == 2:
        guess = list(up)
    elif way == 3:
        guess = [(a + b) // 2 for a, b in zip(left, up, strict=True)]
    else:
        guess = [_paeth(a, b, c) for a, b, c in zip(left, up, corner, strict=True)]
    return bytes([value - wrong & 255 for value, wrong in zip(line, guess, strict=True)])


def _paeth(left: int, up: int, corner: int) -> int:
    """The neighbour nearest to left + up - corner; on equal distance left, then up (PNG, 9.4)."""
    aim = left + up - corner
    return min((left, up, corner), key=lambda value: abs(value - aim))


# -- the screens -------------------------------------------------------------------------------------------------------


def linux_login(width: int = 1024, height: int = 768) -> Screen:
    screen = Screen(width=width, height=height)
    return screen.text(0, 16, 30).text(0, 48, 12).box(100, 60, 8, 2)


def linux_boot() -> Screen:
    screen = Screen()
    for line in range(48):
        screen.text(0, line * 16, 20 + line * 37 % 90)
        if line % 3 == 0:
            screen.text(16, line * 16, 4, colour=(0, 170, 0))
    return screen


def grub_menu() -> Screen:
    screen = Screen().text(330, 130, 22).frame(124, 155, 776, 380).box(128, 184, 768, 18)
    for line in range(4):
        screen.text(136, 206 + 19 * line, 40)
    return screen.text(160, 570, 60).text(160, 590, 40)


def pxe() -> Screen:
    """«>>Start PXE over IPv4.» under UEFI: text in the middle of a larger screen."""
    screen = Screen()
    for line in range(5):
        screen.text(112, 84 + 19 * line, 24 + 5 * line)
    return screen


def boot_manager(
    background: Colour = BLACK, left: int = 0, top: int = 0, width: int = 640, height: int = 480
) -> Screen:
    """«Windows Boot Manager» in text mode: grey bars at the top and the bottom."""
    screen = Screen(background, max(640, width + 2 * left), max(480, height + 2 * top))
    screen.box(left, top, width, 16, GREY).text(left + width // 2 - 80, top, 20, colour=background)
    for line in (3, 4, 7, 8, 9, 12, 15):
        screen.text(left, top + 16 * line, 30 + 3 * line)
    bottom = top + height - 16
    return screen.box(left, bottom, width, 16, GREY).text(left + 8, bottom, 14, colour=background)


def stop_screen(background: Colour = WINDOWS_10, face: bool = True) -> Screen:
    """Windows' stop screen since 8; without the face: the 2025 one is not this, and is not drawn here."""
    screen = Screen(background)
    if face:
        screen.sad_face(112, 90, 130)
    for line in range(3):
        screen.text(112, 270 + 34 * line, 44, height=24, colour=WHITE)
    screen.text(112, 390, 14, height=24, colour=WHITE).box(112, 440, 110, 110)
    return screen.text(240, 450, 60, height=14, colour=WHITE).text(240, 500, 40, height=14, colour=WHITE)


def old_stop_screen() -> Screen:
    screen = Screen(WINDOWS_7, 640, 480)
    for line in (0, 2, 4, 5, 7, 8, 9, 11, 12, 13, 15, 17, 18):
        screen.text(0, 8 + 16 * line, 70 - line * 3, height=14, colour=WHITE)
    return screen


def recovery() -> Screen:
    """«Recovery. Your PC needs to be repaired»: a title, paragraphs and keys, all aligned at the left."""
    screen = Screen(WINDOWS_10).text(96, 90, 9, height=40, colour=WHITE)
    for line, letters in enumerate((38, 60, 58, 20, 26, 50, 62)):
        screen.text(96, 170 + 44 * line, letters, height=18, colour=WHITE)
    return screen.text(96, 620, 30, height=16, colour=WHITE).text(96, 650, 30, height=16, colour=WHITE)


def clock(screen: Screen) -> Screen:
    """«9:41» and the date at the lower left."""
    for at, letter in enumerate((True, True, False, True, True)):
        if letter:
            screen.text(40 + at * 44, 540, 1, height=80, colour=WHITE)
        else:
            screen.disc(40 + at * 44 + 12, 565, 4).disc(40 + at * 44 + 12, 590, 4)
    return screen.text(44, 640, 20, height=28, colour=WHITE)


def clock_of_windows_11(screen: Screen) -> Screen:
    for at in (0, 1, 3, 4):
        screen.text(404 + at * 44, 120, 1, height=80, colour=WHITE)
    screen.disc(404 + 2 * 44 + 20, 145, 4).disc(404 + 2 * 44 + 20, 170, 4)
    return screen.text(392, 225, 20, height=24, colour=WHITE)


def getting_ready(background: Colour = BLACK) -> Screen:
    """The ring of dots, «Getting Windows ready» and «Don't turn off your computer» below."""
    screen = Screen(background).ring(512, 330)
    return screen.text(386, 420, 21, height=24, colour=WHITE).text(344, 456, 28, height=24, colour=WHITE)


def logo(dots: int = 0) -> Screen:
    screen = Screen()
    for left in (452, 516):
        for top in (230, 294):
            screen.box(left, top, 58, 58, (0, 173, 239))
    return screen.ring(512, 560, dots) if dots else screen
