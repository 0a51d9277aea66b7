"""Which stream gets what: a person reads the report, a script gets the object and nothing else."""

from __future__ import annotations

import io
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from azext_vmagent.console import Console
from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Answer, State
from azext_vmagent.repair.model import Refusal, RepairPlan
from azext_vmagent.verdict.decide import decide
from tests.verdict.build import READY, WISH, facts

SEEN = facts(vm=READY)
DIAGNOSIS = Diagnosis(SEEN, decide(SEEN, WISH), (), 1.0)
STEP = Answer("serial log", State.OK, "login prompt", None, 0.9)


class Stream(io.StringIO):
    """A terminal, or a file; some encodings cannot hold a check mark."""

    def __init__(self, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self.terminal, self._encoding = terminal, encoding

    def isatty(self) -> bool:
        return self.terminal

    @property
    def encoding(self) -> str:
        return self._encoding


class Cli:
    """What the console asks of az."""

    def __init__(self, *given: str, configured: str | None = None, quiet: bool = False) -> None:
        self.data = {"safe_params": list(given)}
        self.config = SimpleNamespace(get=lambda _section, _name, fallback=None: configured or fallback)
        self.only_show_errors = quiet
        self.handlers: list[Any] = []

    def register_event(self, _event: str, handler: Any) -> None:
        self.handlers.append(handler)


@pytest.fixture
def show(monkeypatch):
    """Run a diagnosis' output through a console; what landed on stdout, on stderr, and whether az prints the object."""

    def run(cli: Any, out: bool = True, err: bool = True, encoding: str = "utf-8") -> tuple[str, str, bool]:
        stdout, stderr = Stream(out, encoding), Stream(err, encoding)
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setenv("NO_COLOR", "1")
        console = Console.of(cli)
        console.step(STEP)
        console.show(DIAGNOSIS)
        return stdout.getvalue(), stderr.getvalue(), not console.report_is_the_output

    return run


def test_the_plan_of_a_repair_is_part_of_the_report_wherever_that_goes(monkeypatch):
    plan = RepairPlan(refusal=Refusal("healthy", "there is nothing to repair"))
    for terminal in (True, False):
        stdout, stderr = Stream(terminal), Stream(terminal)
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(sys, "stderr", stderr)
        Console.of(Cli()).show(DIAGNOSIS, plan)
        shown, other = (stdout, stderr) if terminal else (stderr, stdout)
        assert "there is nothing to repair" in shown.getvalue()
        assert other.getvalue() == ""


def has_report(text: str) -> bool:
    return "Healthy:" in text


def has_steps(text: str) -> bool:
    return "login prompt" in text


def test_on_a_terminal_the_report_is_the_output_and_nothing_else(show):
    out, err, az_prints = show(Cli("-g", "-n"))
    assert has_report(out)
    assert not has_steps(out)
    assert has_steps(err)
    assert not has_report(err)
    assert not az_prints


@pytest.mark.parametrize(
    "given",
    ["-o", "--output", "--out", "--outp", "--query", "--que", "--quer"],
)
def test_who_asks_for_a_format_gets_the_object_and_the_report_beside_it(show, given):
    out, err, az_prints = show(Cli("-g", "-n", given))
    assert (out, az_prints) == ("", True)
    assert has_report(err)
    assert has_steps(err)


def test_a_configured_format_counts_as_asked_for(show):
    out, err, az_prints = show(Cli(configured="table"))
    assert (out, az_prints, has_report(err)) == ("", True, True)


def test_a_pipe_gets_the_object(show):
    out, err, az_prints = show(Cli(), out=False)
    assert (out, az_prints, has_report(err)) == ("", True, True)


@pytest.mark.parametrize("given", [[], ["--verbose"], ["--verb"], ["--debug"]])
def test_without_a_terminal_steps_show_only_when_asked_for(show, given):
    out, err, az_prints = show(Cli(*given), out=False, err=False)
    assert (out, az_prints, has_report(err)) == ("", True, True)
    assert has_steps(err) is bool(given)


@pytest.mark.parametrize("terminal", [True, False])
def test_only_errors_means_the_object_alone(show, terminal):
    assert show(Cli("--only-show-errors", "--verbose", quiet=True), out=terminal, err=terminal) == ("", "", True)


@pytest.mark.parametrize("given", ["--ids", "--resource-group", "--ssh-user", "--timeout", "--name", "--subscription"])
def test_other_options_change_nothing(show, given):
    out, _, az_prints = show(Cli(given))
    assert has_report(out)
    assert not az_prints


def test_a_terminal_that_cannot_show_a_mark_gets_something_it_can(show):
    _, err, _ = show(Cli(), encoding="ascii")
    assert err.isascii()
    assert has_steps(err)


def test_colours_are_for_people_who_want_them(monkeypatch):
    def shown(terminal: bool, **environment: str) -> str:
        for name in ("NO_COLOR", "TERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stream = Stream(terminal)
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        cli: Any = Cli()
        Console.of(cli).show(DIAGNOSIS)
        return stream.getvalue()

    assert "\x1b[" in shown(True, TERM="xterm")
    assert "\x1b[" not in shown(True, TERM="xterm", NO_COLOR="1")
    assert "\x1b[" not in shown(True, TERM="dumb")
    assert "\x1b[" not in shown(False, TERM="xterm")


def test_a_step_of_one_among_several_names_its_vm(monkeypatch):
    stream = Stream(True)
    monkeypatch.setattr(sys, "stderr", stream)
    cli: Any = Cli()
    Console.of(cli).step(STEP, "web-03")
    assert stream.getvalue().startswith("web-03: ")


def test_the_exit_code_comes_after_az_has_printed_the_object(show):
    cli: Any = Cli()
    console = Console.of(cli)
    console.exit_with(12)
    with pytest.raises(SystemExit) as caught:
        cli.handlers[0](cli, result=None)
    assert caught.value.code == 12


@pytest.mark.parametrize(
    ("typed", "agreed"),
    [
        (b"\n", False),
        (b"\x04", False),
        (b"n\n", False),
        (b"yea\n", False),
        (b"ja\n", False),
        (b"y\n", True),
        (b"YES\n", True),
        (b"no\x7f\x7fyes\n", True),
    ],
)
def test_only_a_typed_yes_is_a_yes(monkeypatch, typed, agreed):
    """At a pseudo terminal: Enter alone and Ctrl+D are a no, and nothing of the question lands in the object's file."""
    ours, theirs = os.openpty()
    stdout = Stream(False)
    with os.fdopen(theirs, encoding="utf-8") as terminal:
        error = Stream(True)
        for name, stream in (("stdin", terminal), ("stdout", stdout), ("stderr", error)):
            monkeypatch.setattr(sys, name, stream)
        cli: Any = Cli("-o")
        console = Console.of(cli)
        assert console.can_ask
        os.write(ours, typed)
        assert console.confirm("Apply?") is agreed
        monkeypatch.undo()
    os.close(ours)
    assert stdout.getvalue() == ""
    assert error.getvalue().startswith("Apply? (y/N): ")


@pytest.mark.parametrize(("stdin", "stderr", "quiet"), [(False, True, False), (True, False, False), (True, True, True)])
def test_nobody_is_asked_without_a_terminal_on_both_sides(monkeypatch, stdin, stderr, quiet):
    monkeypatch.setattr(sys, "stdin", Stream(stdin))
    monkeypatch.setattr(sys, "stderr", Stream(stderr))
    cli: Any = Cli(quiet=quiet)
    assert not Console.of(cli).can_ask
