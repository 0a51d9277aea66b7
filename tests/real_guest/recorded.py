"""What a run of the matrix saw, one file a row below build/, merged into the repository by ``make repair-table``."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tests.laboratory import ROOT
from tests.real_guest.matrix import Refusal, Repair

#: where a run leaves its results
LATEST = ROOT / "build" / "repairs"
#: the results that docs/repaired.md shows
RECORDED = Path(__file__).parent / "repaired.json"


@dataclass(frozen=True)
class Result:
    """One row of the matrix carried out. ``expected`` is the row itself: another row is not what was seen.

    Seconds: ``whole`` of the command, ``change`` of the program in the guest or at Azure, ``ready`` from its end until
    Azure said Ready (None: it had said so all the time). ``refusal`` is why nothing was done, None for a repair.
    """

    name: str
    expected: dict[str, Any]
    date: str
    machine: str
    outcome: str
    channel: str | None = None
    kinds: tuple[str, ...] = ()
    whole: float | None = None
    change: float | None = None
    ready: float | None = None
    other_rules_same: bool | None = None
    refusal: str | None = None
    step: str | None = None

    @staticmethod
    def of_repair(row: Repair, repair: dict[str, Any], whole: float) -> Result:
        """From the ``repair`` of the document."""
        applied = repair["applied"]
        return Result(
            row.name, as_data(row), _today(), _machine(), repair["outcome"], repair["plan"]["channel"],
            tuple(action["kind"] for action in repair["plan"]["actions"]), round(whole, 1),
            applied["seconds"], repair["verified"]["readyAfter"], applied["otherRulesSame"],
        )  # fmt: skip

    @staticmethod
    def of_refusal(row: Refusal, told: dict[str, Any]) -> Result:
        """From a document whose plan is a refusal."""
        refusal = told["repair"]["plan"]["refusal"]
        first = (refusal["nextSteps"] or [{"action": None}])[0]["action"]
        return Result(
            row.name, as_data(row), _today(), _machine(), told["repair"]["outcome"], refusal=refusal["why"], step=first
        )


def as_data(row: Repair | Refusal) -> dict[str, Any]:
    """What the row says beyond the defaults, as it reads after a way through JSON."""
    usual = {field.name: field.default for field in fields(row)}
    said = {name: value for name, value in asdict(row).items() if value != usual[name]}
    data: dict[str, Any] = json.loads(json.dumps(said))
    return data


def keep(result: Result) -> None:
    """Leave it for ``make repair-table``."""
    LATEST.mkdir(parents=True, exist_ok=True)
    (LATEST / f"{result.name}.json").write_text(json.dumps(asdict(result), indent=1))


def read(text: str) -> Result:
    """One that was kept."""
    data = json.loads(text)
    return Result(**{**data, "kinds": tuple(data["kinds"])})


def recorded() -> dict[str, Result]:
    """Those in the repository, by their row's name."""
    if not RECORDED.exists():
        return {}
    return {one["name"]: read(json.dumps(one)) for one in json.loads(RECORDED.read_text(encoding="utf-8"))}


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def _machine() -> str:
    return f"QEMU without KVM on {os.cpu_count()} cores"
