"""Saved files judged as a diagnosis would judge them: the same stages, offline, without a virtual machine."""

from __future__ import annotations

import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from azext_vmagent.channels.choice import Wish
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.evidence.screenshot import words
from azext_vmagent.facts.reading import AGENT_LOG, PASTE, SCREENSHOT, SERIAL_LOG
from azext_vmagent.facts.screenshot import Screenshot, read_screenshot
from azext_vmagent.flow import Diagnosis, judge
from azext_vmagent.model import Answer, Evidence, State, Target
from azext_vmagent.targets import pasted

#: what commands in a next step name: the files do not say whose they are
NOBODY = Target("", "RG", "VM")
#: the platform keeps 1 MiB of a serial log; an agent's log is rotated at some ten
MOST_BYTES = 256 << 20
#: reading the words of a screenshot takes a second or two
MOST_SECONDS = 10.0


def replay(
    serial_log: str | None, screenshot: str | None, agent_log: str | None, probe_output: str | None
) -> Diagnosis:
    """The diagnosis that these files allow. Raises az's errors for no file, or one that cannot be read."""
    from azure.cli.core.azclierror import RequiredArgumentMissingError

    if not any((serial_log, screenshot, agent_log, probe_output)):
        raise RequiredArgumentMissingError(
            "Which files? At least one of --serial-log, --screenshot, --agent-log and --probe-output is required.",
            [
                "Save the serial log: az vm boot-diagnostics get-boot-log -g MyResourceGroup -n MyVm > serial.log",
                "Then: az vm agent-replay --serial-log serial.log",
            ],
        )
    started = time.monotonic()
    answers: dict[str, Answer] = {}
    if serial_log:
        answers[SERIAL_LOG] = _saved(SERIAL_LOG, serial_log, _bytes("--serial-log", serial_log))
    if screenshot:
        picture = _bytes("--screenshot", screenshot)
        text = words(picture, read_screenshot(picture), Deadline.after(MOST_SECONDS))
        answers[SCREENSHOT] = _saved(SCREENSHOT, screenshot, Screenshot(picture, text, screenshot))
    if agent_log:
        answers[AGENT_LOG] = _saved(AGENT_LOG, agent_log, _bytes("--agent-log", agent_log))
    if probe_output:
        answers[PASTE] = _saved(PASTE, probe_output, pasted(probe_output))
    return judge(Evidence(NOBODY, datetime.now(timezone.utc), answers), Wish(), started)


def _saved(source: str, path: str, value: object) -> Answer:
    return Answer(source, State.OK, f"from {path}", value)


def _bytes(option: str, path: str) -> bytes:
    """A file's bytes, or standard input's for ``-``."""
    from azure.cli.core.azclierror import InvalidArgumentValueError

    try:
        if path == "-":
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(path).expanduser().open("rb") as file:
                data = file.read(MOST_BYTES + 1)
    except OSError as exc:
        raise InvalidArgumentValueError(
            f"{option}: {path} cannot be read: {exc.strerror}.", "Give the path of a file, or - for standard input."
        ) from exc
    if len(data) > MOST_BYTES:
        raise InvalidArgumentValueError(
            f"{option}: {path} is larger than {MOST_BYTES >> 20} MiB.", "Give the newest part of it."
        )
    return data
