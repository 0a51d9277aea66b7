"""The side door: a root shell over a virtio serial port, which no fault of network, agent or sshd can cut.

The guest's end is ``recipe/overlay/usr/local/sbin/lab-door``, where the lines exchanged are described. A port forgets
what came while nobody in the guest had it open, and one that was written to during a reboot may stay deaf until it is
connected anew; so every command is preceded by greetings, each over a new connection, until one is answered.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
import uuid
from pathlib import Path

from lab.guests.base import LabError
from lab.guests.real.unix_socket import connect

#: how much longer than the command's own time we wait for its answer to come through
_GRACE = 5
#: seconds for the first greeting's answer; twice as long each time, as a busy machine's guest is slow
_GREETING = 3


class Door:
    """Runs one command at a time; a guest that is still booting answers when it gets there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._received = b""

    def run(self, command: str, timeout: float) -> tuple[int, str]:
        """Run ``command`` as root; (exit code, stdout and stderr together). 124 when it took too long in the guest."""
        identity = uuid.uuid4().hex
        with self._lock:
            try:
                if not self._greeted(f"{identity}-greeting", timeout):
                    raise LabError(f"the guest's side door does not answer: waited {timeout:.0f} s for a greeting")
                self._send(identity, command, timeout)
                answer = self._answer(identity, timeout + _GRACE)
            except OSError as error:
                self._hang_up()
                raise LabError(f"the guest's side door is closed: {error} (is the VM running?)") from error
        if answer is None:
            raise LabError(f"the guest's side door answered no command within {timeout:.0f} s")
        return answer

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            self._hang_up()

    def _greeted(self, identity: str, timeout: float) -> bool:
        end = time.monotonic() + timeout
        patience = _GREETING
        while (left := end - time.monotonic()) > 0:
            if self._connection is None:
                self._connection = connect(self._path, left)
            with contextlib.suppress(ConnectionError):
                self._send(identity, "true", patience)
                if self._answer(identity, min(patience, left)):
                    return True
                patience *= 2
            self._hang_up()
        return False

    def _send(self, identity: str, command: str, seconds: float) -> None:
        script = base64.b64encode(command.encode()).decode()
        self._open().settimeout(seconds + _GRACE)
        self._open().sendall(f"\nRUN {identity} {max(1, int(seconds))} {script}\n".encode())

    def _answer(self, identity: str, seconds: float) -> tuple[int, str] | None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._open().settimeout(left)
            try:
                piece = self._open().recv(65536)
            except TimeoutError:
                return None
            if not piece:
                raise ConnectionError("QEMU hung up")
            *lines, self._received = (self._received + piece).split(b"\n")
            for line in lines:
                answer = parse_answer(line, identity)
                if answer is not None:
                    return answer
        return None

    def _open(self) -> socket.socket:
        if self._connection is None:
            raise ConnectionError("not connected")
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._received = None, b""


def parse_answer(line: bytes, identity: str) -> tuple[int, str] | None:
    """(exit code, output) of a line that answers ``identity``; None for any other line."""
    words = line.strip(b"\0\r ").split(b" ")
    if words[:2] != [b"END", identity.encode()] or not 3 <= len(words) <= 4:
        return None
    try:
        return int(words[2]), base64.b64decode(b"".join(words[3:])).decode("utf-8", "replace")
    except ValueError:
        return None
