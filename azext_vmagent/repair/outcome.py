"""How a run of a repair in the guest ended, together with what was seen afterwards. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Answer, NextStep
from azext_vmagent.repair.record import RepairRecord, Result

#: results after which the guest is as planned
TOOK = (Result.APPLIED, Result.NOTHING_TO_DO, Result.KEPT)


@dataclass(frozen=True)
class Repaired:
    """One run in the guest. ``ready_after`` are the seconds until Azure said Ready, None where it did not, or was not
    waited for; ``after`` is the diagnosis that followed, None after ``--no-wait``. ``by_azure``: it was no run in the
    guest but Azure's own doing, ``advice`` then says what to do about an end that was not the planned one.
    """

    carried: Answer
    record: RepairRecord
    ready_after: float | None = None
    after: Diagnosis | None = None
    by_azure: bool = False
    advice: tuple[NextStep, ...] = ()

    @property
    def took(self) -> bool:
        """The guest says itself that the change is in force."""
        return self.record.result in TOOK
