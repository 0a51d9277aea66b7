"""Run Command against doubles of its two clients: what the agent said, what failed, and what is left behind."""

from __future__ import annotations

import time
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError

from azext_vmagent.channels import run_command
from azext_vmagent.evidence.asking import SourceFailed, ask
from azext_vmagent.evidence.compute import Operation
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import State, Target
from tests.azure_double import http_error

TARGET = Target("s", "rg", "web-03")
RUNNING: dict[str, Any] = {"status": "InProgress"}


def ended(message: str) -> dict[str, Any]:
    value = [{"code": "ProvisioningState/succeeded", "level": "Info", "message": message}]
    return {"status": "Succeeded", "properties": {"output": {"value": value}}}


class Accepting:
    """Azure accepts the command, or does not."""

    def __init__(self, refuses: Exception | None = None, retry_after: float = 0.0) -> None:
        self.refuses, self.retry_after = refuses, retry_after

    def start_run_command(self, _target: Target, _script: str, _deadline: Deadline) -> Operation:
        if self.refuses:
            raise self.refuses
        return Operation("https://azure.example/operations/1", self.retry_after)


class Polled:
    """Each look at the operation finds the next of these; the last one for ever."""

    def __init__(self, *found: dict[str, Any] | Exception) -> None:
        self.found, self.looks = list(found), 0

    def get(self, _url: str, _params: dict[str, str], _deadline: Deadline) -> dict[str, Any]:
        self.looks += 1
        now = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(now, Exception):
            raise now
        return now


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(run_command, "POLL_SECONDS", 0.01)


def run(*found: dict[str, Any] | Exception, accepting: Accepting | None = None, seconds: float = 5.0):
    compute: Any = accepting or Accepting()
    arm: Any = Polled(*found)
    return run_command.run(compute, arm, TARGET, "echo", Deadline.after(seconds))


def failure(*found: dict[str, Any] | Exception, **how: Any) -> SourceFailed:
    with pytest.raises(SourceFailed) as caught:
        run(*found, **how)
    return caught.value


def test_the_scripts_output_comes_back_without_the_handlers_wrapping():
    message = "Enable succeeded: \n[stdout]\nvmagent-probe 1\nend 1 0\n\n[stderr]\n"
    assert run(RUNNING, RUNNING, ended(message)) == ("answered by the agent", "vmagent-probe 1\nend 1 0\n\n")


def test_a_script_that_failed_and_said_nothing_is_a_failure_with_its_own_words():
    failed = failure(ended("Enable failed: command terminated with exit status=3\n[stdout]\n\n[stderr]\nno sh\n"))
    assert (failed.state, failed.detail) == (State.FAILED, "the script said nothing (exit 3): no sh")


def test_a_command_that_azure_ends_with_an_error_names_it():
    error = {
        "status": "Failed",
        "error": {"code": "VMAgentStatusCommunicationError", "message": "VM has\nnot reported"},
    }
    assert failure(error).detail == "VMAgentStatusCommunicationError: VM has not reported"


def test_a_cancelled_command_is_named_even_without_an_error():
    assert "Canceled" in failure({"status": "Canceled"}).detail


def test_another_command_that_runs_is_a_conflict_and_not_a_silent_agent():
    busy = http_error(409, "Conflict", "Run command extension execution is in progress.")
    answer = ask("run command", lambda: run(RUNNING, accepting=Accepting(busy)))
    assert (answer.state, answer.status) == (State.FAILED, 409)
    assert "in progress" in answer.detail


@pytest.mark.parametrize(
    "document",
    [
        {"status": "Succeeded"},
        {"status": "Succeeded", "properties": None},
        {"status": "Succeeded", "properties": {"output": {"value": []}}},
        {"status": "Succeeded", "properties": {"output": "x"}},
    ],
)
def test_an_end_without_its_output_is_garbled(document):
    assert failure(document).state is State.GARBLED


@pytest.mark.parametrize("document", [{"status": "Failed", "error": "x"}, {"status": "Failed", "error": None}])
def test_a_failure_without_a_readable_error_is_still_a_failure(document):
    assert failure(document).state is State.FAILED


def test_a_lost_poll_is_not_a_lost_command():
    lost = ServiceResponseError("reset")
    assert run(lost, http_error(500, "x", "y"), RUNNING, ended("hello"))[1] == "hello"


@pytest.mark.parametrize("found", [RUNNING, {}, ServiceResponseError("reset")], ids=["running", "no status", "lost"])
def test_an_agent_that_never_answers_ends_with_the_budget_and_says_what_stays(found):
    started = time.monotonic()
    answer = ask("run command", lambda: run(found, seconds=0.3))
    assert answer.state is State.TIMED_OUT
    assert "stays in the VM's queue" in answer.detail
    assert time.monotonic() - started < 1.5


def test_azures_wish_to_be_asked_seldom_does_not_outlast_the_budget():
    started = time.monotonic()
    assert failure(RUNNING, accepting=Accepting(retry_after=60), seconds=0.3).state is State.TIMED_OUT
    assert time.monotonic() - started < 1.5
