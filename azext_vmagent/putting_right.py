"""``--repair`` and ``--undo`` of one VM: shows the plan, asks once, carries it out, and says what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from azext_vmagent.carrying import why_not
from azext_vmagent.causes.access import the_same_way
from azext_vmagent.console import Console
from azext_vmagent.flow import Azure, Diagnosis
from azext_vmagent.repair.consent import Consent, RepairWish, decide, missing_permissions
from azext_vmagent.repair.model import AZURE, RepairPlan
from azext_vmagent.repair.outcome import Ended, Outcome
from azext_vmagent.repair.plan import plan
from azext_vmagent.repair.scripts import script_for
from azext_vmagent.repairing import Waiting, repair, undo
from azext_vmagent.report.document import document
from azext_vmagent.report.repaired import repaired_lines


def put_right(azure: Azure, found: Diagnosis, wish: RepairWish, timeout: float, console: Console) -> dict[str, Any]:
    """The document of one VM after the repair, or of what was found where nothing was done."""
    waiting = Waiting(wish.wait, timeout)
    if wish.undo:
        return _undone(azure, found, wish, waiting, console)
    planned = plan(found, wish.allowed)
    ended = kept_back(found, planned, wish)
    if ended is None and decide([planned], wish, console.can_ask).consent is Consent.MISSING:
        ended = without_consent(found, [planned], wish, console.can_ask)
    console.show(found, planned, ended)
    if ended is None and not (wish.yes or console.confirm("Apply?")):
        ended = Ended(Outcome.NEEDS_CONSENT, "not confirmed")
        console.end(ended)
    if ended is not None:
        return document(found, planned, ended=ended)
    done = repair(azure, found, planned, waiting, console.step)
    console.say(lambda style: repaired_lines(found, done, style))
    return document(done.after or found, planned, done, found)


def kept_back(found: Diagnosis, planned: RepairPlan, wish: RepairWish) -> Ended | None:
    """Why this VM is left as it is, whoever agrees; None when the plan may be carried out."""
    refusal = planned.refusal
    if refusal is not None:
        outcome = Outcome.NOTHING_TO_DO if refusal.code == "healthy" else Outcome.REFUSED
        return Ended(outcome, refusal.why, next((step.command for step in refusal.next_steps if step.command), None))
    no_way = why_not(found.facts, found.wish, script_for(found.facts, planned)) if planned.channel != AZURE else None
    if no_way is not None:
        return Ended(Outcome.REFUSED, no_way)
    if wish.dry_run:
        return Ended(Outcome.PLANNED, "--dry-run", the_same_way(found.facts, found.wish, "--repair", *named([planned])))
    return None


def without_consent(found: Diagnosis, plans: Sequence[RepairPlan], wish: RepairWish, terminal: bool) -> Ended:
    """What nobody has agreed to yet, and the command that does; ``plans`` are all that it would be given for."""
    decision = decide(plans, wish, terminal)
    yes = ["--yes"] if wish.yes or "--yes" in decision.add else []
    command = the_same_way(found.facts, found.wish, "--repair", *yes, *named(plans))
    return Ended(Outcome.NEEDS_CONSENT, decision.why, command)


def named(plans: Sequence[RepairPlan]) -> list[str]:
    """The ``--allow`` that these plans need."""
    permissions = missing_permissions(plans, ())
    return ["--allow", *permissions] if permissions else []


def _undone(azure: Azure, found: Diagnosis, wish: RepairWish, waiting: Waiting, console: Console) -> dict[str, Any]:
    no_way = why_not(found.facts, found.wish, undoing=True)
    ended = Ended(Outcome.NOT_UNDONE, no_way) if no_way is not None else None
    if ended is None and not wish.yes:
        if not console.can_ask:
            command = the_same_way(found.facts, found.wish, "--undo", "--yes")
            ended = Ended(Outcome.NEEDS_CONSENT, "there is no terminal to ask at", command)
        elif not console.confirm("Take back the last repair of this guest?"):
            ended = Ended(Outcome.NEEDS_CONSENT, "not confirmed")
    if ended is not None:
        console.end(ended)
        return document(found, ended=ended)
    done = undo(azure, found, waiting, console.step)
    console.say(lambda style: repaired_lines(found, done, style))
    return document(done.after or found, None, done, found)
