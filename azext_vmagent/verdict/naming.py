"""Which of the causes that were found the verdict names, and what it does with those that only look like one. Pure.

The scenario is not touched here: it is decided by rules on what is seen now, while much of what names a cause is a line
in a log, whose time may be long past.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from azext_vmagent.causes.findings import unexplained
from azext_vmagent.causes.known_cause import Finding, Kind
from azext_vmagent.causes.remedies import next_steps
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Cause, Reason, Scenario, Verdict

_BROKEN = (
    Scenario.AGENT_STOPPED,
    Scenario.WIRE_SERVER_BLOCKED,
    Scenario.NETWORK_DOWN,
    Scenario.OS_NOT_RUNNING,
    Scenario.AGENT_DEGRADED,
)
#: what is said of a line that looks like a fault and is none begins so
LOOK_ALIKE = "no fault: "
#: the next steps of a more specific cause come first; more than these hide what the rules say
_STEPS = 3


def name_causes(verdict: Verdict, facts: Facts, wish: Wish, found: Iterable[Finding]) -> Verdict:
    """The verdict with the most specific cause that explains it, the other causes, and the look-alikes.

    What was found on a healthy VM is left out: an error that did not keep the agent from its work is none.
    """
    found = tuple(found)
    if verdict.scenario is Scenario.HEALTHY:
        return verdict
    there = unexplained(found)
    causes = [finding for finding in there if finding.known.kind is Kind.CAUSE and _explains(finding, verdict, facts)]
    first = _most_specific(verdict, causes)
    if first is not None:
        steps = next_steps(first.known, facts, wish, first.cause.culprit)
        verdict = replace(
            verdict,
            cause=first.cause,
            because=(*verdict.because, *(seen.reason for seen in first.seen if seen.reason not in verdict.because)),
            next_steps=tuple(dict.fromkeys((*steps[:_STEPS], *verdict.next_steps))),
        )
    closed = [finding for finding in there if finding.known.kind is Kind.OBSTACLE and _matters(verdict)]
    return replace(
        verdict,
        other_causes=_others(verdict, [finding.cause for finding in (*causes, *closed)], found),
        ruled_out=(*verdict.ruled_out, *_look_alikes(there)),
    )


def _explains(finding: Finding, verdict: Verdict, facts: Facts) -> bool:
    """Argues for the scenario found (or for one still possible), or was seen inside, where nothing is long past."""
    scenario = finding.known.scenario
    if scenario is None or scenario is verdict.scenario or scenario in verdict.candidates:
        return verdict.scenario in _BROKEN or verdict.scenario is Scenario.UNCERTAIN or scenario is verdict.scenario
    seen_inside = any(seen.reason.channel == facts.guest_channel for seen in finding.seen)
    return seen_inside and verdict.scenario in (*_BROKEN, Scenario.PLATFORM)


def _most_specific(verdict: Verdict, causes: Iterable[Finding]) -> Finding | None:
    """The finding to be named in place of the verdict's own cause: a more specific one, or any where it has none."""
    own = verdict.cause
    for finding in causes:
        if own is None and verdict.scenario in _BROKEN and finding.known.scenario is verdict.scenario:
            return finding
        if own is not None and own.code in finding.known.covers and finding.known.scenario is verdict.scenario:
            return finding
    return None


def _matters(verdict: Verdict) -> bool:
    """A closed channel is worth a word where it left something open."""
    return verdict.scenario is Scenario.UNCERTAIN


def _others(verdict: Verdict, named: Iterable[Cause], found: Iterable[Finding]) -> tuple[Cause, ...]:
    """Each code once, without the verdict's cause and what that explains."""
    own = verdict.cause.code if verdict.cause is not None else ""
    explained = {own, *(code for finding in found if finding.known.code == own for code in finding.known.covers)}
    others: dict[str, Cause] = {}
    for cause in (*verdict.other_causes, *named):
        if cause.code not in explained:
            others.setdefault(cause.code, cause)
    return tuple(others.values())


def _look_alikes(there: Iterable[Finding]) -> tuple[Reason, ...]:
    """What looks like a fault and is none, each with the newest line that shows it."""
    return tuple(
        replace(finding.seen[-1].reason, what=LOOK_ALIKE + finding.known.title)
        for finding in there
        if finding.known.kind is Kind.BENIGN
    )
