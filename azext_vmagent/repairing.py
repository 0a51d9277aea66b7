"""Carries out a plan in the guest: sends it once, reads the guest's record, waits for Azure's word, and looks again.

The guest's program looks again before each change, saves what it changes and takes back what did not take; here nothing
is decided but whether to wait. Azure's Not Ready after a change is no failure: its word lags, the guest's proof counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from azext_vmagent.carrying import carry
from azext_vmagent.evidence.asking import ask
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.instance_view import AgentStatus, parse_vm
from azext_vmagent.facts.reading import INSTANCE_VIEW, Facts
from azext_vmagent.flow import Azure, Diagnosis, Watch, diagnose
from azext_vmagent.model import Answer, Scenario, State
from azext_vmagent.repair.model import AZURE, DETACHED, RepairPlan
from azext_vmagent.repair.outcome import TOOK, Repaired
from azext_vmagent.repair.record import RepairRecord, Result, parse_record
from azext_vmagent.repair.resuming import told_by_the_guest
from azext_vmagent.repair.scripts import script_for, undo_for
from azext_vmagent.repairing_by_azure import by_azure

#: saving, checking and the watchdog's confirmation, beside what each action takes
RUN_SECONDS = 120.0
POLL_SECONDS = 5.0
#: how often a person is told that the wait goes on
TELL_SECONDS = 30.0
#: metrics tell of a minute one to three minutes later; until then they contradict a guest that has just come back
AGAIN_SECONDS = 60.0
#: a restart from outside the run command follows after 10 s; a daemon needs some more to start its worker
RESTART_SECONDS = 30.0

_RESTART = "the agent restarts by itself a few seconds after the run command that carried this"


@dataclass(frozen=True)
class Waiting:
    """How long to wait for Azure's word, in seconds, and for the diagnosis that follows."""

    ready: float
    diagnosis: float
    sleep: Callable[[float], None] = time.sleep


def repair(azure: Azure, before: Diagnosis, plan: RepairPlan, waiting: Waiting, watch: Watch) -> Repaired:
    """Carry out the plan through the way that looked inside, then wait and look again."""
    if plan.channel == AZURE:
        return _seen_again(azure, before, by_azure(azure, before, plan, watch), waiting, watch)
    seconds = RUN_SECONDS + 60.0 * sum(action.minutes for action in plan.actions)
    return _run(azure, before, script_for(before.facts, plan), seconds, waiting, watch, restarts_by_itself(plan))


def undo(azure: Azure, before: Diagnosis, waiting: Waiting, watch: Watch) -> Repaired:
    """Revert the last repair of this guest from what was saved there."""
    return _run(azure, before, undo_for(before.facts), RUN_SECONDS, waiting, watch, undoing=True)


def _run(  # pylint: disable=too-many-arguments,too-many-positional-arguments  # the run, and how it is watched
    azure: Azure,
    before: Diagnosis,
    script: str,
    seconds: float,
    waiting: Waiting,
    watch: Watch,
    restarts: bool = False,
    undoing: bool = False,
) -> Repaired:
    """``restarts``: the agent does so by itself after the answer."""
    carried = carry(azure, before, script, Deadline.after(seconds))
    record = parse_record(carried.value if isinstance(carried.value, str) else "")
    watch(Answer("repair", _state(carried, record), _words(carried, record), seconds=carried.seconds))
    after = None
    if record.result is Result.UNKNOWN:
        after = _again(azure, before, waiting, watch)
        record = told_by_the_guest(record, before.facts, after.facts)
    done = Repaired(carried, record, after=after, undoing=undoing)
    if not done.took or undoing:
        return done if after or waiting.ready <= 0 else replace(done, after=_again(azure, before, waiting, watch))
    if waiting.ready <= 0:
        return replace(done, unproven=_RESTART if restarts else "")
    if restarts:
        watch(Answer("wait", State.NOT_ASKED, f"{RESTART_SECONDS:.0f} s: {_RESTART}"))
        waiting.sleep(RESTART_SECONDS)
    ready_after = _until_ready(azure, before.facts, waiting, watch)
    after = _again(azure, before, waiting, watch)
    unproven = _RESTART if restarts and not restarted(before.facts, after.facts) else ""
    return replace(done, ready_after=ready_after, after=after, unproven=unproven)


