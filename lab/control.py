"""JSON lines over a unix socket: how `python -m lab` talks to the daemon. One request, one answer."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.guests.base import LabError

Command = Callable[..., Any]

_PATH_LIMIT = 100


def ask(path: Path, command: str, /, **arguments: Any) -> Any:
    """The daemon's answer; LabError with its words when it could not, or when there is no daemon."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(_short(path))
            with connection.makefile("rw") as stream:
                stream.write(json.dumps({"command": command, "arguments": arguments}) + "\n")
                stream.flush()
                line = stream.readline()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise LabError("the laboratory is not up here; start it with: python -m lab up") from error
    if not line:
        raise LabError("the laboratory went away while it was asked")
    answer = json.loads(line)
    if "error" in answer:
        raise LabError(answer["error"])
    return answer["value"]


class ControlServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers requests with the given commands."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        self.commands = commands
        path.unlink(missing_ok=True)
        super().__init__(_short(path), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()


class _Handler(socketserver.StreamRequestHandler):
    server: ControlServer

    def handle(self) -> None:
        line = self.rfile.readline()
        if not line:
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(json.dumps(self._answer(json.loads(line))).encode() + b"\n")

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        command = self.server.commands.get(request["command"])
        if command is None:
            return {"error": f"the laboratory does not know '{request['command']}'"}
        try:
            return {"value": command(**request["arguments"])}
        except LabError as error:
            return {"error": str(error)}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}


def _short(path: Path) -> str:
    """A unix socket's path is limited to 108 bytes; a relative one may be shorter."""
    return str(path) if len(str(path)) < _PATH_LIMIT else os.path.relpath(path)
