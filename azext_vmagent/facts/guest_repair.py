"""What a repair left in the guest: how far the last one came, who is at work there. Pure; never raises on any input.

Samples, of the probe and of the repair's own answer::

    repair p3266513241.2 1764045000 applied 1
    repairing 4711 1764045000 azureuser
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

from azext_vmagent.facts.console_text import printable

_LAST = re.compile(r"([A-Za-z0-9-]{1,40})((?:\.[0-9]{1,6})?) ([0-9]{1,11}) ([a-z-]{1,20}(?: [0-9]{1,3})?)", re.ASCII)
_AT_WORK = re.compile(r"([0-9]{1,10}) ([0-9]{1,11}) ([A-Za-z0-9._-]{1,20})", re.ASCII)
_ENDED = ("verified", "kept", "failed", "undone", "reverted")
_BEGUN = ("applying", "applied", "reverting")


@dataclass(frozen=True)
class LastRepair:
    """``repair`` is its folder in the guest, ``plan`` the same for every attempt at the same changes, ``state`` the
    last word of its record, ``time`` when that was written, by the guest's clock.
    """

    repair: str
    plan: str
    time: datetime
    state: str

    @property
    def ended(self) -> bool:
        """It came to its end, whatever that was."""
        return self.state in _ENDED

    @property
    def broken_off(self) -> bool:
        """It had begun to change something and was killed, or is at it now."""
        return self.state.partition(" ")[0] in _BEGUN


@dataclass(frozen=True)
class AtWork:
    """The process that holds the guest's lock, since when, and whose login it is."""

    pid: int
    since: datetime
    who: str


def last_repair(text: str) -> LastRepair | None:
    """What stands behind ``repair`` or ``last``.

    >>> last_repair("p1.2 1764045000 applied 1").state
    'applied 1'
    """
    found = _LAST.fullmatch(printable(text).strip())
    if found is None:
        return None
    return LastRepair(f"{found[1]}{found[2]}", found[1], _time(found[3]), found[4])


def at_work(text: str) -> AtWork | None:
    """What stands behind ``repairing`` or ``locked``."""
    found = _AT_WORK.fullmatch(printable(text).strip())
    return AtWork(int(found[1]), _time(found[2]), found[3]) if found is not None else None


def _time(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), timezone.utc)
