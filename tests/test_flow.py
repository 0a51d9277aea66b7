"""The whole story against a double of Azure: whatever a source does, one verdict inside the budget and no harm done."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
import requests
from azure.cli.core.azclierror import AuthenticationError
from azure.core import exceptions as azure

from azext_vmagent import flow
from azext_vmagent.channels.choice import Wish
from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import (
    HOST_METRICS,
    INSTANCE_VIEW,
    MANAGED_RUN_COMMAND,
    NETWORK,
    PASTE,
    PORT,
    RESOURCE_HEALTH,
    RUN_COMMAND,
    SERIAL_LOG,
    SSH,
)
from azext_vmagent.flow import Clock, Diagnosis, diagnose
from azext_vmagent.model import Answer, Confidence, Scenario, State, Target
from tests.azure_double import STOPPED, AzureDouble, answers, hangs, http_error, metrics, nic, raises, vm

TARGET = Target("00000000-0000-0000-0000-000000000000", "rg-shop", "web-03")
AUTO, OPS = Wish(), Wish(ssh_user="ops")
NOT_READY = answers(vm("Not Ready"))


@pytest.fixture(autouse=True)
def _short_waits_are_waits(monkeypatch):
    monkeypatch.setattr(flow, "LEAST_INSIDE_SECONDS", 0.3)


def run(double: AzureDouble, wish: Wish = AUTO, timeout: float = 4.0) -> Diagnosis:
    return diagnose(double, TARGET, wish, timeout)


def ended(found: Diagnosis, source: str) -> Answer:
    return next(answer for answer in found.answers if answer.source == source)


def test_a_healthy_vm_is_looked_into_once_and_is_certainly_healthy():
    double = AzureDouble()
    found = run(double)
    assert (found.verdict.scenario, found.verdict.confidence) == (Scenario.HEALTHY, Confidence.CERTAIN)
    assert sorted(double.asked) == sorted(
        ["vm", "serial log", "metrics", "health", "nic", "port 203.0.113.7:22", "run command"]
    )


# -- a source that fails -----------------------------------------------------------------------------------------------

NO_RIGHT = http_error(
    403, "AuthorizationFailed", "The client 'x' may not perform action 'Microsoft.Insights/metrics/read' over scope"
)
FAILURES = {
    "403": (NO_RIGHT, State.DENIED),
    "404": (http_error(404, "ResourceNotFound", "not found"), State.FAILED),
    "429": (http_error(429, "TooManyRequests", "slow down"), State.FAILED),
    "500": (http_error(500, "InternalServerError", "oops"), State.FAILED),
    "login refused": (azure.ClientAuthenticationError("the token has expired"), State.DENIED),
    "no JSON": (azure.DecodeError("Expecting value"), State.GARBLED),
    "no connection": (azure.ServiceRequestError("Name or service not known"), State.FAILED),
    "reset": (azure.ServiceResponseError("Connection aborted"), State.FAILED),
    "azure time-out": (azure.ServiceResponseTimeoutError("Read timed out"), State.TIMED_OUT),
    "requests time-out": (requests.exceptions.ReadTimeout("Read timed out"), State.TIMED_OUT),
    "requests reset": (requests.exceptions.ConnectionError("reset"), State.FAILED),
    "a bug": (KeyError("properties"), State.FAILED),
}


@pytest.mark.parametrize(("exc", "state"), FAILURES.values(), ids=FAILURES)
def test_every_failure_of_every_source_at_once_is_still_a_verdict(exc, state):
    def fail(_):
        raise exc

    found = run(AzureDouble(NOT_READY, fail, fail, fail, fail, PortOutcome.GREETING, fail, fail), OPS)
    for source in (SERIAL_LOG, HOST_METRICS, RESOURCE_HEALTH, NETWORK):
        assert ended(found, source).state is state
        assert "Traceback" not in ended(found, source).detail
    assert found.verdict.scenario is Scenario.UNCERTAIN
    assert {SERIAL_LOG, HOST_METRICS, RESOURCE_HEALTH, NETWORK} <= {r.channel for r in found.verdict.not_checked}


def test_a_denied_source_names_the_missing_right():
    found = run(AzureDouble(health=raises(NO_RIGHT)))
    assert ended(found, RESOURCE_HEALTH).missing_action == "Microsoft.Insights/metrics/read"


GARBLED = (
    {},
    [],
    "",
    7,
    {"value": 3},
    {"properties": "x"},
    {"properties": {"ipConfigurations": [7, {"properties": []}]}},
)


@pytest.mark.parametrize("value", GARBLED, ids=repr)
def test_garbled_answers_are_no_crash_and_no_evidence(value):
    double = AzureDouble(NOT_READY, answers(b"\x00\xff\x1b["), lambda _: value, answers(value), answers(value))
    found = run(double)
    assert found.verdict.scenario is Scenario.UNCERTAIN
    assert run(AzureDouble(machine=answers(value))).verdict.scenario is not Scenario.HEALTHY


@pytest.mark.parametrize("text", ["This account is currently not available.\n", "", "\x1b]0;x\x07 vmagent"])
def test_what_a_shell_says_instead_of_the_probe_is_not_the_guests_word(text):
    found = run(AzureDouble(NOT_READY, through_ssh=answers(text)), OPS)
    assert ended(found, SSH).state is State.GARBLED
    assert found.facts.guest is None


# -- the VM itself -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_vm_that_is_not_there_or_may_not_be_read_ends_the_command_at_once(status):
    double = AzureDouble(machine=raises(http_error(status, "Code", "no")), serial=hangs)
    started = time.monotonic()
    with pytest.raises(SourceFailed) as caught:
        run(double)
    assert caught.value.status == status
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("exc", [AuthenticationError("AADSTS70043"), azure.ClientAuthenticationError("no token")])
def test_a_login_that_has_run_out_ends_the_command_and_is_no_verdict(exc):
    with pytest.raises(SourceFailed) as caught:
        run(AzureDouble(machine=raises(exc)))
    assert caught.value.status == 401


@pytest.mark.parametrize("doing", [raises(FAILURES["500"][0]), raises(FAILURES["no JSON"][0])], ids=["500", "garbled"])
def test_a_vm_whose_model_cannot_be_read_still_gets_a_verdict_and_no_run_command(doing):
    double = AzureDouble(machine=doing)
    found = run(double)
    assert found.verdict.scenario is Scenario.UNCERTAIN
    assert ended(found, INSTANCE_VIEW).state is not State.OK
    assert "run command" not in double.asked


def test_a_vm_that_is_off_is_not_knocked_at():
    double = AzureDouble(machine=answers(vm("Not Ready", "deallocated")))
    found = run(double, OPS)
    assert found.verdict.scenario is Scenario.VM_NOT_RUNNING
    assert not {"nic", "ssh", "run command"} & set(double.asked)
    assert ended(found, PORT).detail == "the VM is deallocated"


# -- the budget --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", ["serial", "health", "interface", "counted", "machine"])
def test_a_source_that_never_answers_costs_the_budget_and_no_more(slow):
    started = time.monotonic()
    found = run(AzureDouble(**{"machine": NOT_READY} | {slow: hangs}), timeout=0.7)
    assert time.monotonic() - started < 2.5
    assert found.verdict.scenario is Scenario.UNCERTAIN
    assert any("no answer within" in reason.what for reason in found.verdict.not_checked)


def test_no_run_command_is_sent_when_nobody_has_time_to_wait_for_it():
    double = AzureDouble(health=hangs)
    found = run(double, timeout=0.7)
    assert "run command" not in double.asked
    assert "no time left" in ended(found, RUN_COMMAND).detail
    assert found.verdict.confidence is Confidence.WEAK


def test_a_run_command_that_hangs_ends_with_the_budget_and_is_said():
    started = time.monotonic()
    found = run(AzureDouble(through_agent=hangs), timeout=1.5)
    assert time.monotonic() - started < 3.5
    assert ended(found, RUN_COMMAND).state is State.TIMED_OUT
    assert "stays in the VM's queue" in ended(found, RUN_COMMAND).detail
    assert found.verdict.scenario is Scenario.UNCERTAIN


def test_the_channels_own_words_on_its_time_out_are_heard():
    def own_words(deadline):
        time.sleep(deadline.remaining())
        raise SourceFailed(State.TIMED_OUT, "accepted by Azure; it stays in the VM's queue")

    found = run(AzureDouble(through_agent=own_words), timeout=1.5)
    assert ended(found, RUN_COMMAND).detail == "accepted by Azure; it stays in the VM's queue"


# -- which channel -----------------------------------------------------------------------------------------------------


def test_a_silent_agent_is_sent_no_run_command():
    double = AzureDouble(NOT_READY)
    found = run(double)
    assert "run command" not in double.asked
    assert found.verdict.candidates == (Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED)


def test_a_silent_agent_is_sent_one_when_the_user_insists():
    double = AzureDouble(NOT_READY, through_agent=answers(STOPPED))
    assert run(double, Wish("always")).verdict.scenario is Scenario.AGENT_STOPPED
    assert double.asked.count("run command") == 1


def test_a_ready_agent_is_sent_none_when_the_user_forbids_it():
    double = AzureDouble()
    found = run(double, Wish("never"))
    assert "run command" not in double.asked
    assert (found.verdict.scenario, found.verdict.confidence) == (Scenario.HEALTHY, Confidence.WEAK)


@pytest.mark.parametrize(
    "against",
    [
        {"port": PortOutcome.REFUSED, "serial": answers(b"")},
        {"port": PortOutcome.TIMED_OUT},
        {"counted": lambda now: metrics(now, silent_minutes=10)},
        {"serial": answers(b"[    0.000000] Linux version 5.10.0\n[ 9.0] Kernel panic - not syncing: VFS\n")},
        {"machine": answers(vm(osProfile={"allowExtensionOperations": False}))},
    ],
    ids=lambda known: next(iter(known)),
)
def test_a_ready_agent_that_something_contradicts_is_sent_none(against):
    double = AzureDouble(**against)
    run(double)
    assert "run command" not in double.asked


def test_ssh_is_preferred_and_one_answer_is_enough():
    double = AzureDouble()
    found = run(double, OPS)
    assert found.facts.guest_channel == SSH
    assert "run command" not in double.asked
    assert ended(found, RUN_COMMAND).detail == "not needed: the guest has answered"


def test_a_refused_login_falls_back_on_a_ready_agent():
    double = AzureDouble(through_ssh=raises(SourceFailed(State.DENIED, "Permission denied (publickey)")))
    found = run(double, OPS)
    assert (found.facts.guest_channel, found.verdict.scenario) == (RUN_COMMAND, Scenario.HEALTHY)


def test_a_login_that_times_out_is_a_reason_not_to_trust_ready():
    double = AzureDouble(through_ssh=raises(SourceFailed(State.TIMED_OUT, "timed out")))
    found = run(double, OPS)
    assert "run command" not in double.asked
    assert found.verdict.scenario is Scenario.UNCERTAIN


def test_a_stopped_agent_is_found_through_ssh_while_azure_still_says_ready():
    found = run(AzureDouble(through_ssh=answers(STOPPED)), OPS)
    assert (found.verdict.scenario, found.verdict.confidence) == (Scenario.AGENT_STOPPED, Confidence.CERTAIN)


def test_without_a_public_address_the_report_says_which_option_names_one():
    double = AzureDouble(NOT_READY, interface=answers(nic(public=False)))
    assert "--ssh-host 10.0.0.4" in ended(run(double), PORT).detail
    double.cloud_shell = True
    assert "Cloud Shell has no route" in ended(run(double), PORT).detail


def test_an_address_of_the_users_own_is_the_one_knocked_at():
    double = AzureDouble(NOT_READY)
    run(double, Wish(ssh_host="10.0.0.4", ssh_port=2222))
    assert "port 10.0.0.4:2222" in double.asked


# -- one more minute ---------------------------------------------------------------------------------------------------


class FastClock:
    """Sleeping moves the time on and takes none."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 24, 9, 0, 30, tzinfo=timezone.utc)
        self.slept = 0.0

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.time += timedelta(seconds=seconds)

    def as_clock(self) -> Clock:
        return Clock(self.now, self.sleep)


