"""Scenario 1: the agent does not run, or runs and does nothing."""

from __future__ import annotations

import shlex

from azext_vmagent.causes.access import in_guest
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Cause, NextStep

LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/linux-azure-guest-agent"
UPDATE_LINK = "https://learn.microsoft.com/azure/virtual-machines/extensions/update-linux-agent"


def unit_name(guest: GuestFacts) -> str:
    """The agent's unit; Debian and Ubuntu call it walinuxagent, all others waagent."""
    return (guest.service.unit or "waagent").removesuffix(".service")


def service_cause(guest: GuestFacts) -> Cause | None:
    """Why the agent's service does not run, or None when it does (or when the guest did not say)."""
    service, unit = guest.service, f"{unit_name(guest)}.service"
    if service.load_state == "masked" or service.unit_file_state.startswith("masked"):
        return Cause("L03", "agent-masked", "The agent's unit is masked", "Nothing can start a masked unit.", unit)
    if service.load_state == "not-found" and not guest.processes:
        return Cause(
            "L04", "agent-not-installed", "The agent is not installed", "There is no waagent or walinuxagent unit."
        )
    if service.has_systemd is False and guest.processes == ():
        return Cause("L01", "agent-stopped", "The agent does not run", "No process of the agent is there.")
    if service.running is not False:
        return None
    if service.result == "start-limit-hit" or service.active_state == "failed" or service.sub_state == "auto-restart":
        why = service.result or service.sub_state
        detail = f"systemd: {service.active_state} ({why}), exit status {service.exit_status}"
        return Cause("L05", "agent-crashes", "The agent's service fails to start", detail, unit)
    if service.condition_met is False:
        return Cause(
            "L40",
            "agent-condition-failed",
            "A condition of the agent's unit is not met",
            "systemd skips the start.",
            unit,
        )
    if service.unit_file_state == "disabled":
        return Cause(
            "L02", "agent-disabled", "The agent is stopped and does not start at boot", "The unit is disabled.", unit
        )
    return Cause("L01", "agent-stopped", "The agent's service is stopped", f"{unit} is {service.active_state}.", unit)


def wedged_cause(guest: GuestFacts) -> Cause | None:
    """An agent whose service runs and which does nothing all the same, or None."""
    if guest.disabled_by_file:
        return Cause(
            "L41",
            "agent-disabled-by-file",
            "The agent sleeps because a file tells it to",
            "It stays active and reports nothing while the file exists.",
            "/var/lib/waagent/disable_agent",
        )
    for process in guest.processes or ():
        if process.state.startswith("T"):
            return Cause(
                "L28",
                "agent-wedged",
                "The agent's process is halted",
                f"Process {process.pid} is stopped by a signal.",
                str(process.pid),
            )
    return None


def remedies(cause: Cause, facts: Facts, wish: Wish) -> tuple[NextStep, ...]:
    """What to do about a cause of this module."""
    guest = facts.guest or GuestFacts()
    unit = shlex.quote(unit_name(guest))
    start = {
        "L01": f"systemctl start {unit}",
        "L02": f"systemctl enable --now {unit}",
        "L03": f"systemctl unmask {unit} && systemctl enable --now {unit}",
        "L05": f"systemctl reset-failed {unit}; systemctl start {unit}",
        "L28": f"systemctl restart {unit}",
        "L41": f"rm /var/lib/waagent/disable_agent && systemctl restart {unit}",
    }.get(cause.code)
    steps = []
    if start:
        steps.append(
            NextStep(
                "start the agent in the guest",
                in_guest(facts, wish, start),
                effect="the agent reports again within about a minute",
                risk="none known",
                downtime="none",
                undo=f"systemctl stop {unit}",
                link=LINK,
            )
        )
    if cause.code in ("L05", "L40"):
        look = f"systemctl status {unit}; journalctl -u {unit} -n 50 --no-pager"
        steps.insert(
            0,
            NextStep(
                "see why it fails", in_guest(facts, wish, look), effect="shows the error", downtime="none", link=LINK
            ),
        )
    steps.append(
        NextStep(
            "if it does not stay up, update the agent",
            None,
            effect="replaces a broken agent",
            downtime="none",
            link=UPDATE_LINK,
        )
    )
    return tuple(steps)
