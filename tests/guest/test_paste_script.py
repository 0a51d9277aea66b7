"""What ``--print-probe`` prints, pasted into interactive shells on a terminal of their own as a person would."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from azext_vmagent.facts.guest import is_probe_answer, parse_probe
from azext_vmagent.facts.paste import pasted_answer
from azext_vmagent.facts.probe_answer import read_answer
from azext_vmagent.guest import paste_script, probe_script

SHELLS = {"bash": ["bash", "--norc", "-i"], "dash": ["dash", "-i"], "busybox": ["busybox", "sh", "-i"]}
#: without the network, whose every check then ends at once, and with a /run that nobody else looks into
ALONE = (
    ["unshare", "-n", "-m", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"]
    if os.geteuid() == 0 and shutil.which("unshare")
    else []
)


class Terminal:
    """A shell on a pty of 80 columns, driven by hand."""

    def __init__(self, ours: int) -> None:
        self.ours, self.shown = ours, b""

    def paste(self, text: str) -> None:
        """Write as a terminal does, taking what is shown meanwhile off the screen so that nothing blocks."""
        data = text.replace("\n", "\r").encode()
        while data:
            readable, writable, _ = select.select([self.ours], [self.ours], [], 10)
            if readable:
                self.shown += os.read(self.ours, 65536)
            elif writable:
                data = data[os.write(self.ours, data[:512]) :]

    def until(self, words: bytes, seconds: float = 60) -> None:
        """Until the screen shows them after what was typed."""
        end = time.monotonic() + seconds
        while words not in self.shown and time.monotonic() < end:
            if select.select([self.ours], [], [], 0.2)[0]:
                with suppress(OSError):
                    self.shown += os.read(self.ours, 65536)
        assert words in self.shown, self.shown[-600:]


@contextmanager
def terminal(command: list[str], path: str | None = None) -> Iterator[Terminal]:
    pid, ours = pty.fork()
    if pid == 0:
        environment = {"PATH": path or os.environ["PATH"], "TERM": "vt100", "HOME": "/", "COLUMNS": "80"}
        os.execvpe(command[0], command, environment)
    try:
        yield Terminal(ours)
    finally:
        os.close(ours)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("settings", ["", "set -eu"], ids=["as it is", "set -eu"])
def test_one_paste_answers_and_the_shell_lives_on(shell, settings):
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"NOT TRIED: no {shell} on this machine")
    with terminal([*ALONE, *SHELLS[shell]]) as screen:
        screen.paste(f"{settings}\n{paste_script()}")
        screen.until(b"\nend ")
        screen.paste("echo st''ill here\n")
        screen.until(b"still here")
    answer = pasted_answer(screen.shown.decode())
    assert read_answer(answer).whole, "its own checksum says so"
    facts = parse_probe(answer)
    assert (facts.uid, facts.kernel) == (os.geteuid(), os.uname().release) or "system" in facts.missing
    assert len(answer.encode()) <= 4096


def test_a_paste_that_lost_a_byte_is_not_run_and_says_so():
    with terminal([*ALONE, *SHELLS["dash"]]) as screen:
        screen.paste(paste_script().replace("limit=4096", "limit=496", 1))
        screen.until(b"damaged on the way (it lost or gained bytes): nothing was run, paste it again\r")
    assert not is_probe_answer(pasted_answer(screen.shown.decode()))


def test_another_user_goes_through_sudo(tmp_path):
    """With an ``id`` that says so and a ``sudo`` that tells: root alone runs the probe without it."""
    for name, script in {"id": "echo 1000", "sudo": 'echo "sudo was asked: $*"; exec "$@"'}.items():
        program = Path(tmp_path, name)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    with terminal([*ALONE, *SHELLS["dash"]], f"{tmp_path}:{os.environ['PATH']}") as screen:
        screen.paste(paste_script())
        screen.until(b"\nend ")
    assert b"sudo was asked: sh\r\n" in screen.shown
    facts = parse_probe(pasted_answer(screen.shown.decode()))
    assert facts.uid == 1000 or "system" in facts.missing


def test_nothing_in_it_that_an_interactive_shell_takes_for_itself():
    text = paste_script()
    lines = text.splitlines()
    assert text.isascii()
    assert "!" not in text
    assert "\t" not in text
    assert max(len(line) for line in lines) < 1000
    assert not [line for line in lines if line.startswith("^")]
    assert lines.count("END_OF_VMAGENT_PROBE") == 1
    assert "@21@" not in probe_script()
