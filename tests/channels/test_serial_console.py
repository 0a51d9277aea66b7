"""The serial console as a way in: at a real terminal with a real shell behind it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

import pytest

from azext_vmagent.causes.cures import Step
from azext_vmagent.channels import serial_console
from azext_vmagent.channels.console_line import LineLost
from azext_vmagent.channels.serial_console import ConsoleLogin, look, run
from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.console import Look
from azext_vmagent.facts.probe_answer import posix_checksum
from azext_vmagent.model import State
from azext_vmagent.repair.script import repair_script
from tests.channels.getty import ANSWER, OPS, ROOT, SCRIPT, Getty, script, short_waits, until_back

pytestmark = pytest.mark.this_machine

BOOTED = b"[    0.000000] Linux version 6.1\r\n"


class SocketLine:
    """A console line straight to a socket: the websocket has tests of its own."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket, self.typed = connected, ""

    def send(self, text: str) -> None:
        self.typed += text
        self.socket.sendall(text.encode())

    def receive(self, seconds: float) -> str | None:
        self.socket.settimeout(max(0.01, seconds))
        try:
            data = self.socket.recv(4096)
        except TimeoutError:
            return None
        if not data:
            raise SourceFailed(State.FAILED, "the console's connection was lost")
        return data.decode("utf-8", "replace")

    def close(self) -> None:
        self.socket.close()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    short_waits(monkeypatch)


def probed(getty: Getty, login: ConsoleLogin = ROOT, text: str = SCRIPT, seconds: float = 30, **more):
    return run(lambda: SocketLine(getty.line()), getty.log(), login, text, Deadline.after(seconds), **more)


def refused(getty: Getty, login: ConsoleLogin = ROOT, **more) -> SourceFailed:
    with pytest.raises(SourceFailed) as caught:
        probed(getty, login, **more)
    return caught.value


def until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not found():
        assert time.monotonic() < end
        time.sleep(0.05)


# -- the probe -----------------------------------------------------------------------------------------------------


def test_the_answer_comes_back_whole_and_the_console_is_left_at_its_prompt():
    with Getty() as getty:
        assert probed(getty) == ("root, at the console as root", ANSWER)
        until_back(getty)
        assert b"toor" not in getty.printed


def test_a_long_script_and_a_long_answer():
    text = "".join(f"echo line {number} $(printf %0200d {number}) # {'x' * 200}\n" for number in range(120))
    with Getty() as getty:
        _, answer = probed(getty, text=text)
    assert answer.splitlines()[119].startswith("line 119 000")
    assert len(answer.splitlines()) == 120


def test_kernel_messages_in_the_middle_of_everything():
    with Getty(noise=b"[  412.123456] eth0: NIC Link is Down\r\n") as getty:
        assert probed(getty)[1] == ANSWER


def test_a_line_that_was_damaged_is_asked_for_again():
    text = "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo $i $(echo $i | cksum); done\n"
    with Getty(damage_once=b":2:") as getty:
        assert len(probed(getty, text=text)[1].splitlines()) == 60
        assert getty.damage_once == b""


def test_without_base64_and_gzip_the_script_travels_as_it_is(tmp_path):
    for name in ("id", "od", "tr", "sleep", "env", "sh", "stty", "cat"):
        os.symlink(f"/usr/bin/{name}" if os.path.exists(f"/usr/bin/{name}") else f"/bin/{name}", tmp_path / name)
    with Getty(environment={"PATH": str(tmp_path)}) as getty:
        assert probed(getty)[1] == ANSWER


