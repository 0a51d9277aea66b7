"""Carries out what Azure itself does: restart, redeploy, or the reset of the network interface.

The VM is read again first; one that is no longer as in the plan is left alone. Each change is sent once. What came of
it is always said: done, refused (nothing was changed), still going on, or half done with the commands that finish it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from azext_vmagent.causes.access import az_vm, with_login
from azext_vmagent.channels.resource_manager import POLL_SECONDS, Change
from azext_vmagent.evidence.asking import Said, SourceFailed, ask_all, failure
from azext_vmagent.evidence.compute import API_VERSION as COMPUTE_VERSION
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.evidence.network import API_VERSION as NETWORK_VERSION
from azext_vmagent.facts.azure_refusals import AzureSaid
from azext_vmagent.facts.instance_view import parse_vm
from azext_vmagent.facts.reading import Facts
from azext_vmagent.flow import Azure, Diagnosis, Watch
from azext_vmagent.model import Answer, NextStep, State
from azext_vmagent.repair import nic_reset
from azext_vmagent.repair.azure_words import Lock, changed_since, explained, read_locks
from azext_vmagent.repair.model import AZURE, Action, Permission, RepairPlan
from azext_vmagent.repair.nic_reset import DYNAMIC, STATIC, Configuration
from azext_vmagent.repair.outcome import Repaired
from azext_vmagent.repair.record import RepairRecord, Result, Step
from azext_vmagent.repair.refusals import AT_WORK

#: how long we follow it; Azure itself may take longer, and then goes on
SECONDS = {Permission.RESTART: 600.0, Permission.REDEPLOY: 2400.0, Permission.RESET_NIC: 1800.0}
#: reading the VM again, the locks, the interface
READ_SECONDS = 30.0
LOCKS_VERSION = "2016-09-01"
#: a refusal names one or two
MOST_SCOPES = 3


@dataclass(frozen=True)
class End:
    """How it ended: the result, a sentence, and what to do then."""

    result: Result
    detail: str
    advice: tuple[NextStep, ...] = ()
    steps: tuple[Step, ...] = ()


def by_azure(azure: Azure, before: Diagnosis, plan: RepairPlan, watch: Watch) -> Repaired:
    """Carry out the plan's one action. Never raises for what Azure does."""
    action = plan.actions[0]
    deadline = Deadline.after(SECONDS[action.allow] if action.allow is not None else READ_SECONDS)
    call = {AZURE: lambda: _done(azure, before.facts, action, deadline, watch)}
    answer = next(iter(ask_all(call, Deadline(deadline.at + 2 * READ_SECONDS))))
    end = answer.value
    if not isinstance(end, End):
        end = End(Result.UNKNOWN, answer.detail, (_look(before.facts),))
    state = State.OK if end.result is Result.APPLIED else State.FAILED
    state = State.TIMED_OUT if end.result is Result.GOING_ON else state
    carried = Answer(AZURE, state, end.detail, seconds=answer.seconds)
    watch(replace(carried, source=action.kind))
    record = RepairRecord(steps=end.steps, result=end.result, seconds=round(answer.seconds or 0), whole=True)
    advice = with_login(end.advice, before.facts, before.wish)
    return Repaired(carried, record, advice=advice, by_azure=True)


def _done(azure: Azure, facts: Facts, action: Action, deadline: Deadline, watch: Watch) -> Said:
    """(words, End). Everything is inside: also a failure is an end."""
    why = _not_as_planned(azure, facts)
    if why is not None:
        end = End(Result.CHANGED, f"nothing was done: {why}", steps=(Step(1, "precheck", "changed", why),))
        return end.detail, end
    checked = Step(1, "precheck", "ok")
    if action.allow is Permission.RESET_NIC:
        end = _NicReset(azure, facts, deadline, _progress(action, watch)).run()
    else:
        end = _one_change(azure, facts, action, deadline, watch)
    return end.detail, replace(end, steps=(checked, *end.steps))


def _not_as_planned(azure: Azure, facts: Facts) -> str | None:
    try:
        _, found = azure.virtual_machine(facts.target, Deadline.after(READ_SECONDS))
    except Exception as exc:  # pylint: disable=broad-except  # what cannot be looked at is not changed
        return f"the VM could not be read again: {failure(exc).detail}"
    return changed_since(facts.vm, parse_vm(found))


