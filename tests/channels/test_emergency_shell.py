"""The maintenance shell of a boot that stopped: left as it was found, unless the boot is to go on."""

from __future__ import annotations

import time

import pytest

from azext_vmagent.channels import emergency_shell, serial_console
from azext_vmagent.channels.console_line import LineLost
from azext_vmagent.channels.serial_console import ConsoleLogin
from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import State
from tests.channels.getty import Getty, stopped_boot
from tests.channels.test_serial_console import BOOTED, Quiet, SocketLine

pytestmark = pytest.mark.this_machine

ROOT = ConsoleLogin("root", "toor")
ASKS = b"Give root password for maintenance\r\n(or press Control-D to continue): "


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    for name, seconds in (("SETTLE_SECONDS", 0.1), ("ENTER_SECONDS", 2.0), ("SHELL_SECONDS", 3.0)):
        monkeypatch.setattr(serial_console, name, seconds)


def run(getty: Getty, script: str, login: ConsoleLogin = ROOT, seconds: float = 20, goes_on=None, line=SocketLine):
    return emergency_shell.run(
        lambda: line(getty.line()), BOOTED + getty.printed, login, script, Deadline.after(seconds), goes_on
    )


def until_asked_again(getty: Getty, seconds: float = 25) -> None:
    """sulogin asks, no shell of ours is there, and the boot did not go on."""
    end = time.monotonic() + seconds
    while not (getty.printed.endswith(b"to continue): ") and not any("sh -c" in one for one in getty.running())):
        assert time.monotonic() < end, (getty.printed[-200:], getty.running())
        time.sleep(0.05)
    assert b"default.target" not in getty.printed


def test_a_look_leaves_the_console_where_it_was_found(tmp_path):
    with stopped_boot(tmp_path) as getty:
        assert run(getty, "echo seen\n")[1] == "seen\n"
        until_asked_again(getty)
        assert b"toor" not in getty.printed
        assert [one for one in getty.running() if one.startswith("sleep ")] == []


def test_after_a_repair_that_took_the_boot_goes_on(tmp_path):
    with stopped_boot(tmp_path) as getty:
        assert run(getty, "echo applied\n", goes_on=lambda text: text == "applied\n")[1] == "applied\n"
        end = time.monotonic() + 5
        while b"Starting default.target" not in getty.printed:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_after_one_that_did_not_it_stays_where_it_is(tmp_path):
    with stopped_boot(tmp_path) as getty:
        run(getty, "echo failed\n", goes_on=lambda text: text == "applied\n")
        until_asked_again(getty)


def test_a_wrong_password_is_said_and_nothing_is_typed_after_it(tmp_path):
    with stopped_boot(tmp_path) as getty:
        line = SocketLine(getty.line())
        with pytest.raises(SourceFailed, match="refuses root's password") as caught:
            run(getty, "echo seen", ConsoleLogin("root", "guess"), line=lambda _: line)
        assert caught.value.state is State.DENIED
        assert line.typed == "\rguess\r"
        until_asked_again(getty)


def test_a_script_that_hangs_is_ended_and_the_boot_does_not_go_on(tmp_path):
    with stopped_boot(tmp_path) as getty:
        with pytest.raises(SourceFailed, match="did not finish in time"):
            run(getty, "sleep 100\n", seconds=5)
        until_asked_again(getty)


def test_a_script_that_began_unseen_is_ended_too(tmp_path):
    """The time was up before the guest's word came that the script runs."""
    with stopped_boot(tmp_path) as getty:

        class Late(SocketLine):
            deaf_until = 0.0

            def receive(self, seconds: float) -> str | None:
                text = super().receive(seconds)
                if text and ":run>" in text:
                    self.deaf_until = time.monotonic() + 5
                return text if time.monotonic() > self.deaf_until else None

        with pytest.raises(SourceFailed):
            run(getty, "sleep 1000\n", seconds=4, line=Late)
        until_asked_again(getty)


def test_a_line_that_is_lost_leaves_no_open_shell_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(serial_console, "LINGER_SECONDS", 0)
    with stopped_boot(tmp_path) as getty:

        class Lost(SocketLine):
            def send(self, text: str) -> None:
                if text.startswith("w()"):
                    raise LineLost(State.FAILED, "the console's connection was lost")
                super().send(text)

        with pytest.raises(SourceFailed, match="lost"):
            run(getty, "echo seen", seconds=4, line=Lost)
        until_asked_again(getty)


def test_somebodys_shell_that_opened_since_gets_no_password(tmp_path):
    with stopped_boot(tmp_path) as getty:
        before = BOOTED + getty.printed
        with getty.line() as somebody:
            somebody.sendall(b"toor\r")
            time.sleep(0.8)
            line = SocketLine(getty.line())
            line.receive(1)
            with pytest.raises(SourceFailed, match="no password typed"):
                emergency_shell.run(lambda: line, before, ROOT, "echo seen", Deadline.after(6))
        assert line.typed == "\r"


@pytest.mark.parametrize(
    "log",
    [
        b"Cannot open access to console, the root account is locked.\r\nSee sulogin(8)\r\n\r\nPress Enter to continue.\r\n",
        b"Press Enter for maintenance\r\n(or press Control-D to continue): ",
        b"(initramfs) ", b"web login: ", ASKS + b"\r\nroot@web:~# ", b"",
    ],
)  # fmt: skip
def test_no_key_is_pressed_where_roots_password_is_not_asked_for(log: bytes):
    console = Quiet()
    with pytest.raises(SourceFailed, match="no key pressed"):
        emergency_shell.run(lambda: console, BOOTED + log, ROOT, "echo seen", Deadline.after(5))
    assert console.typed == ""