def shut(counted) -> AzureDouble:
    """A guest that had booted, whose port times out although the way to it is open: 3 or 4."""
    return AzureDouble(NOT_READY, counted=counted, port=PortOutcome.TIMED_OUT)


def test_a_minute_that_covers_the_question_tells_a_live_guest():
    clock, told = FastClock(), []
    found = diagnose(shut(metrics), TARGET, Wish(), 180, told.append, clock.as_clock())
    assert found.verdict.candidates == (Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED)
    assert 60 < clock.slept < 130
    assert any(answer.detail.startswith("waiting") for answer in told)


def test_a_minute_that_covers_the_question_tells_a_dead_network():
    clock = FastClock()
    asked_at = clock.time

    def counted(now: datetime):
        return metrics(now, silent_minutes=3 if now > asked_at else 0)

    found = diagnose(shut(counted), TARGET, Wish(), 180, clock=clock.as_clock())
    assert (found.verdict.scenario, found.verdict.confidence) == (Scenario.NETWORK_DOWN, Confidence.CERTAIN)


@pytest.mark.parametrize("timeout", [4, 60])
def test_a_budget_that_does_not_reach_the_minute_waits_for_nothing(timeout):
    clock = FastClock()
    found = diagnose(shut(metrics), TARGET, Wish(), timeout, clock=clock.as_clock())
    assert clock.slept == 0
    assert found.verdict.scenario is Scenario.UNCERTAIN


