"""A repair that was broken off: who goes on with it, and what the guest's own record says became of it. Pure.

The record in the guest outlives whoever waited for the answer: a dropped terminal, a run command whose agent restarted,
a killed process. What it says counts; nothing is claimed before.
"""

from __future__ import annotations

from dataclasses import replace

from azext_vmagent.causes.access import diagnose_again
from azext_vmagent.facts.guest_repair import LastRepair
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import NextStep
from azext_vmagent.repair.model import Action, Refusal, RepairPlan, Risk
from azext_vmagent.repair.record import RepairRecord, Result

RESUME = "resume-repair"
#: by the last word of a record in the guest
_RESULTS = {
    "verified": Result.APPLIED,
    "kept": Result.KEPT,
    "failed": Result.FAILED,
    "reverted": Result.REVERTED,
    "undone": Result.UNDONE,
}


def broken_off(facts: Facts) -> LastRepair | None:
    """The repair of this guest that was killed after it had begun, and that nobody is at."""
    guest = facts.guest
    last = guest.last_repair if guest is not None else None
    at_work = guest is not None and guest.repairing is not None
    return last if last is not None and last.broken_off and not at_work else None


def resuming(last: LastRepair, facts: Facts) -> RepairPlan:
    """The plan that makes a broken-off repair whole: it comes before any other, as its timer may yet take it back."""
    action = Action(
        RESUME,
        f"go on with the repair {last.repair}, which was broken off at {last.time:%Y-%m-%d %H:%M} UTC ({last.state})",
        "its changes are made whole and checked, as they were planned then; what does not help is taken back",
        Risk.NONE,
        "none",
        2,
        "--undo takes back the whole repair",
        "the guest's own record ends in «verified»",
        (last.repair,),
    )
    return RepairPlan((action,), facts.guest_channel)


def under_way(facts: Facts) -> Refusal | None:
    """Somebody's repair of this guest is at work now: a second one would only be turned away there."""
    if facts.guest is None or facts.guest.repairing is None:
        return None
    holder = facts.guest.repairing
    since = f"since {holder.since:%H:%M:%S} UTC (login {holder.who}, process {holder.pid})"
    wait = NextStep("wait until it has ended, then ask again", diagnose_again(facts, "--repair", "--dry-run"))
    return Refusal("repair-under-way", f"a repair of this guest is under way {since}", (wait,))


def told_by_the_guest(record: RepairRecord, before: Facts, after: Facts) -> RepairRecord:
    """The record whose answer never came, as far as the guest's own tells it to the next look inside."""
    if after.windows or after.guest is None or not after.guest.complete or after.guest.root is not True:
        return record
    last = after.guest.last_repair
    if last is None or (before.guest is not None and last == before.guest.last_repair):
        return record if after.guest.repairing else replace(record, result=Result.NOT_BEGUN)
    return replace(record, repair=last.repair, result=_RESULTS.get(last.state, Result.UNKNOWN), last=last)
