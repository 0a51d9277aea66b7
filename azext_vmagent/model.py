"""The types that cross a stage boundary.

``Target -> Evidence -> Fact -> Verdict -> Report``. Every stage takes the frozen values of the one before it, so a
saved answer replays to the same verdict. Standard library only: the pure stages import this module and nothing that
does I/O. Times are timezone-aware UTC; durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any


class Scenario(str, Enum):
    """What is wrong, in the words of the JSON contract (schemaVersion 1: add, never rename)."""

    AGENT_STOPPED = "agent-stopped"
    WIRE_SERVER_BLOCKED = "wire-server-blocked"
    NETWORK_DOWN = "network-down"
    OS_NOT_RUNNING = "os-not-running"
    HEALTHY = "healthy"
    AGENT_DEGRADED = "agent-degraded"
    VM_NOT_RUNNING = "vm-not-running"
    NO_AGENT_EXPECTED = "no-agent-expected"
    PROVISIONING = "provisioning"
    PLATFORM = "platform"
    UNCERTAIN = "uncertain"

    @property
    def number(self) -> int | None:
        """1 to 4 for the support article's four scenarios, else None."""
        return _NUMBERS.get(self)


_NUMBERS = {
    Scenario.AGENT_STOPPED: 1,
    Scenario.WIRE_SERVER_BLOCKED: 2,
    Scenario.NETWORK_DOWN: 3,
    Scenario.OS_NOT_RUNNING: 4,
}


class Confidence(str, Enum):
    """certain: two agreeing independent pieces of evidence, or the guest's own word; likely: one; weak: less."""

    CERTAIN = "certain"
    LIKELY = "likely"
    WEAK = "weak"


class State(str, Enum):
    """How asking one source ended. Only OK carries a value."""

    OK = "ok"
    DENIED = "denied"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    GARBLED = "garbled"
    NOT_ASKED = "not-asked"


@dataclass(frozen=True)
class Target:
    """The VM asked about."""

    subscription: str
    resource_group: str
    name: str

    @property
    def id(self) -> str:
        """The ARM resource id."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.Compute/virtualMachines/{self.name}"
        )


@dataclass(frozen=True)
class Answer:
    """What one source answered, raw: ``value`` is the parsed JSON, the text or the bytes as received.

    In other states it is at most what was seen on the way (a console that refused a login lives all the same).
    ``missing_action`` is the right that the caller lacks, ``status`` the HTTP status, ``cause`` the code of the
    catalogue's cause for it, where the failure told them.
    """

    source: str
    state: State
    detail: str
    value: Any = None
    seconds: float | None = None
    missing_action: str | None = None
    status: int | None = None
    cause: str | None = None


@dataclass(frozen=True)
class Evidence:
    """All that was collected about one target; the only input of every later stage."""

    target: Target
    collected_at: datetime
    answers: Mapping[str, Answer] = field(default_factory=dict)

    def value(self, source: str) -> Any:
        """The answer's value, or None when the source gave none."""
        answer = self.answers.get(source)
        return answer.value if answer is not None and answer.state is State.OK else None


@dataclass(frozen=True)
class Reason:
    """One line of because / ruledOut / notChecked.

    ``channel`` is how it reached us (instance view, serial log, host metrics, resource health, port, run command,
    managed run command, ssh, paste); ``source`` the file, unit or call within it; ``line`` 1-based.
    """

    what: str
    channel: str
    source: str | None = None
    line: int | None = None
    excerpt: str | None = None
    time: datetime | None = None
    scenario: Scenario | None = None


@dataclass(frozen=True)
class NextStep:
    """One thing to do. ``command`` can be copied whole and run as it stands."""

    action: str
    command: str | None = None
    effect: str | None = None
    risk: str | None = None
    downtime: str | None = None
    undo: str | None = None
    link: str | None = None


@dataclass(frozen=True)
class Cause:
    """A named cause. ``culprit`` is the exact rule, file, unit or mount that the evidence shows, or None."""

    code: str
    slug: str
    title: str
    detail: str = ""
    culprit: str | None = None


@dataclass(frozen=True)
class Since:
    """When the agent fell silent, and what says so (the instance view never does)."""

    time: datetime
    source: str


@dataclass(frozen=True)
class Verdict:
    """The answer. ``candidates`` are the scenarios still possible when it is uncertain."""

    scenario: Scenario
    confidence: Confidence
    summary: str
    candidates: tuple[Scenario, ...] = ()
    cause: Cause | None = None
    other_causes: tuple[Cause, ...] = ()
    because: tuple[Reason, ...] = ()
    ruled_out: tuple[Reason, ...] = ()
    not_checked: tuple[Reason, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    since: Since | None = None
