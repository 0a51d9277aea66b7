"""What was put before Azure and is not over: said, and taken back where it can be, when the user interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from azext_vmagent.evidence.deadline import Deadline

#: a person who pressed Ctrl-C waits no longer than this
WITHDRAW_SECONDS = 3.0


@dataclass(frozen=True)
class OpenRequest:
    """``words`` says what stays when nothing more is done; ``withdraw`` takes back what it can and says what stays."""

    words: Callable[[], str]
    withdraw: Callable[[Deadline], str] | None = None


class OpenRequests:
    """Those of one login; channels run in threads of their own."""

    def __init__(self) -> None:
        """None yet."""
        self._open: list[OpenRequest] = []
        self._lock = threading.Lock()

    @contextmanager
    def held(self, request: OpenRequest) -> Iterator[None]:
        """Open as long as the block runs; what it leaves behind afterwards it says itself."""
        with self._lock:
            self._open.append(request)
        try:
            yield
        finally:
            with self._lock:
                self._open.remove(request)

    def withdrawn(self) -> list[str]:
        """Take back what can be; a line for each of which something stays. Quick: its time is the user's patience."""
        deadline = Deadline.after(WITHDRAW_SECONDS)
        with self._lock:
            requests = list(self._open)
        stays = [request.withdraw(deadline) if request.withdraw else request.words() for request in requests]
        return [line for line in stays if line]
