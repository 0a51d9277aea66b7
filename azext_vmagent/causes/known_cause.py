"""What an entry of the catalogue is: a cause, how it shows, and what to do about it.

A ``KnownCause`` is data: its texts are what ``az vm agent-explain`` prints and what ``docs/causes/`` is made of, its
``signs`` are what a diagnosis looks for. A sign reads one kind of evidence; without that evidence it can say nothing,
so a finding is ``unknown`` and names what is missing. Nothing found is «absent» only where the sign ``settles`` it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from azext_vmagent.facts.reading import Facts
from azext_vmagent.facts.serial_signature import Signature
from azext_vmagent.model import Cause, Reason, Scenario


class System(str, Enum):
    """The guests that a cause can hit."""

    LINUX = "linux"
    WINDOWS = "windows"
    BOTH = "both"


class Kind(str, Enum):
    """What an entry is: a cause; a state that is no fault; what closes a source of evidence; what only looks bad."""

    CAUSE = "cause"
    STATE = "state"
    OBSTACLE = "obstacle"
    BENIGN = "benign"


class Need(str, Enum):
    """A kind of evidence, in the words that say what is missing."""

    VM_MODEL = "instance view"
    SERIAL_LOG = "serial log"
    HEALTH_REPORT = "Windows health report in the serial log"
    SCREENSHOT = "screenshot"
    SCREENSHOT_TEXT = "text of the screenshot"
    HOST_METRICS = "host metrics"
    NETWORK = "network interface"
    PORT = "port"
    RUN_COMMAND = "an answer of Run Command"
    BOOT_DIAGNOSTICS = "an answer of boot diagnostics"
    RESOURCE_HEALTH = "resource health"
    GUEST = "look inside the guest"
    AGENT_LOG = "the agent's log"


@dataclass(frozen=True)
class Seen:
    """One piece of evidence that shows a cause, with the rule, file, unit or mount that it names.

    ``variant`` is the slug of the form of the cause that was seen, "" for the cause as such.
    """

    reason: Reason
    culprit: str | None = None
    variant: str = ""


@dataclass(frozen=True)
class Scene:
    """What signs look at: the facts, and the causes that the guest's own word names, by code (``inside.py``)."""

    facts: Facts
    inside: Mapping[str, tuple[Cause, ...]] = field(default_factory=dict)


Look = Callable[[Scene, "KnownCause"], Iterable[Seen]]


def _never(_facts: Facts) -> bool:
    return False


@dataclass(frozen=True)
class Sign:
    """One way in which a cause shows: what it is read from, and how.

    ``settles`` tells whether these facts would have shown the cause if it were there: only then does a look that finds
    nothing mean «absent».
    """

    need: Need
    look: Look
    settles: Callable[[Facts], bool] = _never


@dataclass(frozen=True)
class Variant:
    """A form of a cause that has a name of its own: a firewalld policy rather than a direct rule."""

    slug: str
    title: str


class Where(str, Enum):
    """Where a remedy's command is run."""

    AZ = "az"
    GUEST = "guest"
    CONSOLE = "console"
    ANYWHERE = "anywhere"


@dataclass(frozen=True)
class Remedy:
    """One thing to do.

    In ``command``, ``{vm}`` stands for ``-g RG -n VM`` of an ``az`` command, ``{unit}`` for the agent's unit in a guest
    and ``{culprit}`` for what the evidence names, quoted for that shell.
    """

    action: str
    command: str = ""
    where: Where = Where.GUEST
    effect: str = ""
    risk: str = "none known"
    downtime: str = "none"
    undo: str = ""
    link: str = ""


@dataclass(frozen=True)
class KnownCause:
    """One entry of the catalogue.

    ``code`` and ``slug`` are stable. ``scenario`` is what the cause argues for, None for none of the four. ``title`` is
    the problem in a line, ``means`` what is wrong and how it comes, for somebody who has never met it;
    ``looks_like`` are lines and states that people see, ``not_to_confuse`` what it is not. ``covers`` are the codes of
    more general causes that this one explains when both are found. ``links`` are paths on learn.microsoft.com without
    the locale, ``sources`` where the signature comes from, ``since`` the version of this extension that knows it.
    ``signatures`` are lines of the serial log that tell the state of a boot; where ``untold`` is given, no evidence
    shows the cause and it says why (it is explained, and never found).
    """

    code: str
    slug: str
    title: str
    means: str
    looks_like: tuple[str, ...]
    not_to_confuse: tuple[str, ...] = ()
    scenario: Scenario | None = None
    system: System = System.LINUX
    kind: Kind = Kind.CAUSE
    signs: tuple[Sign, ...] = ()
    signatures: tuple[Signature, ...] = ()
    covers: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    links: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    since: str = "1.0.0b1"
    untold: str = ""

    def named(self, detail: str = "", culprit: str | None = None, variant: str = "", title: str = "") -> Cause:
        """The cause as a verdict names it; KeyError for a variant that the entry does not list."""
        usual = self.title
        if variant and variant != self.slug:
            usual = next((one.title for one in self.variants if one.slug == variant), "")
            if not usual:
                raise KeyError(f"{self.code} has no variant {variant}")
        return Cause(self.code, variant or self.slug, title or usual, detail, culprit)

    def slugs(self) -> tuple[str, ...]:
        """Every name of the cause, its own first."""
        return (self.slug, *(variant.slug for variant in self.variants))

    def needs(self) -> tuple[Need, ...]:
        """The kinds of evidence that can show it, each once."""
        signed = [sign.need for sign in self.signs]
        return tuple(dict.fromkeys([*signed, Need.SERIAL_LOG] if self.signatures else signed))


class State(str, Enum):
    """What a diagnosis can say about one cause."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """What one diagnosis says about one cause.

    ``seen`` shows a present one; ``missing`` names the evidence that would tell about an unknown one (empty when all of
    it was there and could not settle the matter).
    """

    known: KnownCause
    state: State
    seen: tuple[Seen, ...] = ()
    missing: tuple[Need, ...] = field(default=())

    @property
    def cause(self) -> Cause:
        """The cause as a verdict names it, with what the first piece of evidence names."""
        first = self.seen[0]
        culprit = next((seen.culprit for seen in self.seen if seen.culprit), None)
        return self.known.named(first.reason.what, culprit, first.variant)
