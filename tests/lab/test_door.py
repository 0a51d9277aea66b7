"""The side door asks until it is heard, and takes only the answer to its own question."""

from __future__ import annotations

import base64
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.guests.base import LabError
from lab.guests.real.door import Door, parse_answer

Serve = Callable[[list[str]], str | None]


class Port:
    """A guest's end made of a function: from the words of a request to the line it answers, or None."""

    def __init__(self, path: Path, serve: Serve) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._serve = serve
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rw") as stream:
                for line in stream:
                    if words := line.split():
                        answer = self._serve(words)
                        if answer == "hang up":
                            break
                        if answer is not None:
                            stream.write(answer)
                            stream.flush()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path / "door.sock")
    yield made
    made.close()


def echo(words: list[str]) -> str:
    script = base64.b64decode(words[3]).decode()
    return f"END {words[1]} 3 {base64.b64encode(script.encode()).decode()}\n"


def test_a_command_and_its_answer(tmp_path: Path, door: Door) -> None:
    Port(tmp_path / "door.sock", echo)
    assert door.run("id", 5) == (3, "id")
    assert door.run("a 'b'\nc", 5) == (3, "a 'b'\nc")


def test_a_lost_greeting_is_repeated(tmp_path: Path, door: Door) -> None:
    seen: list[str] = []

    def lose_the_first(words: list[str]) -> str | None:
        seen.append(words[1])
        return echo(words) if len(seen) > 1 else None

    Port(tmp_path / "door.sock", lose_the_first)
    assert door.run("id", 10) == (3, "id")


def test_a_machine_that_was_replaced_is_found_again(tmp_path: Path, door: Door) -> None:
    calls: list[str] = []

    def hang_up_once(words: list[str]) -> str:
        calls.append(words[1])
        return "hang up" if len(calls) == 3 else echo(words)

    Port(tmp_path / "door.sock", hang_up_once)
    assert door.run("one", 5) == (3, "one")
    assert door.run("two", 5) == (3, "two")


def test_a_vm_that_is_off_is_said_at_once(door: Door) -> None:
    with pytest.raises(LabError, match=re.escape("(is the VM running?)")):
        door.run("id", 60)


def test_a_guest_that_never_answers_is_given_up(tmp_path: Path, door: Door) -> None:
    Port(tmp_path / "door.sock", lambda words: None)
    with pytest.raises(LabError, match="does not answer"):
        door.run("id", 1)


def test_only_the_answer_to_ones_own_question_counts() -> None:
    assert parse_answer(b"END me 0 aGk=", "me") == (0, "hi")
    assert parse_answer(b"\0END me 1 ", "me") == (1, "")
    for line in (b"END you 0 aGk=", b"END me", b"END me x aGk=", b"END me 0 a", b""):
        assert parse_answer(line, "me") is None
