"""Records what a real guest answers, in the format of ``lab/recordings/README.md``.

The guest is only looked at: a connection to port 22 from its own network, the given probe through every login and,
while the agent lives, through a run command.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from lab.guests.base import LabError, MinuteSample, RunCommandResult, StatusUpload
from lab.guests.recording import SCHEMA

#: a script with this word in it is the product's probe
PROBE_MARK = "vmagent-probe"
#: what an operator with the support article in hand types, so that the manual way can be replayed too
ARTICLE_COMMANDS = (
    "systemctl status walinuxagent.service",
    'curl -sS -m 10 "http://168.63.129.16/?comp=versions"',
    "firewall-cmd --direct --get-all-rules",
    "tail -n 40 /var/log/waagent.log",
)
#: logins of the laboratory's guests and how each becomes root, as (user, pattern in front of the probe, command)
LOGINS = (("root", "", "sh -s"), ("azureuser", r"\A[^\n]*sudo[\s\S]*", "sudo -n sh -s"))
#: the agent uploads every 6 s: after this long without an upload it is silent
SILENT_SECONDS = 20.0
RUN_COMMAND_SECONDS = 90.0
PROBE_ATTEMPTS = 3
#: how long a console that was pressed Enter at may stay silent, and may pause in its answer
CONSOLE_SECONDS, CONSOLE_PAUSE = 12.0, 1.5
_LOGIN_PROMPT = re.compile(rb"[\r\n]\S+ login: ")
_NO_PROMPT_SINCE = re.compile(rb"emergency mode|for maintenance|reboot: |Kernel panic|\bPassword: ")

#: runs in the guest's network, prints what a connection to port 22 got
_CONNECT = """
import json, socket, sys
try:
    with socket.create_connection((sys.argv[1], 22), 5) as connection:
        connection.settimeout(15)
        print(json.dumps(["greeting", connection.recv(255).decode("latin-1").strip()]))
except ConnectionRefusedError:
    print(json.dumps(["refused", None]))
except ConnectionResetError:
    print(json.dumps(["reset", None]))
except OSError as error:
    print(json.dumps(["timed-out" if isinstance(error, TimeoutError) else repr(error), None]))
"""

#: ``run(argv, stdin, timeout)`` in the guest's network
Run = Callable[[Sequence[str], str, float], "subprocess.CompletedProcess[str]"]


class Recordable(Protocol):
    """What a real guest offers to the recorder."""

    namespace: str
    private_address: str

    @property
    def ssh_key(self) -> Path:
        """Private key of the logins."""

    def open_console(self) -> socket.socket:
        """As in ``Guest``."""

    def power_state(self) -> str:
        """As in ``Guest``."""

    def serial_log(self) -> bytes:
        """As in ``Guest``."""

    def status_upload(self) -> StatusUpload | None:
        """As in ``Guest``."""

    def minute_samples(self, since: float, until: float) -> list[MinuteSample]:
        """As in ``Guest``."""

    def submit_run_command(self, script: Sequence[str], parameters: Sequence[tuple[str, str]], timeout: float) -> int:
        """As in ``Guest``."""

    def run_command_result(self, sequence: int) -> RunCommandResult | None:
        """As in ``Guest``."""


@dataclass(frozen=True)
class Occasion:
    """When the guest became healthy, and which fault was put in force when.

    ``vm`` is what the fault changed in the VM's model, as ``recording.json`` has it.
    """

    healthy_since: float
    fault: str | None = None
    fault_at: float | None = None
    vm: Mapping[str, Any] = field(default_factory=dict)


def in_namespace(namespace: str) -> Run:
    """Return the function that runs a program inside a network namespace of this machine."""

    def run(argv: Sequence[str], stdin: str, timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", namespace, *argv],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=timeout,
            check=False,
        )

    return run


def record(guest: Recordable, folder: Path, *, probe: str, occasion: Occasion, run: Run | None = None) -> None:
    """Write into ``folder`` everything that the guest answers now."""
    if PROBE_MARK not in probe:
        raise LabError(f"The probe does not contain {PROBE_MARK!r}, by which recordings recognise it")
    run = run or in_namespace(guest.namespace)
    metrics = _metrics(guest, occasion, time.time())
    first = guest.status_upload()
    port22 = _port22(guest, run)
    ssh = _ssh_answers(guest, run, probe) if port22["outcome"] == "greeting" else []
    run_command = _run_command_answers(guest, probe)
    log = guest.serial_log()
    console = _console(guest, log)
    _watch_uploads(first)
    recorded_at = time.time()
    upload = guest.status_upload()
    continues = bool(first and upload and upload.received > first.received)
    head = {
        "schema": SCHEMA,
        "recorded_at": _iso(recorded_at),
        "guest": _described(upload),
        "fault": occasion.fault,
        "how": "All of it by `python -m lab record` from the laboratory's real guest.",
        "upload": {"age_seconds": round(recorded_at - upload.received, 1), "continues": continues} if upload else None,
        "power_state": guest.power_state(),
        "port22": port22,
        "vm": dict(occasion.vm),
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "recording.json", head)
    _write(folder / "status.json", upload.document if upload else {})
    _write(folder / "metrics.json", metrics)
    _write(folder / "run_command.json", run_command)
    _write(folder / "ssh.json", ssh)
    _write(folder / "console.json", console)
    (folder / "serial.log").write_bytes(log)


def _port22(guest: Recordable, run: Run) -> dict[str, Any]:
    answer = run([sys.executable, "-c", _CONNECT, guest.private_address], "", 30)
    outcome, greeting = json.loads(answer.stdout)
    if outcome not in {"greeting", "refused", "reset", "timed-out"}:
        raise LabError(f"Port 22 of {guest.private_address}: {outcome}; a recording has no word for it")
    return {"outcome": outcome, "greeting": greeting} if greeting else {"outcome": outcome}


def _ssh_answers(guest: Recordable, run: Run, probe: str) -> list[dict[str, Any]]:
    probed = [
        {"match": ahead + PROBE_MARK, "user": user, **_quickest(partial(_ssh, guest, run, user, command, probe))}
        for user, ahead, command in LOGINS
    ]
    return probed + [
        {"match": rf"\A(sudo (-n )?)?{re.escape(command)}\s*\Z", **_ssh(guest, run, "root", command, "")}
        for command in ARTICLE_COMMANDS
    ]


def _quickest(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Ask a few times: on a busy machine an emulated guest is slow, and the probe leaves out what is late."""
    return min((ask() for _ in range(PROBE_ATTEMPTS)), key=lambda answer: float(answer["seconds"]))


