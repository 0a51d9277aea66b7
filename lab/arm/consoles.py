"""Who is at which VM's serial console."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol


class Line(Protocol):
    """The guest's end of the serial line, as a connected socket is one."""

    def fileno(self) -> int:
        """For select."""

    def recv(self, size: int, /) -> bytes:
        """What the guest printed."""

    def sendall(self, data: bytes, /) -> None:
        """Keys for the guest."""

    def close(self) -> None:
        """Hang up; the guest does not notice."""


@dataclass
class Session:
    """One client at the console of one VM. ``typed`` is what went to the guest, for tests of what never may."""

    vm: str
    over: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    line: Line | None = None
    typed: bytes = b""


class Consoles:
    """At most one session a VM, and whether the subscription allows any."""

    def __init__(self) -> None:
        self.disabled = False
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    def enter(self, vm: str, *, takes_over: bool) -> Session | None:
        """Become the session of a VM; None when there is one that may not be ended."""
        with self._lock:
            before = self._open.get(vm)
            if before is not None and not takes_over:
                return None
            session = Session(vm)
            self._open[vm] = session
        if before is not None:
            before.over.set()
            before.closed.wait(5)
        return session

    def leave(self, session: Session) -> None:
        """The session is over."""
        with self._lock:
            if self._open.get(session.vm) is session:
                del self._open[session.vm]
        session.closed.set()

    def of(self, vm: str) -> Session | None:
        """The session that is connected now."""
        with self._lock:
            return self._open.get(vm)
