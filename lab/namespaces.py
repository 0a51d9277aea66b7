"""Linux network namespaces: a socket stays where it was made, so one process can serve in several of them."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lab.guests.base import LabError

_CLONE_NEWNET = 0x40000000
_FOLDER = Path("/run/netns")

T = TypeVar("T")


def within(namespace: str | None, work: Callable[[], T]) -> T:
    """Call ``work`` in a thread of its own inside a namespace (threads it starts are there as well)."""
    if namespace is None:
        return work()
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            _enter(namespace)
            results.append(work())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def listen(port: int, namespace: str | None = None, address: str = "127.0.0.1") -> socket.socket:
    """A listening socket in that namespace. Port 0 takes a free one."""
    return within(namespace, lambda: socket.create_server((address, port), backlog=128))


def _enter(namespace: str) -> None:
    descriptor = os.open(_FOLDER / namespace, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise LabError(f"cannot enter the network namespace {namespace}: {os.strerror(error)}")
    finally:
        os.close(descriptor)
