"""Run Command against doubles of its two clients: what the agent said, what failed, and what is left behind."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError, ServiceResponseTimeoutError

from azext_vmagent.channels import run_command
from azext_vmagent.channels.open_requests import OpenRequests
from azext_vmagent.evidence.asking import SourceFailed, ask
from azext_vmagent.evidence.compute import Operation
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.run_command import command_id
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
    return run_command.run(compute, arm, TARGET, "echo", Deadline.after(seconds), OpenRequests())


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


def test_a_cancelled_command_is_named_even_without_an_error():
    assert "Canceled" in failure({"status": "Canceled"}).detail


RIGHT = "does not have authorization to perform action 'Microsoft.Compute/virtualMachines/runCommand/action' over scope"
REFUSED = {
    "another script": (409, "Conflict", "Run command extension execution is in progress. Please wait for", "P07", "busy"),
    "another operation": (409, "Conflict", "The request failed due to conflict with a concurrent request.", "P19", "log"),
    "power operation": (409, "Conflict", "An ongoing operation is changing power state of VM x", "P19", "power state"),
    "off": (
        409, "OperationNotAllowed", "Cannot modify extensions in the VM when the VM is not running.", "P01",
        "az vm start -g rg -n web-03",
    ),
    "forbidden": (
        409, "OperationNotAllowed", "This operation cannot be performed when extension operations are disallowed.", "P04",
        "osProfile.allowExtensionOperations=true",
    ),
    "goal state": (
        409, "Conflict", "A new goal state was received, but not all the extensions in the previous goal state have "
        "completed", "P10", "az vm reapply",
    ),
    "no right": (403, "AuthorizationFailed", RIGHT, "P14", "virtualMachines/runCommand/action"),
    "lock": (409, "ScopeLocked", "The scope cannot perform write operation", "P15", "lock"),
}  # fmt: skip


@pytest.mark.parametrize(("status", "code", "message", "cause", "words"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_says_by_what_and_what_clears_it(status, code, message, cause, words):
    answer = ask("run command", lambda: run(RUNNING, accepting=Accepting(http_error(status, code, message))))
    assert (answer.state, answer.cause) == (State.DENIED if status == 403 else State.FAILED, cause)
    assert words in answer.detail
    assert code in answer.detail


def test_words_that_nobody_knows_stay_as_azure_said_them():
    answer = ask("run command", lambda: run(RUNNING, accepting=Accepting(http_error(500, "Oops", "something broke"))))
    assert (answer.cause, answer.detail) == (None, "Oops (500): something broke")


def error(code: str, message: str, *inner: dict[str, Any]) -> dict[str, Any]:
    return {"code": code, "message": message, "details": list(inner)}


ENDED = {
    "silent": (error("VMAgentStatusCommunicationError", "VM has\nnot reported"), State.TIMED_OUT, "P09"),
    "silent, one level down": (
        error("Conflict", "x", error("VMAgentStatusCommunicationError", "VM 'X' has not reported status")),
        State.TIMED_OUT,
        "P09",
    ),
    "extension silent": (
        error("VMExtensionStatus", "VM agent on VM 'x' has not reported latest status for extension 'RunCommandLinux'"),
        State.FAILED,
        "P08",
    ),
    "time-out of Azure": (error("VMExtensionProvisioningTimeout", "Provisioning of VM extension"), State.FAILED, "P08"),
    "preempted": (error("OperationPreempted", "preempted by a more recent operation"), State.FAILED, "P19"),
    "unknown": (error("InternalExecutionError", "oops"), State.FAILED, None),
}


@pytest.mark.parametrize(("said", "state", "cause"), ENDED.values(), ids=ENDED)
def test_a_command_that_azure_ends_with_an_error_is_named_by_its_innermost_word(said, state, cause):
    failed = failure({"status": "Failed", "error": said})
    assert (failed.state, failed.cause) == (state, cause)
    innermost = said["details"][0] if said["details"] else said
    assert innermost["code"] in failed.detail


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


def test_an_answer_that_comes_in_the_last_wait_is_not_thrown_away(monkeypatch):
    monkeypatch.setattr(run_command, "LAST_LOOK_SECONDS", 0.2)
    found = run(ended("hello"), accepting=Accepting(retry_after=60), seconds=0.6)
    assert found[1] == "hello"


def test_an_outcome_that_may_not_be_read_is_said_at_once():
    denied = http_error(
        403, "AuthorizationFailed", "may not perform action 'Microsoft.Compute/locations/operations/read'"
    )
    started = time.monotonic()
    failed = failure(denied, seconds=30)
    assert (failed.state, failed.missing_action) == (State.DENIED, "Microsoft.Compute/locations/operations/read")
    assert "sent, but its outcome may not be read" in failed.detail
    assert time.monotonic() - started < 2


def test_a_post_that_nobody_answered_may_have_been_accepted():
    failed = failure(RUNNING, accepting=Accepting(ServiceResponseTimeoutError("Read timed out")))
    assert failed.state is State.TIMED_OUT
    assert "stays in the VM's queue" in failed.detail
    assert "az vm restart -g rg -n web-03" in failed.detail


def test_what_is_open_while_it_waits_is_said_to_whoever_interrupts():
    requests, compute, arm = OpenRequests(), Accepting(), Polled(RUNNING)

    def call() -> Any:
        return run_command.run(compute, arm, TARGET, "echo", Deadline.after(1.5), requests)  # type: ignore[arg-type]

    waiting = threading.Thread(target=ask, args=("run command", call))
    waiting.start()
    time.sleep(0.2)
    (line,) = requests.withdrawn()
    assert "stays in the VM's queue" in line
    waiting.join()
    assert requests.withdrawn() == []


# -- Windows -----------------------------------------------------------------------------------------------------------


def windows_ended(stdout: str, stderr: str = "") -> dict[str, Any]:
    """The sample response of learn.microsoft.com, REST «Virtual Machines - Run Command», around other streams."""
    info = {"level": "Info", "displayStatus": "Provisioning succeeded"}
    value = [
        {"code": "ComponentStatus/StdOut/succeeded", **info, "message": stdout},
        {"code": "ComponentStatus/StdErr/succeeded", **info, "message": stderr},
    ]
    return {"status": "Succeeded", "properties": {"output": {"value": value}}}


def test_windows_has_a_status_for_each_stream():
    said, out = run(windows_ended("vmagent-probe-windows 1 json\r\n[stdout]\r\n", "warning"))
    assert (said, out) == ("answered by the agent", "vmagent-probe-windows 1 json\r\n[stdout]\r\n")


def test_a_windows_script_that_said_nothing_is_told_with_what_went_wrong():
    with pytest.raises(SourceFailed, match="cannot be loaded because running scripts is disabled"):
        run(windows_ended("", "cannot be loaded because running scripts is disabled on this system"))


@pytest.mark.parametrize(
    "value", [None, [], [None], [{"code": "x"}], {"a": 1}, "text", [{"code": "ComponentStatus/StdOut"}]]
)
def test_statuses_of_another_shape_are_garbled_or_empty(value):
    with pytest.raises(SourceFailed) as caught:
        run({"status": "Succeeded", "properties": {"output": {"value": value}}})
    assert caught.value.state in (State.GARBLED, State.FAILED)


@pytest.mark.parametrize(("script", "command"), [
    ("#Requires -Version 4.0\nGet-Date", "RunPowerShellScript"), ("#!/bin/sh\nid", "RunShellScript"),
    ("id", "RunShellScript"),
])  # fmt: skip
def test_a_script_goes_to_the_command_that_understands_it(script, command):
    assert command_id(script) == command
