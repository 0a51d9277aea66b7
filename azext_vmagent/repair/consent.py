"""Whether a plan may be carried out: by the person at the terminal, or by what a script gave. A pure decision.

Nothing is done that was not shown before. What restarts or moves a VM is named besides, also at a terminal: a «y» is
typed too easily for that. Several VMs are never asked about: nobody reads ten plans at a prompt.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from azext_vmagent.repair.model import Permission, RepairPlan


@dataclass(frozen=True)
class RepairWish:
    """What the user said about the repair.

    ``wait`` are the seconds to wait for Azure's Ready and to look again, 0 for ``--no-wait``.
    """

    dry_run: bool = False
    yes: bool = False
    allowed: frozenset[Permission] = frozenset()
    undo: bool = False
    print_script: bool = False
    wait: float = 900.0


class Consent(str, Enum):
    """What comes after the plan was shown. NOTHING: no plan holds a change."""

    GO = "go"
    ASK = "ask"
    SHOW_ONLY = "show-only"
    NOTHING = "nothing"
    MISSING = "missing"


@dataclass(frozen=True)
class Decision:
    """What comes next, and why. ``add`` are the arguments that were missing."""

    consent: Consent
    why: str
    add: tuple[str, ...] = ()


def decide(plans: Sequence[RepairPlan], wish: RepairWish, terminal: bool) -> Decision:
    """What may be done about these plans, one for each VM. ``terminal``: somebody is there to be asked.

    >>> decide([RepairPlan()], RepairWish(), terminal=True).consent.value
    'nothing'
    """
    if not any(plan.actions for plan in plans):
        return Decision(Consent.NOTHING, "no plan holds a change")
    missing = missing_permissions(plans, wish.allowed)
    add: tuple[str, ...] = ("--allow", *missing) if missing else ()
    if wish.dry_run:
        return Decision(Consent.SHOW_ONLY, "--dry-run", add)
    several = len(plans) > 1
    if not wish.yes and (several or not terminal):
        add = ("--yes", *add)
    if add:
        return Decision(Consent.MISSING, _why(missing, several, "--yes" in add), add)
    return Decision(Consent.GO, "--yes") if wish.yes else Decision(Consent.ASK, "somebody is at the terminal")


def missing_permissions(plans: Sequence[RepairPlan], allowed: Collection[Permission]) -> tuple[str, ...]:
    """What the plans need and nobody has named, in the order of ``--allow``'s choices."""
    needed = {permission for plan in plans for permission in plan.permissions}
    return tuple(one.value for one in Permission if one in needed and one not in allowed)


def _why(missing: tuple[str, ...], several: bool, needs_yes: bool) -> str:
    parts = []
    if needs_yes:
        parts.append("several VMs need --yes" if several else "there is no terminal to ask at")
    if missing:
        parts.append(f"{' and '.join(missing)} must be named")
    return "; ".join(parts)
