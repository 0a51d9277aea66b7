"""The screen of a recorded guest: drawn from its console, served as boot diagnostics serve it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import requests

from azext_vmagent.facts.screenshot import ScreenKind, Sure, read_screenshot
from lab.guests.screen import HEIGHT, WIDTH, console_screen
from tests.lab.standin import StandIn

RECORDINGS = Path(__file__).parents[2] / "lab" / "recordings"


def screen_address(standin: StandIn) -> str:
    answer = standin.call("POST", standin.vm_path + "/retrieveBootDiagnosticsData")
    uri: str = answer.json()["consoleScreenshotBlobUri"]
    return uri


def test_the_screenshot_is_a_blob_of_its_own(standin: StandIn) -> None:
    answer = requests.get(screen_address(standin), verify=str(standin.ca), timeout=10)
    assert (answer.status_code, answer.content) == (200, b"BM a screen")


def test_a_guest_without_a_screen_has_no_blob(standin: StandIn) -> None:
    standin.guest.screen = None
    assert requests.get(screen_address(standin), verify=str(standin.ca), timeout=10).status_code == 404


def test_no_screenshot_of_a_vm_that_is_off(standin: StandIn) -> None:
    standin.guest.power = "deallocated"
    assert requests.get(screen_address(standin), verify=str(standin.ca), timeout=10).status_code == 404


@pytest.mark.parametrize("name", ["healthy", "fstab-emergency"])
def test_a_recorded_console_is_drawn_as_a_text_console(name: str) -> None:
    drawn = console_screen((RECORDINGS / name / "serial.log").read_bytes())
    assert struct.unpack_from("<ii", drawn, 18) == (WIDTH, HEIGHT)
    found = read_screenshot(drawn)
    assert (found.kind, found.sure) == (ScreenKind.TEXT, Sure.LIKELY)


def test_the_last_lines_stand_on_the_screen() -> None:
    short, long = console_screen(b"web-03 login: "), console_screen(b"line\r\n" * 500 + b"web-03 login: ")
    first, last = 54 + 3 * WIDTH * (HEIGHT - 16), 54  # a BMP begins at the bottom
    assert short[first:] == long[last : last + 3 * WIDTH * 16]


@pytest.mark.parametrize("log", [b"", bytes(512), b"\x1b[2J\x1b[H" + bytes([255, 254]), b"x" * 5000, b"\r" * 50])
def test_any_console_can_be_drawn(log: bytes) -> None:
    assert len(console_screen(log)) == 54 + 3 * WIDTH * HEIGHT
