"""What can be measured in a screenshot: its background, the lines of what stands on it, dots and tiles. Pure.

All lengths are shares of the picture's width or height, so that the size of the screen does not matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from azext_vmagent.facts.picture import Picture

#: a colour that differs from the background by less than this in every channel belongs to it: dithering, JPEG's noise
_SAME = 24
#: more pieces than this are a photograph, not dots
_MOST_PIECES = 3000
_RUN = re.compile("1+")

Colour = tuple[int, int, int]


def channels(colour: int) -> Colour:
    """Red, green and blue.

    >>> channels(0x0078D7)
    (0, 120, 215)
    """
    return colour >> 16, colour >> 8 & 255, colour & 255


@dataclass(frozen=True)
class Band:
    """A line of what stands on the background: rows without a gap, such as a line of text.

    ``pieces`` counts what gaps of background part from left to right (letters, mostly); ``fill`` is the share of the
    band's rectangle that is not background.
    """

    top: float
    bottom: float
    left: float
    right: float
    pieces: int
    fill: float

    @property
    def height(self) -> float:
        """Of the picture's height."""
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """Of the picture's width."""
        return (self.left + self.right) / 2


@dataclass(frozen=True)
class Piece:
    """Connected pixels: a dot, a tile, a letter. ``width`` and ``height`` in kept pixels."""

    left: int
    top: int
    width: int
    height: int
    pixels: int

    @property
    def fill(self) -> float:
        """The share of its rectangle."""
        return self.pixels / (self.width * self.height)


class Layout:
    """A picture, measured; each measure is taken when it is first asked for."""

    def __init__(self, picture: Picture) -> None:
        """Keep the picture; it has a pixel at least."""
        self.picture = picture
        self.rows = picture.rows
        self.high, self.wide = len(self.rows), len(self.rows[0])

    @cached_property
    def _counts(self) -> Counter[int]:
        counts: Counter[int] = Counter()
        for row in self.rows:
            counts.update(row)
        return counts

    @cached_property
    def background(self) -> Colour:
        """The most frequent colour."""
        return channels(self._counts.most_common(1)[0][0])

    @cached_property
    def background_share(self) -> float:
        """The share of the pixels that have the background's colour, nearly."""
        return 1 - sum(self._counts[colour] for colour in self._marks) / (self.wide * self.high)

    @cached_property
    def _marks(self) -> set[int]:
        """The colours that are not the background's."""
        red, green, blue = self.background
        return {
            colour
            for colour in self._counts
            if abs((colour >> 16) - red) > _SAME
            or abs((colour >> 8 & 255) - green) > _SAME
            or abs((colour & 255) - blue) > _SAME
        }

    @cached_property
    def colours(self) -> int:
        """How many colours cover 1/2000 of the picture or more, told apart by the upper four bits of each channel."""
        coarse: Counter[int] = Counter()
        for colour, count in self._counts.items():
            coarse[colour & 0xF0F0F0] += count
        return sum(1 for count in coarse.values() if count * 2000 >= self.wide * self.high)

    @cached_property
    def mask(self) -> list[str]:
        """Each row with «1» for what is not background, but for a thin frame around all (a cut-out, a window)."""
        mask = self.mask_of(self._marks)
        thin = max(1, self.wide // 100)
        left = next((at for at in range(thin) if not _mostly(row[at] for row in mask)), thin)
        right = next((at for at in range(thin) if not _mostly(row[-1 - at] for row in mask)), thin)
        framed = left and right
        return [_blanked(row, left, right) for row in mask[1:-1]] if framed and self.high > 2 else mask

    def mask_of(self, colours: set[int]) -> list[str]:
        """Each row with «1» for these colours."""
        table = {colour: "1" if colour in colours else "0" for colour in self._counts}
        return ["".join(map(table.__getitem__, row)) for row in self.rows]

    def light(self, least: int) -> set[int]:
        """The colours with all channels at least that bright."""
        return {colour for colour in self._counts if min(channels(colour)) >= least}

    @cached_property
    def bands(self) -> list[Band]:
        """The lines of what stands on the background, from the top."""
        return list(bands_of(self.mask))

    @cached_property
    def mean_run(self) -> float:
        """How many kept pixels in a row are not background, on average: one or two for letters, many for areas."""
        runs = sum(row.count("01") + (row[:1] == "1") for row in self.mask)
        return sum(row.count("1") for row in self.mask) / runs if runs else 0.0

    @cached_property
    def roughness(self) -> float:
        """The share of neighbours in a row that differ by more than 64 in green: low in photographs, high in noise."""
        rough = pairs = 0
        for row in self.rows[:: max(1, self.high // 64)]:
            greens = [colour >> 8 & 255 for colour in row]
            rough += sum(abs(one - other) > 64 for one, other in pairwise(greens))
            pairs += len(greens) - 1
        return rough / pairs if pairs else 0.0

    @cached_property
    def pieces(self) -> list[Piece]:
        """The connected pieces on the background; none when they are too many to matter."""
        return pieces_of(self.mask)


def _mostly(column: Iterator[str]) -> bool:
    """Whether a column of a mask is «1» nearly everywhere."""
    values = list(column)
    return values.count("1") >= 0.95 * len(values)


def _blanked(row: str, left: int, right: int) -> str:
    return "0" * left + row[left : len(row) - right] + "0" * right


def bands_of(mask: Sequence[str]) -> Iterator[Band]:
    """The lines in a mask, from the top."""
    high, wide = len(mask), len(mask[0])
    start = 0
    while start < high:
        if "1" not in mask[start]:
            start += 1
            continue
        end = start
        covered = marked = 0
        while end < high and "1" in mask[end]:
            covered |= int(mask[end], 2)
            marked += mask[end].count("1")
            end += 1
        across = f"{covered:0{wide}b}"
        left, right = across.index("1"), across.rindex("1") + 1
        pieces = across.count("01") + (across[0] == "1")
        fill = marked / ((right - left) * (end - start))
        yield Band(start / high, end / high, left / wide, right / wide, pieces, fill)
        start = end


def pieces_of(mask: Sequence[str]) -> list[Piece]:
    """The connected pieces of a mask (corners connect), by joining the runs of each row to those of the row above."""
    boxes: list[list[int]] = []
    parent: list[int] = []

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    above: list[tuple[int, int, int]] = []
    for top, row in enumerate(mask):
        here: list[tuple[int, int, int]] = []
        first = 0
        for run in _RUN.finditer(row):
            left, right = run.span()
            owner = -1
            while first < len(above) and above[first][1] < left:
                first += 1
            at = first
            while at < len(above) and above[at][0] <= right:
                other = root(above[at][2])
                if owner < 0:
                    owner = other
                elif other != owner:
                    parent[other] = owner
                    boxes[owner] = _joined_box(boxes[owner], boxes[other])
                at += 1
            if owner < 0:
                owner = len(parent)
                parent.append(owner)
                boxes.append([left, top, right, top + 1, 0])
                if owner > 20 * _MOST_PIECES:
                    return []
            boxes[owner] = _joined_box(boxes[owner], [left, top, right, top + 1, right - left])
            here.append((left, right, owner))
        above = here
    found = [boxes[at] for at in range(len(parent)) if parent[at] == at]
    if len(found) > _MOST_PIECES:
        return []
    return [Piece(box[0], box[1], box[2] - box[0], box[3] - box[1], box[4]) for box in found]


def _joined_box(one: list[int], other: list[int]) -> list[int]:
    return [
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
        one[4] + other[4],
    ]
