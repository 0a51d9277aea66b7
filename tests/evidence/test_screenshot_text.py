"""Words from a screenshot through whatever «tesseract» is on the PATH; without one, or with a bad one, there are none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.evidence.screenshot_text import read_words


@pytest.fixture
def tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only program on the PATH besides the shell's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "tesseract"


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_picture_goes_in_and_the_words_come_out(tesseract: Path, tmp_path: Path) -> None:
    script(tesseract, f'echo "$@" > {tmp_path}/asked; cat > {tmp_path}/given; printf "Recovery\\n0xc000000e\\n\\f"')
    assert read_words(b"BM picture", Deadline.after(5)) == "Recovery\n0xc000000e"
    assert (tmp_path / "given").read_bytes() == b"BM picture"
    assert (tmp_path / "asked").read_text().split()[:4] == ["stdin", "stdout", "-l", "eng"]


@pytest.mark.parametrize("text", ["exit 1", "kill -9 $$", "printf '\\377\\376'; exit 3"])
def test_a_program_that_fails_gives_no_words(tesseract: Path, text: str) -> None:
    script(tesseract, text)
    assert read_words(b"BM", Deadline.after(5)) == ""


def test_bytes_that_are_no_text_do_no_harm(tesseract: Path) -> None:
    script(tesseract, "printf 'a\\377b'")
    assert read_words(b"BM", Deadline.after(5)) == "a\ufffdb"


def test_a_program_that_hangs_is_ended_with_the_time(tesseract: Path) -> None:
    script(tesseract, "exec sleep 20")
    began = time.monotonic()
    assert read_words(b"BM", Deadline.after(0.7)) == ""
    assert time.monotonic() - began < 5


def test_with_no_time_left_it_is_not_started(tesseract: Path, tmp_path: Path) -> None:
    script(tesseract, f"touch {tmp_path}/started")
    assert read_words(b"BM", Deadline.after(0)) == ""
    assert not (tmp_path / "started").exists()


def test_without_the_program_there_are_no_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_words(b"BM", Deadline.after(5)) == ""


def test_a_program_in_the_current_folder_is_not_run(tesseract: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tesseract, "echo hello")
    monkeypatch.chdir(tesseract.parent)
    assert read_words(b"BM", Deadline.after(5)) == ""
