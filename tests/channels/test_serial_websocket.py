"""The serial console over a real websocket: a session that answers, and what refuses, takes or breaks one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from azext_vmagent.channels import console_line
from azext_vmagent.channels.serial_console import run
from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.evidence.console import open_line
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import State, Target
from lab.arm import identity
from tests.azure_double import http_error
from tests.channels.getty import ANSWER, ROOT, SCRIPT, Getty, short_waits, until_back
from tests.lab.standin import StandIn, standing

pytestmark = pytest.mark.this_machine

TARGET = Target("s", "lab", "vm1")


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    short_waits(monkeypatch)


class Arm:
    """The connect call alone."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def post(self, path: str, _params: dict[str, str], _deadline: Deadline) -> object:
        assert path.endswith("/virtualMachines/vm1/providers/Microsoft.SerialConsole/serialPorts/0/connect")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def standin(tmp_path, monkeypatch) -> Iterator[StandIn]:
    with standing(tmp_path) as up:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(up.ca))
        yield up


def arm(standin: StandIn) -> Arm:
    url = f"wss{standin.cloud.base_url[5:]}/console/{standin.vm.vm_id}/client"
    return Arm({"connectionString": url})


def token(standin: StandIn) -> str:
    return identity.token(standin.cloud, "https://management.azure.com/")


@pytest.mark.parametrize("cue", ["first-message", "none"])
def test_a_probe_over_the_websocket_in_both_ways_of_logging_in(standin, monkeypatch, cue):
    monkeypatch.setattr(console_line, "CUE_SECONDS", 0.5)
    standin.cloud.settings.change("console_cue", cue)
    with Getty() as getty:
        standin.guest.open_console = getty.line
        assert run(reaching(standin), getty.log(), ROOT, SCRIPT, Deadline.after(20))[1] == ANSWER
        until_back(getty)


def reaching(standin: StandIn):
    return lambda: open_line(arm(standin), lambda: token(standin), TARGET, Deadline.after(20))


def attach(standin: StandIn, address: object = None, key: str | None = None, seconds: float = 5) -> SourceFailed:
    with pytest.raises(SourceFailed) as caught:
        source = arm(standin) if address is None else Arm(address)
        with closing(open_line(source, lambda: key or token(standin), TARGET, Deadline.after(seconds))) as line:
            while True:
                line.receive(1)
    return caught.value


def test_a_console_that_somebody_else_has(standin):
    standin.cloud.settings.change("console_second", "refused")
    with closing(reaching(standin)()) as first:
        wait_for_session(standin)
        found = attach(standin)
        assert (found.state, "Another user is connected" in found.detail) == (State.FAILED, True)
        first.send("still mine")


def test_a_console_that_somebody_else_takes(standin):
    with closing(reaching(standin)()) as line:
        wait_for_session(standin)
        threading.Thread(target=attach_shortly, args=(standin,), daemon=True).start()
        with pytest.raises(SourceFailed, match="taken over"):
            for _ in range(9):
                line.receive(1)


def attach_shortly(standin: StandIn) -> None:
    with closing(reaching(standin)()) as line:
        line.receive(3)


def wait_for_session(standin: StandIn) -> None:
    end = time.monotonic() + 5
    while standin.cloud.consoles.of("vm1") is None:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_connection_lost_half_way_is_said(standin):
    standin.cloud.injections.add("cut:250*1@/client")
    with Getty() as getty:
        standin.guest.open_console = getty.line
        with pytest.raises(SourceFailed, match="connection was lost"):
            run(reaching(standin), getty.log(), ROOT, SCRIPT, Deadline.after(20))
        until_back(getty)


@pytest.mark.parametrize("after", [90, 200, 450])
def test_a_session_whose_connection_broke_is_logged_out_through_another(standin, after):
    """At the password, in the user's shell, and while the script runs."""
    standin.cloud.injections.add(f"cut:{after}*1@/client")
    with Getty() as getty:
        standin.guest.open_console = getty.line
        with pytest.raises(SourceFailed, match="connection was lost"):
            run(reaching(standin), getty.log(), ROOT, SCRIPT + "sleep 1\n" * 3, Deadline.after(20))
        until_back(getty)


@pytest.mark.parametrize(
    ("prepare", "state", "words"),
    [
        ("denied@/client", State.DENIED, "HTTP 403"),
        ("503@/client", State.FAILED, "HTTP"),
        ("reset@/client", State.FAILED, "no connection"),
    ],
)
def test_what_the_websocket_refuses(standin, prepare, state, words):
    standin.cloud.injections.add(prepare)
    found = attach(standin)
    assert (found.state in (state, State.DENIED), words in found.detail) == (True, True), found.detail


def test_a_token_that_is_not_accepted(standin):
    assert "not authorized" in attach(standin, key="no token").detail


def test_a_certificate_that_nobody_vouches_for(standin, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    found = attach(standin)
    assert (found.state, "certificate" in found.detail.lower()) == (State.FAILED, True)


NO_RIGHT = http_error(
    403, "AuthorizationFailed", "The client 'x' does not have authorization to perform action "
    "'Microsoft.SerialConsole/serialPorts/connect/action' over scope",
)  # fmt: skip
REFUSALS = {
    "no right": (NO_RIGHT, State.DENIED, "no right to connect"),
    "switched off": (
        http_error(403, "SerialConsoleDisabled", "Azure Serial Console is not enabled for this subscription."),
        State.FAILED, "az serial-console enable",
    ),
    "no boot diagnostics": (
        http_error(400, "X", "Azure Serial Console requires boot diagnostics to be enabled."),
        State.FAILED, "boot diagnostics are off",
    ),
    "not running": (
        http_error(409, "X", "Azure Serial Console requires a virtual machine to be running."),
        State.FAILED, "does not run",
    ),
    "no address": ({}, State.GARBLED, "does not say where"),
    "another address": ({"connectionString": "http://evil.example"}, State.GARBLED, "no websocket"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "state", "words"), REFUSALS.values(), ids=REFUSALS)
def test_what_connect_refuses_is_said_in_words_of_its_own(standin, answer, state, words):
    found = attach(standin, answer)
    assert (found.state, words in found.detail) == (state, True), found.detail
    if state is State.DENIED:
        assert found.missing_action == "Microsoft.SerialConsole/serialPorts/connect/action"
