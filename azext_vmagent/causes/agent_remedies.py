"""What to do about what is wrong with the Linux agent, with commands for this guest and its distribution."""

from __future__ import annotations

import shlex

from azext_vmagent.causes import storage
from azext_vmagent.causes.access import in_guest
from azext_vmagent.causes.agent import unit_name
from azext_vmagent.causes.agent_program import CONF
from azext_vmagent.causes.catalogue import agent_runtime, agent_service, agent_storage
from azext_vmagent.causes.cures import REINSTALL, agent_cure, by_hand, package_line
from azext_vmagent.causes.remedies import next_steps
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Cause, NextStep

LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/linux-azure-guest-agent"
UPDATE_LINK = "https://learn.microsoft.com/azure/virtual-machines/extensions/update-linux-agent"

CONDITION, NOT_INSTALLED, CONFIG = (
    known.code for known in (agent_service.CONDITION, agent_service.NOT_INSTALLED, agent_service.INCOMPLETE)
)
INTERPRETER = agent_runtime.INTERPRETER.code
DISK_FULL, INODES_FULL, READ_ONLY, NO_EXEC = (
    known.code
    for known in (agent_storage.DISK_FULL, agent_storage.INODES_FULL, agent_storage.READ_ONLY, agent_storage.NO_EXEC)
)


def remedies(cause: Cause, facts: Facts, wish: Wish) -> tuple[NextStep, ...]:
    """What to do about a cause of this module or of ``storage``."""
    if cause.code == agent_service.START_WAITS.code:
        return next_steps(agent_service.START_WAITS, facts, wish, cause.culprit)
    guest = facts.guest or GuestFacts()
    unit = shlex.quote(unit_name(guest))
    culprit = shlex.quote(cause.culprit or "")
    steps = []
    look = storage.look(cause)
    if cause.code in _SHOWN_BY_JOURNAL:
        look = f"systemctl status {unit}; journalctl -u {unit} -n 50 --no-pager"
    elif cause.code == INTERPRETER:
        look = f"ls -lL {culprit}; head -n 1 {shlex.quote(guest.program.path or '/usr/sbin/waagent')}"
    if look:
        steps.append(
            NextStep(
                "see what fills it" if cause.code in (DISK_FULL, INODES_FULL) else "see why",
                in_guest(facts, wish, look),
                effect="reads only",
                downtime="none",
                link=LINK,
            )
        )
    automatic = agent_cure(cause, guest)
    cure = by_hand(automatic) or _by_hand_only(cause, guest) or storage.cure(cause, unit)
    if cure and not any(step.kind == REINSTALL for step in automatic):
        steps.append(
            NextStep(
                _CURES.get(cause.code, "start the agent in the guest"),
                in_guest(facts, wish, cure),
                effect="the agent reports again within about a minute",
                risk="none known",
                downtime="none",
                undo=f"systemctl stop {unit}" if cause.code not in _CURES else None,
                link=LINK,
            )
        )
    elif cause.code in _REINSTALLED:
        reinstall = by_hand(automatic) or package_line(guest)
        steps.append(
            NextStep(
                "install the agent's package again from the distribution",
                in_guest(facts, wish, reinstall) if reinstall else None,
                effect="puts program, Python module, unit and configuration back",
                downtime="none",
                link=UPDATE_LINK,
            )
        )
    elif cause.code in (DISK_FULL, INODES_FULL):
        steps.append(
            NextStep(
                f"free at least 10 % of {cause.culprit} (or enlarge the disk), then restart the agent",
                None,
                effect="the agent can write its state and log again",
                link=storage.FULL_LINK,
            )
        )
    elif cause.code == "L21":
        steps.append(
            NextStep(
                "install the package openssl from the distribution, then restart the agent",
                in_guest(facts, wish, by_hand(automatic)) if automatic else None,
                link=UPDATE_LINK,
            )
        )
    elif cause.code == CONDITION:
        steps.append(
            NextStep(
                "make the condition true, or take it out of the unit, then start the agent",
                in_guest(facts, wish, f"systemctl cat {unit}"),
                effect="shows the unit with its drop-ins",
                downtime="none",
            )
        )
    if cause.code in ("L01", "L02", "L03", "L05", "L28", "L41", NOT_INSTALLED):
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


_SHOWN_BY_JOURNAL = ("L05", "L06", "L29", CONDITION)
_REINSTALLED = (NOT_INSTALLED, "L06", "L07", "L08", "L09", CONFIG, INTERPRETER)
_CURES = {
    CONDITION: "take the condition out of the unit, and start the agent",
    "L13": "let the agent run extensions again",
    READ_ONLY: "make the file system writable again (check it first if the kernel reported errors)",
    NO_EXEC: "let programs be started from it again",
}


def _by_hand_only(cause: Cause, guest: GuestFacts) -> str | None:
    """What no plan does: it changes a setting that somebody may have wanted, or cannot be undone exactly."""
    unit = shlex.quote(unit_name(guest))
    if guest.service.has_systemd is False and cause.code == "L01":
        return f"service {unit} start"
    if cause.slug == "agent-not-executable":
        return f"chmod a+x {shlex.quote(cause.culprit or '')} && systemctl start {unit}"
    if cause.code == "L13":
        return f"sed -i 's/^ *Extensions.Enabled *=.*/Extensions.Enabled=y/' {CONF} && systemctl restart {unit}"
    return None
