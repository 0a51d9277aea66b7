"""The sockets of the stand-in: HTTPS with keep-alive, one thread per connection, faults and latencies, the journal.

``Server`` serves ARM; ``serve_cloud_shell`` the token endpoint of Cloud Shell (plain HTTP on a fixed port), and
``serve_login_proxy`` an HTTPS proxy behind which the login host is answered. Each may listen in several namespaces.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab import latency
from lab.arm import gateway, serial_console
from lab.arm.cloud import Cloud
from lab.arm.errors import ArmError, too_many_requests
from lab.arm.exchange import Request, Response, Route
from lab.arm.identity import CLOUD_SHELL_ROUTES, LOGIN_HOST, LOGIN_ROUTES
from lab.injection import Injection

CLOUD_SHELL_PORT = 50342
_NO_LINGER = struct.pack("ii", 1, 0)
_IDLE = 300.0


class _Listener(ThreadingHTTPServer):
    """A server on a socket that exists already; the TLS handshake happens in the connection's own thread."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, listening: socket.socket, cloud: Cloud, routes: Sequence[Route], context: ssl.SSLContext | None
    ) -> None:
        self.cloud, self.routes, self.context = cloud, routes, context
        super().__init__(listening.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def get_request(self) -> tuple[Any, Any]:
        """Wrap the connection; the handshake waits for the first read."""
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is None:
            return connection, address
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event."""

    def stop(self) -> None:
        """Stop accepting and close the socket."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    server: _Listener

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def do_CONNECT(self) -> None:
        """As an HTTPS proxy: only the login host is there, and it is answered here."""
        host = self.path.partition(":")[0]
        if self.server.routes is not LOGIN_ROUTES or host != LOGIN_HOST or self.server.context is None:
            self.send_error(403)
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def _serve(self) -> None:
        started, clock = time.time(), time.monotonic()
        cloud = self.server.cloud
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(length) if length else b"")
        fault = cloud.injections.take(request.method, request.target)
        status: int | None = None
        typed: str | None = None
        try:
            if fault is not None and fault.kind == "reset":
                self._reset()
                return
            time.sleep(latency.of_request(cloud.settings.latency, request.path))
            if serial_console.is_handshake(request):
                self.close_connection = True
                status, typed = self._websocket(request, fault)
                return
            response = _respond(cloud, request, self.server.routes, fault)
            status = response.status
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                self._send(response)
        finally:
            cloud.journal.add(
                started,
                request.method,
                request.target,
                status,
                time.monotonic() - clock,
                vm=_vm_of_operation(cloud, request),
                fault=fault.text if fault else None,
                typed=typed,
            )

    def _websocket(self, request: Request, fault: Injection | None) -> tuple[int, str | None]:
        kind = fault.kind if fault is not None else None
        cut_after = int(fault.argument) if fault is not None and kind == "cut" else None
        return serial_console.serve(self.server.cloud, request, self.connection, cut_after, kind in _REFUSALS)

    def _send(self, response: Response) -> None:
        content = response.content()
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if content:
            self.send_header("Content-Type", response.content_type)
        if response.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.rfile.close()
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """The journal says what was served."""


def _respond(cloud: Cloud, request: Request, routes: Sequence[Route], fault: Injection | None) -> Response:
    kind = fault.kind if fault is not None else None
    argument = fault.argument if fault is not None else 0.0
    if kind in _ERRORS:
        return _error(_ERRORS[kind])
    if kind == "429":
        return _error(too_many_requests(argument))
    if kind == "slow":
        time.sleep(argument)
    response = gateway.answer(cloud, request, routes, deny=kind == "denied")
    if kind == "garbled":
        content = response.content()
        return replace(response, status=200, body=b"\xef\xbb\xbf" + content[: len(content) // 2])
    return response


_REFUSALS = ("denied", "500", "503", "429")
_ERRORS = {
    "500": ArmError(500, "InternalServerError", "An internal execution error occurred. Please retry later."),
    "503": ArmError(503, "ServiceUnavailable", "The service is unavailable now, please retry the request later."),
}


def _error(error: ArmError) -> Response:
    return Response(error.status, error.body(), error.headers)


def _vm_of_operation(cloud: Cloud, request: Request) -> str | None:
    head, _, name = request.path.rpartition("/")
    operation = cloud.operations.get(name) if head.endswith("/operations") else None
    return operation.vm.name if operation is not None else None


class Server:
    """ARM over HTTPS, on every socket it is given."""

    def __init__(self, cloud: Cloud, context: ssl.SSLContext, listening: Sequence[socket.socket]) -> None:
        port = listening[0].getsockname()[1]
        cloud.base_url = f"https://127.0.0.1:{port}"
        self._cloud, self._context = cloud, context
        self._listeners = [_Listener(one, cloud, gateway.ROUTES, context) for one in listening]

    def also(self, listening: socket.socket) -> None:
        """Serve ARM on one more socket."""
        self._listeners.append(_Listener(listening, self._cloud, gateway.ROUTES, self._context))

    def serve_cloud_shell(self, listening: socket.socket) -> None:
        """Serve Cloud Shell's token endpoint."""
        self._listeners.append(_Listener(listening, self._cloud, CLOUD_SHELL_ROUTES, None))

    def serve_login_proxy(self, listening: socket.socket) -> None:
        """Serve the proxy behind which the login host is."""
        self._listeners.append(_LoginProxy(listening, self._cloud, LOGIN_ROUTES, self._context))

    def stop(self) -> None:
        """Close everything."""
        for listener in self._listeners:
            listener.stop()


class _LoginProxy(_Listener):
    """Clients speak plain HTTP to a proxy; TLS begins after CONNECT."""

    def get_request(self) -> tuple[Any, Any]:
        """The connection as it is."""
        return ThreadingHTTPServer.get_request(self)
