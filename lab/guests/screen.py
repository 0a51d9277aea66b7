"""The screen of a recorded Linux guest: the last lines of its console, drawn as boot diagnostics keep it, a BMP.

Drawn, not recorded: the guests have no graphics card. Letters are three dots wide and five high, all capitals, enough
for a person to read and for a reader of screens to see a text console.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence

WIDTH, HEIGHT = 1024, 768
_CELL_WIDTH, _CELL_HEIGHT = 8, 16
_COLUMNS, _LINES = WIDTH // _CELL_WIDTH, HEIGHT // _CELL_HEIGHT
_GREY, _BLACK = bytes([170, 170, 170]), bytes(3)
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|[@-Z\\-_78])")
#: each sign with its five rows, three dots each as an octal digit
_FONT = """
A=25755 B=65656 C=34443 D=65556 E=74647 F=74644 G=34553 H=55755 I=72227 J=11152 K=55655 L=44447 M=57755 N=65555 O=25552
P=65644 Q=25563 R=65655 S=34216 T=72222 U=55557 V=55552 W=55775 X=55255 Y=55222 Z=71247 0=75557 1=26227 2=61247 3=61216
4=55711 5=74616 6=34757 7=71122 8=75757 9=75716 .=00002 ,=00024 :=02020 ;=02024 -=00700 _=00007 /=11244 \\=44211
(=12221 )=42224 [=32223 ]=62226 <=12421 >=42124 +=02720 *=05250 #=57575 @=25743 !=22202 ?=61202 '=22000 "=55000 %=51245
|=22222 ~=00360 $=36236 &=25253 {=32423 }=62126 …=00005
"""
_SHAPES = dict(shape.split("=", 1) for shape in _FONT.split()) | {"=": "07070", " ": "00000"}
_UNKNOWN = "77777"


def console_screen(log: bytes) -> bytes:
    """A BMP of the screen on which this console log has just been printed."""
    lines = list(_shown(log.decode("utf-8", "replace")))[-_LINES:]
    rows = [row for line in lines for row in _drawn(line)]
    rows += [_BLACK * WIDTH] * (HEIGHT - len(rows))
    return bmp(WIDTH, HEIGHT, rows)


def bmp(width: int, height: int, rows: Sequence[bytes]) -> bytes:
    """A 24-bit BMP of rows from the top, each pixel in the order blue, green, red."""
    padding = bytes(-3 * width % 4)
    body = b"".join(row + padding for row in reversed(rows))
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(body), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(body), 0, 0, 14 + len(head)) + head + body


def _shown(text: str) -> Iterator[str]:
    """The lines as a terminal shows them: without control characters, overprinted and folded."""
    for line in _ESCAPE.sub("", text.replace("\0", "")).replace("\r\n", "\n").replace("\r\n", "\n").split("\n"):
        last = line.rstrip("\r").rsplit("\r", 1)[-1]
        plain = "".join(sign for sign in last.expandtabs() if sign.isprintable())
        yield from [plain[at : at + _COLUMNS] for at in range(0, len(plain), _COLUMNS)] or [""]


def _drawn(line: str) -> Iterator[bytes]:
    """The sixteen rows of pixels of a line: three blank, five of two each, three blank."""
    shapes = [_SHAPES.get(sign.upper(), _UNKNOWN) for sign in line]
    blank = _BLACK * WIDTH
    yield from (blank, blank, blank)
    for at in range(5):
        row = b"".join([_DOTS[shape[at]] for shape in shapes])
        row += _BLACK * (WIDTH - len(row) // 3)
        yield from (row, row)
    yield from (blank, blank, blank)


#: an octal digit -> its three dots, each two pixels wide, and the gap to the next sign
_DOTS = {
    str(dots): b"".join((_GREY if dots & bit else _BLACK) * 2 for bit in (4, 2, 1)) + _BLACK * 2 for dots in range(8)
}
