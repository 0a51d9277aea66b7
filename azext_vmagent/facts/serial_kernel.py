"""Which kernel a boot runs and with which command line, from its first lines."""

from __future__ import annotations

import re

from azext_vmagent.facts.console_text import Console, printable
from azext_vmagent.facts.serial_boots import Boot
from azext_vmagent.facts.serial_signature import KERNEL

_VERSION = re.compile(KERNEL + r"Linux version (\S{1,80})")
_BSD_VERSION = re.compile(r"^(FreeBSD \d{1,3}\.\d{1,3}-\S{1,40}) ")
_COMMAND_LINE = re.compile(KERNEL + r"(?:Kernel )?[Cc]ommand line: (.*)")
_COMMAND_LINE_LIMIT = 2048
"""What Linux takes on x86."""


def kernel_version(console: Console, boot: Boot) -> str | None:
    """The version that the kernel's banner names: «6.1.0-50-cloud-amd64», «FreeBSD 14.0-RELEASE»; None without one."""
    for needle, pattern in (("Linux version ", _VERSION), ("FreeBSD ", _BSD_VERSION)):
        for index in console.segments_with(needle, boot.first, boot.end):
            found = pattern.search(console.ascii_segment(index))
            if found:
                return printable(found[1])
    return None


def command_line(console: Console, boot: Boot) -> str | None:
    """The kernel's command line (``BOOT_IMAGE=/vmlinuz root=…``); None where the console does not show it."""
    for index in console.segments_with("ommand line: ", boot.first, boot.end):
        found = _COMMAND_LINE.search(console.segments[index])
        if found:
            rest = console.segments[index + 1 : index + 3]
            same = zip(rest, console.numbers[index + 1 : index + 3], strict=True)
            more = "".join(text for text, number in same if number == console.numbers[index])
            return printable(found[1] + more, _COMMAND_LINE_LIMIT)
    return None
