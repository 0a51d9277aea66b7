"""What became of a repair, for people: the guest's own proof, Azure's word, and how to take it back. Pure."""

from __future__ import annotations

from azext_vmagent.causes.access import the_same_way, undo_the_same_way
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import State, Verdict
from azext_vmagent.repair.outcome import Outcome, Repaired
from azext_vmagent.repair.record import RepairRecord, Result
from azext_vmagent.repair.worse import got_worse
from azext_vmagent.report.layout import Style, entry
from azext_vmagent.report.redaction import safe
from azext_vmagent.report.repair_text import command_line
from azext_vmagent.report.repaired_by_azure import repaired_by_azure_lines

_NOT = {
    Result.CHANGED: "the guest is no longer as it was in the plan: nothing more was changed; ask again",
    Result.FAILED: "a change did not take",
    Result.REVERTED: "the changes did not help and were taken back",
    Result.REVERTED_BY_WATCHDOG: "the way into the guest was lost, and the guest took the changes back",
    Result.LOCKED: "another repair of this guest is under way",
    Result.NOT_ROOT: "the login is not root's, and only root may change anything",
    Result.NO_PLACE: "nothing can be saved in the guest, so nothing was changed",
    Result.NOT_BEGUN: "no answer came, and the guest has no record of it: nothing was changed",
    Result.UNKNOWN: "the guest did not say how it ended; a second run goes on where it stopped",
}
#: what the same repair, asked for once more, looks at anew, goes on with, or waits for
_AGAIN = (Result.CHANGED, Result.LOCKED, Result.UNKNOWN, Result.NOT_BEGUN)
_TITLES = {
    Outcome.REPAIRED: ("Repaired", "green"),
    Outcome.UNDONE: ("Undone", "green"),
    Outcome.NOTHING_TO_DO: ("Nothing to do", "green"),
    Outcome.APPLIED: ("Applied", "yellow"),
    Outcome.NOT_REPAIRED: ("Not repaired", "red"),
    Outcome.NOT_UNDONE: ("Not undone", "red"),
}


def undo_command(before: Diagnosis) -> str:
    """Takes back the last repair of this guest."""
    return undo_the_same_way(before.facts, before.wish)


def next_command(before: Diagnosis, done: Repaired) -> str | None:
    """What leads on: the same repair again, another look, or the way back; None where all is well."""
    if done.outcome is Outcome.APPLIED:
        return the_same_way(before.facts, before.wish)
    if done.by_azure:
        return next((step.command for step in done.advice if step.command), None)
    if done.outcome is Outcome.NOT_REPAIRED and done.record.result in _AGAIN:
        return the_same_way(before.facts, before.wish, "--repair")
    return undo_command(before) if done.outcome is Outcome.NOT_REPAIRED and done.in_force else None


def why(before: Diagnosis, done: Repaired) -> str:
    """The end in a sentence: ``web-03 is Ready again after 21 s (was: scenario 2, wire-server-blocked)``."""
    name, was, result = before.facts.target.name, f"(was: {_named(before.verdict)})", done.record.result
    ready = f"{name} is Ready again" + (f" after {done.ready_after:.0f} s" if done.ready_after is not None else "")
    proof = "Azure has done it" if done.by_azure else "the guest proves it"
    if done.undoing and result in (Result.UNDONE, Result.NOTHING_TO_DO):
        return "the last repair was taken back" if result is Result.UNDONE else "no repair of this guest is in force"
    if not done.took:
        told = done.by_azure or done.carried.state is not State.OK
        return done.carried.detail if told else _NOT.get(result, result.value)
    if done.outcome is Outcome.NOT_REPAIRED:
        return f"{proof if done.by_azure else 'the changes are in force'}, and it did not help: still broken {was}"
    if done.outcome is Outcome.NOTHING_TO_DO:
        return f"the guest is as planned already{_since(done.record)}"
    if done.unproven:
        return f"not proven yet: {done.unproven} {was}"
    if done.outcome is Outcome.REPAIRED:
        return f"{ready} {was}"
    if done.after is None:
        return f"{proof}; nobody waited for Azure's word {was}"
    return (
        f"{ready}, and something is left {was}"
        if _ready(done)
        else (f"{proof}; Azure does not show it yet: its word lags {was}")
    )


