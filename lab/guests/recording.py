"""The folder that holds what one real guest answered (``lab/recordings/README.md`` describes its files)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.guests.base import LabError

SCHEMA = 1


@dataclass(frozen=True)
class Port22:
    """What a connection from the same network got: greeting | refused | timed-out | reset."""

    outcome: str
    greeting: str | None = None


@dataclass(frozen=True)
class Answer:
    """What the guest answered to scripts that ``match``; ``never`` when it did not answer at all."""

    match: str
    user: str | None = None
    never: bool = False
    exit: int = 0
    stdout: str = ""
    stderr: str = ""
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Console:
    """What the serial console printed when Enter was pressed once at it: ``printed`` after ``seconds``."""

    printed: str
    seconds: float


@dataclass(frozen=True)
class Upload:
    """Age of the last status blob when the recording was made, and whether newer ones kept coming."""

    age_seconds: float
    continues: bool


@dataclass(frozen=True)
class Metrics:
    """Minute samples by offset (-1: the last whole minute before the recording), and which of them go on.

    ``before`` and ``after`` are ranges of recorded offsets that are repeated for the ``before_minutes`` ahead of the
    first sample, and from the recording on.
    """

    samples: dict[int, dict[str, float | None]] = field(default_factory=dict)
    before: tuple[int, int] | None = None
    before_minutes: int = 0
    after: tuple[int, int] | None = None

    def at(self, offset: int) -> dict[str, float | None] | None:
        """Return the sample for a minute, recorded or repeated, or None where there is none."""
        if offset in self.samples:
            return self.samples[offset]
        if offset >= 0:
            return self._repeated(self.after, offset)
        first = min(self.samples, default=0)
        return self._repeated(self.before, offset) if first - self.before_minutes <= offset < first else None

    def _repeated(self, offsets: tuple[int, int] | None, offset: int) -> dict[str, float | None] | None:
        if offsets is None:
            return None
        low, high = offsets
        return self.samples.get(low + (offset - low) % (high - low + 1))


@dataclass(frozen=True)
class Recording:
    """Everything in one folder, the folder that it extends included."""

    recorded_at: float
    fault: str | None
    upload: Upload | None
    status: str | None
    power_state: str
    off_for_seconds: float
    port22: Port22
    vm: dict[str, Any]
    serial_log: bytes
    metrics: Metrics
    run_command: tuple[Answer, ...]
    ssh: tuple[Answer, ...]
    console: Console | None = None


def load_recording(folder: Path) -> Recording:
    """Read a recording; a file that the folder lacks comes from the recording it ``extends``."""
    folders = _lineage(folder)
    head = _head(folders)
    status = _first(folders, "status.json") if head.get("upload") else None
    return Recording(
        recorded_at=_epoch(head["recorded_at"]),
        fault=head.get("fault"),
        upload=Upload(**head["upload"]) if head.get("upload") else None,
        status=status.decode() if status else None,
        power_state=head.get("power_state", "running"),
        off_for_seconds=head.get("off_for_seconds", 0.0),
        port22=Port22(**head["port22"]),
        vm=head.get("vm", {}),
        serial_log=_first(folders, "serial.log") or b"",
        metrics=_metrics(_first(folders, "metrics.json")),
        run_command=_answers(_first(folders, "run_command.json")),
        ssh=_answers(_first(folders, "ssh.json")),
        console=_console(_first(folders, "console.json")),
    )


def matching(answers: Sequence[Answer], text: str, user: str | None = None) -> Answer | None:
    """Return the first recorded answer for this script (and user), or None when nothing was recorded."""
    for answer in answers:
        if answer.user in (None, user) and re.search(answer.match, text):
            return answer
    return None


def _lineage(folder: Path) -> list[Path]:
    folders = [folder]
    while True:
        try:
            head = json.loads((folders[-1] / "recording.json").read_text())
        except OSError as error:
            raise LabError(f"No recording in {folders[-1]}: {error}") from error
        if head.get("schema") != SCHEMA:
            raise LabError(f"{folders[-1]} has schema {head.get('schema')}, not {SCHEMA}: record it again")
        if not head.get("extends"):
            return folders
        folders.append(folders[-1].parent / head["extends"])


def _head(folders: list[Path]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for folder in reversed(folders):
        head = json.loads((folder / "recording.json").read_text())
        vm = {**merged.get("vm", {}), **head.get("vm", {})}
        merged = {**merged, **head, "vm": vm}
    return merged


def _first(folders: list[Path], name: str) -> bytes | None:
    return next(((folder / name).read_bytes() for folder in folders if (folder / name).exists()), None)


def _metrics(raw: bytes | None) -> Metrics:
    if raw is None:
        return Metrics()
    document = json.loads(raw)
    samples = {sample.pop("offset"): sample for sample in document["samples"]}
    before, after = document.get("before") or {}, document.get("after") or {}
    return Metrics(
        samples=samples,
        before=tuple(before["offsets"]) if before else None,
        before_minutes=before.get("minutes", 0),
        after=tuple(after["offsets"]) if after else None,
    )


def _answers(raw: bytes | None) -> tuple[Answer, ...]:
    return tuple(Answer(**answer) for answer in json.loads(raw)) if raw else ()


def _console(raw: bytes | None) -> Console | None:
    return Console(**json.loads(raw)) if raw else None


def _epoch(iso: str) -> float:
    return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()
