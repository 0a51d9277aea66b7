"""What a repair is made of: actions in order, or a refusal that says what to do instead. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from azext_vmagent.model import Cause, NextStep


class Risk(str, Enum):
    """What an action can cost at worst, in the words of the JSON contract."""

    NONE = "none"
    AGENT_RESTART = "agent-restart"
    REBOOT = "reboot"
    DATA = "data"


class Permission(str, Enum):
    """What is done only to those who name it: ``--allow restart redeploy reset-nic``."""

    RESTART = "restart"
    REDEPLOY = "redeploy"
    RESET_NIC = "reset-nic"


#: the channel of actions that Azure itself carries out
AZURE = "azure"
#: an argument: the agent restarts a little later and from outside; at once would end the run command that carries it
DETACHED = "detached"


@dataclass(frozen=True)
class Action:
    """One change.

    ``kind`` is a stable slug; ``change`` the exact change in a line; ``undo`` says how it is reverted, ``proof`` what
    will show success. ``arguments`` are data for the guest's program and never part of a shell's own text: they may
    hold what the guest printed. ``allow`` is the permission that Azure's own actions need besides the consent to the
    plan, ``loses`` what this VM may lose by them.
    """

    kind: str
    change: str
    effect: str
    risk: Risk
    downtime: str
    minutes: int
    undo: str
    proof: str
    arguments: tuple[str, ...] = ()
    allow: Permission | None = None
    loses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """Why nothing may or can be done, by a stable slug and in a sentence, and what to do instead."""

    code: str
    why: str
    next_steps: tuple[NextStep, ...] = ()


@dataclass(frozen=True)
class RepairPlan:
    """The actions in order and the channel that carries them; or the refusal, and then no action at all.

    ``remains`` are causes that were found as well and that no action of the plan cures; ``untried`` says what nobody
    has seen work yet.
    """

    actions: tuple[Action, ...] = ()
    channel: str | None = None
    refusal: Refusal | None = None
    remains: tuple[Cause, ...] = ()
    untried: str = ""

    @property
    def permissions(self) -> frozenset[Permission]:
        """What has to be named with ``--allow``."""
        return frozenset(action.allow for action in self.actions if action.allow is not None)