def _again(azure: Azure, before: Diagnosis, waiting: Waiting, watch: Watch) -> Diagnosis:
    return diagnose(azure, before.facts.target, before.wish, waiting.diagnosis, watch)


def restarts_by_itself(plan: RepairPlan) -> bool:
    """The agent restarts from outside, a little after the run command that carried the plan was answered."""
    return any(DETACHED in action.arguments for action in plan.actions)


def restarted(before: Facts, after: Facts) -> bool:
    """Whether the second look saw that the agent's unit was started anew."""
    if before.guest is None or after.guest is None or after.guest.service.main_pid is None:
        return False
    was, now = before.guest.service, after.guest.service
    return (was.main_pid, was.active_since) != (now.main_pid, now.active_since)


def _seen_again(azure: Azure, before: Diagnosis, done: Repaired, waiting: Waiting, watch: Watch) -> Repaired:
    """What Azure did, with its word and a second look; nothing to look at where nothing was done, or is not over."""
    if waiting.ready <= 0 or done.record.result in (Result.REFUSED, Result.CHANGED, Result.GOING_ON):
        return done
    deadline = Deadline.after(waiting.ready)
    ready_after = _until_ready(azure, before.facts, waiting, watch) if done.took else None
    after = _again(azure, before, waiting, watch)
    while done.took and after.verdict.scenario is Scenario.UNCERTAIN and deadline.remaining() > AGAIN_SECONDS:
        words = f"the second look is in doubt ({after.verdict.summary}): looking again in a minute"
        watch(Answer("wait", State.NOT_ASKED, words))
        waiting.sleep(AGAIN_SECONDS)
        after = _again(azure, before, waiting, watch)
    return replace(done, ready_after=ready_after, after=after)


def _state(carried: Answer, record: RepairRecord) -> State:
    if carried.state is not State.OK:
        return carried.state
    return State.OK if record.result in (*TOOK, Result.UNDONE) else State.FAILED


def _words(carried: Answer, record: RepairRecord) -> str:
    if carried.state is not State.OK:
        return carried.detail
    return record.result.value.replace("-", " ")


def _what_for(waited: float, most: float, in_cloud_shell: bool) -> str:
    if waited >= TELL_SECONDS:
        return f"Azure does not say Ready yet, {waited:.0f} of at most {most:.0f} s"
    dropped = "; if Cloud Shell drops the terminal, run the same again" if in_cloud_shell else ""
    return f"for Azure to say Ready, at most {most:.0f} s: the change is in force{dropped}"


def _until_ready(azure: Azure, facts: Facts, waiting: Waiting, watch: Watch) -> float | None:
    """Seconds until Azure says Ready. A VM that was Ready before tells nothing new by it."""
    if facts.vm is not None and facts.vm.agent is AgentStatus.READY:
        return None
    began = time.monotonic()
    told = 0.0
    deadline = Deadline.after(waiting.ready)
    while deadline.remaining() > POLL_SECONDS:
        waited = time.monotonic() - began
        if waited >= told:
            watch(Answer("wait", State.NOT_ASKED, _what_for(waited, waiting.ready, azure.in_cloud_shell())))
            told = waited + TELL_SECONDS
        answer = ask(INSTANCE_VIEW, lambda: azure.virtual_machine(facts.target, deadline))
        if answer.state is State.OK and parse_vm(answer.value).agent is AgentStatus.READY:
            seconds = time.monotonic() - began
            watch(Answer("wait", State.OK, "Azure says Ready", seconds=seconds))
            return seconds
        waiting.sleep(POLL_SECONDS)
    watch(Answer("wait", State.TIMED_OUT, "Azure does not say Ready yet: its word lags", seconds=waiting.ready))
    return None
