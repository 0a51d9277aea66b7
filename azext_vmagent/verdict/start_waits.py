"""An agent whose start systemd holds back: too early to call it stopped while the guest may still be booting. Pure."""

from __future__ import annotations

from datetime import timedelta

from azext_vmagent.causes import agent_remedies, platform
from azext_vmagent.causes.access import diagnose_again
from azext_vmagent.causes.catalogue.agent_service import START_WAITS
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.durations import age
from azext_vmagent.facts.guest_facts import GuestFacts
from azext_vmagent.facts.reading import INSTANCE_VIEW, Facts
from azext_vmagent.model import Cause, Confidence, NextStep, Reason, Scenario, Verdict
from azext_vmagent.verdict import signs

#: a boot is through within this; a set-up that takes longer is worth a look
_PATIENCE = timedelta(minutes=10)


def decide_start_waits(
    facts: Facts, wish: Wish, found: tuple[Cause, ...], because: tuple[Reason, ...], ruled_out: tuple[Reason, ...]
) -> Verdict | None:
    """The verdict while a start may only be on its way; None where it waits too long, or for how long is not known."""
    guest, old, waits = facts.guest, signs.young(facts), found[0]
    if guest is None or waits.code != START_WAITS.code:
        return None
    waited = _waited(guest)
    ask_again = NextStep("ask again in two minutes", diagnose_again(facts), effect="reads only")
    steps = (ask_again, *agent_remedies.remedies(waits, facts, wish)[:1])
    if old is not None:
        return Verdict(
            Scenario.PROVISIONING,
            Confidence.LIKELY,
            f"The VM was created {age(old)} ago and is still being set up: its agent has not started yet",
            cause=platform.JUST_CREATED,
            other_causes=found,
            because=(Reason(f"created {age(old)} ago", INSTANCE_VIEW, "VM model", time=facts.asked_at - old), *because),
            ruled_out=ruled_out,
            next_steps=steps,
        )
    if waited is None or waited > _PATIENCE:
        return None
    return Verdict(
        Scenario.UNCERTAIN,
        Confidence.WEAK,
        f"The agent has not started yet: systemd has held it back for {age(waited)} so far",
        candidates=(Scenario.AGENT_STOPPED, Scenario.HEALTHY),
        other_causes=found,
        because=because,
        ruled_out=ruled_out,
        next_steps=steps,
    )


def _waited(guest: GuestFacts) -> timedelta | None:
    """At most so long: since the unit stopped, in a boot in which it ran, else since the boot."""
    stopped = guest.service.inactive_since
    if stopped is not None and guest.clock is not None:
        return guest.clock - stopped
    return timedelta(seconds=guest.uptime) if guest.uptime is not None else None
