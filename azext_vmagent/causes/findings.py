"""The catalogue held against the facts: every cause is present, absent or unknown. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from azext_vmagent.causes.inside import named_inside
from azext_vmagent.causes.known_cause import Finding, KnownCause, Need, Scene, Seen, State, System
from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, RUN_COMMAND, SERIAL_LOG, Facts
from azext_vmagent.facts.screenshot import ScreenKind

#: evidence lines kept for one cause
_SEEN_LIMIT = 4


def findings(facts: Facts, catalogue: Iterable[KnownCause]) -> tuple[Finding, ...]:
    """One finding for each cause that can hit this kind of guest, in the catalogue's order."""
    scene = Scene(facts, named_inside(facts))
    return tuple(find(cause, scene) for cause in catalogue if _can_hit(cause, facts) and not cause.untold)


def find(cause: KnownCause, scene: Scene) -> Finding:
    """Look for one cause: present as soon as one sign shows it, absent only where a sign settles that it is not."""
    seen: list[Seen] = []
    missing: list[Need] = []
    settled = False
    for sign in cause.signs:
        if not AVAILABLE[sign.need](scene.facts):
            missing.append(sign.need)
            continue
        shown = tuple(sign.look(scene, cause))
        seen += shown
        settled = settled or (not shown and sign.settles(scene.facts))
    if seen:
        return Finding(cause, State.PRESENT, tuple(dict.fromkeys(seen))[:_SEEN_LIMIT])
    if settled:
        return Finding(cause, State.ABSENT)
    return Finding(cause, State.UNKNOWN, missing=tuple(dict.fromkeys(missing)))


def unexplained(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """The present ones, without those that a more specific one among them explains."""
    present = [finding for finding in found if finding.state is State.PRESENT]
    covered = {code for finding in present for code in finding.known.covers}
    return tuple(finding for finding in present if finding.known.code not in covered)


def _can_hit(cause: KnownCause, facts: Facts) -> bool:
    if cause.system is System.BOTH or facts.windows is None:
        return True
    return (cause.system is System.WINDOWS) is facts.windows


AVAILABLE: dict[Need, Callable[[Facts], bool]] = {
    Need.VM_MODEL: lambda facts: facts.vm is not None,
    Need.SERIAL_LOG: lambda facts: facts.serial is not None and facts.serial.lines > 0,
    Need.HEALTH_REPORT: lambda facts: facts.serial is not None and facts.serial.health_report is not None,
    Need.SCREENSHOT: lambda facts: (
        facts.screenshot is not None and facts.screenshot.kind is not ScreenKind.NOT_READABLE
    ),
    Need.SCREENSHOT_TEXT: lambda facts: facts.screenshot is not None and bool(facts.screenshot.text),
    Need.HOST_METRICS: lambda facts: facts.metrics is not None,
    Need.NETWORK: lambda facts: facts.network is not None,
    Need.PORT: lambda facts: facts.port is not None,
    Need.RUN_COMMAND: lambda facts: RUN_COMMAND in facts.answers or MANAGED_RUN_COMMAND in facts.answers,
    Need.BOOT_DIAGNOSTICS: lambda facts: SERIAL_LOG in facts.answers,
    Need.RESOURCE_HEALTH: lambda facts: facts.health is not None,
    Need.GUEST: lambda facts: facts.guest is not None,
    Need.AGENT_LOG: lambda facts: facts.guest is not None or facts.agent_log is not None,
}
