"""The side door: a root shell over a virtio serial port, which no fault of network, agent or sshd can cut.

The guest's end is ``recipe/overlay/usr/local/sbin/lab-door``, where the lines exchanged are described.
"""

from __future__ import annotations

import base64
import binascii
import socket
import threading
import time
import uuid
from pathlib import Path

from lab.guests.base import LabError
from lab.guests.real.unix_socket import connect

#: how much longer than the command's own time we wait for its answer to come through
_GRACE = 5


class Door:
    """Runs one command at a time; a guest that is still booting answers when it gets there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def run(self, command: str, timeout: float) -> tuple[int, str]:
        """Run ``command`` as root; (exit code, stdout and stderr together). 124 when it took too long in the guest."""
        with self._lock:
            try:
                with connect(self._path, timeout) as connection:
                    return _exchange(connection, command, timeout)
            except OSError as error:
                raise LabError(f"the guest's side door is closed: {error} (is the VM running?)") from error


def _exchange(connection: socket.socket, command: str, timeout: float) -> tuple[int, str]:
    identity = uuid.uuid4().hex
    script = base64.b64encode(command.encode()).decode()
    connection.sendall(f"\nRUN {identity} {max(1, int(timeout))} {script}\n".encode())
    end = time.monotonic() + timeout + _GRACE
    received = b""
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            break
        if not piece:
            raise LabError("the guest's side door closed before the command's answer came")
        received += piece
        answer = _find_answer(received, identity)
        if answer is not None:
            return answer
    raise LabError(f"the guest's side door did not answer within {timeout:.0f} s")


def _find_answer(received: bytes, identity: str) -> tuple[int, str] | None:
    for line in received.split(b"\n")[:-1]:
        words = line.strip(b"\0\r ").split(b" ")
        if len(words) >= 3 and words[:2] == [b"END", identity.encode()]:
            try:
                output = base64.b64decode(words[3]) if len(words) > 3 else b""
            except binascii.Error as error:
                raise LabError("the guest's side door answered garbled text") from error
            return int(words[2]), output.decode("utf-8", "replace")
    return None
