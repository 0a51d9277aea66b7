"""A Windows VM through the whole flow, against a double of Azure; the guest's words are documented ones, not recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from azext_vmagent import flow
from azext_vmagent.channels.choice import NEVER, Wish
from azext_vmagent.channels.ssh import SshLogin
from azext_vmagent.evidence.asking import Said
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.reading import PASTE, RUN_COMMAND, SSH
from azext_vmagent.flow import Diagnosis, diagnose
from azext_vmagent.guest import windows_probe_script
from azext_vmagent.model import Confidence, Scenario, State, Target
from azext_vmagent.report.document import document
from tests.azure_double import AzureDouble, answers, vm
from tests.windows_answer import HEALTHY, answer, with_said, with_service

TARGET = Target("00000000-0000-0000-0000-000000000000", "rg-shop", "web-03")
DISK = {"storageProfile": {"osDisk": {"osType": "Windows"}}}
ID = "{F7EE5C6D-6C90-456B-9166-E301B1305A56}"
RULE = ["local", ID, "v2.30|Action=Block|Active=TRUE|Dir=Out|Protocol=6|RA4=168.63.129.16|Name=Hardening 7|"]


@pytest.fixture(autouse=True)
def _short_waits_are_waits(monkeypatch):
    monkeypatch.setattr(flow, "LEAST_INSIDE_SECONDS", 0.3)


@dataclass
class WindowsDouble(AzureDouble):
    """Notes which script was sent; its guest says what it is given."""

    sent: list[str] = field(default_factory=list)

    def run_command(self, target: Target, script: str, deadline: Deadline) -> Said:
        self.sent.append(script)
        return super().run_command(target, script, deadline)

    def ssh(self, login: SshLogin, script: str, deadline: Deadline) -> Said:
        self.sent.append(script)
        return super().ssh(login, script, deadline)


def run(said: dict[str, Any], agent: str = "Ready", wish: Wish = Wish()) -> tuple[Diagnosis, WindowsDouble]:
    text = answer(said)
    double = WindowsDouble(
        machine=answers(vm(agent, **DISK)), through_agent=answers(text), through_ssh=answers(text),
    )  # fmt: skip
    return diagnose(double, TARGET, wish, 4.0), double


def state(found: Diagnosis, source: str) -> State:
    return next(one.state for one in found.answers if one.source == source)


def test_a_ready_windows_agent_is_asked_by_powershell_and_rdp_is_the_port():
    found, double = run(HEALTHY)
    assert (found.verdict.scenario, found.verdict.confidence) == (Scenario.HEALTHY, Confidence.CERTAIN)
    assert double.sent == [windows_probe_script()]
    assert "port 203.0.113.7:3389" in double.asked


def test_a_silent_windows_agent_is_not_sent_a_run_command_and_the_paste_is_offered():
    found, double = run(HEALTHY, "Not Ready")
    assert (found.verdict.scenario, double.sent) == (Scenario.UNCERTAIN, [])
    step = found.verdict.next_steps[0]
    assert step.command == "az vm agent-diagnose --print-probe powershell"
    assert "--probe-output FILE" in step.action


def test_a_pasted_answer_settles_it():
    said = with_said(wire80={"port": 80, "outcome": "denied", "code": 10013},
                     wire32526={"port": 32526, "outcome": "denied", "code": 10013}, rules=[RULE])  # fmt: skip
    found, double = run(HEALTHY, "Not Ready", Wish(pasted=answer(said)))
    assert (found.verdict.scenario, found.verdict.cause.code) == (Scenario.WIRE_SERVER_BLOCKED, "W20")
    assert (state(found, PASTE), double.sent) == (State.OK, [])


def test_a_pasted_answer_of_another_system_is_not_used():
    found, _ = run(HEALTHY, "Not Ready", Wish(pasted="vmagent-probe 1\nuid 0\nend 4 0\n"))
    told = next(one for one in found.answers if one.source == PASTE)
    assert (told.state, found.facts.guest) == (State.GARBLED, None)
    assert told.detail == "the pasted answer is of a Linux guest, and this VM's disk holds Windows"


def test_ssh_on_windows_takes_the_same_script_and_looks_at_its_own_port():
    wish = Wish(run_command=NEVER, ssh_user="ops")
    found, double = run(with_service("RdAgent", state="Stopped"), "Not Ready", wish)
    assert (found.verdict.scenario, found.verdict.cause.code) == (Scenario.AGENT_STOPPED, "W01")
    assert double.sent == [windows_probe_script()]
    assert "port 203.0.113.7:22" in double.asked
    assert (state(found, SSH), state(found, RUN_COMMAND)) == (State.OK, State.NOT_ASKED)


def test_the_document_of_a_windows_guest_is_whole():
    found, _ = run(with_service("WindowsAzureGuestAgent", state="Stopped", start=4))
    told = document(found)
    assert told["vm"]["osType"] == "Windows"
    assert told["verdict"]["cause"]["code"] == "W03"
    assert told["verdict"]["nextSteps"][0]["command"].startswith("az vm run-command invoke")
