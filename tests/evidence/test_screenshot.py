"""The screenshot's way here: the blob, the words, the file; whatever fails is an answer, and nothing leaks."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from azext_vmagent.evidence import screenshot as module
from azext_vmagent.evidence import serial_log
from azext_vmagent.evidence.asking import ask
from azext_vmagent.evidence.azure import LiveAzure
from azext_vmagent.evidence.boot_diagnostics import SCREENSHOT, SERIAL_LOG, BootDiagnostics
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.evidence.screenshot import saved, screenshot
from azext_vmagent.facts.screenshot import ScreenKind, Screenshot
from azext_vmagent.model import Answer, State, Target
from azext_vmagent.report.redaction import safe
from tests import screens
from tests.screens import Screen, bmp, png

WEB = Target("s", "rg-shop", "web-03")
NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=timezone.utc)
STOPPED = bmp(screens.old_stop_screen())


class Store:
    """A storage account with one answer for every blob."""

    def __init__(self) -> None:
        self.status, self.body = 200, STOPPED
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(store.status)
                self.send_header("Content-Length", str(len(store.body)))
                self.end_headers()
                self.wfile.write(store.body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/c/web-03.screenshot.bmp?sv=1&sig=s3cr3t%3D"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "read_words", lambda data, deadline: "A problem has been detected")
    found = Store()
    yield found
    found.server.shutdown()
    found.server.server_close()


def fetched(uri: str, folder: Path) -> Answer:
    diagnostics = BootDiagnostics(lambda *_: {SCREENSHOT: uri})
    return ask("screenshot", lambda: screenshot(diagnostics, WEB, Deadline.after(5), folder))


def test_a_screenshot_is_looked_at_and_saved_for_the_caller_alone(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "config" / "vmagent"
    answer = fetched(store.uri, folder)
    assert (answer.state, answer.detail) == (State.OK, "640 x 480")
    seen: Screenshot = answer.value
    assert seen.facts.kind is ScreenKind.BLUE_SCREEN
    assert seen.facts.text == "A problem has been detected"
    path = Path(seen.path or "")
    assert path.parent == folder
    assert path.name.startswith("web-03-20")
    assert path.suffix == ".bmp"
    assert path.read_bytes() == STOPPED
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path, folder)] == [0o600, 0o700]


@pytest.mark.parametrize(
    ("status", "body", "state", "words"),
    [
        (404, b"<Error/>", State.FAILED, "there is no screenshot"),
        (403, b"<Error/>", State.DENIED, "storage refused the read (403)"),
        (500, b"", State.FAILED, "the screenshot's blob answered 500"),
        (200, b"", State.GARBLED, "it is empty"),
        (200, b"<?xml version='1.0'?><Error/>", State.GARBLED, "neither a BMP nor a PNG"),
        (200, STOPPED[:5000], State.GARBLED, "cut off"),
    ],
)
def test_every_failure_is_an_answer(
    store: Store, tmp_path: Path, status: int, body: bytes, state: State, words: str
) -> None:
    store.status, store.body = status, body
    answer = fetched(store.uri, tmp_path / "vmagent")
    assert answer.state is state
    assert words in answer.detail
    assert not (tmp_path / "vmagent").exists()


def test_a_connection_that_fails_does_not_tell_the_signature(store: Store, tmp_path: Path) -> None:
    store.server.shutdown()
    store.server.server_close()
    answer = fetched(store.uri, tmp_path)
    assert answer.state is State.FAILED
    assert "s3cr3t" not in safe(answer.detail)


def test_a_blob_that_is_too_large_is_not_kept(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_BYTES", 100_000)
    answer = fetched(store.uri, tmp_path)
    assert (answer.state, answer.detail) == (State.GARBLED, "the screenshot is larger than 0 MiB")
    assert not list(tmp_path.iterdir())


def test_of_a_serial_log_that_is_too_long_the_newest_part_is_taken(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_log, "LIMIT_BYTES", 1000)
    store.body = b"old " * 200_000 + b"new" * 200
    diagnostics = BootDiagnostics(lambda *_: {SERIAL_LOG: store.uri})
    _, log = serial_log.serial_log(diagnostics, WEB, Deadline.after(5))
    assert log == store.body[-1000:]


def test_screens_without_words_are_not_read(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_words", lambda *_: pytest.fail("it was read"))
    store.body = bmp(Screen(width=64, height=64))
    assert fetched(store.uri, tmp_path).value.facts.kind is ScreenKind.BLACK


# -- the file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("web-03", "web-03-20261124T120000Z.bmp"),
        ("../../etc/cron", "_.._etc_cron-20261124T120000Z.bmp"),
        ("a b;c\nd\x1b", "a_b_c_d_-20261124T120000Z.bmp"),
        ("", "vm-20261124T120000Z.bmp"),
        ("x" * 300, "x" * 64 + "-20261124T120000Z.bmp"),
    ],
)
def test_file_names_are_safe(name: str, file: str, tmp_path: Path) -> None:
    assert saved(b"BM", name, tmp_path, NOON) == str(tmp_path / file)


def test_a_png_is_saved_as_one(tmp_path: Path) -> None:
    assert (saved(png(Screen(width=2, height=2)), "web-03", tmp_path, NOON) or "").endswith(".png")


def test_a_file_that_is_there_is_neither_overwritten_nor_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "web-03-20261124T120000Z.bmp").symlink_to(target)
    assert saved(b"BM1", "web-03", tmp_path, NOON) == str(tmp_path / "web-03-20261124T120000Z-2.bmp")
    assert not target.exists()


def test_saving_that_fails_does_not_matter(store: Store, tmp_path: Path) -> None:
    (tmp_path / "vmagent").write_text("a file where the folder should be")
    answer = fetched(store.uri, tmp_path / "vmagent")
    assert (answer.state, answer.value.path) == (State.OK, None)
    assert answer.value.facts.kind is ScreenKind.BLUE_SCREEN


def test_the_newest_twenty_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "holiday-20200101T000000Z.jpg").write_text("mine")
    paths = []
    for number in range(23):
        paths.append(Path(saved(b"BM", f"vm{number}", tmp_path, NOON) or ""))
        at = (NOON + timedelta(minutes=number)).timestamp()
        os.utime(paths[-1], (at, at))
    saved(b"BM", "last", tmp_path, NOON)
    kept = {path.name for path in tmp_path.iterdir()}
    assert {"notes.txt", "holiday-20200101T000000Z.jpg", "last-20261124T120000Z.bmp", paths[22].name} <= kept
    assert len(kept) == 22
    assert not paths[0].exists()


# -- together with the serial log --------------------------------------------------------------------------------------


def test_log_and_screenshot_cost_one_call_of_arm(store: Store, tmp_path: Path) -> None:
    calls = []

    class Compute:
        def boot_diagnostics(self, target: Target, _deadline: Deadline) -> dict[str, str]:
            calls.append(target.name)
            return {SERIAL_LOG: store.uri, SCREENSHOT: store.uri}

    azure = LiveAzure(Compute, None, lambda: "", tmp_path)  # type: ignore[arg-type]
    assert azure.serial_log(WEB, Deadline.after(5))[1] == STOPPED
    assert azure.screenshot(WEB, Deadline.after(5))[1].facts.kind is ScreenKind.BLUE_SCREEN
    assert calls == ["web-03"]
