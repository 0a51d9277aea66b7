"""The words on a screenshot, if Tesseract is installed here; nothing depends on it.

Tesseract reads a BMP or PNG from its standard input (tesseract-ocr.github.io, «Command-Line Usage»). One thread is
enough for a screen and leaves the others to the rest of the diagnosis.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from azext_vmagent.evidence.deadline import Deadline

SECONDS = 10.0
#: with less time than this it is not even started
_LEAST_SECONDS = 0.5
_LONGEST = 20_000


def read_words(data: bytes, deadline: Deadline) -> str:
    """The English words on a picture, or "" when there is no Tesseract, it fails, or it takes too long."""
    program = _tesseract()
    seconds = min(SECONDS, deadline.remaining())
    if program is None or seconds < _LEAST_SECONDS:
        return ""
    try:
        done = subprocess.run(
            [program, "stdin", "stdout", "-l", "eng", "--psm", "6"],
            input=data,
            capture_output=True,
            timeout=seconds,
            check=True,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout[:_LONGEST].decode("utf-8", "replace").strip()


def _tesseract() -> str | None:
    """The program on the PATH; Windows also looks in the current folder, which anybody may have filled."""
    found = shutil.which("tesseract")
    if found is None or os.path.dirname(os.path.abspath(found)) == os.getcwd():
        return None
    return os.path.abspath(found)