def repaired_lines(before: Diagnosis, done: Repaired, style: Style) -> list[str]:
    """``Repaired: web-03 is Ready again after 21 s (was: …)``, or what is still wrong; with the command to undo it."""
    if done.by_azure:
        return repaired_by_azure_lines(before, done, style)
    record, (word, colour) = done.record, _TITLES[done.outcome]
    lines = [style(f"{word}: {safe(why(before, done))}", "bold", colour), *_from_the_record(done)]
    lines += _failed_steps(record)
    proof = ", ".join(f"tcp/{port} answers {status or 'nothing'}" for port, status in record.wire)
    if proof:
        lines += entry("proof", f"in the guest, as root: {proof}")
    if record.other_rules_same is not None:
        same = "unchanged" if record.other_rules_same else "NOT the same as before: look at them"
        lines += entry("rules", f"all other rules are {same}")
    worse = got_worse(before, done)
    lines += [*_now(done), *(entry("worse", safe(worse)) if worse else [])]
    undo, next_ = undo_command(before) if done.in_force else None, next_command(before, done)
    lines += command_line("do now", next_, style) if next_ and next_ != undo else []
    return [*lines, *(command_line("undo", undo, style) if undo else [])]


def _named(verdict: Verdict) -> str:
    number = verdict.scenario.number
    return f"scenario {number}, {verdict.scenario.value}" if number else verdict.scenario.value


def _since(record: RepairRecord) -> str:
    """Which earlier run had made these changes, and when."""
    last = record.last
    if last is None or not last.ended or last.plan != record.repair.partition(".")[0] or last.state != "verified":
        return ""
    return f": applied already at {last.time:%Y-%m-%d %H:%M:%S} UTC by the repair {last.repair}"


def _from_the_record(done: Repaired) -> list[str]:
    """What the guest's own record tells beside this run's answer, or instead of it."""
    record, last = done.record, done.record.last
    if record.locked_by is not None:
        holder = record.locked_by
        since = f"at work since {holder.since:%Y-%m-%d %H:%M:%S} UTC (process {holder.pid}, login {holder.who})"
        return entry("there", f"{since}: wait until it has ended, then ask again")
    if record.result is Result.NOT_BEGUN and not done.answered:
        return entry("guest", "has no record of it: nothing was changed there so far")
    if last is None:
        return []
    if not done.answered:
        how = (
            "the answer broke off"
            if done.carried.state is State.OK
            else f"no answer came ({safe(done.carried.detail)})"
        )
        lost = "" if not done.took else f"{how}; "
        return entry("record", f"{lost}the guest's own says: {last.state} at {last.time:%Y-%m-%d %H:%M:%S} UTC")
    if record.resumed:
        when = f"{last.time:%Y-%m-%d %H:%M:%S} UTC"
        return entry("resumed", f"went on with the repair that was broken off at {when} ({last.state})")
    return []


def _ready(done: Repaired) -> bool:
    vm = done.after.facts.vm if done.after is not None else None
    return vm is not None and vm.agent is AgentStatus.READY


def _now(done: Repaired) -> list[str]:
    if done.after is None:
        return []
    verdict = done.after.verdict
    return entry("now", f"{verdict.scenario.value} ({verdict.confidence.value}): {safe(verdict.summary)}")


def _failed_steps(record: RepairRecord) -> list[str]:
    return [
        line
        for step in record.steps
        if step.outcome in ("failed", "changed")
        for line in entry("", f"change {step.action}, {step.phase}: {step.outcome} {safe(step.detail)}".rstrip())
    ]