def test_a_verdict_that_stands_waits_for_nothing():
    clock = FastClock()
    diagnose(AzureDouble(NOT_READY), TARGET, Wish(), 180, clock=clock.as_clock())
    assert clock.slept == 0


def test_metrics_that_fail_the_second_time_leave_what_was_known():
    clock, times = FastClock(), []

    def counted(now: datetime):
        times.append(now)
        if len(times) > 1:
            raise NO_RIGHT
        return metrics(now)

    found = diagnose(shut(counted), TARGET, Wish(), 180, clock=clock.as_clock())
    assert len(times) == 2
    assert found.facts.metrics is not None
    assert found.verdict.scenario is Scenario.UNCERTAIN


def test_the_flow_is_watched_step_by_step_with_what_was_seen():
    told = []
    diagnose(AzureDouble(), TARGET, Wish(), 4, told.append)
    seen = {answer.source: answer.detail for answer in told}
    assert seen[INSTANCE_VIEW] == "agent Ready, VM running"
    assert seen[PORT] == "SSH-2.0-OpenSSH_8.0 from 203.0.113.7:22"
    assert flow.seconds_by_step(tuple(told))[INSTANCE_VIEW] >= 0


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_a_pasted_answer_is_the_guests_word_and_nobody_else_is_asked_inside():
    double = AzureDouble(NOT_READY)
    found = run(double, Wish("always", ssh_user="ops", pasted=STOPPED))
    assert (found.verdict.scenario, found.verdict.confidence) == (Scenario.AGENT_STOPPED, Confidence.CERTAIN)
    assert found.verdict.because[0].channel == PASTE
    assert {"ssh", "run command"}.isdisjoint(double.asked)
    assert ended(found, SSH).detail == ended(found, RUN_COMMAND).detail == "not needed: the guest's answer was pasted"
    assert {"vm", "serial log", "metrics", "health", "nic"} <= set(double.asked)


