"""Scenario 1: the agent does not run, by systemd's word, and why."""

from __future__ import annotations

import re

from azext_vmagent.causes.agent_hindrances import silencing
from azext_vmagent.causes.agent_program import (
    CONF,
    config_missing,
    flaps,
    not_executable,
    not_installed,
    program_causes,
    since_start,
)
from azext_vmagent.causes.catalogue import agent_service, agent_silent
from azext_vmagent.facts.guest import GuestFacts
from azext_vmagent.model import Cause

_MASKED, _NOT_INSTALLED, _CRASHES, _INCOMPLETE, _CONDITION = (
    known.code
    for known in (
        agent_service.MASKED,
        agent_service.NOT_INSTALLED,
        agent_service.CRASHES,
        agent_service.INCOMPLETE,
        agent_service.CONDITION,
    )
)


def unit_name(guest: GuestFacts) -> str:
    """The agent's unit; Debian and Ubuntu call it walinuxagent, all others waagent."""
    return (guest.service.unit or "waagent").removesuffix(".service")


def causes(guest: GuestFacts) -> tuple[Cause, ...]:
    """Why the agent does not run, the most telling first; empty when it runs, or when the guest did not say.

    What keeps it from starting outweighs that it was stopped; that it was masked or skipped outweighs both. A full disk
    and the like explain a crash, not a stop.
    """
    if not stopped(guest):
        return ()
    state, program = _service(guest), program_causes(guest)
    removed = tuple(cause for cause in program if cause.code == _NOT_INSTALLED)
    if state.code in (_MASKED, _NOT_INSTALLED, _CONDITION, _INCOMPLETE) or removed:
        first: tuple[Cause, ...] = removed or (state,)
        return _once((*first, state, *program))
    hindrances = silencing(guest)
    if state.code == _CRASHES:
        return _once((*program, *hindrances, state))
    return _once((*program, state, *hindrances))


def _once(found: tuple[Cause, ...]) -> tuple[Cause, ...]:
    return tuple({(cause.code, cause.slug): cause for cause in found}.values())


def stopped(guest: GuestFacts) -> bool:
    """No agent runs. One that somebody started by hand, outside its service, does."""
    service = guest.service
    daemons = [process for process in guest.processes or () if not process.worker and process.state[:1] != "Z"]
    if flaps(guest):
        return True
    if daemons and service.active_state not in ("activating", "deactivating"):
        return False
    if service.has_systemd is False:
        return guest.processes == ()
    if service.load_state == "not-found":
        return not guest.processes
    if service.running is None:
        return service.load_state == "masked" or service.unit_file_state.startswith("masked")
    return not service.running


def outside_its_service(guest: GuestFacts) -> Cause | None:
    """An agent that works and that systemd does not know: it will not come back after it ends."""
    daemons = [process for process in guest.processes or () if not process.worker and process.state[:1] != "Z"]
    if guest.service.running is not False or not daemons or stopped(guest):
        return None
    return agent_service.ALREADY_RUNNING.named(
        "The service finds it running and ends. Nothing starts it again.",
        str(daemons[0].pid),
        "agent-outside-its-service",
    )


def _service(guest: GuestFacts) -> Cause:
    """What systemd says about a service that does not run."""
    service, unit = guest.service, f"{unit_name(guest)}.service"
    if service.load_state == "masked" or service.unit_file_state.startswith("masked"):
        return agent_service.MASKED.named("Nothing can start a masked unit.", unit)
    if service.load_state == "not-found":
        return not_installed(guest, "There is no waagent or walinuxagent unit.")
    if service.has_systemd is False:
        return agent_service.STOPPED.named("No process of the agent is there.", title="The agent does not run")
    skipped = _skipped_for(guest)
    if skipped:
        return _condition(guest, skipped)
    if service.queued and service.active_state == "inactive":
        busy = f" while it is at work on {', '.join(service.at_work)}" if service.at_work else ""
        only = service.at_work[0] if len(service.at_work) == 1 else None  # of several, any may be the one
        return agent_service.START_WAITS.named(f"systemd holds the start of {unit} back{busy}.", only)
    if service.result == "oom-kill":
        return agent_silent.OUT_OF_MEMORY.named("systemd: oom-kill.", unit)
    if "start request repeated too quickly" in since_start(guest).lower() or service.result == "start-limit-hit":
        detail = f"It failed too often in too short a time (exit status {service.exit_status}); systemd waits for you."
        return agent_service.CRASHES.named(detail, changed_start(guest) or unit, "start-limit-hit")
    if service.active_state == "failed" or service.sub_state == "auto-restart" or flaps(guest):
        why = service.result or service.sub_state
        detail = f"systemd: {service.active_state} ({why}), exit status {service.exit_status}"
        if service.restarts:
            detail += f", {service.restarts} restarts"
        if service.result == "signal":
            return agent_service.CRASHES.named(detail, unit, "agent-killed")
        return agent_service.CRASHES.named(detail, changed_start(guest) or unit)
    if service.unit_file_state == "disabled":
        return agent_service.DISABLED.named("The unit is disabled.", unit)
    return agent_service.STOPPED.named(f"{unit} is {service.active_state}.", unit)


def changed_start(guest: GuestFacts) -> str | None:
    """The drop-in that changes what the unit starts, or as whom: the first suspect of an unexplained crash."""
    for line in reversed(guest.service.drop_in_lines):
        key, _, value = line.setting.partition("=")
        if key.strip() in ("ExecStart", "ExecStartPre", "User", "RootDirectory", "RootImage") and value.strip():
            return f"{line.path}: {line.setting}"
    return None


def _skipped_for(guest: GuestFacts) -> str:
    """The condition for which systemd skipped the start, "" where it did not.

    ``ConditionResult=no`` alone says nothing: systemd shows the same of a unit that it has not tried to start, as after
    ``systemctl disable --now``, which unloads it (seen with systemd 252).
    """
    if guest.service.condition_met is not False:
        return ""
    told = [found[1] for line in guest.journal if (found := _UNMET.search(line))]
    return guest.service.unmet_condition or (told[-1] if told else "")


def _condition(guest: GuestFacts, condition: str) -> Cause:
    """The unit's condition that is not met; upstream's unit wants waagent.conf and an executable waagent."""
    path = condition.partition("=")[2].lstrip("|!")
    if path == CONF:
        return config_missing()
    if path.endswith("/waagent"):
        return not_executable(path)
    name = condition.partition("=")[0]
    written = [line for line in guest.service.drop_in_lines if name and line.setting.startswith(name)]
    culprit = f"{written[-1].path}: {written[-1].setting}" if written else condition
    return agent_service.CONDITION.named(f"systemd skips the start: {condition} is not met.", culprit)


#: systemd from version 250 on
_UNMET = re.compile(r"unmet condition check \((\w+=[^)]*)\)")
