r"""What a boot says that stopped in a maintenance shell: what failed, and what each line of /etc/fstab came to. Pure.

Sample::

    vmagent-stop 1
    uid 0
    stage emergency
    root rw
    line 2 required inactive success absent:- UUID=5f3b1d2e-… /data ext4 defaults 0 2
    end 1 0 1391738962

A line tells its number, whether local-fs.target requires its mount, the mount unit's state and result, what its first
field names (there, absent, or none for what is no device) with the type of the file system on it, and its fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from azext_vmagent.facts.console_text import printable
from azext_vmagent.facts.probe_answer import posix_checksum

_HEAD, _END = "vmagent-stop 1", re.compile(r"end (\d{1,6}) 0 (\d{1,12}|-)")
_LINE = re.compile(
    r"line (?P<number>[1-9]\d{0,3}) (?P<need>required|optional) (?P<state>[a-z-]{1,20}) (?P<result>[a-z-]{1,30}) "
    r"(?P<source>there|absent|none):(?P<type>[\w.-]{1,30}) "
    r"(?P<text>\S{1,400} (?P<mount>/\S{0,400}) (?P<kind>\S{1,60}) .{1,600})"
)
_MOST = 200_000


@dataclass(frozen=True)
class FstabLine:
    """One line of /etc/fstab. ``text`` are its fields, each apart by one blank.

    ``required``: the boot waits for it and stops without it; ``mounted``: its mount is there; ``device`` is «there»,
    «absent» or «none» (no device), ``found`` the type of the file system on it, empty where that is not known.
    """

    number: int
    text: str
    mount: str
    kind: str
    required: bool
    mounted: bool
    failed: bool
    device: str
    found: str = ""

    @property
    def stops(self) -> bool:
        """The boot cannot go on for this line."""
        return self.required and not self.mounted

    @property
    def why(self) -> str:
        """What keeps its mount from being made, as far as it is seen."""
        if self.device == "absent":
            return f"{self.text.split(' ', 1)[0]} is not there"
        if self.found and self.kind not in ("auto", self.found):
            return f"its disk holds {self.found}, the line says {self.kind}"
        return "its mount fails" if self.failed else "its mount was not made"


@dataclass(frozen=True)
class BootStop:
    """A boot that stopped. ``stage`` is emergency or rescue, empty for neither; ``failed`` are units.

    ``whole``: neither cut nor garbled. ``plain``: /etc/fstab is a file of its own, no link.
    """

    whole: bool = False
    root: bool = False
    stage: str = ""
    writable: bool | None = None
    plain: bool = True
    failed: tuple[str, ...] = ()
    lines: tuple[FstabLine, ...] = ()

    @property
    def stopping(self) -> tuple[FstabLine, ...]:
        """The lines for which the boot stopped. Of two for one mount systemd takes the first."""
        first: dict[str, FstabLine] = {}
        for line in self.lines:
            first.setdefault(line.mount, line)
        return tuple(line for line in first.values() if line.stops)


def is_boot_stop(text: str) -> bool:
    """Whether this is the look at a boot that stopped, and not the probe's answer."""
    return text[:_MOST].lstrip().startswith(_HEAD)


def parse_boot_stop(text: str) -> BootStop:
    """What it says; never raises.

    >>> text = "vmagent-stop 1\\nuid 0\\nline 2 required inactive success absent:- /dev/sdc1 /data ext4 defaults 0 2\\n"
    >>> [(line.number, line.mount, line.why) for line in parse_boot_stop(text).stopping]
    [(2, '/data', '/dev/sdc1 is not there')]
    """
    rows = [printable(row, 1200).rstrip() for row in text[:_MOST].split("\n")]
    ended = next((at for at in reversed(range(len(rows))) if _END.fullmatch(rows[at])), None)
    body = [row for row in rows[1:ended] if row]
    end = _END.fullmatch(rows[ended]) if ended is not None else None
    checked = end is not None and end[2] in ("-", str(posix_checksum("".join(f"{row}\n" for row in body).encode())))
    words = [row.partition(" ")[::2] for row in body]
    said = dict(words)
    return BootStop(
        whole=checked and rows[0].lstrip() == _HEAD,
        root=said.get("uid") == "0",
        stage=said.get("stage", ""),
        writable={"rw": True, "ro": False}.get(said.get("root", "")),
        plain="fstab" not in said,
        failed=tuple(rest for word, rest in words if word == "failed")[:12],
        lines=tuple(_line(found) for row in body if (found := _LINE.fullmatch(row)))[:40],
    )


def _line(found: re.Match[str]) -> FstabLine:
    return FstabLine(
        int(found["number"]),
        found["text"],
        found["mount"],
        found["kind"],
        found["need"] == "required",
        found["state"] == "active",
        found["state"] == "failed",
        found["source"],
        "" if found["type"] == "-" else found["type"],
    )