def test_a_pasted_answer_says_nothing_about_the_network_it_may_have_come_through_the_console():
    found = run(AzureDouble(NOT_READY), Wish(pasted=STOPPED))
    assert {r.scenario for r in found.verdict.ruled_out} == {Scenario.OS_NOT_RUNNING}


def pasted(text: str, **old: float) -> Wish:
    """An answer that old, by the guest's clock."""
    then = datetime.now(timezone.utc) - timedelta(**old)
    return Wish(pasted=text.replace("uid 0", f"uid 0\nnow {then:%Y-%m-%dT%H:%M:%SZ}"))


def test_an_old_answer_is_worth_a_likely_where_nothing_of_now_decides():
    found = run(AzureDouble(NOT_READY), pasted(STOPPED, hours=3)).verdict
    assert (found.scenario, found.confidence) == (Scenario.AGENT_STOPPED, Confidence.LIKELY)
    assert "3 h old" in found.not_checked[0].what
    fresh = run(AzureDouble(NOT_READY), pasted(STOPPED, minutes=14)).verdict
    assert fresh.confidence is Confidence.CERTAIN
    assert "old" not in " ".join(reason.what for reason in fresh.not_checked)


def test_what_is_seen_now_outweighs_an_old_answer():
    emergency = answers(b"Linux version 5.10\r\nYou are in emergency mode. After logging in\r\n")
    double = AzureDouble(NOT_READY, emergency, port=PortOutcome.REFUSED)
    found = run(double, pasted(STOPPED, hours=3)).verdict
    assert found.scenario is Scenario.OS_NOT_RUNNING
    assert "not used" in found.not_checked[0].what


