"""The newest boot's text, for causes that know a line which the serial reader's own tables do not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from azext_vmagent.facts.serial_facts import SerialEvent
from azext_vmagent.facts.serial_judge import BootLines
from azext_vmagent.facts.serial_lines import event_of


@dataclass(frozen=True)
class NewestBoot:
    """The newest boot of a console log, to be searched."""

    lines: BootLines

    @property
    def has_start(self) -> bool:
        """Whether the log shows the beginning of this boot."""
        return self.lines.boot.has_start

    def search(self, needle: str, pattern: str, meaning: str = "") -> tuple[SerialEvent, ...]:
        """The lines that hold ``needle`` and match ``pattern``, in order; only lines with the needle are matched.

        Left out is what is no news of this boot: text that a command at a shell prompt printed again, and the copies
        of kernel lines that syslog makes. ``SerialEvent.culprit`` is the group ``culprit``, ``mount`` or ``device``.
        Bounded: of a needle that stands in very many lines, the first and the last few hundred are looked at. Causes
        build patterns on ``KERNEL``, ``STATUS``, ``DONE`` and ``SYSTEMD`` of ``serial_signature``.
        """
        if needle not in self._lines_with:
            self._lines_with[needle] = [index for index in self._segments(needle) if self._is_news(index)]
        console = self.lines.console
        found = ((index, re.search(pattern, console.ascii_segment(index))) for index in self._lines_with[needle])
        return tuple(event_of(console, index, match, meaning) for index, match in found if match)

    def _segments(self, needle: str) -> list[int]:
        boot = self.lines.boot
        return sorted(self.lines.console.segments_with(needle, boot.first, boot.end))

    def _is_news(self, index: int) -> bool:
        copied = "kernel: [" in self.lines.console.segments[index][:200]
        return not copied and not self.lines.is_replayed(index)

    @cached_property
    def _lines_with(self) -> dict[str, list[int]]:
        """What was looked for already: several causes share a needle."""
        return {}
