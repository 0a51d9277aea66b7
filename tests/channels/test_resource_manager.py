"""Azure's own changes against a double of ARM: sent once, followed to their end, and what is said of a bad one."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError

from azext_vmagent.channels import resource_manager
from azext_vmagent.channels.open_requests import OpenRequests
from azext_vmagent.channels.resource_manager import Change, carry_out
from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import State
from tests.azure_double import http_error

VM = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/web-03"
RESTART = Change("POST", f"{VM}/restart", "2024-11-01", VM, "Azure goes on with the restart")
OPERATION = "https://azure.example/operation"


class Arm:
    """Remembers what was sent; each look finds the next of ``found``, the last one for ever."""

    def __init__(self, *found: Any, refuses: Exception | None = None, address: str = OPERATION) -> None:
        self.found, self.refuses, self.address = list(found), refuses, address
        self.sent: list[str] = []
        self.looked: list[str] = []

    def send(self, method: str, path: str, params: dict[str, str], _deadline: Deadline, body: Any = None) -> Any:
        self.sent.append(f"{method} {path} {params['api-version']}")
        if self.refuses:
            raise self.refuses
        return ({"azure-asyncoperation": self.address} if self.address else {}), 202

    def get(self, path: str, _params: dict[str, str], _deadline: Deadline) -> dict[str, Any]:
        self.looked.append(path)
        now = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(now, Exception):
            raise now
        return now


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(resource_manager, "POLL_SECONDS", 0.0)


def carry(arm: Arm, seconds: float = 5.0, requests: OpenRequests | None = None, told: list[float] | None = None) -> Any:
    progress = told.append if told is not None else lambda _: None
    return carry_out(arm, RESTART, Deadline.after(seconds), requests or OpenRequests(), progress)


def failed(arm: Arm, seconds: float = 5.0) -> SourceFailed:
    with pytest.raises(SourceFailed) as caught:
        carry(arm, seconds)
    assert arm.sent == [f"POST {VM}/restart 2024-11-01"]  # never twice
    return caught.value


def test_it_is_sent_once_and_followed_to_its_end():
    arm = Arm({"status": "InProgress"}, http_error(500, "InternalServerError", "x"), {"status": "Succeeded"})
    words, _ = carry(arm)
    assert "done by Azure" in words
    assert arm.sent == [f"POST {VM}/restart 2024-11-01"]
    assert arm.looked == [OPERATION] * 3  # a lost look is no lost change


def test_without_the_right_to_see_the_operation_the_resource_itself_tells():
    arm = Arm(
        http_error(403, "AuthorizationFailed", "may not perform action 'Microsoft.Compute/locations/operations/read'"),
        {"properties": {"provisioningState": "Updating"}},
        {"properties": {"provisioningState": "Succeeded"}},
    )
    carry(arm)
    assert arm.looked == [OPERATION, VM, VM]


def test_an_answer_without_an_address_is_followed_at_the_resource():
    arm = Arm({"properties": {"provisioningState": "Succeeded"}}, address="")
    carry(arm)
    assert arm.looked == [VM]


def test_a_refusal_says_that_nothing_was_sent_and_keeps_azures_whole_words():
    message = "The scope 'x' cannot perform write operation because following scope(s) are locked: '/l'." + " y" * 300
    seen = failed(Arm(refuses=http_error(409, "ScopeLocked", message)))
    assert (seen.value.code, seen.value.sent, seen.value.locked) == ("ScopeLocked", False, ("/l",))
    assert seen.value.message == message


@pytest.mark.parametrize("lost", [ServiceResponseError("reset"), http_error(503, "ServiceUnavailable", "later")])
def test_no_clear_answer_to_what_was_sent_is_not_a_refusal(lost):
    assert failed(Arm(refuses=lost)).value.sent is True


def test_an_operation_that_fails_says_azures_reason():
    error = {"code": "AllocationFailed", "message": "We do not have sufficient capacity."}
    seen = failed(Arm({"status": "Failed", "error": error}))
    assert (seen.state, seen.value.code, seen.value.sent) == (State.FAILED, "AllocationFailed", True)
    assert "sufficient capacity" in seen.detail


def test_the_deadline_ends_our_waiting_and_says_that_azure_goes_on():
    seen = failed(Arm({"status": "InProgress"}), seconds=0.05)
    assert (seen.state, seen.value.sent, seen.value.code) == (State.TIMED_OUT, True, "")
    assert "Azure goes on with the restart" in seen.detail


def test_an_interrupt_in_between_says_what_goes_on():
    requests, said = OpenRequests(), []

    class Watching(Arm):
        def get(self, *arguments: Any) -> dict[str, Any]:
            said.append(requests.withdrawn())
            return super().get(*arguments)

    carry(Watching({"status": "InProgress"}, {"status": "Succeeded"}), requests=requests)
    assert said == [["Azure goes on with the restart"]] * 2
    assert requests.withdrawn() == []


def test_whoever_waits_is_told_that_azure_is_still_at_it(monkeypatch):
    monkeypatch.setattr(resource_manager, "PROGRESS_SECONDS", 0.0)
    told: list[float] = []
    carry(Arm({"status": "InProgress"}, {"status": "InProgress"}, {"status": "Succeeded"}), told=told)
    assert len(told) == 2
