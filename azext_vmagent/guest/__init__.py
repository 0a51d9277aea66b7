"""The scripts that run inside the guest, as text."""

from __future__ import annotations

from pathlib import Path


def probe_script() -> str:
    """The POSIX sh probe, to be run as root; it takes no parameters and prints at most 4,096 bytes."""
    return (Path(__file__).parent / "probe.sh").read_text(encoding="ascii")
