"""An agent whose service runs and which does nothing all the same, and the clock that can make it look so."""

from __future__ import annotations

from datetime import datetime, timedelta

from azext_vmagent.causes.agent import changed_start, unit_name
from azext_vmagent.causes.agent_program import JUST_RESTARTED, config_missing
from azext_vmagent.causes.catalogue import agent_provisioning, agent_service, agent_silent
from azext_vmagent.facts.durations import age
from azext_vmagent.facts.guest import GuestFacts
from azext_vmagent.facts.reading import PASTE, Facts
from azext_vmagent.model import Cause

#: from the start of the daemon to its worker: seconds, a minute on a slow guest
_WORKER_STARTED = timedelta(minutes=4)
#: the agent writes a heartbeat every 30 minutes (WALinuxAgent ga/update.py); two missed ones are no delay any more
HEARTBEAT_LIMIT = timedelta(minutes=65)
#: how wrong a guest's clock must be to be said: more than any answer takes on its way
_CLOCK_AHEAD, _CLOCK_BEHIND = timedelta(minutes=10), timedelta(days=1)


def wedged_cause(guest: GuestFacts) -> Cause | None:
    """An agent whose service runs and which does nothing all the same, or None."""
    processes = guest.processes or ()
    workers = [process for process in processes if process.worker]
    if guest.disabled_by_file and not workers:
        return agent_silent.DISABLED_BY_FILE.named(
            "It stays active and reports nothing while the file exists.", "/var/lib/waagent/disable_agent"
        )
    if guest.config_present is False and processes and not workers:
        return config_missing()
    if guest.service.frozen:
        unit = guest.service.unit or ""
        return agent_silent.WEDGED.named(
            f"{unit} is frozen: systemctl thaw wakes it.", unit, title="The agent's unit is frozen"
        )
    for process in workers or processes:
        if process.halted:
            return agent_silent.WEDGED.named(
                f"Process {process.pid} is stopped by a signal.",
                str(process.pid),
                title="The agent's process is halted",
            )
    return None


def something_else(guest: GuestFacts) -> Cause | None:
    """A unit that is active while no process in the guest is the agent."""
    service = guest.service
    if not service.running or guest.processes != () or not service.active_since or not guest.clock:
        return None
    if guest.clock - service.active_since < JUST_RESTARTED:
        return None
    return agent_service.SOMETHING_ELSE.named(
        f"No process is waagent; the unit's is {service.main_pid}.", changed_start(guest) or service.unit
    )


def without_worker(guest: GuestFacts) -> Cause | None:
    """A daemon that has had minutes to start its worker, which does the agent's work."""
    service, processes = guest.service, guest.processes
    if not processes or any(process.worker for process in processes) or not service.active_since or not guest.clock:
        return None
    if guest.clock - service.active_since < _WORKER_STARTED:
        return None
    return agent_silent.WEDGED.named(
        "The worker (-run-exthandlers) fetches the goal state and reports.",
        str(processes[0].pid),
        title="The agent's daemon runs without its worker",
    )


def waits_for_cloud_init(guest: GuestFacts) -> Cause | None:
    """A daemon that has no worker yet, as its log says that it waits for cloud-init (for at most half an hour)."""
    if any(process.worker for process in guest.processes or ()):
        return None
    for line in guest.log.errors:
        if "Waiting for cloud-init" in line.text:
            return agent_provisioning.WAITS_FOR_CLOUD_INIT.named(line.text, "cloud-init")
    return None


def silent_log(facts: Facts) -> datetime | None:
    """When the log of an agent whose service is active ended, if that is longer ago than two heartbeats."""
    guest = facts.guest
    beat = guest.log.newest if guest is not None else None
    if guest is None or beat is None or guest.clock is None or clock_off(facts) is not None:
        return None
    return beat if guest.clock - beat > HEARTBEAT_LIMIT else None


def silent_cause(facts: Facts) -> Cause | None:
    """An agent that runs, and whose log has not moved for longer than it may."""
    guest, beat = facts.guest, silent_log(facts)
    if guest is None or guest.clock is None or beat is None or not guest.service.running:
        return None
    return agent_silent.WEDGED.named(f"Its log ends {age(guest.clock - beat)} ago.", unit_name(guest))


def clock_off(facts: Facts) -> Cause | None:
    """A guest whose clock is ahead of ours, or a day behind; not from an answer that somebody may have kept a while."""
    clock = facts.guest.clock if facts.guest else None
    if clock is None or facts.guest_channel == PASTE:
        return None
    ahead = clock - facts.asked_at
    if -_CLOCK_BEHIND < ahead < _CLOCK_AHEAD:
        return None
    how = f"{age(ahead)} ahead of" if ahead > timedelta(0) else f"{age(-ahead)} behind"
    return agent_silent.CLOCK_OFF.named(f"It is {how} this machine's.", clock.isoformat())
