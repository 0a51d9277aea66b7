"""A guest that answers what a real one answered, without QEMU: for the demo and the fast tests.

The moment of the recording is taken to be the moment this object was made: a stale upload has the age it had and grows
older, a live agent goes on uploading, and times inside texts are moved accordingly. Power operations change the power
state and what follows from it (a machine that is off is silent); after a start the recorded state goes on.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.guests.base import LabError, MinuteSample, RunCommandResult, StatusUpload
from lab.guests.rebase import shift_answer, shift_text
from lab.guests.recording import Answer, Console, Port22, load_recording, matching
from lab.guests.screen import console_screen
from lab.guests.ssh_replay import NOT_RECORDED, Keys, ReplayServer
from lab.guests.tcp_port import Port, RefusedPort, ResetPort, SilentPort

#: a machine that is off or unreachable drops packets, as in Azure
SILENT = Port22("timed-out")


@dataclass(frozen=True)
class _Submission:
    answer: Answer
    ready_at: float


class RecordedGuest:
    """Implements ``Guest`` from a recording's folder.

    ``state`` is the laboratory's state folder (keys live in its ``ssh``); ``journal`` is told of every
    SSH command. No answer takes longer than
    ``longest_answer`` seconds, however long the real guest took: emulated processors are slow.
    """

    def __init__(
        self,
        name: str,
        recording: Path,
        public_address: str,
        state: Path,
        *,
        longest_answer: float = 2.0,
        journal: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.public_address = public_address
        self.private_address = "10.0.0.4"
        self.recording = load_recording(recording)
        self._keys = Keys.under(state, name)
        self.ssh_key = self._keys.client
        self._longest_answer = longest_answer
        self._journal = journal
        self._moment = time.time()
        #: fields of the VM's ARM model that must be set for this recording
        self.vm_overrides = self._vm_overrides()
        self._power = self.recording.power_state
        self._off: list[tuple[float, float]] = []
        if self._power != "running":
            self._off.append((self._moment - self.recording.off_for_seconds, math.inf))
        self._submissions: list[_Submission] = []
        self._lock = threading.RLock()
        self.ssh_port = 22
        self._port = self._open_port()

    def power_state(self) -> str:
        """Return what ARM last asked for, at first what was recorded."""
        return self._power

    def start(self) -> None:
        """Power on: the recorded state goes on."""
        with self._lock:
            self._power = "running"
            now = time.time()
            self._off = [(begin, min(end, now)) for begin, end in self._off]
            self._reopen_port()

    def restart(self) -> None:
        """Reset: the recorded state goes on, sessions are cut."""
        self.start()

    def power_off(self) -> None:
        """Stop: uploads, ports and samples end."""
        self._switch_off("stopped")

    def deallocate(self) -> None:
        """Give the hardware back: the same, under its other name."""
        self._switch_off("deallocated")

    def give_address(self, address: str) -> None:
        """Have another address: nothing that was recorded holds it."""
        self.private_address = address

    def serial_log(self) -> bytes:
        """Return the recorded console with its wall-clock times moved."""
        return self._moved(self.recording.serial_log.decode("latin-1")).encode("latin-1")

    def screenshot(self) -> bytes | None:
        """Return the recorded console's last lines as a screen."""
        return console_screen(self.serial_log())

    def status_upload(self) -> StatusUpload | None:
        """Return the recorded blob: as old as it was, or fresh when the agent kept uploading."""
        recorded = self.recording
        if recorded.upload is None or recorded.status is None:
            return None
        alive_at = self._last_alive() if recorded.upload.continues else self._moment
        document = shift_text(recorded.status, recorded.recorded_at, alive_at - recorded.recorded_at)
        return StatusUpload(json.loads(document), alive_at - recorded.upload.age_seconds)

    def submit_run_command(self, script: Sequence[str], parameters: Sequence[tuple[str, str]], timeout: float) -> int:
        """Look the script up; returns its sequence number."""
        text = "\n".join(script)
        found = matching(self.recording.run_command, text)
        answer = found or Answer(match="", exit=127, message=_failed(127, NOT_RECORDED))
        with self._lock:
            seconds = min(answer.seconds, self._longest_answer)
            self._submissions.append(_Submission(answer, time.time() + seconds))
            return len(self._submissions) - 1

    def run_command_started(self, sequence: int) -> bool:
        """Return whether half of the recorded time has passed; never, where the agent never fetched anything."""
        submission = self._submissions[sequence]
        begun = submission.ready_at - min(submission.answer.seconds, self._longest_answer) / 2
        return not submission.answer.never and self._power == "running" and time.time() >= begun

    def run_command_result(self, sequence: int) -> RunCommandResult | None:
        """Return the recorded report once its time has passed; never, where the agent never fetched anything."""
        submission = self._submissions[sequence]
        answer = submission.answer
        if answer.never or self._power != "running" or time.time() < submission.ready_at:
            return None
        return RunCommandResult(answer.exit == 0, answer.exit, self._moved(answer.message))

    def minute_samples(self, since: float, until: float) -> list[MinuteSample]:
        """Return the recorded minutes, repeated as the recording says; empty ones while the machine was off."""
        base = math.floor(self._moment / 60)
        first = math.ceil(since / 60)
        last = math.floor(min(until, time.time()) / 60)
        samples = []
        for minute in range(first, last):
            values = self.recording.metrics.at(minute - base)
            if values is not None:
                samples.append(MinuteSample(minute * 60.0, **self._while_on(minute * 60.0, values)))
        return samples

    def shell(self, command: str, timeout: float = 60) -> tuple[int, str]:
        """Raise: a recording has no inside."""
        raise LabError(f"{self.name} is a recording and has no side door: use a real guest (--guest real)")

    def open_console(self) -> socket.socket:
        """Answer Enter as the real guest did, and no other key: the rest of a console was not recorded."""
        recorded = self.recording.console
        if recorded is None:
            raise LabError(f"{self.name}'s recording is older than the console: record it again")
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._answer_enter, args=(theirs, recorded), daemon=True).start()
        return ours

    def _answer_enter(self, line: socket.socket, recorded: Console) -> None:
        with line, contextlib.suppress(OSError):
            while keys := line.recv(1024):
                if b"\r" in keys and self._power == "running":
                    time.sleep(min(recorded.seconds, self._longest_answer))
                    line.sendall(recorded.printed.encode("latin-1"))

    def close(self) -> None:
        """Give the port back."""
        with self._lock:
            self._port.close()

    def _vm_overrides(self) -> dict[str, Any]:
        fields = dict(self.recording.vm)
        age = fields.pop("time_created_age_seconds", None)
        return fields if age is None else {**fields, "time_created": self._moment - age}

    def _switch_off(self, power: str) -> None:
        with self._lock:
            if self._power == "running":
                self._off.append((time.time(), math.inf))
            self._power = power
            self._reopen_port()

    def _reopen_port(self) -> None:
        self._port.close()
        self._port = self._open_port()

    def _open_port(self) -> Port:
        port22 = self.recording.port22 if self._power == "running" else SILENT
        opened = self._port_for(port22)
        self.ssh_port = opened.port
        return opened

    def _port_for(self, port22: Port22) -> Port:
        if port22.outcome == "greeting":
            return ReplayServer(
                self.public_address,
                self.ssh_port,
                greeting=port22.greeting or "SSH-2.0-recorded",
                keys=self._keys,
                lookup=self._ssh_answer,
                longest_answer=self._longest_answer,
            )
        kinds: dict[str, Callable[[str, int], Port]] = {
            "refused": RefusedPort,
            "timed-out": SilentPort,
            "reset": ResetPort,
        }
        if port22.outcome not in kinds:
            raise LabError(f"{self.name}: port 22 cannot be {port22.outcome!r}; it is greeting or {', '.join(kinds)}")
        return kinds[port22.outcome](self.public_address, self.ssh_port)

    def _ssh_answer(self, user: str, script: str) -> Answer | None:
        self._journal({"server": "ssh", "method": "EXEC", "path": f"{self.name}/{user}", "time": time.time()})
        answer = matching(self.recording.ssh, script, user)
        if answer is None:
            return None
        return replace(answer, stdout=self._moved(answer.stdout), stderr=self._moved(answer.stderr))

    def _moved(self, text: str) -> str:
        return shift_answer(text, self.recording.recorded_at, self._moment - self.recording.recorded_at)

    def _last_alive(self) -> float:
        return self._off[-1][0] if self._off and self._off[-1][1] == math.inf else time.time()

    def _while_on(self, start: float, values: dict[str, float | None]) -> dict[str, float | None]:
        if any(begin < start + 60 and start < end for begin, end in self._off):
            return dict.fromkeys(values)
        return values


def _failed(code: int, error: str) -> str:
    """Return the handler's own words for a script that failed."""
    return (
        f"Enable failed: failed to execute command: command terminated with exit status={code}\n"
        f"[stdout]\n\n[stderr]\n{error}\n"
    )
