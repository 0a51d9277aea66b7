"""Sockets that live in a network namespace while this process stays outside it.

A socket belongs for ever to the namespace in which it was created, so a short-lived thread enters the namespace, makes
the socket and ends; any thread may serve it afterwards.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_SO_BINDTODEVICE = 25
_libc = ctypes.CDLL(None, use_errno=True)


def call_in(namespace: str, make: Callable[[], T]) -> T:
    """Call ``make`` in a thread that has entered ``/run/netns/<namespace>``; its result or its exception is ours."""
    results: list[T] = []
    errors: list[BaseException] = []

    def enter_and_make() -> None:
        try:
            _enter(namespace)
            results.append(make())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=enter_and_make, name=f"enter {namespace}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def listen(namespace: str, address: str, port: int) -> socket.socket:
    """A listening TCP socket at ``address:port`` of the namespace."""
    return call_in(namespace, lambda: socket.create_server((address, port), backlog=128))


def broadcast_socket(namespace: str, device: str, port: int) -> socket.socket:
    """A UDP socket that hears and sends broadcasts on one interface of the namespace."""

    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, device.encode() + b"\0")
        made.bind(("", port))
        return made

    return call_in(namespace, make)


def _enter(namespace: str) -> None:
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"cannot enter the network namespace {namespace}: {os.strerror(code)}")
    finally:
        os.close(descriptor)
