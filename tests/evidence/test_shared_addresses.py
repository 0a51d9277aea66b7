"""One question to Azure for both blobs of boot diagnostics, whoever asks first and however it ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from azext_vmagent.evidence.asking import SourceFailed, ask_all
from azext_vmagent.evidence.boot_diagnostics import SCREENSHOT, SERIAL_LOG, BootDiagnostics
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import State, Target

WEB, DB = Target("s", "rg-shop", "web-03"), Target("s", "rg-shop", "db-01")
URIS = {SERIAL_LOG: "https://store/log?sig=a", SCREENSHOT: "https://store/screen?sig=b"}


class Asked:
    """Answers when ``gate`` is open, and counts."""

    def __init__(self, answer: Any = URIS) -> None:
        self.answer, self.targets, self.gate = answer, [], threading.Event()
        self.gate.set()

    def __call__(self, target: Target, _deadline: Deadline) -> Any:
        self.targets.append(target.name)
        self.gate.wait(5)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def both(diagnostics: BootDiagnostics, target: Target = WEB) -> dict[str, Any]:
    budget = Deadline.after(5)
    calls = {name: lambda name=name: ("", diagnostics.uri(target, name, "blob", budget)) for name in URIS}
    return {answer.source: answer for answer in ask_all(calls, budget)}


def test_both_blobs_of_a_vm_are_asked_for_once() -> None:
    asked = Asked()
    diagnostics = BootDiagnostics(asked)
    assert {name: answer.value for name, answer in both(diagnostics).items()} == URIS
    both(diagnostics, DB)
    assert asked.targets == ["web-03", "db-01"]


def test_a_failure_is_both_sources_failure_and_is_not_asked_again() -> None:
    asked = Asked(SourceFailed(State.DENIED, "no right", "x/action", 403))
    found = both(BootDiagnostics(asked))
    assert {(answer.state, answer.missing_action) for answer in found.values()} == {(State.DENIED, "x/action")}
    assert asked.targets == ["web-03"]


@pytest.mark.parametrize("answer", [{}, {SCREENSHOT: None}, {SCREENSHOT: ""}, {SCREENSHOT: 7}])
def test_an_address_that_is_not_there_says_so(answer: dict[str, Any]) -> None:
    with pytest.raises(SourceFailed) as failed:
        BootDiagnostics(Asked(answer)).uri(WEB, SCREENSHOT, "screenshot", Deadline.after(5))
    assert failed.value.detail == "Azure gave no address for the screenshot"


def test_who_waits_for_the_others_question_waits_no_longer_than_its_own_time() -> None:
    asked = Asked()
    asked.gate.clear()
    diagnostics = BootDiagnostics(asked)
    first = threading.Thread(target=diagnostics.uri, args=(WEB, SERIAL_LOG, "log", Deadline.after(5)), daemon=True)
    first.start()
    while not asked.targets:
        pass
    with pytest.raises(SourceFailed) as failed:
        diagnostics.uri(WEB, SCREENSHOT, "screenshot", Deadline.after(0.1))
    assert failed.value.state is State.TIMED_OUT
    asked.gate.set()
    first.join()
    assert asked.targets == ["web-03"]
