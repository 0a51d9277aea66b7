"""How a call with ``--repair`` or ``--undo`` ended for one VM, and what was seen afterwards. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Answer, NextStep, Scenario, State
from azext_vmagent.repair.record import RepairRecord, Result

#: results after which the guest is as planned
TOOK = (Result.APPLIED, Result.NOTHING_TO_DO, Result.KEPT)
#: results after which some changes may be in force and others not
_HALF_WAY = (Result.FAILED, Result.CHANGED, Result.UNKNOWN)


class Outcome(str, Enum):
    """The end in one word, in the words of the JSON contract (add, never rename)."""

    REPAIRED = "repaired"  # changed, proved in the guest, and the second look finds the agent well
    UNDONE = "undone"
    NOTHING_TO_DO = "nothing-to-do"
    PLANNED = "planned"  # --dry-run: there is something to change
    APPLIED = "applied"  # changed and proved in the guest; Azure does not show it yet, or nobody looked
    GOING_ON = "going-on"  # Azure is still at it, and nobody waits any longer
    REFUSED = "refused"
    NEEDS_CONSENT = "needs-consent"
    NOT_STARTED = "not-started"  # of several VMs: one before it got worse
    NOT_REPAIRED = "not-repaired"
    NOT_UNDONE = "not-undone"


@dataclass(frozen=True)
class Ended:
    """Where nothing was changed: the end in a word, why in a sentence, and the command that leads on."""

    outcome: Outcome
    why: str
    command: str | None = None


@dataclass(frozen=True)
class Repaired:
    """One run in the guest. ``ready_after`` are the seconds until Azure said Ready, None where it did not, or was not
    waited for; ``after`` is the diagnosis that followed, None after ``--no-wait``. ``by_azure``: it was no run in the
    guest but Azure's own doing, ``advice`` then says what to do about an end that was not the planned one.
    ``undoing``: a run of ``--undo``. ``unproven`` says what is still to come and was not seen, empty where all was.
    """

    carried: Answer
    record: RepairRecord
    ready_after: float | None = None
    after: Diagnosis | None = None
    by_azure: bool = False
    advice: tuple[NextStep, ...] = ()
    undoing: bool = False
    unproven: str = ""

    @property
    def took(self) -> bool:
        """The guest says itself that the change is in force."""
        return self.record.result in TOOK

    @property
    def answered(self) -> bool:
        """The run told its own end; an answer that broke off does not."""
        return self.carried.state is State.OK and (self.by_azure or self.record.whole)

    @property
    def in_force(self) -> bool:
        """This run has changed something in the guest, or may have, that was not taken back: ``--undo`` does."""
        if self.undoing or self.by_azure:  # what Azure did has its own way back, or none
            return False
        if self.record.result in _HALF_WAY:
            lost = self.record.result is Result.UNKNOWN and self.carried.state not in (State.DENIED, State.NOT_ASKED)
            return lost or any(
                step.phase == "apply" and step.outcome == "ok" and self.record.outcome(step.action, "undo") != "ok"
                for step in self.record.steps
            )
        return self.record.result in (Result.APPLIED, Result.KEPT)

    @property
    def outcome(self) -> Outcome:
        """Nothing is called repaired that the second look finds broken, or that nobody has seen well."""
        result, scenario = self.record.result, self.after.verdict.scenario if self.after is not None else None
        if self.undoing:
            word = {Result.UNDONE: Outcome.UNDONE, Result.NOTHING_TO_DO: Outcome.NOTHING_TO_DO}
            return word.get(result, Outcome.NOT_UNDONE)
        if result is Result.GOING_ON:
            return Outcome.GOING_ON
        if not self.took or (scenario is not None and scenario.number is not None):
            return Outcome.NOT_REPAIRED
        if result is Result.NOTHING_TO_DO:
            return Outcome.NOTHING_TO_DO
        return Outcome.REPAIRED if scenario is Scenario.HEALTHY and not self.unproven else Outcome.APPLIED
