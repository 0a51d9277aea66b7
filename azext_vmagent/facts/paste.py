"""The probe's answer as somebody copied it from a terminal, brought back to what the probe had printed. Pure.

Around it may be prompts, the echo of the script, colours and carriage returns; a terminal may have wrapped its lines,
a mail may have quoted them, and the beginning or the end may be missing. Nothing is made up: what does not come back
whole is named by ``parse_probe``.
"""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)|\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])")
_LINE_ENDS = re.compile(r"\r*\n|\r")
_HEAD = re.compile(r"^(?P<before>[\s>|#$]*)vmagent-probe(?P<windows>-windows)? [0-9]")
#: what sh printed may end in its checksum, which may be unknown («-»), what PowerShell printed ends in its seconds
_END = re.compile(r"^end [0-9.]+ [0-9]+( [0-9.-]+)?$")
#: terminals are not narrower; below it, lines of equal length are chance
_NARROWEST = 40
#: what the probe's lines begin with, up to a full stop; a line that begins otherwise is the rest of a wrapped one
_KEYS = (
    "uid os kernel uptime now tz systemd unit disable_agent conf process ps wire ip link addr default route via iprule "
    "disk log fw journal cut late end missing vmagent-probe"
)
KEYS = frozenset(_KEYS.split())


def pasted_answer(text: str) -> str:
    """The last answer in the text, without what surrounds it; the text itself where none begins.

    >>> pasted_answer("root@web:~# sh probe\\r\\nvmagent-probe 1\\r\\nuid 0\\r\\nend 4 0\\r\\nroot@web:~# ")
    'vmagent-probe 1\\nuid 0\\nend 4 0\\n'
    """
    lines = [line.rstrip() for line in _LINE_ENDS.split(_ESCAPES.sub("", text))]
    heads = [(at, found["before"], found["windows"]) for at, line in enumerate(lines) if (found := _HEAD.match(line))]
    windows = None
    if heads:
        begin, quote, windows = heads[-1]
        lines = [line.removeprefix(quote) for line in lines[begin:]]
    end = next((at for at, line in enumerate(lines) if _END.match(line)), None)
    if end is None and not heads:
        return text
    if end is not None:
        lines = lines[: end + 1]
    told = [line for line in lines if line]
    return "\n".join(told if windows or _packed(told) else _unwrapped(told)) + "\n"


def _packed(lines: list[str]) -> bool:
    """Whether the body is base64: the reader puts it together from whatever lines it comes in."""
    return bool(lines) and lines[0].split()[2:3] == ["gzip"]


def _unwrapped(lines: list[str]) -> list[str]:
    """Join what a terminal of fixed width broke: a line as long as the longest, and a next one that begins no fact.

    Lines that follow a shorter one cannot be the rest of anything: their keys count as well, known or new.
    """
    width = max((len(line) for line in lines), default=0)
    if width < _NARROWEST:
        return lines
    keys = {_key(line) for before, line in zip(["", *lines], lines, strict=False) if len(before) < width}
    keys |= KEYS
    whole: list[str] = []
    for before, line in zip(["", *lines], lines, strict=False):
        if whole and len(before) == width and _key(line) not in keys:
            whole[-1] += line
        else:
            whole.append(line)
    return whole


def _key(line: str) -> str:
    return line.split(" ", 1)[0].split(".", 1)[0]
