"""Connecting to a Unix socket however long its path is (the kernel allows 107 bytes)."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def connect(path: Path, timeout: float) -> socket.socket:
    """A connected stream socket; OSError when nobody listens."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    connected = socket.socket(socket.AF_UNIX)
    try:
        connected.settimeout(timeout)
        connected.connect(f"/proc/self/fd/{folder}/{path.name}")
    except BaseException:
        connected.close()
        raise
    finally:
        os.close(folder)
    return connected
