"""The managed run command against a double of ARM: what the agent said, what failed, and that nothing of it stays."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError, ServiceResponseTimeoutError

from azext_vmagent.channels import managed_run_command, run_command
from azext_vmagent.channels.open_requests import OpenRequests
from azext_vmagent.evidence.asking import SourceFailed, ask
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import State, Target
from tests.azure_double import http_error

TARGET = Target("s", "rg", "web-03")
ANSWER = "vmagent-probe 1\nend 1 0\n"


def seen(execution: str, provisioning: str = "Succeeded", **view: Any) -> dict[str, Any]:
    """What GET with $expand=instanceView finds."""
    instance = {"executionState": execution, "output": "", "error": "", **view}
    return {"properties": {"provisioningState": provisioning, "instanceView": instance}}


RUNNING, DONE = seen("Running"), seen("Succeeded", output=ANSWER, exitCode=0)


class Arm:
    """Remembers what was sent. Each look finds the next of ``found``, the last one for ever."""

    def __init__(self, *found: Any, put: Exception | None = None, delete: Exception | None = None) -> None:
        self.found, self.put, self.deletes = list(found) or [DONE], put, delete
        self.sent: list[tuple[str, str, dict[str, Any] | None]] = []
        self.deleted: dict[str, Any] = {"status": "Succeeded"}
        self.operation: dict[str, Any] = {"status": "InProgress"}

    def send(
        self, method: str, path: str, _params: dict[str, str], _deadline: Deadline, body: dict[str, Any] | None = None
    ) -> tuple[dict[str, str], int]:
        self.sent.append((method, path, body))
        error = self.put if method == "PUT" else self.deletes
        if error:
            raise error
        return {"azure-asyncoperation": f"https://azure.example/{method}"}, 202

    def get(self, path: str, _params: dict[str, str], _deadline: Deadline) -> dict[str, Any]:
        if path.startswith("https://"):
            return self.deleted if path.endswith("DELETE") else self.operation
        now = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(now, Exception):
            raise now
        found: dict[str, Any] = now
        return found

    @property
    def methods(self) -> list[str]:
        return [method for method, _, _ in self.sent]


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(run_command, "POLL_SECONDS", 0.01)
    for module in (run_command, managed_run_command):
        monkeypatch.setattr(module, "LAST_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(managed_run_command, "DELETE_SECONDS", 0.3)


def run(arm: Any, seconds: float = 5.0) -> tuple[str, str]:
    return managed_run_command.run(arm, TARGET, "japaneast", "echo\n", Deadline.after(seconds), OpenRequests())


def failure(arm: Any, **how: Any) -> SourceFailed:
    with pytest.raises(SourceFailed) as caught:
        run(arm, **how)
    return caught.value


def test_the_scripts_output_comes_back_and_the_resource_is_gone():
    arm = Arm(seen("Pending", "Creating"), RUNNING, ServiceResponseError("reset"), DONE)
    assert run(arm) == ("answered by the agent", ANSWER)
    (put, path, body), (delete, same, _) = arm.sent
    assert (put, delete, path) == ("PUT", "DELETE", same)
    assert path.startswith(f"{TARGET.id}/runCommands/vmagent-")
    assert body is not None
    assert body["location"] == "japaneast"
    assert body["properties"]["asyncExecution"] is True
    assert body["properties"]["source"] == {"script": "echo\n"}


def test_the_name_is_nobody_elses():
    arms = [Arm(), Arm()]
    for arm in arms:
        run(arm)
    assert len({path for arm in arms for _, path, _ in arm.sent}) == 2


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (seen("Failed", error="no sh"), State.FAILED),
        (seen("TimedOut"), State.FAILED),
        (seen("Succeeded"), State.FAILED),
        (RUNNING, State.TIMED_OUT),
        ({}, State.TIMED_OUT),
        ({"properties": {"instanceView": "x"}}, State.TIMED_OUT),
        (http_error(403, "AuthorizationFailed", "may not perform action 'x/read'"), State.DENIED),
    ],
)
def test_however_it_ends_it_is_deleted(found, state):
    arm = Arm(found)
    started = time.monotonic()
    assert failure(arm, seconds=0.8).state is state
    assert arm.methods == ["PUT", "DELETE"]
    assert time.monotonic() - started < 2


def test_an_agent_that_never_took_it_up_is_named_by_the_operations_own_word():
    arm = Arm(seen("Pending", "Failed"))
    details = [{"code": "VMAgentStatusCommunicationError", "message": "VM has not reported status for VM agent"}]
    arm.operation = {"status": "Failed", "error": {"code": "Conflict", "message": "x", "details": details}}
    failed = failure(arm)
    assert (failed.state, failed.cause) == (State.TIMED_OUT, "P09")


def test_what_was_refused_is_not_deleted_and_says_why():
    arm = Arm(put=http_error(409, "Conflict", "The request failed due to conflict with a concurrent request."))
    failed = failure(arm)
    assert (failed.cause, arm.methods) == ("P19", ["PUT"])


def test_what_may_have_been_created_is_deleted():
    arm = Arm(put=ServiceResponseTimeoutError("Read timed out"))
    assert failure(arm).state is State.TIMED_OUT
    assert arm.methods == ["PUT", "DELETE"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"delete": http_error(409, "Conflict", "busy")}, "could not be deleted"),
        ({}, "accepted and is not confirmed yet"),
    ],
)
def test_a_deletion_that_is_not_confirmed_is_said_with_the_command_for_it(change, words):
    arm = Arm(**change)
    arm.deleted = {"status": "InProgress"}
    detail, text = run(arm)
    name = arm.sent[0][1].rpartition("/")[2]
    assert text == ANSWER
    assert words in detail
    assert f"az vm run-command delete -g rg --vm-name web-03 --name {name} --yes" in detail


def test_one_that_is_gone_already_is_no_news():
    assert run(Arm(delete=http_error(404, "NotFound", "gone")))[0] == "answered by the agent"


def test_whoever_interrupts_has_it_deleted_too():
    requests, arm = OpenRequests(), Arm(RUNNING)
    double: Any = arm

    def call() -> Any:
        return managed_run_command.run(double, TARGET, "japaneast", "echo\n", Deadline.after(1.5), requests)

    waiting = threading.Thread(target=ask, args=("managed run command", call))
    waiting.start()
    time.sleep(0.2)
    assert requests.withdrawn() == []
    assert arm.methods == ["PUT", "DELETE"]
    waiting.join()