def test_an_answer_from_the_future_is_as_little_now():
    found = run(AzureDouble(NOT_READY), pasted(STOPPED, hours=-2, minutes=-5)).verdict
    assert found.confidence is Confidence.LIKELY
    assert "clock is 2 h ahead" in found.not_checked[0].what


# -- each way in taken away in turn --------------------------------------------------------------------------------------

CLOSED = {
    "refuses": raises(SourceFailed(State.DENIED, "login: no key lets you in")),
    "fails": raises(SourceFailed(State.FAILED, "reach: refused")),
    "busy": raises(SourceFailed(State.FAILED, "busy", cause="P07")),
    "hangs": hangs,
    "garbled": answers("\x1b]0;x\x07 no answer"),
}


def ready_now(_):
    told = vm()
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    told["properties"]["instanceView"]["vmAgent"]["statuses"][0]["time"] = now
    return told


WAYS = ("ssh", "run command", "managed run command")


@pytest.mark.parametrize("how", CLOSED)
@pytest.mark.parametrize(
    "wish", [OPS, AUTO, Wish("always", ssh_user="ops"), Wish("managed"), Wish("never", ssh_user="ops")]
)
@pytest.mark.parametrize("ready", [True, False], ids=["Ready", "Not Ready"])
def test_with_every_way_in_closed_it_is_uncertain_or_weak_and_says_what_would_settle_it(how, wish, ready):
    closed = CLOSED[how]
    machine = ready_now if ready else NOT_READY
    double = AzureDouble(machine, through_agent=closed, through_ssh=closed, through_managed=closed)
    started = time.monotonic()
    found = run(double, wish, timeout=1.5)
    assert time.monotonic() - started < 2.5
    assert found.facts.guest is None
    assert found.verdict.confidence is Confidence.WEAK
    assert found.verdict.scenario is Scenario.UNCERTAIN or (
        ready and how != "hangs" and found.verdict.scenario is Scenario.HEALTHY
    )
    assert found.verdict.next_steps
    tried = [way for way in double.asked if way in WAYS]
    assert {reason.channel for reason in found.verdict.not_checked} >= set(tried)
    if how == "hangs" and wish.run_command != "always":
        assert len(tried) <= 1, "what hangs is not joined by another"


@pytest.mark.parametrize("how", ["refuses", "fails", "garbled"])
def test_one_way_closed_leaves_the_next_and_the_choice_is_one_line(how):
    steps: list[Answer] = []
    double = AzureDouble(ready_now, through_ssh=CLOSED[how])
    found = diagnose(double, TARGET, OPS, 4.0, steps.append)
    assert [way for way in double.asked if way in WAYS] == ["ssh", "run command"]
    assert found.verdict.confidence is Confidence.CERTAIN
    chosen = [step.detail for step in steps if step.source == "look inside"]
    assert [line.split(":")[0] for line in chosen] == ["through ssh", "through run command"]


def test_a_busy_action_leaves_the_managed_one():
    double = AzureDouble(ready_now, through_agent=CLOSED["busy"])
    found = run(double)
    assert [way for way in double.asked if way in WAYS] == ["run command", "managed run command"]
    assert (found.verdict.scenario, found.facts.guest_channel) == (Scenario.HEALTHY, MANAGED_RUN_COMMAND)
    assert [cause.code for cause in found.verdict.other_causes] == ["P07"]


def test_a_guest_that_hangs_after_the_login_leaves_time_for_the_other_ways_in(monkeypatch):
    monkeypatch.setattr("azext_vmagent.flow.PATIENCE_SECONDS", 0.5)
    given: list[float] = []

    def slow(deadline):
        given.append(deadline.remaining())
        raise SourceFailed(State.TIMED_OUT, "did not finish in time")

    diagnose(AzureDouble(answers(vm("Not Ready")), through_ssh=slow), TARGET, Wish(ssh_user="ops"), 60.0)
    assert 0 < given[0] <= 0.5
