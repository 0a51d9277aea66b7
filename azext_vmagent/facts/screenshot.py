"""What a screenshot of the console shows: which of the few screens that tell how far a guest came. Pure.

Told by figures that anybody can check: the background's colour and share, how many colours there are, where the lines
of text stand, dots in a ring, tiles of a logo. The thresholds come from published screenshots of Windows, Linux and
boot loaders and from drawn ones; none was tried on a screenshot that Azure itself took. What fits two kinds is
``UNKNOWN``. The words on the screen, where something else has read them, are in ``text``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

from azext_vmagent.facts.console_text import printable
from azext_vmagent.facts.picture import NotReadable, read_picture
from azext_vmagent.facts.screen_layout import Band, Layout, Piece, bands_of

#: an empty screen with the mouse pointer or a text cursor on it has less than this
_NEARLY_NOTHING = 0.0003
#: a plain background covers at least this
_PLAIN = 0.55
#: a text screen has 16 colours at most, letters with soft edges some more
_MANY_COLOURS = 30
_TEXT_LIMIT = 4000


class ScreenKind(str, Enum):
    """Which screen it is.

    ``BOOT_ERROR`` is Windows' boot manager or recovery screen, ``PROGRESS`` Windows that starts or works on something
    (logo or ring of dots), ``GRAPHICAL`` a picture or a desktop without a clock on it.
    """

    BLACK = "black"
    TEXT = "text-console"
    BLUE_SCREEN = "blue-screen"
    BOOT_ERROR = "boot-manager-error"
    LOCK_SCREEN = "lock-screen"
    GRAPHICAL = "graphical"
    PROGRESS = "progress"
    UNKNOWN = "unknown"
    NOT_READABLE = "not-readable"


class Sure(str, Enum):
    """How far the figures carry: another kind of screen may share those of a ``WEAK`` one."""

    LIKELY = "likely"
    WEAK = "weak"


SHOWN = {
    ScreenKind.BLACK: "a black screen",
    ScreenKind.TEXT: "a text console",
    ScreenKind.BLUE_SCREEN: "Windows' blue stop screen",
    ScreenKind.BOOT_ERROR: "an error screen of Windows' boot manager",
    ScreenKind.LOCK_SCREEN: "Windows' lock screen",
    ScreenKind.GRAPHICAL: "a graphical screen (lock screen, login or desktop)",
    ScreenKind.PROGRESS: "Windows starting, or at work on something",
    ScreenKind.UNKNOWN: "a screen of unknown kind",
    ScreenKind.NOT_READABLE: "a picture that could not be read",
}
"""Each kind in words, for people."""


@dataclass(frozen=True)
class ScreenshotFacts:
    """The kind of screen, and the figures that say so (``why``). ``text`` are its words, empty when not read.

    ``path`` is the file that it was saved as.
    """

    kind: ScreenKind
    sure: Sure = Sure.WEAK
    why: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    text: str = ""
    path: str | None = None

    @property
    def shown(self) -> str:
        """The kind in words, with how sure it is."""
        if self.kind in (ScreenKind.UNKNOWN, ScreenKind.NOT_READABLE):
            return SHOWN[self.kind]
        return SHOWN[self.kind] + ("" if self.sure is Sure.LIKELY else ", perhaps")


@dataclass(frozen=True)
class Screenshot:
    """A screenshot as it came, the words that were read from it, and the file that it was saved as."""

    data: bytes
    text: str = ""
    path: str | None = None

    @cached_property
    def facts(self) -> ScreenshotFacts:
        """What it shows; looked at once."""
        return replace(read_screenshot(self.data, self.text), path=self.path)


def read_screenshot(data: bytes, text: str = "") -> ScreenshotFacts:
    r"""The kind of screen in a BMP or PNG file. Never raises, whatever the bytes.

    >>> read_screenshot(b"GIF89a").why
    ('it is neither a BMP nor a PNG file',)
    """
    words = "\n".join(line for line in map(printable, text[:_TEXT_LIMIT].splitlines()) if line)
    try:
        picture = read_picture(data)
    except NotReadable as reason:
        return ScreenshotFacts(ScreenKind.NOT_READABLE, why=(str(reason),), text=words)
    found = _kind(Layout(picture))
    return replace(found, width=picture.width, height=picture.height, text=words)


def _kind(layout: Layout) -> ScreenshotFacts:
    red, green, blue = layout.background
    figures = (
        f"{layout.background_share:.1%} of it is the colour #{red:02x}{green:02x}{blue:02x}",
        f"{layout.colours} colours cover more than 1/2000 each",
    )
    if layout.background_share < _PLAIN:
        return _on_picture(layout, figures)
    if layout.background_share > 1 - _NEARLY_NOTHING and len(layout.pieces) <= 2:
        kind = ScreenKind.BLACK if _dark(layout) else ScreenKind.UNKNOWN
        return ScreenshotFacts(
            kind, Sure.LIKELY if kind is ScreenKind.BLACK else Sure.WEAK, (*figures, "nothing on it")
        )
    tests = [_sad_face, _clock, _ring, _bars]
    tests += [_logo, _console] if _dark(layout) else [_recovery, _old_stop]
    for test in tests if layout.bands else []:
        found = test(layout)
        if found is not None:
            return replace(found, why=(*figures, *found.why))
    if layout.colours >= _MANY_COLOURS:
        return ScreenshotFacts(ScreenKind.GRAPHICAL, why=(*figures, "too many colours for a text screen"))
    return ScreenshotFacts(ScreenKind.UNKNOWN, why=(*figures, "nothing on it is of a known kind"))


def _dark(layout: Layout) -> bool:
    return max(layout.background) <= 40


def _modern_blue(layout: Layout) -> bool:
    """The blue of Windows 8 to 2025: (32, 103, 178) in 2012, (0, 120, 215) since 2016, and between."""
    red, green, blue = layout.background
    return red <= 60 and 70 <= green <= 150 and 140 <= blue <= 235 and blue - green >= 40


def _old_blue(layout: Layout) -> bool:
    """The blue of Windows 7 and 2008 R2: (0, 0, 128) to (0, 0, 170)."""
    red, green, blue = layout.background
    return red <= 30 and green <= 30 and 100 <= blue <= 190


# -- each kind's figures -----------------------------------------------------------------------------------------------


def _sad_face(layout: Layout) -> ScreenshotFacts | None:
    """«:(» in huge letters at the upper left, with text below; on blue, and on black in Windows 11."""
    if not (_modern_blue(layout) or _dark(layout)) or len(layout.bands) < 3:
        return None
    face, *below = layout.bands
    huge = 0.05 <= face.height <= 0.3 and face.right - face.left <= 0.25
    if not (huge and 2 <= face.pieces <= 3 and face.left <= 0.35 and face.top <= 0.4):
        return None
    if not any(band.pieces >= 8 and band.height < face.height for band in below):
        return None
    why = f"{face.pieces} huge signs at the upper left ({face.height:.0%} of the height), text below"
    return ScreenshotFacts(ScreenKind.BLUE_SCREEN, Sure.LIKELY, (why,))


def _is_clock(band: Band, corner: bool) -> bool:
    """Few large signs: «9:41», «12:34 PM»."""
    if not (0.04 <= band.height <= 0.16 and 3 <= band.pieces <= 8 and 0.08 <= band.fill <= 0.7):
        return False
    if corner:
        return band.top >= 0.5 and band.left <= 0.2 and band.right <= 0.6
    return 0.08 <= band.top <= 0.35 and abs(band.middle - 0.5) <= 0.03 and band.right - band.left <= 0.5


def _clock(layout: Layout) -> ScreenshotFacts | None:
    """The time in large signs: at the lower left until Windows 10 and 2022, in the upper middle since Windows 11."""
    tallest = max(layout.bands, key=lambda band: band.height)
    if _is_clock(tallest, corner=True) and len(layout.bands) <= 8:
        why = f"large signs ({tallest.height:.0%} of the height) at the lower left, as of a clock"
        return ScreenshotFacts(ScreenKind.LOCK_SCREEN, Sure.LIKELY, (why,))
    under = [band for band in layout.bands if band.top > tallest.top and band.height < tallest.height]
    if _is_clock(tallest, corner=False) and 1 <= len(under) <= 6 and abs(under[0].middle - 0.5) <= 0.03:
        why = f"large signs ({tallest.height:.0%} of the height) in the upper middle with a line below, as of a clock"
        return ScreenshotFacts(ScreenKind.LOCK_SCREEN, Sure.WEAK, (why,))
    return None


def _ring(layout: Layout) -> ScreenshotFacts | None:
    """Windows' ring of dots: three or more round dots of one size in a small square in the middle, nothing near it."""
    if len(layout.bands) > 8:
        return None
    dots = [piece for piece in layout.pieces if _is_dot(piece, layout)]
    for first in dots:
        near = [dot for dot in dots if _together(first, dot, layout)]
        if 3 <= len(near) <= 9 and _spread(near, layout) and _alone(near, layout):
            why = f"{len(near)} round dots of one size in a ring in the middle"
            return ScreenshotFacts(ScreenKind.PROGRESS, Sure.LIKELY, (why,))
    return None


def _is_dot(piece: Piece, layout: Layout) -> bool:
    size = max(piece.width, piece.height)
    middle = (piece.left + piece.width / 2) / layout.wide
    return (
        2 <= size <= 0.03 * layout.high
        and min(piece.width, piece.height) >= 0.6 * size
        and piece.fill >= 0.5
        and abs(middle - 0.5) <= 0.1
    )


def _together(one: Piece, other: Piece, layout: Layout) -> bool:
    """Of one size, within the ring's square."""
    sizes = sorted((max(one.width, one.height), max(other.width, other.height)))
    reach = 0.12 * layout.high
    near = abs(one.left - other.left) <= reach and abs(one.top - other.top) <= reach
    return near and sizes[1] - sizes[0] <= max(1, 0.4 * sizes[1])


def _spread(dots: Sequence[Piece], layout: Layout) -> bool:
    """Not in one line, as the dots of «…» are."""
    high = max(dot.top for dot in dots) - min(dot.top for dot in dots)
    wide = max(dot.left for dot in dots) - min(dot.left for dot in dots)
    return min(high, wide) >= 0.015 * layout.high


def _alone(dots: Sequence[Piece], layout: Layout) -> bool:
    """Whether the dots are all that stands in their rectangle and next to it."""
    room = 0.02 * layout.high
    left, right = min(dot.left for dot in dots) - room, max(dot.left + dot.width for dot in dots) + room
    top, bottom = min(dot.top for dot in dots) - room / 2, max(dot.top + dot.height for dot in dots) + room / 2
    inside = [
        piece
        for piece in layout.pieces
        if piece.left < right
        and piece.left + piece.width > left
        and piece.top < bottom
        and piece.top + piece.height > top
    ]
    return len(inside) == len(dots)


def _bars(layout: Layout) -> ScreenshotFacts | None:
    """A light bar with the title at the top and one with the keys at the bottom, on black or red: Boot Manager's text.

    Under UEFI the text stands in the middle of a larger screen, so the bars are measured against the text.
    """
    red, green, blue = layout.background
    first, last = layout.bands[0], layout.bands[-1]
    left, right = min(band.left for band in layout.bands), max(band.right for band in layout.bands)
    if max(green, blue) > 40 or red > 190 or right - left < 0.6 or last.top - first.bottom < 0.3:
        return None
    light = layout.mask_of(layout.light(140))
    if not all(_is_bar(light, band, right - left) for band in (first, last)):
        return None
    why = f"light bars over the whole width of the text at its top ({first.top:.0%}) and its bottom ({last.bottom:.0%})"
    return ScreenshotFacts(ScreenKind.BOOT_ERROR, Sure.LIKELY, (why,))


def _is_bar(light: Sequence[str], band: Band, width: float) -> bool:
    """Whether a line is as high as one of text and nearly filled with light, its letters cut out of it."""
    rows = [row for at, row in enumerate(light) if band.top <= at / len(light) < band.bottom]
    filled = sum(row.count("1") for row in rows) / (len(rows) * len(light[0]) * width)
    return 0.012 <= band.height <= 0.07 and band.right - band.left >= 0.97 * width and filled >= 0.6


def _logo(layout: Layout) -> ScreenshotFacts | None:
    """Four filled tiles of nearly one size in the middle, two by two: Windows' logo."""
    tiles = [
        piece
        for piece in layout.pieces
        if piece.fill >= 0.7 and 0.03 * layout.high <= min(piece.width, piece.height) <= 0.25 * layout.high
    ]
    if len(tiles) != 4:
        return None
    areas = sorted(tile.width * tile.height for tile in tiles)
    left, right = min(tile.left for tile in tiles), max(tile.left + tile.width for tile in tiles)
    columns = sum(tile.left + tile.width / 2 < (left + right) / 2 for tile in tiles)
    if areas[0] < 0.5 * areas[-1] or columns != 2 or abs((left + right) / 2 / layout.wide - 0.5) > 0.04:
        return None
    return ScreenshotFacts(ScreenKind.PROGRESS, Sure.WEAK, ("four tiles in the middle, as of Windows' logo",))


def _aligned(bands: Sequence[Band]) -> tuple[float, float]:
    """(where most lines begin, the share of the lines that begin there)."""
    starts = [round(band.left, 2) for band in bands]
    begin = max(starts, key=lambda at: sum(abs(other - at) <= 0.015 for other in starts))
    return begin, sum(abs(other - begin) <= 0.015 for other in starts) / len(starts)


def _console(layout: Layout) -> ScreenshotFacts | None:
    """Letters in few colours, most rows of them beginning at the left edge, or at that of a smaller text screen."""
    edge = min(band.left for band in layout.bands)
    first, last = int(edge * layout.wide), int((edge + 0.1) * layout.wide)
    marked = [row for row in layout.mask if "1" in row]
    at_left = sum("1" in row[first:last] for row in marked) / len(marked)
    if edge > 0.16 or layout.mean_run > 6 or at_left < 0.5 or layout.colours > _MANY_COLOURS + 10:
        return None
    lines = len(layout.bands)
    why = f"{lines} line{'s' * (lines != 1)} of letters, {at_left:.0%} of their rows begin at {edge:.0%} of the width"
    return ScreenshotFacts(ScreenKind.TEXT, Sure.LIKELY if layout.mean_run <= 5 else Sure.WEAK, (why,))


def _recovery(layout: Layout) -> ScreenshotFacts | None:
    """White lines of text on Windows' blue, aligned at the left, a title above them, no «:(»: the recovery screen."""
    if not _modern_blue(layout) or len(layout.bands) < 4 or layout.mean_run > 6:
        return None
    begin, share = _aligned(layout.bands)
    title = layout.bands[0]
    if share < 0.5 or begin > 0.3 or title.pieces < 5 or title.top > 0.45:
        return None
    why = f"{len(layout.bands)} lines of text, {share:.0%} of them begin at {begin:.0%} of the width, no «:(»"
    return ScreenshotFacts(ScreenKind.BOOT_ERROR, Sure.WEAK, (why,))


def _old_stop(layout: Layout) -> ScreenshotFacts | None:
    """Many lines of light text on dark blue, aligned at the left."""
    if not _old_blue(layout) or len(layout.bands) < 5 or layout.mean_run > 6:
        return None
    begin, share = _aligned(layout.bands)
    if share < 0.5 or begin > 0.3:
        return None
    why = f"{len(layout.bands)} lines of text, {share:.0%} of them begin at {begin:.0%} of the width"
    return ScreenshotFacts(ScreenKind.BLUE_SCREEN, Sure.LIKELY, (why,))


def _on_picture(layout: Layout, figures: tuple[str, ...]) -> ScreenshotFacts:
    """No plain background: a photograph with a clock on it, a desktop, or nothing that a guest would show."""
    if layout.roughness > 0.2:
        why = f"{layout.roughness:.0%} of the neighbouring pixels differ much: noise"
        return ScreenshotFacts(ScreenKind.UNKNOWN, why=(*figures, why))
    lower = [row[: len(row) // 2] for row in layout.mask_of(layout.light(235))[layout.high // 2 :]]
    for band in bands_of(lower):
        half = Band(0.5 + band.top / 2, 0.5 + band.bottom / 2, band.left / 2, band.right / 2, band.pieces, band.fill)
        if _is_clock(half, corner=True):
            why = f"large white signs ({half.height:.0%} of the height) at the lower left, as of a clock"
            return ScreenshotFacts(ScreenKind.LOCK_SCREEN, Sure.LIKELY, (*figures, why))
    if layout.colours < 12:
        return ScreenshotFacts(ScreenKind.UNKNOWN, why=(*figures, "neither a plain background nor a picture"))
    return ScreenshotFacts(ScreenKind.GRAPHICAL, Sure.WEAK, (*figures, "no plain background, no clock"))
