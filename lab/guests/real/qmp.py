"""QEMU's machine protocol: commands to a running machine over its Unix socket."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import Any, TextIO

from lab.guests.base import LabError
from lab.guests.real.unix_socket import connect


class Qmp:
    """One connection, kept open and shared by threads. Events are read over."""

    def __init__(self, path: Path, timeout: float = 30) -> None:
        self._socket = connect(path, timeout)
        self._stream: TextIO = self._socket.makefile("rw")
        self._lock = threading.Lock()
        self._stream.readline()
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:
        """What the command returns; LabError when QEMU refuses or is gone. ``_`` in argument names means ``-``."""
        message = {"execute": command, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}}
        with self._lock:
            try:
                self._stream.write(json.dumps(message) + "\n")
                self._stream.flush()
                answer = self._next_answer()
            except (OSError, ValueError) as error:
                raise LabError(f"QEMU does not answer {command}: {error}") from error
        if "error" in answer:
            raise LabError(f"QEMU refuses {command}: {answer['error'].get('desc')}")
        return answer["return"]

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.close()
        self._socket.close()

    def _next_answer(self) -> dict[str, Any]:
        for line in self._stream:
            answer: dict[str, Any] = json.loads(line)
            if "return" in answer or "error" in answer:
                return answer
        raise OSError("connection closed")
