"""What stands between the agent and the Wire Server although no rule of the guest drops anything. Pure.

A route that leads elsewhere, a proxy, the Guest Proxy Agent: without a look at these, a silent Wire Server would be
called the host's fault. Each is one observation beside the failing test, so the verdict is «likely».
"""

from __future__ import annotations

from collections.abc import Iterable

from azext_vmagent.causes.catalogue.network_interface import BOND, ORDER_SWAPPED
from azext_vmagent.causes.catalogue.wire_server_agent import PROXY, PROXY_AGENT
from azext_vmagent.causes.catalogue.wire_server_path import LAN_SIDE, ROUTE, TUNNEL
from azext_vmagent.causes.findings import find
from azext_vmagent.causes.known_cause import Finding, KnownCause, Scene, State
from azext_vmagent.causes.remedies import next_steps
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Confidence, Reason, Scenario, Verdict

#: what keeps the agent off while root's test, which uses no proxy, gets an answer
AT_THE_DOOR = (PROXY_AGENT, PROXY)
#: what keeps everybody off, the most specific first
ON_THE_WAY = (TUNNEL, LAN_SIDE, ORDER_SWAPPED, ROUTE, BOND, PROXY_AGENT)


def decide_way(
    facts: Facts,
    wish: Wish,
    causes: Iterable[KnownCause],
    evidence: tuple[Reason, ...],
    ruled_out: tuple[Reason, ...],
) -> Verdict | None:
    """Scenario 2 by the first of these causes that the guest itself shows, or None."""
    scene = Scene(facts)
    shown = (_inside(find(cause, scene), facts) for cause in causes)
    found = next((finding for finding in shown if finding is not None), None)
    if found is None:
        return None
    return Verdict(
        Scenario.WIRE_SERVER_BLOCKED,
        Confidence.LIKELY,
        found.cause.title,
        cause=found.cause,
        because=(*(seen.reason for seen in found.seen), *evidence),
        ruled_out=ruled_out,
        next_steps=next_steps(found.known, facts, wish, found.cause.culprit),
    )


def _inside(finding: Finding, facts: Facts) -> Finding | None:
    """The finding by what the look inside shows now; a line of a log may be history."""
    seen = tuple(one for one in finding.seen if one.reason.channel == facts.guest_channel and one.reason.line is None)
    return Finding(finding.known, State.PRESENT, seen) if finding.state is State.PRESENT and seen else None
