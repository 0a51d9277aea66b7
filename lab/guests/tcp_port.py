"""A loopback port that behaves at TCP level as the recorded one did: refused, timed out or reset, for any client."""

from __future__ import annotations

import errno
import socket
import struct
import threading
from contextlib import suppress
from typing import Protocol


class Port(Protocol):
    """An open (or deliberately dead) port."""

    port: int

    def close(self) -> None:
        """Give the port back; connections through it end."""


def bind_port(address: str, wanted: int) -> socket.socket:
    """Bind ``address:wanted``, or a free port when the machine forbids it or something else holds it."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, wanted))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EADDRINUSE):
            bound.close()
            raise
        bound.bind((address, 0))
    return bound


class RefusedPort:
    """Bound and never listening, so the kernel answers every SYN with a reset; nobody else can take the port."""

    def __init__(self, address: str, wanted: int) -> None:
        self._socket = bind_port(address, wanted)
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


class SilentPort:
    """Listening with a full accept queue, so the kernel drops every SYN: a client's connect times out."""

    FILLERS = 3

    def __init__(self, address: str, wanted: int) -> None:
        self._listener = bind_port(address, wanted)
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._fillers = [self._filler(address) for _ in range(self.FILLERS)]

    def _filler(self, address: str) -> socket.socket:
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex((address, self.port))
        return filler

    def close(self) -> None:
        """Give the port back."""
        for held in [*self._fillers, self._listener]:
            held.close()


class ResetPort:
    """Accepts and resets at once."""

    def __init__(self, address: str, wanted: int) -> None:
        self._listener = bind_port(address, wanted)
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, name=f"reset-{address}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    def close(self) -> None:
        """Give the port back."""
        stop_listening(self._listener)


def stop_listening(listener: socket.socket) -> None:
    """Close a listening socket and wake the thread that waits in its accept."""
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
