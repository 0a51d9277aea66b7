"""The verdict on what a guest shows without being asked: its screen, and a Windows guest's health report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.host_metrics import CpuState, NetworkTrend
from azext_vmagent.facts.instance_view import VmFacts
from azext_vmagent.facts.port import PortFacts, PortOutcome
from azext_vmagent.facts.reading import SCREENSHOT
from azext_vmagent.facts.screenshot import ScreenKind, ScreenshotFacts, Sure
from azext_vmagent.facts.serial_log import parse_serial_log
from azext_vmagent.model import Confidence, Scenario, Verdict
from azext_vmagent.verdict.decide import decide
from tests.facts.test_windows_health_report import DOWN, GOOD, report, service
from tests.verdict.build import NOT_READY, OPEN, READY, facts, metrics

SILENT = replace(NOT_READY, os_type="Windows")
STOP = ScreenshotFacts(ScreenKind.BLUE_SCREEN, Sure.LIKELY, ("95 % of it is blue",))
TIMES_OUT = PortFacts("203.0.113.7", 22, PortOutcome.TIMED_OUT)
LOCKED = ScreenshotFacts(ScreenKind.LOCK_SCREEN, Sure.LIKELY)


def screen(shown: ScreenshotFacts, vm: VmFacts = SILENT, port: PortFacts | None = None) -> Verdict:
    return decide(replace(facts(vm=vm), screenshot=shown, port=port), Wish())


def told(*services: dict[str, object], vm: VmFacts = SILENT, adapter: dict[str, object] = GOOD) -> Verdict:
    serial = parse_serial_log(report(adapter, services=list(services)).encode())
    return decide(facts(vm=vm, serial=serial), Wish())


def test_a_stop_screen_is_scenario_4_and_says_where_it_was_seen():
    found = screen(STOP)
    assert (found.scenario, found.confidence) == (Scenario.OS_NOT_RUNNING, Confidence.LIKELY)
    assert found.cause is not None
    assert (found.cause.code, found.because[0].channel) == ("B41", SCREENSHOT)
    assert any(step.command and step.command.startswith("az vm restart") for step in found.next_steps)


def test_the_screen_s_words_name_what_its_colours_do_not():
    found = screen(replace(STOP, text="Your PC ran into a problem.\nWhat failed: csagent.sys"))
    assert found.cause is not None
    assert (found.cause.code, found.cause.culprit) == ("B44", "csagent.sys")


def test_a_screen_that_may_be_another_is_a_weak_word():
    assert screen(replace(STOP, sure=Sure.WEAK)).confidence is Confidence.WEAK


@pytest.mark.parametrize("shown", [LOCKED, ScreenshotFacts(ScreenKind.BLACK, Sure.LIKELY)])
def test_a_lock_screen_or_a_black_one_is_no_scenario_4(shown):
    assert screen(shown).scenario is Scenario.UNCERTAIN


@pytest.mark.parametrize(("shown", "cpu", "scenario"), [
    (LOCKED, CpuState.ALIVE, Scenario.NETWORK_DOWN),
    (LOCKED, CpuState.FLAT_ZERO, Scenario.OS_NOT_RUNNING),
    (replace(LOCKED, sure=Sure.WEAK), CpuState.ALIVE, Scenario.UNCERTAIN),
    (None, CpuState.ALIVE, Scenario.UNCERTAIN),
])  # fmt: skip
def test_a_locked_screen_of_a_guest_that_works_and_sends_nothing_is_scenario_3(shown, cpu, scenario):
    known = facts(vm=SILENT, metrics=metrics(NetworkTrend.FELL, cpu), port=TIMES_OUT, network=OPEN)
    assert decide(replace(known, screenshot=shown), Wish()).scenario is scenario


def test_scenario_3_of_windows_is_told_in_its_own_words():
    known = facts(vm=SILENT, metrics=metrics(NetworkTrend.FELL), port=TIMES_OUT, network=OPEN)
    found = decide(replace(known, screenshot=LOCKED), Wish())
    assert found.cause is not None
    assert found.cause.code == "I18"
    assert any(reason.channel == SCREENSHOT for reason in found.because)
    assert [step.command for step in found.next_steps if step.command] == [
        "az vm repair reset-nic -g rg-shop -n web-03 --yes"
    ]


def test_what_is_heard_now_outweighs_an_old_screen():
    assert screen(STOP, replace(READY, os_type="Windows")).scenario is not Scenario.OS_NOT_RUNNING
    greets = PortFacts("203.0.113.7", 22, PortOutcome.GREETING, "SSH-2.0-OpenSSH_for_Windows_8.1")
    assert screen(STOP, port=greets).scenario is not Scenario.OS_NOT_RUNNING


def test_a_stopped_service_in_the_health_report_is_scenario_1_and_is_started():
    found = told(service("RdAgent"), service("WindowsAzureGuestAgent", "Stopped", code=1067))
    assert (found.scenario, found.confidence) == (Scenario.AGENT_STOPPED, Confidence.LIKELY)
    assert found.cause is not None
    assert (found.cause.code, found.cause.culprit) == ("W01", "WindowsAzureGuestAgent")
    assert found.next_steps[0].command == "Start-Service -Name WindowsAzureGuestAgent"
    assert found.because[0].time is not None


def test_a_disabled_service_in_the_health_report_is_made_automatic():
    found = told(service("RdAgent", "Stopped", "Disabled"), service("WindowsAzureGuestAgent"))
    assert found.cause is not None
    assert (found.cause.code, found.cause.culprit) == ("W03", "RdAgent")
    assert found.next_steps[0].command == (
        "Set-Service -Name RdAgent -StartupType Automatic; Start-Service -Name RdAgent"
    )


@pytest.mark.parametrize("services", [
    (service("RdAgent"), service("WindowsAzureGuestAgent")),
    (service("RdAgent"), service("WindowsAzureGuestAgent"), service("WindowsAzureTelemetryService", "Stopped")),
    (service("RdAgent", mode="Manual"), service("WindowsAzureGuestAgent")),
    (service("Spooler", "Stopped"),),
])  # fmt: skip
def test_services_that_run_or_are_not_the_agents_are_no_scenario_1(services):
    assert told(*services).scenario is not Scenario.AGENT_STOPPED


def test_an_agent_that_is_ready_has_been_started_since_the_report():
    stopped = service("RdAgent", "Stopped")
    assert told(stopped, vm=replace(READY, os_type="Windows")).scenario is not Scenario.AGENT_STOPPED


def test_a_dead_adapter_outweighs_the_service_that_it_may_have_brought_down():
    stopped = service("RdAgent", "Stopped")
    assert told(stopped, service("WindowsAzureGuestAgent"), adapter=DOWN).scenario is Scenario.NETWORK_DOWN


@pytest.mark.parametrize(("value", "scenario"), [(2, Scenario.OS_NOT_RUNNING), (-1, Scenario.UNCERTAIN)])
def test_a_windows_that_reports_safe_mode_is_scenario_4(value: int, scenario: Scenario):
    system = {"windows": {"osVersion": "Microsoft Windows NT 10.0.20348.0", "safeBoot": value}}
    serial = parse_serial_log(report(GOOD, systemInfo=system).encode())
    assert decide(facts(vm=SILENT, serial=serial), Wish()).scenario is scenario
