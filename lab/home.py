"""Where the laboratory keeps things: a state folder that `down` removes, and a cache that outlives it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The state folder (``$VMAGENT_LAB_HOME``, else ``.lab`` in the current folder) and what is in it."""

    state: Path

    @property
    def control(self) -> Path:
        """The daemon's unix socket."""
        return self.state / "control.sock"

    @property
    def pid(self) -> Path:
        """The daemon's process id."""
        return self.state / "daemon.pid"

    @property
    def log(self) -> Path:
        """What the daemon printed."""
        return self.state / "daemon.log"

    @property
    def journal(self) -> Path:
        """Every request served, as JSON lines."""
        return self.state / "journal.jsonl"

    def guest(self, name: str) -> Path:
        """The state folder of one guest."""
        return self.state / "guests" / name

    def az(self, login: str) -> Path:
        """The configuration folder of `az` for one way of logging in."""
        return self.state / f"az-{login}"


def find() -> Home:
    """The laboratory that this shell means."""
    return Home(Path(os.environ.get("VMAGENT_LAB_HOME") or ".lab").absolute())


def cache() -> Path:
    """Images and snapshots: ``$VMAGENT_LAB_CACHE``, else in the user's cache folder; never in the checkout."""
    given = os.environ.get("VMAGENT_LAB_CACHE")
    if given:
        return Path(given).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vmagent-lab"
