"""When the screenshot is asked for, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.facts.reading import SCREENSHOT, SERIAL_LOG
from azext_vmagent.facts.screenshot import ScreenKind, Screenshot
from azext_vmagent.flow import Diagnosis, diagnose
from azext_vmagent.model import Answer, State, Target
from azext_vmagent.report.document import document
from tests import screens
from tests.azure_double import LOGIN_PROMPT, STOPPED, AzureDouble, answers, hangs, raises, vm
from tests.screens import bmp

TARGET = Target("00000000-0000-0000-0000-000000000000", "rg-shop", "web-03")
WINDOWS = {"storageProfile": {"osDisk": {"osType": "Windows"}}}
SEEN = Screenshot(bmp(screens.old_stop_screen()), "STOP: 0x0000007B", "/home/u/.azure/vmagent/web-03.bmp")
OPS = Wish(ssh_user="ops")


def run(double: AzureDouble, timeout: float = 4.0) -> Diagnosis:
    return diagnose(double, TARGET, OPS, timeout)


def windows(**sources: Any) -> AzureDouble:
    told = {"machine": answers(vm("Not Ready", **WINDOWS)), "through_ssh": answers(STOPPED), "screen": answers(SEEN)}
    return AzureDouble(**(told | sources))


def ended(found: Diagnosis, source: str) -> Answer | None:
    return next((answer for answer in found.answers if answer.source == source), None)


def test_windows_is_asked_and_what_is_seen_is_a_fact_with_its_file() -> None:
    steps: list[Answer] = []
    double = windows()
    found = diagnose(double, TARGET, OPS, 4.0, steps.append)
    assert double.asked.count("screenshot") == 1
    assert found.facts.screenshot is not None
    assert (found.facts.screenshot.kind, found.facts.screenshot.text) == (ScreenKind.BLUE_SCREEN, "STOP: 0x0000007B")
    line = next(step.detail for step in steps if step.source == SCREENSHOT)
    assert line == "Windows' blue stop screen; saved as /home/u/.azure/vmagent/web-03.bmp"
    shown = document(found)["screenshot"]
    assert (shown["kind"], shown["sure"], shown["path"]) == ("blue-screen", "likely", SEEN.path)


def test_linux_is_not_asked_while_its_log_says_something_and_that_is_no_gap() -> None:
    double = AzureDouble(screen=answers(SEEN))
    found = run(double)
    assert "screenshot" not in double.asked
    assert ended(found, SCREENSHOT) is None
    assert SCREENSHOT not in {reason.channel for reason in found.verdict.not_checked}
    assert document(found)["screenshot"] is None


@pytest.mark.parametrize(
    "log",
    [
        pytest.param(answers(b""), id="empty"),
        pytest.param(answers(bytes(512) + b"\r\n\r\n" + bytes(512)), id="only padding"),
        pytest.param(raises(SourceFailed(State.FAILED, "there is no serial log", status=404)), id="not there"),
    ],
)
def test_linux_is_asked_where_its_log_says_nothing(log: Any) -> None:
    double = AzureDouble(serial=log, screen=answers(SEEN))
    assert run(double).facts.screenshot is not None
    assert double.asked.count("screenshot") == 1


def test_a_machine_that_is_off_is_not_asked() -> None:
    double = windows(machine=answers(vm("Not Ready", "deallocated", **WINDOWS)))
    assert ended(run(double), SCREENSHOT) is None
    assert "screenshot" not in double.asked


def test_a_vm_whose_system_is_not_known_counts_by_its_log() -> None:
    double = AzureDouble(machine=raises(ConnectionError("reset")), serial=answers(LOGIN_PROMPT), screen=answers(SEEN))
    run(double)
    assert "screenshot" not in double.asked


def test_a_failure_is_a_line_of_what_was_not_checked() -> None:
    found = run(windows(screen=raises(SourceFailed(State.FAILED, "there is no screenshot", status=404))))
    assert [reason.what for reason in found.verdict.not_checked if reason.channel == SCREENSHOT] == [
        "there is no screenshot"
    ]


def test_boot_diagnostics_that_are_off_are_said_once() -> None:
    off = raises(SourceFailed(State.FAILED, "Boot diagnostics is not enabled on this VM."))
    channels = [reason.channel for reason in run(windows(serial=off, screen=off)).verdict.not_checked]
    assert SERIAL_LOG in channels
    assert SCREENSHOT not in channels


def test_a_screenshot_that_never_comes_costs_its_time_and_no_more() -> None:
    answer = ended(run(windows(screen=hangs), timeout=2.0), SCREENSHOT)
    assert answer is not None
    assert answer.state is State.TIMED_OUT
