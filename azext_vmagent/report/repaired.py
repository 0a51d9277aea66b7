"""What became of a repair, for people: the guest's own proof, Azure's word, and how to take it back. Pure."""

from __future__ import annotations

import shlex

from azext_vmagent.causes.access import diagnose_again
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import State
from azext_vmagent.repair.outcome import Repaired
from azext_vmagent.repair.record import RepairRecord, Result
from azext_vmagent.report.layout import Style, entry
from azext_vmagent.report.redaction import safe
from azext_vmagent.report.repaired_by_azure import repaired_by_azure_lines

_NOT = {
    Result.CHANGED: "the guest is no longer as it was in the plan: nothing more was changed; ask again",
    Result.FAILED: "a change did not take",
    Result.REVERTED: "the changes did not help and were taken back",
    Result.REVERTED_BY_WATCHDOG: "the way into the guest was lost, and the guest took the changes back",
    Result.LOCKED: "another repair of this guest is under way",
    Result.NOT_ROOT: "the login is not root's, and only root may change anything",
    Result.NO_PLACE: "nothing can be saved in the guest, so nothing was changed",
    Result.UNKNOWN: "the guest did not say how it ended; a second run goes on where it stopped",
}


def undo_command(before: Diagnosis) -> str:
    """Takes back the last repair of this guest."""
    wish = before.wish
    given = (
        ("--ssh-user", wish.ssh_user),
        ("--ssh-host", wish.ssh_host),
        ("--ssh-port", wish.ssh_port and str(wish.ssh_port)),
        ("--ssh-key", wish.ssh_key),
        ("--ssh-config", wish.ssh_config),
    )
    login = [part for name, value in given if value for part in (name, shlex.quote(value))]
    return diagnose_again(before.facts, *login, "--undo")


def repaired_lines(before: Diagnosis, done: Repaired, style: Style) -> list[str]:
    """``Repaired: web-03 is Ready again after 21 s (was: …)``, or what is still wrong; with the command to undo it."""
    if done.by_azure:
        return repaired_by_azure_lines(before, done, style)
    record, name = done.record, before.facts.target.name
    was = f"was: {before.verdict.scenario.value}"
    if record.result is Result.UNDONE:
        return [style("Undone: the last repair was taken back.", "bold"), *_now(done)]
    if not done.took:
        why = done.carried.detail if done.carried.state is not State.OK else _NOT[record.result]
        lines = [style(f"Not repaired: {safe(why)}", "bold", "red"), *_failed_steps(record)]
        return [*lines, *_now(done), *entry("undo", undo_command(before))]
    if record.result is Result.NOTHING_TO_DO:
        lines = [style("Nothing to do: the guest is as planned already.", "bold", "green")]
    elif done.after is not None and done.after.verdict.scenario.number is not None:
        lines = [style(f"Applied, and it did not help: still broken ({was})", "bold", "red")]
    elif done.ready_after is not None:
        lines = [style(f"Repaired: {name} is Ready again after {done.ready_after:.0f} s ({was})", "bold", "green")]
    elif _ready(done):
        lines = [style(f"Repaired: {name} ({was})", "bold", "green")]
    else:
        lines = [style(f"Applied: the guest proves it; Azure does not show it yet ({was})", "bold", "yellow")]
    proof = ", ".join(f"tcp/{port} answers {status or 'nothing'}" for port, status in record.wire)
    if proof:
        lines += entry("proof", f"in the guest, as root: {proof}")
    if record.other_rules_same is not None:
        same = "unchanged" if record.other_rules_same else "NOT the same as before: look at them"
        lines += entry("rules", f"all other rules are {same}")
    return [*lines, *_now(done), *entry("undo", undo_command(before))]


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
