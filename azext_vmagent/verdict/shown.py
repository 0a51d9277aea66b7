"""What a guest shows without being asked: the screen of one that stopped, the health report of a Windows guest. Pure.

Both may be older than the silence (Azure says neither when the screen was taken nor that the report is the last), so
that alone they are worth «likely», and nothing against what was heard from the guest just now.
"""

from __future__ import annotations

from collections.abc import Iterable

from azext_vmagent.causes.catalogue import every_cause
from azext_vmagent.causes.catalogue.windows_agent import NOT_AUTOMATIC, STOPPED
from azext_vmagent.causes.catalogue.windows_boot import SAFE_MODE
from azext_vmagent.causes.findings import find, unexplained
from azext_vmagent.causes.known_cause import Finding, KnownCause, Need, Scene, State
from azext_vmagent.causes.remedies import next_steps
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.reading import SCREENSHOT, SERIAL_LOG, Facts
from azext_vmagent.facts.screenshot import Sure
from azext_vmagent.facts.windows_facts import AGENT_SERVICES
from azext_vmagent.model import Confidence, Reason, Scenario, Verdict
from azext_vmagent.verdict import evidence_lines as say
from azext_vmagent.verdict import signs

_ON_SCREEN = (Need.SCREENSHOT, Need.SCREENSHOT_TEXT)


def decide_screen(facts: Facts, wish: Wish) -> Verdict | None:
    """Scenario 4 where the screenshot shows a guest that stopped or is held while it starts."""
    if facts.screenshot is None or _heard(facts):
        return None
    shown = (cause for cause in every_cause() if any(sign.need in _ON_SCREEN for sign in cause.signs))
    found = [
        one
        for one in _present(facts, shown)
        if one.known.scenario is Scenario.OS_NOT_RUNNING and _from(one, SCREENSHOT)
    ]
    first = next(iter(unexplained(found)), None)
    if first is None:
        return None
    sure = facts.screenshot.sure is Sure.LIKELY or bool(facts.screenshot.text)
    return Verdict(
        Scenario.OS_NOT_RUNNING,
        Confidence.LIKELY if sure else Confidence.WEAK,
        "The screenshot shows a guest OS that is not up",
        cause=first.cause,
        because=_from(first, SCREENSHOT),
        ruled_out=(say.out(Scenario.AGENT_STOPPED, "the agent starts with an OS that is up", SCREENSHOT),),
        next_steps=next_steps(first.known, facts, wish, first.cause.culprit),
    )


def decide_health_report(facts: Facts, wish: Wish) -> Verdict | None:
    """Scenario 1 where the newest health report of a Windows guest lists a service of the agent that does not run.

    Scenario 4 where it says that Windows is in safe mode.
    """
    report = facts.serial.health_report if facts.serial is not None else None
    if report is None or facts.guest is not None or (facts.vm is not None and facts.vm.agent is AgentStatus.READY):
        return None
    stopped = any(service.running is False for name, service in report.services.items() if name in AGENT_SERVICES)
    known = (SAFE_MODE, *((NOT_AUTOMATIC, STOPPED) if stopped else ()))
    first = next(iter(_present(facts, known)), None)
    if first is None or first.known.scenario is None:
        return None
    up = say.out(Scenario.OS_NOT_RUNNING, "the guest writes its health report", SERIAL_LOG)
    named = f"{first.known.title} ({first.cause.culprit})" if first.cause.culprit else first.known.title
    return Verdict(
        first.known.scenario,
        Confidence.LIKELY,
        named,
        cause=first.cause,
        because=_from(first, SERIAL_LOG),
        ruled_out=(up,) if stopped and first.known is not SAFE_MODE else (),
        next_steps=next_steps(first.known, facts, wish, first.cause.culprit),
    )


def _heard(facts: Facts) -> bool:
    """The guest or its agent was heard, or its screen is the one of a system that is up."""
    return signs.locked(facts) or signs.alive(facts) or (facts.vm is not None and facts.vm.agent is AgentStatus.READY)


def _present(facts: Facts, causes: Iterable[KnownCause]) -> list[Finding]:
    scene = Scene(facts)
    return [found for cause in causes if (found := find(cause, scene)).state is State.PRESENT]


def _from(finding: Finding, channel: str) -> tuple[Reason, ...]:
    return tuple(seen.reason for seen in finding.seen if seen.reason.channel == channel)
