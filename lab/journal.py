"""What the stand-in served: one JSON line per request, so that a test can prove what was asked and what never was."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.arm.times import arm_time

_VM = re.compile(r"/virtualMachines/([^/?]+)", re.IGNORECASE)


class Journal:
    """Entries in memory and, when a path is given, in a file."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []

    def add(
        self,
        when: float,
        method: str,
        target: str,
        status: int | None,
        seconds: float,
        *,
        vm: str | None,
        fault: str | None,
        typed: str | None = None,
    ) -> None:
        """Note one request. ``status`` is None when the connection was reset instead of answered.

        ``typed`` is all that a serial console's client sent to the guest, noted when its session has ended.
        """
        entry: dict[str, Any] = {
            "time": arm_time(when),
            "method": method,
            "path": target,
            "status": status,
            "seconds": round(seconds, 4),
        }
        named = vm or vm_in(target)
        if named:
            entry["vm"] = named
        if fault:
            entry["injected"] = fault
        if typed is not None:
            entry["typed"] = typed
        self._append(entry)

    def add_platform(self, entry: Mapping[str, Any]) -> None:
        """Note a request that a guest made to its platform's side; ``server`` says to which server of it."""
        kept = {key: entry.get(key) for key in ("method", "path", "status", "seconds", "server")}
        self._append({"time": arm_time(entry["time"]), **kept})

    def _append(self, entry: dict[str, Any]) -> None:
        with self._lock:
            self._entries.append(entry)
            if self._path is not None:
                with self._path.open("a") as file:
                    file.write(json.dumps(entry) + "\n")

    def entries(self) -> list[dict[str, Any]]:
        """All of them, oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget what was served so far."""
        with self._lock:
            self._entries.clear()
            if self._path is not None:
                self._path.write_text("")


def vm_in(target: str) -> str | None:
    """The VM a request path names."""
    found = _VM.search(target)
    return found.group(1) if found else None
