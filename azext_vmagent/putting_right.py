"""``--repair`` and ``--undo`` of one VM: shows the plan, asks once, carries it out, and says what became of it."""

from __future__ import annotations

from typing import Any

from azext_vmagent.carrying import why_not
from azext_vmagent.console import Console
from azext_vmagent.flow import Azure, Diagnosis
from azext_vmagent.repair.consent import Consent, RepairWish, decide
from azext_vmagent.repair.model import AZURE, RepairPlan
from azext_vmagent.repair.outcome import Repaired
from azext_vmagent.repair.plan import plan
from azext_vmagent.repairing import Waiting, repair, undo
from azext_vmagent.report.document import document
from azext_vmagent.report.repaired import repaired_lines


def put_right(azure: Azure, found: Diagnosis, wish: RepairWish, timeout: float, console: Console) -> dict[str, Any]:
    """The document of one VM after the repair, or of what was found where nothing was done."""
    waiting = Waiting(wish.wait, timeout)
    if wish.undo:
        return _undone(azure, found, wish, waiting, console)
    planned = plan(found, wish.allowed)
    why = _why_not(found, planned, wish, console)
    console.show(found, planned, f"Nothing was changed: {why}." if why else "")
    if why is None and not (wish.yes or console.confirm("Apply?")):
        why = "not confirmed"
    if why is not None:
        return document(found, planned)
    done = repair(azure, found, planned, waiting, console.step)
    console.say(lambda style: repaired_lines(found, done, style))
    return document(done.after or found, planned, done, found)


def _why_not(found: Diagnosis, planned: RepairPlan, wish: RepairWish, console: Console) -> str | None:
    """Why the plan is only shown, or None when it is carried out, after a question or without."""
    decision = decide([planned], wish, console.can_ask)
    if decision.consent is Consent.NOTHING:
        return "the plan holds no change"
    if decision.consent is Consent.SHOW_ONLY:
        return "--dry-run"
    no_way = None if planned.channel == AZURE else why_not(found.facts, found.wish)
    if no_way is not None:
        return no_way
    if decision.consent is Consent.MISSING:
        return f"{decision.why}; add {' '.join(decision.add)}"
    return None


def _undone(azure: Azure, found: Diagnosis, wish: RepairWish, waiting: Waiting, console: Console) -> dict[str, Any]:
    why = why_not(found.facts, found.wish)
    if why is None and not wish.yes:
        if not console.can_ask:
            why = "there is no terminal to ask at; add --yes"
        elif not console.confirm("Take back the last repair of this guest?"):
            why = "not confirmed"
    if why is not None:
        console.say(lambda _style: [f"Nothing was changed: {why}."])
        return document(found)
    done: Repaired = undo(azure, found, waiting, console.step)
    console.say(lambda style: repaired_lines(found, done, style))
    return document(done.after or found, None, done, found)
