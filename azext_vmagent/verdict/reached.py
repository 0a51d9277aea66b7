"""The agent runs and the Wire Server answers root in its guest: well, limited, wedged, or not noticed yet. Pure."""

from __future__ import annotations

import shlex
from datetime import datetime, timedelta

from azext_vmagent.causes import agent, agent_hindrances, agent_idle, agent_remedies, platform
from azext_vmagent.causes.access import diagnose_again, in_guest
from azext_vmagent.causes.catalogue import agent_silent
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.durations import age
from azext_vmagent.facts.guest import Connect, GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Cause, Confidence, NextStep, Reason, Scenario, Verdict
from azext_vmagent.verdict import evidence_lines as say

#: an agent that started this recently may not have been noticed by the platform yet
JUST_STARTED = timedelta(minutes=5)


def in_order(
    facts: Facts, wish: Wish, guest: GuestFacts, channel: str, ready: bool, because: tuple[Reason, ...]
) -> Verdict:
    """The verdict on a guest whose agent runs and in which root reaches the Wire Server, as far as it was tried."""
    failing = facts.vm.failing_extensions if facts.vm else ()
    troubles = (*agent_hindrances.silencing(guest), *agent_hindrances.limiting(guest))
    if troubles and (ready or agent_hindrances.silencing(guest)):
        return _troubled(facts, wish, guest, channel, ready, because)
    if ready and failing:
        return Verdict(
            Scenario.AGENT_DEGRADED,
            Confidence.LIKELY,
            say.extensions_title(failing),
            cause=platform.EXTENSION_FAILS,
            because=(*because, *say.extensions(failing)),
        )
    skew = agent_idle.clock_off(facts)
    beat = guest.log.newest
    wedged = agent_idle.silent_log(facts) is not None
    if ready and not wedged and _agent_not_seen(guest):
        return _no_worker_seen(facts, because)
    if ready and not wedged:
        both = guest.outcome(80) is Connect.OK and guest.outcome(32526) is Connect.OK
        return Verdict(
            Scenario.HEALTHY,
            Confidence.CERTAIN if both and not guest.contradictions else Confidence.LIKELY,
            "The agent runs, reaches the Wire Server, and Azure shows it Ready",
            other_causes=tuple(cause for cause in (skew, agent.outside_its_service(guest)) if cause),
            because=because,
            not_checked=tuple(Reason(text, channel) for text in guest.contradictions),
        )
    if ready and beat is not None:
        return Verdict(
            Scenario.UNCERTAIN,
            Confidence.WEAK,
            "Azure shows the agent Ready, yet its log has not moved for more than an hour",
            candidates=(Scenario.HEALTHY, Scenario.AGENT_STOPPED),
            because=(
                *because,
                Reason("the newest line of the agent's log", channel, "/var/log/waagent.log", time=beat),
            ),
            next_steps=(
                NextStep("ask again in a few minutes: Azure's word lags", diagnose_again(facts), effect="reads only"),
            ),
        )
    if wedged and beat is not None and guest.clock is not None:
        return _wedged(facts, wish, guest, channel, because, beat, guest.clock)
    waits = agent_idle.waits_for_cloud_init(guest)
    if waits is not None:
        return Verdict(
            Scenario.AGENT_STOPPED,
            Confidence.LIKELY,
            "The agent's service is active; it waits for cloud-init before it does anything",
            cause=waits,
            because=because,
            next_steps=(
                NextStep(
                    "see what cloud-init does", in_guest(facts, wish, "cloud-init status --long"), effect="reads only"
                ),
            ),
        )
    alone = agent_idle.without_worker(guest)
    if alone is not None:
        return Verdict(
            Scenario.AGENT_STOPPED,
            Confidence.LIKELY,
            "The agent's service is active, yet only its daemon runs",
            cause=alone,
            because=because,
            next_steps=agent_remedies.remedies(alone, facts, wish),
        )
    return _not_noticed(facts, wish, guest, because, skew)


