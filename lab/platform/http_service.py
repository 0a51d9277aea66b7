"""A small HTTP server whose answers are plain functions and whose every request is written to the journal."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: receives one JSON-able dict for every request served
Journal = Callable[[dict[str, Any]], None]

XML = "text/xml; charset=utf-8"
JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    #: path and query, as sent
    target: str
    headers: Message
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Response:
    """What we answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = XML


Answer = Callable[[Request], Response]


class HttpService:
    """Serves one listening socket with one function, in threads of this process, until it is closed."""

    def __init__(self, name: str, listener: socket.socket, answer: Answer, journal: Journal) -> None:
        self._server = _Server(listener, name, answer, journal)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and close the socket."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket, name: str, answer: Answer, journal: Journal) -> None:
        super().__init__(listener.getsockname(), _Exchange, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.service_name, self.answer, self.journal = name, answer, journal

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A guest that is reset or blocked in the middle of a request is everyday business here."""


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-IIS/10.0"
    sys_version = ""
    timeout = 60
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """The journal has it all; nothing goes to stderr."""

    def _exchange(self) -> None:
        began = time.time()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        response = self.server.answer(Request(self.command, self.path, self.headers, body))
        self.server.journal(
            {
                "server": self.server.service_name,
                "method": self.command,
                "path": self.path,
                "status": response.status,
                "time": round(began, 3),
                "seconds": round(time.time() - began, 4),
                "bytes": len(body),
            }
        )
        self._send(response)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(response.body)
        self.close_connection = True

    do_GET = do_PUT = do_POST = do_HEAD = _exchange
