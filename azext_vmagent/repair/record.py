"""What the guest's repair program prints, as a record. Pure; never raises on any input.

Sample::

    vmagent-repair 1
    repair p3266513241
    step 1 precheck ok
    step 1 apply ok
    step 1 verify ok
    wire 80 200
    wire 32526 200
    other-rules same
    result applied
    end 3 0 2421433656
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from azext_vmagent.facts.console_text import printable
from azext_vmagent.facts.guest_repair import AtWork, LastRepair, at_work, last_repair
from azext_vmagent.facts.probe_answer import posix_checksum

_HEAD = re.compile(r"^[\s>|#$]{0,20}vmagent-repair 1$")
_END = re.compile(r"^end ([0-9]{1,6}) 0 ([0-9]{1,12}|-)$")
_STEP = re.compile(r"^step ([0-9]{1,3}) (precheck|backup|apply|verify|undo) (ok|failed|skipped|changed)(?: (.*))?$")
_WIRE = re.compile(r"^wire (80|32526) ([1-5][0-9]{2}|none)$")
_SAID = ("repair ", "result ", "other-rules ", "earlier ", "last ", "locked ")
#: an answer has at most 4,096 bytes; what a terminal shows around it is more
_MOST = 1_000_000


class Result(str, Enum):
    """How a run ended, in the guest's own word."""

    APPLIED = "applied"
    NOTHING_TO_DO = "nothing-to-do"
    CHANGED = "changed"  # the guest is no longer as in the plan: stopped
    FAILED = "failed"
    KEPT = "kept"  # an action did not take, but the Wire Server answers where it did not before
    REVERTED = "reverted"
    REVERTED_BY_WATCHDOG = "reverted-by-watchdog"
    UNDONE = "undone"
    LOCKED = "locked"
    NOT_ROOT = "not-root"
    NO_PLACE = "no-place"  # nothing can be saved in the guest, so nothing was changed
    REFUSED = "refused"  # Azure refused it: nothing was changed
    GOING_ON = "going-on"  # Azure has not ended it, and nobody waits for it any longer
    HALF_DONE = "half-done"  # some of what Azure was to do is done; commands finish it
    NOT_BEGUN = "not-begun"  # no answer came, and the guest has no record of it: nothing was changed
    UNKNOWN = "unknown"  # it ended before it said so, or its word is new


@dataclass(frozen=True)
class Step:
    """One step of one action.

    ``phase`` is precheck, backup, apply, verify or undo; ``outcome`` ok, failed, skipped (nothing to do) or changed.
    """

    action: int
    phase: str
    outcome: str
    detail: str = ""


@dataclass(frozen=True)
class RepairRecord:
    """A run of the program.

    ``repair`` names its folder in the guest, ``wire`` the HTTP status by port (None: no answer), ``other_rules_same``
    whether every other rule reads as before (None: not compared), ``earlier`` what became of another plan's run that
    had been killed. ``last`` is what the run before this one had left, ``locked_by`` who is at work instead. ``whole``:
    neither cut nor garbled.
    """

    repair: str = ""
    steps: tuple[Step, ...] = ()
    result: Result = Result.UNKNOWN
    wire: tuple[tuple[int, int | None], ...] = ()
    other_rules_same: bool | None = None
    earlier: str = ""
    seconds: int | None = None
    whole: bool = False
    last: LastRepair | None = None
    locked_by: AtWork | None = None

    @property
    def resumed(self) -> bool:
        """It went on where a run that had been killed had stopped."""
        return self.last is not None and self.last.repair == self.repair and not self.last.ended

    def outcome(self, action: int, phase: str) -> str:
        """The last outcome of a step, empty where it was not reached."""
        found = [step.outcome for step in self.steps if (step.action, step.phase) == (action, phase)]
        return found[-1] if found else ""


def parse_record(text: str) -> RepairRecord:
    """The last run in the text, whatever surrounds it; an empty record where there is none.

    >>> parse_record("vmagent-repair 1\\nrepair p1\\nresult undone\\nend 2 0 -").result
    <Result.UNDONE: 'undone'>
    """
    lines = [printable(line).rstrip() for line in text[-_MOST:].replace("\r", "\n").split("\n")]
    heads = [at for at, line in enumerate(lines) if _HEAD.match(line)]
    if not heads:
        return RepairRecord()
    lines = [line for line in lines[heads[-1] + 1 :] if line]
    end = next(((at, found) for at, line in enumerate(lines) if (found := _END.match(line))), None)
    body = lines[: end[0]] if end else lines
    said = dict(line.split(" ", 1) for line in body if line.startswith(_SAID))
    sound = end is not None and (end[1][2] == "-" or _summed(body) == int(end[1][2]))
    return RepairRecord(
        repair=said.get("repair", ""),
        steps=tuple(
            Step(int(found[1]), found[2], found[3], found[4] or "") for line in body if (found := _STEP.match(line))
        ),
        result=_result(said.get("result", "")),
        wire=tuple(
            (int(found[1]), None if found[2] == "none" else int(found[2]))
            for line in body
            if (found := _WIRE.match(line))
        ),
        other_rules_same={"same": True, "differ": False}.get(said.get("other-rules", "")),
        earlier=said.get("earlier", ""),
        seconds=int(end[1][1]) if end else None,
        whole=sound,
        last=last_repair(said.get("last", "")),
        locked_by=at_work(said.get("locked", "")),
    )


def _summed(body: list[str]) -> int:
    return posix_checksum("".join(f"{line}\n" for line in body).encode("utf-8", "replace"))


def _result(word: str) -> Result:
    return Result(word) if word in {known.value for known in Result} else Result.UNKNOWN