def _wedged(
    facts: Facts,
    wish: Wish,
    guest: GuestFacts,
    channel: str,
    because: tuple[Reason, ...],
    beat: datetime,
    now: datetime,
) -> Verdict:
    cause = agent_silent.WEDGED.named(f"Its log ends {age(now - beat)} ago.", agent.unit_name(guest))
    return Verdict(
        Scenario.AGENT_STOPPED,
        Confidence.LIKELY,
        "The agent's service is active, yet the agent does nothing",
        cause=cause,
        because=(
            *because,
            Reason("the newest line of the agent's log is old", channel, "/var/log/waagent.log", time=beat),
        ),
        next_steps=agent_remedies.remedies(cause, facts, wish),
    )


def _not_noticed(
    facts: Facts, wish: Wish, guest: GuestFacts, because: tuple[Reason, ...], skew: Cause | None
) -> Verdict:
    started = guest.service.active_since
    recent = started is not None and guest.clock is not None and guest.clock - started < JUST_STARTED
    unit = agent.unit_name(guest)
    return Verdict(
        Scenario.PLATFORM,
        Confidence.LIKELY if recent else Confidence.WEAK,
        "The agent works and reaches the Wire Server; Azure has not noticed yet"
        if recent
        else "The agent works and reaches the Wire Server, yet Azure shows it Not Ready",
        cause=platform.NOT_NOTICED,
        other_causes=(skew,) if skew else (),
        because=because,
        next_steps=(
            NextStep("ask again in a few minutes", diagnose_again(facts), effect="reads only", downtime="none"),
            NextStep(
                "if it stays so, restart the agent",
                in_guest(facts, wish, f"systemctl restart {shlex.quote(unit)}"),
                effect="a fresh start of the agent",
                downtime="none",
            ),
        ),
    )


def _agent_not_seen(guest: GuestFacts) -> bool:
    """No worker of the agent: none yet, none any more, or the guest was too slow to tell.

    That the Wire Server answers root is no sign of the agent's life then.
    """
    if any(process.worker for process in guest.processes or ()):
        return False
    return guest.processes is not None or bool({"service", "processes"} & set(guest.missing))


def _no_worker_seen(facts: Facts, because: tuple[Reason, ...]) -> Verdict:
    return Verdict(
        Scenario.UNCERTAIN,
        Confidence.WEAK,
        "Azure shows the agent Ready and the Wire Server answers, but no worker of the agent was seen",
        candidates=(Scenario.HEALTHY, Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED),
        because=because,
        next_steps=(
            NextStep(
                "ask again in a minute: an agent that was just started has no worker yet, and a busy guest tells late",
                diagnose_again(facts),
                effect="reads only",
            ),
        ),
    )


def _troubled(
    facts: Facts, wish: Wish, guest: GuestFacts, channel: str, ready: bool, because: tuple[Reason, ...]
) -> Verdict:
    """The agent's process runs and reaches the Wire Server, in a guest that lacks what its work needs."""
    silencing = agent_hindrances.silencing(guest)
    found = (*silencing, *agent_hindrances.limiting(guest))
    cause = found[0]
    worker = guest.processes is None or any(process.worker for process in guest.processes)
    failing = facts.vm.failing_extensions if facts.vm else ()
    others = (*found[1:], *((platform.EXTENSION_FAILS,) if ready and failing else ()))
    reasons = (*say.proof(cause, guest, channel), *because)
    if ready and (worker or not silencing):
        return Verdict(
            Scenario.AGENT_DEGRADED,
            Confidence.CERTAIN,
            f"The agent is Ready, yet it cannot do all of its work: {cause.title}",
            cause=cause,
            other_causes=others,
            because=reasons,
            next_steps=agent_remedies.remedies(cause, facts, wish),
        )
    return Verdict(
        Scenario.AGENT_STOPPED,
        Confidence.CERTAIN if say.silenced(cause, guest) else Confidence.LIKELY,
        f"The agent's service is active, yet the agent does not work: {cause.title}",
        cause=cause,
        other_causes=others,
        because=reasons,
        next_steps=agent_remedies.remedies(cause, facts, wish),
    )
