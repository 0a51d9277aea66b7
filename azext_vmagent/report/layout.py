"""How text is laid out for people: its width, colours, and labelled paragraphs. Pure."""

from __future__ import annotations

import textwrap

WIDTH = 100
LABEL = 12

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "bold": 1, "dim": 2}


class Style:
    """Colours, or none."""

    def __init__(self, colour: bool) -> None:
        """Colour only where a person reads."""
        self._colour = colour

    def __call__(self, text: str, *names: str) -> str:
        """The text in these colours."""
        if not self._colour:
            return text
        return "".join(f"\x1b[{_COLOURS[name]}m" for name in names) + text + "\x1b[0m"


def entry(label: str, text: str, indent: int = 0) -> list[str]:
    """A labelled paragraph with a hanging indent; nothing is cut in the middle of a word unless it must."""
    margin = " " * (LABEL + 1 + indent)
    wrapped = textwrap.wrap(
        text, WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False, break_long_words=False
    ) or [margin]
    first = f"  {label:<{LABEL - 2}} " + " " * indent + wrapped[0].strip()
    return [first.rstrip(), *wrapped[1:]]