def guest_of_a_user(tmp_path, sudo: str) -> Getty:
    script(tmp_path, "id", "echo 1000")
    script(tmp_path, "sudo", sudo)
    return Getty(environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"})


ASKS = """
[ "$1" = -n ] && exit 1
read -r given
[ "$given" = secret ] || exit 1
shift 2
exec "$@" """


def test_sudo_without_a_password(tmp_path):
    with guest_of_a_user(tmp_path, 'shift; exec "$@"') as getty:
        assert probed(getty, OPS) == ("root through sudo, at the console as ops", ANSWER)


def test_sudo_with_the_same_password(tmp_path):
    with guest_of_a_user(tmp_path, ASKS) as getty:
        assert probed(getty, OPS) == ("root through sudo with the password, at the console as ops", ANSWER)
        until_back(getty)
        assert b"secret" not in getty.printed


def test_a_user_who_may_not_sudo_is_said_and_logged_out(tmp_path):
    with guest_of_a_user(tmp_path, "exit 1") as getty:
        found = refused(getty, OPS)
        assert (found.state, "may not become root with sudo" in found.detail) == (State.DENIED, True)
        until_back(getty)


def test_a_wrong_password_is_denied_and_shows_that_the_guest_lives():
    with Getty() as getty:
        found = refused(getty, ConsoleLogin("root", "guess"))
        assert found.state is State.DENIED
        assert "wrong password" in found.detail
        assert found.value.lives
        assert b"guess" not in getty.printed
        until_back(getty)


def test_after_somebodys_wrong_password_the_prompt_is_logins_own_and_takes_an_empty_name():
    with Getty() as getty:
        with getty.line() as somebody:
            somebody.sendall(b"root\r")
            time.sleep(0.3)
            somebody.sendall(b"mistaken\r")
            time.sleep(0.8)
        assert probed(getty)[1] == ANSWER


def test_after_our_wrong_password_the_console_stands_at_gettys_prompt_again():
    with Getty() as getty:
        refused(getty, ConsoleLogin("root", "guess"))
        assert getty.printed.endswith(b"Debian GNU/Linux 12 web ttyS0\r\r\n\r\r\nweb login: ")


def test_a_password_that_the_guest_echoes_is_not_shown():
    with Getty(shell="echo secret; printf 'secret? '; sleep 9") as getty:
        assert "secret" not in refused(getty, OPS).detail


def test_a_password_that_is_a_common_word_does_not_mask_our_own_words():
    with Getty() as getty:
        assert "a wrong password" in refused(getty, ConsoleLogin("root", "wrong")).detail


def test_the_password_is_in_no_representation():
    assert "secret" not in repr(OPS)


def test_a_half_typed_name_is_wiped_first():
    with Getty() as getty:
        with getty.line() as somebody:
            somebody.sendall(b"bac")
            time.sleep(0.2)
        assert probed(getty)[1] == ANSWER


def test_somebodys_open_shell_is_not_taken_over():
    with Getty() as getty:
        with getty.line() as somebody:
            somebody.sendall(b"root\r")
            time.sleep(0.3)
            somebody.sendall(b"toor\r")
            time.sleep(0.5)
        line = SocketLine(getty.line())
        with pytest.raises(SourceFailed, match="somebody's shell"):
            run(lambda: line, getty.log(), ROOT, SCRIPT, Deadline.after(10))
        assert line.typed == ""


def test_a_login_shell_that_runs_nothing_is_said_and_logged_out():
    with Getty(shell="echo This account is not available.; sleep 1") as getty:
        found = refused(getty)
        assert found.state in (State.FAILED, State.DENIED)
        until_back(getty)


def test_a_script_that_hangs_ends_with_the_budget_and_is_logged_out():
    with Getty() as getty:
        began = time.monotonic()
        found = refused(getty, text="sleep 100\n", seconds=6)
        assert found.state is State.TIMED_OUT
        assert time.monotonic() - began < 14
        until_back(getty)


def test_a_session_that_lost_its_client_ends_by_itself(monkeypatch):
    monkeypatch.setattr(serial_console, "LINGER_SECONDS", 0)
    with Getty() as getty:
        line = SocketLine(getty.line())
        sending, lost = line.send, []

        def lost_at_the_first_slice(text: str) -> None:
            lost.extend(["w()"] if text.startswith("w()") else [])
            if lost:
                raise SourceFailed(State.FAILED, "the console's connection was lost")
            sending(text)

        line.send = lost_at_the_first_slice
        with pytest.raises(SourceFailed, match="lost"):
            run(lambda: line, getty.log(), ROOT, SCRIPT, Deadline.after(4))
        assert getty.running()
        until_back(getty)


# -- a script that must not be stopped half way ------------------------------------------------------------------------


class Breaking(SocketLine):
    """A line that breaks as soon as the guest has begun to run the script."""

    def receive(self, seconds: float) -> str | None:
        text = super().receive(seconds)
        if text and ":run>" in text:
            raise LineLost(State.FAILED, "the console's connection was lost")
        return text


def test_the_repair_program_reaches_the_guest_whole():
    program = repair_script([Step("start-agent", ("waagent.service",))])
    assert len(program) > 40_000
    with Getty() as getty:
        _, said = probed(getty, text=f"cksum <<'END_OF_ALL'\n{program}END_OF_ALL\n", steady=True)
        assert said.split() == [str(posix_checksum(program.encode())), str(len(program))]
        until_back(getty)


def test_a_line_that_breaks_is_taken_up_again_and_the_answer_is_whole(tmp_path):
    with Getty() as getty:
        lines = iter([Breaking(getty.line()), SocketLine(getty.line())])
        script = f"sleep 2; echo once >>{tmp_path}/runs; echo done"
        said = run(lambda: next(lines), getty.log(), ROOT, script, Deadline.after(30), steady=True)
        assert said[1] == "done\n"
        assert (tmp_path / "runs").read_text() == "once\n"
        until_back(getty)


def test_where_no_other_line_is_to_be_had_the_guest_goes_on_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(serial_console, "LINGER_SECONDS", 0)
    with Getty() as getty:
        lines = iter([Breaking(getty.line())])

        def reach() -> SocketLine:
            for line in lines:
                return line
            raise SourceFailed(State.FAILED, "the console's websocket does not answer")

        script = f"sleep 2; echo done >{tmp_path}/done"
        with pytest.raises(SourceFailed, match="the guest goes on with it by itself"):
            run(reach, getty.log(), ROOT, script, Deadline.after(8), steady=True)
        until((tmp_path / "done").exists)
        until_back(getty, 15)


def test_out_of_time_the_script_is_left_at_work_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(serial_console, "LINGER_SECONDS", 3)
    with Getty() as getty:
        script = f"sleep 5; echo done >{tmp_path}/done"
        found = refused(getty, text=script, seconds=4, steady=True)
        assert found.state is State.TIMED_OUT
        assert "the guest goes on with it by itself" in found.detail
        until((tmp_path / "done").exists)
        until_back(getty, 15)


# -- keys that are never pressed -----------------------------------------------------------------------------------


class Quiet:
    """A console that prints what it is told to, and nothing more."""

    def __init__(self, *pieces: str) -> None:
        self.pieces, self.typed = list(pieces), ""

    def send(self, text: str) -> None:
        self.typed += text

    def receive(self, seconds: float) -> str | None:
        if self.pieces:
            return self.pieces.pop(0)
        time.sleep(min(seconds, 0.05))
        return None

    def close(self) -> None:
        """Nothing to close."""


NOT_A_PROMPT = {
    "grub": b"GRUB loading.\r\ngrub> ",
    "initramfs": BOOTED + b"(initramfs) ",
    "maintenance": BOOTED + b"Give root password for maintenance\r\n(or press Control-D to continue): ",
    "password": BOOTED + b"\r\nweb login: ops\r\nPassword: ",
    "shell": BOOTED + b"\r\nweb login: ops\r\nPassword: \r\nops@web:~$ ",
    "windows": b"Computer is booting, SAC started and initialized.\r\nSAC>",
    "booting": BOOTED + b"web login: \r\n" + BOOTED,
    "half typed": BOOTED + b"\r\nweb login: op",
    "nothing": b"",
}


@pytest.mark.parametrize("log", NOT_A_PROMPT.values(), ids=NOT_A_PROMPT)
def test_the_look_presses_no_key_at_anything_but_a_login_prompt(log):
    console = Quiet()
    _, found = look(console, log, Deadline.after(5))
    assert (console.typed, found.look, found.lives, found.hangs) == ("", Look.NOT_PRESSED, False, False)


@pytest.mark.parametrize("log", [log for name, log in NOT_A_PROMPT.items() if name != "half typed"])
def test_nobody_logs_in_at_anything_but_a_login_prompt(log):
    console = Quiet()
    with pytest.raises(SourceFailed, match="no key pressed"):
        run(lambda: console, log, ROOT, SCRIPT, Deadline.after(5))
    assert console.typed == ""


def test_what_the_console_says_on_attaching_outweighs_the_log():
    console = Quiet("\r\nGive root password for maintenance\r\n(or press Control-D to continue): ")
    _, found = look(console, BOOTED + b"\r\nweb login: ", Deadline.after(5))
    assert (console.typed, found.look) == ("", Look.NOT_PRESSED)


def test_a_login_prompt_that_does_not_react_is_silent_after_one_enter():
    console = Quiet()
    said, found = look(console, BOOTED + b"\r\nweb login: ", Deadline.after(5))
    assert (console.typed, found.look, found.hangs) == ("\r", Look.SILENT, True)
    assert "no answer to Enter" in said


def test_silence_that_nobody_had_time_to_wait_for_is_no_silence(monkeypatch):
    monkeypatch.setattr(serial_console, "ENTER_SECONDS", 12.0)
    console = Quiet()
    with pytest.raises(SourceFailed, match="too little time") as caught:
        look(console, BOOTED + b"\r\nweb login: ", Deadline.after(5))
    assert (console.typed, caught.value.value) == ("", None)


def test_a_fresh_prompt_says_when():
    with Getty() as getty:
        line = SocketLine(getty.line())
        said, found = look(line, getty.log(), Deadline.after(5))
    assert (line.typed, found.look, found.text) == ("\r", Look.FRESH_PROMPT, "web login:")
    assert f"{found.at:%H:%M:%SZ}" in said
