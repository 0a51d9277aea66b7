"""``--repair`` of several VMs: one plan is shown and agreed to, then one VM after another is put right, never two at
once, and no further one after the first that gets worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from azext_vmagent.causes.access import all_again
from azext_vmagent.console import Console
from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.flow import Azure, Diagnosis
from azext_vmagent.model import Target
from azext_vmagent.putting_right import kept_back, named
from azext_vmagent.repair.consent import Consent, RepairWish, decide
from azext_vmagent.repair.model import RepairPlan
from azext_vmagent.repair.outcome import Ended, Outcome, Repaired
from azext_vmagent.repair.plan import plan
from azext_vmagent.repair.worse import got_worse
from azext_vmagent.repairing import Waiting, repair
from azext_vmagent.report.document import document
from azext_vmagent.report.repair_text import ended_lines
from azext_vmagent.report.repaired import repaired_lines
from azext_vmagent.report.several_text import after_lines, plan_lines


@dataclass
class Turn:
    """One VM and what became of it. ``error`` is the row of one that could not be asked, or not looked at again."""

    target: Target
    azure: Azure | None = None
    found: Diagnosis | None = None
    error: dict[str, Any] | None = None
    planned: RepairPlan | None = None
    ended: Ended | None = None
    done: Repaired | None = None
    worse: str | None = None

    @property
    def outcome(self) -> Outcome | None:
        """None where the VM could not be asked, or while its turn has not come."""
        return self.done.outcome if self.done is not None else self.ended.outcome if self.ended is not None else None

    def row(self) -> dict[str, Any]:
        """The object of this VM, as a call for it alone gives it."""
        if self.found is None or self.error is not None:
            return self.error or {}
        after = self.done.after if self.done is not None else None
        return document(after or self.found, self.planned, self.done, self.found, self.ended)


def put_all_right(turns: Sequence[Turn], wish: RepairWish, timeout: float, console: Console) -> list[dict[str, Any]]:
    """The rows in the order given."""
    for turn in turns:
        if turn.found is not None:
            turn.planned = plan(turn.found, wish.allowed)
            turn.ended = _kept_back(turn.found, turn.planned, wish)
    console.say(lambda style: plan_lines(turns, style))
    to_do = [turn for turn in turns if turn.found is not None and turn.ended is None]
    missing = _missing(turns, to_do, wish, console)
    if missing is not None:
        for turn in to_do:
            turn.ended = missing
    said = missing or _nothing_done(turns, wish)
    if said is not None:
        console.say(lambda style: ended_lines(said, style))
    else:
        _one_after_another(to_do, wish, Waiting(wish.wait, timeout), console)
        console.say(lambda style: after_lines(turns, _rest(to_do, wish), style))
    return [turn.row() for turn in turns]


def _kept_back(found: Diagnosis, planned: RepairPlan, wish: RepairWish) -> Ended | None:
    """As for one VM; the command names it by its id, for it may be of another subscription."""
    ended = kept_back(found, planned, wish)
    if ended is None or ended.outcome is not Outcome.PLANNED:
        return ended
    return replace(ended, command=all_again([found.facts.target], found.wish, "--repair", *named([planned])))


def _missing(turns: Sequence[Turn], to_do: Sequence[Turn], wish: RepairWish, console: Console) -> Ended | None:
    """What nobody has agreed to; the plans of those that are kept back count, for the user named their VMs as well."""
    if not to_do:
        return None
    decision = decide([turn.planned for turn in turns if turn.planned is not None], wish, console.can_ask)
    if decision.consent is not Consent.MISSING and wish.yes:
        return None
    why = decision.why if decision.consent is Consent.MISSING else "several VMs need --yes"
    return Ended(Outcome.NEEDS_CONSENT, why, _command(turns, wish))


def _nothing_done(turns: Sequence[Turn], wish: RepairWish) -> Ended | None:
    if not wish.dry_run:
        changing = any(turn.found is not None and turn.ended is None for turn in turns)
        return None if changing else Ended(Outcome.NOTHING_TO_DO, "no plan holds a change")
    planned = [turn for turn in turns if turn.outcome is Outcome.PLANNED]
    return Ended(Outcome.PLANNED, "--dry-run", _command(planned, wish) if planned else None)


def _command(turns: Sequence[Turn], wish: RepairWish) -> str:
    """Puts these VMs right without a question, with all that their plans need."""
    found = next(turn.found for turn in turns if turn.found is not None)
    waiting = ["--no-wait"] if wish.wait == 0 else []
    plans = [turn.planned for turn in turns if turn.planned is not None]
    return all_again([turn.target for turn in turns], found.wish, "--repair", "--yes", *named(plans), *waiting)


def _one_after_another(to_do: Sequence[Turn], wish: RepairWish, waiting: Waiting, console: Console) -> None:
    for at, turn in enumerate(to_do):
        if turn.azure is None or turn.found is None or turn.planned is None:
            continue
        console.heading(f"{turn.target.name} ({at + 1} of {len(to_do)})")
        try:
            done = repair(turn.azure, turn.found, turn.planned, waiting, partial(console.step, name=turn.target.name))
        except KeyboardInterrupt:
            console.show_interrupted(_interrupted(to_do, at, wish))
            raise
        except SourceFailed as exc:
            turn.worse = f"nobody may look at it any more: {exc.detail}"
            turn.ended = Ended(Outcome.NOT_REPAIRED, turn.worse)
        else:
            _shown(turn, done, console)
        if turn.worse is not None:
            why = f"{turn.target.name} got worse: {turn.worse}"
            for later in to_do[at + 1 :]:
                later.ended = Ended(Outcome.NOT_STARTED, why, _command(to_do[at + 1 :], wish))
            return


def _shown(turn: Turn, done: Repaired, console: Console) -> None:
    before = turn.found
    if before is None:
        return
    turn.done, turn.worse = done, got_worse(before, done)
    console.say(lambda style: repaired_lines(before, done, style))


def _rest(to_do: Sequence[Turn], wish: RepairWish) -> str | None:
    left = [turn for turn in to_do if turn.outcome is Outcome.NOT_STARTED]
    return _command(left, wish) if left else None


def _interrupted(to_do: Sequence[Turn], at: int, wish: RepairWish) -> list[str]:
    """Which VMs were done, which one was under way and goes on by itself, and the command for it and the others."""
    before = ", ".join(turn.target.name for turn in to_do[:at])
    later = ", ".join(turn.target.name for turn in to_do[at + 1 :])
    lines = [f"done: {before}"] if before else []
    lines += [f"under way: {to_do[at].target.name}: the same repair again goes on where it stopped"]
    lines += [f"not started: {later}"] if later else []
    return [*lines, f"the rest: {_command(to_do[at:], wish)}"]