def _one_change(azure: Azure, facts: Facts, action: Action, deadline: Deadline, watch: Watch) -> End:
    verb = action.kind
    wait = az_vm("wait", facts, "--updated")
    goes_on = f"Azure goes on with the {verb}, and nobody can call it back; this waits for its end: {wait}"
    change = Change("POST", f"{facts.target.id}/{verb}", COMPUTE_VERSION, facts.target.id, goes_on)
    try:
        words, _ = azure.change(change, deadline, _progress(action, watch))
    except Exception as exc:  # pylint: disable=broad-except  # each becomes an end
        return _ended_badly(azure, facts, failure(exc), NextStep("wait for its end", wait))
    return End(Result.APPLIED, words, steps=(Step(1, "apply", "ok"),))


def _ended_badly(azure: Azure, facts: Facts, failed: SourceFailed, wait: NextStep) -> End:
    said = failed.value if isinstance(failed.value, AzureSaid) else AzureSaid(sent=True)
    if failed.state is State.TIMED_OUT and said.sent and not said.code:
        return End(Result.GOING_ON, failed.detail, (wait,), (Step(1, "apply", "failed", "not over"),))
    words, advice = explained(said, failed.detail, facts, _locks(azure, said))
    if not said.sent:
        return End(Result.REFUSED, f"nothing was done: {words}", advice, (Step(1, "apply", "failed", words),))
    if not said.code or (said.status or 0) >= 500:  # no answer, or none that tells
        unsure = f"whether Azure took it up is not known ({words}); it is not sent again"
        return End(Result.UNKNOWN, unsure, (_look(facts),), (Step(1, "apply", "failed", unsure),))
    return End(
        Result.FAILED, f"Azure began it and could not end it: {words}", advice, (Step(1, "apply", "failed", words),)
    )


def _locks(azure: Azure, said: AzureSaid) -> tuple[Lock, ...]:
    """The locks at the scopes that the refusal names; none where they may not be read: its words have to do then."""
    found: list[Lock] = []
    for scope in said.locked[:MOST_SCOPES] if said.code.lower() == "scopelocked" else ():
        path = f"{scope}/providers/Microsoft.Authorization/locks"
        with contextlib.suppress(Exception):
            _, listed = azure.resource(path, {"api-version": LOCKS_VERSION}, Deadline.after(READ_SECONDS))
            found += read_locks(listed, scope)
    return tuple(found)


def _look(facts: Facts) -> NextStep:
    return NextStep("see what Azure does to the VM before anything else", az_vm("get-instance-view", facts, "-o table"))


def _progress(action: Action, watch: Watch) -> Callable[[float], None]:
    return lambda seconds: watch(Answer(action.kind, State.NOT_ASKED, f"Azure is at it, {seconds:.0f} s so far"))


