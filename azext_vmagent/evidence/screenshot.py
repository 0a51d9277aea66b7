"""Boot diagnostics: the screenshot, its words where a program here can read them, and a file for people to look at.

The file is for the caller's eyes only (0600 in a folder of 0700): a screen may show names, addresses, even secrets.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from pathlib import Path

from azext_vmagent.evidence.asking import Said, SourceFailed
from azext_vmagent.evidence.blob import download
from azext_vmagent.evidence.boot_diagnostics import SCREENSHOT, BootDiagnostics
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.evidence.screenshot_text import read_words
from azext_vmagent.facts.picture import LARGEST_BYTES
from azext_vmagent.facts.screenshot import ScreenKind, Screenshot, ScreenshotFacts, read_screenshot
from azext_vmagent.model import State, Target

#: older files of ours are deleted when there are more: one is 2 to 8 MB
KEPT_FILES = 20
_OURS = re.compile(r"[A-Za-z0-9._-]{1,80}-\d{8}T\d{6}Z(?:-\d)?\.(?:bmp|png)")
#: screens without words worth a second of reading
_WORDLESS = (ScreenKind.BLACK, ScreenKind.LOCK_SCREEN, ScreenKind.NOT_READABLE)


def screenshot(diagnostics: BootDiagnostics, target: Target, deadline: Deadline, folder: Path) -> Said:
    """(line for people, ``Screenshot``). Raises SourceFailed and requests' errors."""
    uri = diagnostics.uri(target, SCREENSHOT, "screenshot", deadline)
    data = download(uri, "screenshot", LARGEST_BYTES, deadline)
    found = read_screenshot(data)
    if found.kind is ScreenKind.NOT_READABLE:
        raise SourceFailed(State.GARBLED, f"the screenshot could not be read: {found.why[0]}")
    path = saved(data, target.name, folder)
    return f"{found.width} x {found.height}", Screenshot(data, words(data, found, deadline), path)


def words(data: bytes, found: ScreenshotFacts, deadline: Deadline) -> str:
    """The words on a screenshot, if its kind has any and something here can read them."""
    return "" if found.kind in _WORDLESS else read_words(data, deadline)


def saved(data: bytes, name: str, folder: Path, now: datetime | None = None) -> str | None:
    """The path of a new file with that screenshot, or None where it could not be written: that does not matter."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:64] or "vm"
    stamp = f"{now or datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    ending = ".png" if data.startswith(b"\x89PNG") else ".bmp"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for again in ("", *(f"-{number}" for number in range(2, 10))):
            path = folder / f"{safe}-{stamp}{again}{ending}"
            try:
                # never through a link and never over a file that is there
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            except FileExistsError:
                continue
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            _forget_older(folder)
            return str(path)
    except OSError:
        pass
    return None


def _forget_older(folder: Path) -> None:
    """Delete the oldest of our own files beyond ``KEPT_FILES``."""
    ours = [
        path for path in folder.iterdir() if _OURS.fullmatch(path.name) and path.is_file() and not path.is_symlink()
    ]
    for path in sorted(ours, key=lambda path: path.stat().st_mtime)[:-KEPT_FILES]:
        path.unlink(missing_ok=True)