def _ssh(guest: Recordable, run: Run, user: str, command: str, stdin: str) -> dict[str, Any]:
    options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
    options += ["IdentitiesOnly=yes", "ConnectTimeout=15"]
    argv = ["ssh", "-F", "none", "-i", str(guest.ssh_key), *(f"-o{option}" for option in options)]
    begin = time.time()
    answer = run([*argv, f"{user}@{guest.private_address}", command], stdin, 120)
    if answer.returncode == 255:
        raise LabError(f"ssh {user}: {answer.stderr.strip()} ({shlex.join(argv)})")
    seconds = round(time.time() - begin, 1)
    return {"exit": answer.returncode, "stdout": answer.stdout, "stderr": answer.stderr, "seconds": seconds}


def _console(guest: Recordable, log: bytes) -> dict[str, Any]:
    """Press Enter once at a login prompt; at anything else no key is pressed, and nothing is recorded as its answer."""
    prompts = list(_LOGIN_PROMPT.finditer(log))
    if not prompts or _NO_PROMPT_SINCE.search(log, prompts[-1].end()):
        return {"printed": "", "seconds": 0.0}
    printed, seconds = b"", 0.0
    with guest.open_console() as line:
        line.sendall(b"\r")
        begin = time.monotonic()
        line.settimeout(CONSOLE_SECONDS)
        with contextlib.suppress(TimeoutError):
            while piece := line.recv(4096):
                seconds = seconds or time.monotonic() - begin
                printed += piece
                line.settimeout(CONSOLE_PAUSE)
    return {"printed": printed.decode("latin-1"), "seconds": round(seconds, 1)}


def _run_command_answers(guest: Recordable, probe: str) -> list[dict[str, Any]]:
    upload = guest.status_upload()
    if upload is None or time.time() - upload.received > SILENT_SECONDS:
        return [{"match": "", "never": True}]
    return [
        {"match": PROBE_MARK, **_quickest(partial(_run_command, guest, probe))},
        *({"match": rf"\A{re.escape(command)}\s*\Z", **_run_command(guest, command)} for command in ARTICLE_COMMANDS),
    ]


def _run_command(guest: Recordable, script: str) -> dict[str, Any]:
    begin = time.time()
    sequence = guest.submit_run_command(script.splitlines(), [], RUN_COMMAND_SECONDS)
    while time.time() - begin < RUN_COMMAND_SECONDS:
        result = guest.run_command_result(sequence)
        if result is not None:
            return {"exit": result.code, "message": result.message, "seconds": round(time.time() - begin, 1)}
        time.sleep(0.2)
    raise LabError(f"The agent uploads, yet reported no result of a run command in {RUN_COMMAND_SECONDS:.0f} s")


def _watch_uploads(first: StatusUpload | None) -> None:
    """Wait long enough for a living agent to upload again."""
    if first is not None:
        time.sleep(max(0.0, first.received + SILENT_SECONDS - time.time()))


def _metrics(guest: Recordable, occasion: Occasion, until: float) -> dict[str, Any]:
    """Return the whole minutes before ``until``; what the recorder's own questions caused comes after it."""
    base = math.floor(until / 60)
    samples = [sample for sample in guest.minute_samples(occasion.healthy_since, until) if sample.start + 60 <= until]
    offsets = [round(sample.start / 60) - base for sample in samples]
    fault_at = until if occasion.fault_at is None else occasion.fault_at
    before = [offset for offset in offsets if (base + offset + 1) * 60 <= fault_at]
    after = [offset for offset in offsets if (base + offset) * 60 >= fault_at] if occasion.fault else before
    if not after:
        raise LabError("No sample of a whole minute since the guest is as it is: record a minute later")
    return {
        "samples": [_sample(offset, sample) for offset, sample in zip(offsets, samples, strict=True)],
        "before": {"offsets": [before[0], before[-1]], "minutes": 24 * 60} if before else None,
        "after": {"offsets": [after[-1] if occasion.fault else after[0], after[-1]]},
    }


def _sample(offset: int, sample: MinuteSample) -> dict[str, Any]:
    values = {key: value for key, value in vars(sample).items() if key != "start"}
    return {"offset": offset, **{key: None if value is None else round(value, 2) for key, value in values.items()}}


def _described(upload: StatusUpload | None) -> dict[str, str]:
    if upload is None:
        return {}
    document = upload.document
    system = document.get("guestOSInfo", {})
    agent = document["aggregateStatus"]["guestAgentStatus"]["version"]
    return {"distribution": f"{system.get('osName')} {system.get('osVersion')}", "agent": agent}


def _iso(when: float) -> str:
    return datetime.fromtimestamp(when, timezone.utc).isoformat(timespec="milliseconds")


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")