class _NicReset:
    """One reset: another address, the old one, and the old way of getting it."""

    def __init__(self, azure: Azure, facts: Facts, deadline: Deadline, progress: Callable[[float], None]) -> None:
        self._azure, self._facts, self._deadline, self._progress = azure, facts, deadline, progress
        self._steps: list[Step] = []

    def run(self) -> End:
        """Each change waits for the one before it, and for the VM to have come to rest."""
        facts = self._facts
        nic_id = facts.vm.nic_ids[0] if facts.vm is not None and facts.vm.nic_ids else ""
        try:
            nic = self._get(nic_id)
            seen = nic_reset.configuration(nic)
            if isinstance(seen, str):
                return self._refused(seen)
            swap = nic_reset.free_address(self._availability(seen), seen.address)
        except Exception as exc:  # pylint: disable=broad-except  # nothing was changed yet
            return self._refused(*self._words(failure(exc)))
        if swap is None:
            return self._refused("Azure names no free address in the subnet, and the reset needs one for a moment")
        first = self._first(nic, seen, swap)
        return first or self._back(seen, swap)

    def _first(self, nic: dict[str, Any], seen: Configuration, swap: str) -> End | None:
        """Give it the other address; the end where that did not succeed."""
        try:
            self._put(nic, seen, swap, STATIC, f"the address is {swap} for a moment", nic_reset.finishing(seen))
        except Exception as exc:  # pylint: disable=broad-except  # each becomes an end
            failed = failure(exc)
            said = failed.value if isinstance(failed.value, AzureSaid) else AzureSaid(sent=True)
            words, advice = self._words(failed)
            if not said.sent:
                return self._refused(words, advice)
            return self._half_done(f"giving the interface the address {swap} did not end well: {words}", seen)
        return None

    def _back(self, seen: Configuration, swap: str) -> End:
        """The old address as a fixed one, then the old way of getting it."""
        address, method = swap, STATIC
        for wanted in dict.fromkeys((STATIC, DYNAMIC if seen.method.lower() == DYNAMIC.lower() else STATIC)):
            is_back = address == seen.address
            try:
                self._settled()
                nic = self._get(seen.nic_id)
                found = nic_reset.configuration(nic)
                if isinstance(found, str) or (found.address, found.method.lower()) != (address, method.lower()):
                    return self._half_done("somebody else changes the interface as well", seen, is_back)
                words = "the old address is back" if is_back else "the old address comes back"
                self._put(nic, seen, seen.address, wanted, words, nic_reset.finishing(seen, is_back))
            except Exception as exc:  # pylint: disable=broad-except  # each becomes an end
                words, _ = self._words(failure(exc))
                return self._half_done(words, seen, is_back)
            address, method = seen.address, wanted
        return self._checked(seen)

    def _checked(self, seen: Configuration) -> End:
        try:
            found = nic_reset.configuration(self._get(seen.nic_id))
        except Exception as exc:  # pylint: disable=broad-except  # Azure has said that each change succeeded
            detail = f"reset; the interface could not be read afterwards: {failure(exc).detail}"
            return End(Result.APPLIED, detail, steps=tuple(self._steps))
        if isinstance(found, str) or (found.address, found.method.lower()) != (seen.address, seen.method.lower()):
            return self._half_done("the interface is not as it was before", seen)
        verified = Step(len(self._steps), "verify", "ok", f"{seen.address} {seen.method}")
        return End(
            Result.APPLIED,
            f"the network interface was reset; its address is {seen.address} ({seen.method}) again",
            steps=(*self._steps, verified),
        )

    def _put(
        self, nic: dict[str, Any], seen: Configuration, address: str, method: str, words: str, rest: tuple[str, ...]
    ) -> None:
        finish = f"; when that has ended, finish with: {nic_reset.joined(rest)}" if rest else ""
        body = nic_reset.with_address(nic, address, method)
        change = Change("PUT", seen.nic_id, NETWORK_VERSION, seen.nic_id, f"{words}, Azure goes on{finish}", body)
        step = Step(len(self._steps) + 1, "apply", "failed", f"{address} {method}")
        self._steps.append(step)
        self._azure.change(change, self._deadline, self._progress)
        self._steps[-1] = replace(step, outcome="ok")

    def _settled(self) -> None:
        """Until Azure is no longer at work on the VM, which the new address has restarted."""
        while self._deadline.remaining() > POLL_SECONDS:
            _, found = self._azure.virtual_machine(self._facts.target, Deadline.after(READ_SECONDS))
            if parse_vm(found).provisioning not in AT_WORK:
                return
            time.sleep(POLL_SECONDS)
        raise SourceFailed(State.TIMED_OUT, "Azure is still at work on the VM", value=AzureSaid())

    def _get(self, path: str) -> dict[str, Any]:
        _, found = self._azure.resource(path, {"api-version": NETWORK_VERSION}, Deadline.after(READ_SECONDS))
        return dict(found)

    def _availability(self, seen: Configuration) -> Any:
        path = f"{seen.network_id}/CheckIPAddressAvailability"
        params = {"api-version": NETWORK_VERSION, "ipAddress": seen.address}
        return self._azure.resource(path, params, Deadline.after(READ_SECONDS))[1]

    def _words(self, failed: SourceFailed) -> tuple[str, tuple[NextStep, ...]]:
        said = failed.value if isinstance(failed.value, AzureSaid) else AzureSaid(missing_action=failed.missing_action)
        return explained(said, failed.detail, self._facts, _locks(self._azure, said))

    def _refused(self, why: str, advice: tuple[NextStep, ...] = ()) -> End:
        steps = tuple(self._steps) or (Step(1, "precheck", "failed", why),)
        return End(Result.REFUSED, f"nothing was done: {why}", advice, steps)

    def _half_done(self, why: str, seen: Configuration, address_is_back: bool = False) -> End:
        rest = nic_reset.finishing(seen, address_is_back)
        old = f"{seen.address} ({seen.method})"
        detail = f"the reset is half done: {why}; the interface had {old} before"
        finish = NextStep(
            f"give the interface {old} again, once Azure is at rest",
            nic_reset.joined(rest) or None,
            effect="what was still missing of the reset",
            risk="a restart of the VM" if not address_is_back else "none known",
            downtime="2-5 min" if not address_is_back else "none",
        )
        group, name = seen.nic_id.split("/")[4], seen.nic_id.rsplit("/", 1)[-1]
        look = NextStep("see how it is now", f"az network nic ip-config list -g {group} --nic-name {name} -o table")
        return End(Result.HALF_DONE, detail, (look, finish), tuple(self._steps))
