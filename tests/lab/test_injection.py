"""Faults of the platform, and the journal that shows them."""

from __future__ import annotations

import time

import pytest
import requests

from lab import latency
from lab.guests.base import LabError
from lab.injection import Injections, parse
from tests.lab.standin import StandIn


def test_specification() -> None:
    one = parse("429:7*2@GET /instanceView")
    assert (one.kind, one.argument, one.left, one.method) == ("429", 7.0, 2, "GET")
    assert parse("slow@metrics").argument == 30


@pytest.mark.parametrize("text", ["", "teapot@.", "500", "500@(", "500@"])
def test_what_is_no_specification(text: str) -> None:
    with pytest.raises(LabError):
        parse(text)


def test_counted_and_cleared() -> None:
    injections = Injections()
    injections.add("500*1@/vm")
    assert injections.take("GET", "/other") is None
    assert injections.take("GET", "/VM1") is not None
    assert injections.take("GET", "/vm1") is None
    injections.add("500@POST /vm")
    assert injections.take("GET", "/vm1") is None
    injections.clear()
    assert injections.texts() == []


@pytest.mark.parametrize(("kind", "status"), [("429:3", 429), ("500", 500), ("503", 503), ("denied", 403)])
def test_error_answers(standin: StandIn, kind: str, status: int) -> None:
    standin.cloud.injections.add(f"{kind}*1@/instanceView")
    answer = standin.call("GET", standin.vm_path + "/instanceView")
    assert answer.status_code == status
    if status == 429:
        assert answer.headers["Retry-After"] == "3"
    if status == 403:
        assert "Microsoft.Compute/virtualMachines/instanceView/read" in answer.json()["error"]["message"]
    assert standin.call("GET", standin.vm_path + "/instanceView").status_code == 200


def test_garbled_is_no_json(standin: StandIn) -> None:
    standin.cloud.injections.add("garbled@/instanceView")
    answer = standin.call("GET", standin.vm_path + "/instanceView")
    assert answer.status_code == 200
    assert answer.content.startswith(b"\xef\xbb\xbf{")
    with pytest.raises(ValueError, match=r"Expecting|BOM|Unterminated"):
        answer.json()


def test_reset_and_slow(standin: StandIn) -> None:
    standin.cloud.injections.add("reset*1@/instanceView")
    with pytest.raises(requests.ConnectionError):
        standin.call("GET", standin.vm_path + "/instanceView")
    standin.cloud.injections.add("slow:0.3*1@/instanceView")
    started = time.monotonic()
    assert standin.call("GET", standin.vm_path + "/instanceView").status_code == 200
    assert time.monotonic() - started >= 0.3


def test_the_journal_has_every_request(standin: StandIn) -> None:
    standin.cloud.injections.add("reset*1@/instanceView")
    with pytest.raises(requests.ConnectionError):
        standin.call("GET", standin.vm_path + "/instanceView")
    standin.call("GET", "/subscriptions")
    deadline = time.monotonic() + 2
    while len(standin.cloud.journal.entries()) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    first, second = standin.cloud.journal.entries()
    assert (first["vm"], first["status"], first["injected"]) == ("vm1", None, "reset*1@/instanceView")
    assert second["path"] == "/subscriptions?api-version=2024-07-01"
    assert second["status"] == 200
    assert "vm" not in second


def test_latencies_are_off_unless_asked_for() -> None:
    path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v"
    assert latency.of_request("none", path) == 0
    assert (
        0
        < latency.of_request("azure", path)
        < latency.of_request("azure", path + "/providers/Microsoft.Insights/metrics")
    )
    assert latency.of_operation("none", "runCommand") == 0
    assert latency.of_operation("azure", "runCommand") == 20
