"""The serial console's websocket: attach with az's token, then terminal text both ways.

The protocol is that of `az serial-console` (Azure/azure-cli-extensions, src/serial-console): the server's first message
is the cue to send the ARM token as a text message; a server that gives none gets the token unasked. Everything after
that is the terminal. `websocket-client` comes with az; it takes proxies from the environment as requests does.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any, Protocol
from urllib.parse import urlsplit

from azext_vmagent.evidence.asking import SourceFailed, one_line
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import State

#: how long the server may take to give its cue
CUE_SECONDS = 4.0
_SMALLEST_WAIT = 0.01


class LineLost(SourceFailed):
    """The connection broke; nobody ended it. What was begun in the guest may still be going on."""


class Line(Protocol):
    """A terminal line to the guest."""

    def send(self, text: str) -> None:
        """Type. Raises SourceFailed when the line is gone."""

    def receive(self, seconds: float) -> str | None:
        """What the guest printed within that time, None when nothing. Raises SourceFailed when the line is gone."""

    def close(self) -> None:
        """Hang up; never raises."""


class WebsocketLine:
    """A line over the platform's websocket."""

    def __init__(self, socket: Any) -> None:
        """Take over a connected ``websocket.WebSocket``."""
        self._socket = socket

    def send(self, text: str) -> None:
        """See ``Line``."""
        import websocket

        try:
            self._socket.settimeout(10)
            self._socket.send(text)
        except (websocket.WebSocketException, OSError) as exc:
            raise _lost(exc) from exc

    def receive(self, seconds: float) -> str | None:
        """See ``Line``."""
        import websocket

        try:
            self._socket.settimeout(max(_SMALLEST_WAIT, seconds))
            code, data = self._socket.recv_data()
        except websocket.WebSocketTimeoutException:
            return None
        except (websocket.WebSocketException, OSError) as exc:
            raise _lost(exc) from exc
        if code == websocket.ABNF.OPCODE_CLOSE:
            raise _closed(bytes(data))
        return bytes(data).decode("utf-8", "replace")

    def close(self) -> None:
        """See ``Line``."""
        with contextlib.suppress(Exception):  # hanging up must not turn a result into a failure
            self._socket.close(timeout=1)


def attach(address: str, token: str, deadline: Deadline) -> Line:
    """Connect and log in to the service. Raises SourceFailed in words that say which of the two failed."""
    import websocket

    if urlsplit(address).scheme != "wss":
        raise SourceFailed(State.GARBLED, "Azure's answer names no websocket")
    try:
        socket = websocket.create_connection(address, timeout=max(1.0, min(15.0, deadline.remaining())), sslopt=_tls())
    except websocket.WebSocketBadStatusException as exc:
        denied = exc.status_code in (401, 403)
        raise SourceFailed(
            State.DENIED if denied else State.FAILED, f"the console's websocket answers HTTP {exc.status_code}"
        ) from exc
    except websocket.WebSocketTimeoutException as exc:
        raise SourceFailed(State.TIMED_OUT, "the console's websocket does not answer") from exc
    except (websocket.WebSocketException, OSError) as exc:
        raise SourceFailed(
            State.FAILED,
            f"no connection to the console's websocket ({urlsplit(address).hostname}): {one_line(exc, 120)}",
        ) from exc
    line = WebsocketLine(socket)
    try:
        line.receive(min(CUE_SECONDS, deadline.remaining()))
        line.send(token)
    except SourceFailed:
        line.close()
        raise
    return line


def _tls() -> dict[str, Any]:
    """az's own way to other CAs, and to none (azure.cli.core.util.should_disable_connection_verify)."""
    import ssl

    from azure.cli.core.util import should_disable_connection_verify

    if should_disable_connection_verify():
        return {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    import certifi

    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    return {"ca_cert_path" if os.path.isdir(bundle) else "ca_certs": bundle}


def _lost(exc: Exception) -> LineLost:
    return LineLost(State.FAILED, f"the console's connection was lost: {one_line(exc, 100) or type(exc).__name__}")


def _closed(payload: bytes) -> SourceFailed:
    reason = one_line(payload[2:].decode("utf-8", "replace"), 120)
    said = f": {reason}" if reason else ""
    return SourceFailed(
        State.FAILED,
        f"Azure closed the console's connection{said}; somebody else may have connected, or the VM went away",
    )


class Screen:
    """What a line printed since ``forget``, waited for with a condition."""

    def __init__(self, line: Line, deadline: Deadline) -> None:
        """Watch a line; no wait is longer than the deadline."""
        self.line, self.deadline, self.text = line, deadline, ""

    def forget(self) -> None:
        """Only what comes from now on counts."""
        self.text = ""

    def type(self, keys: str) -> None:
        """Type after forgetting what stood there."""
        self.forget()
        self.line.send(keys)

    def wait(self, done: Any, seconds: float, quiet: float = 0.0) -> Any:
        """The first true value of ``done(text)``, once nothing has come for ``quiet`` seconds; None when time is up."""
        budget = self.deadline.at_most(seconds)
        last = time.monotonic()
        while True:
            found = done(self.text)
            still = time.monotonic() - last
            if found and still >= quiet:
                return found
            left = budget.remaining()
            if left <= 0:
                return None
            piece = self.line.receive(min(left, max(quiet - still, _SMALLEST_WAIT) if found else 0.5))
            if piece:
                self.text = (self.text + piece)[-TAIL_CHARACTERS:]
                last = time.monotonic()


#: the most that is kept of what a guest prints without end
TAIL_CHARACTERS = 64 * 1024
