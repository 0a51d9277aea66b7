"""The catalogue's remedies as the next steps for one VM. Pure."""

from __future__ import annotations

import re
import shlex

from azext_vmagent.causes.access import in_guest, in_windows, vm_arguments
from azext_vmagent.causes.agent import unit_name
from azext_vmagent.causes.known_cause import KnownCause, Remedy, Where
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest_facts import GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.facts.windows_facts import AGENT_SERVICES
from azext_vmagent.facts.windows_firewall import quoted
from azext_vmagent.model import NextStep

LEARN = "https://learn.microsoft.com/"
#: what an ephemeral OS disk does not survive
LOSES_EPHEMERAL_DISK = ("az vm redeploy", "az vm deallocate", "az vm resize")


def next_steps(known: KnownCause, facts: Facts, wish: Wish, culprit: str | None) -> tuple[NextStep, ...]:
    """What to do about this cause, with commands that can be copied whole; what this VM forbids is left out."""
    return tuple(
        _step(remedy, remedy.link or "".join(known.links[:1]), facts, wish, culprit)
        for remedy in known.remedies
        if not _forbidden(remedy, facts)
    )


def _forbidden(remedy: Remedy, facts: Facts) -> bool:
    """A redeployed, deallocated or resized VM loses an ephemeral OS disk; there is no disk to take a copy of either.

    GRUB is installed by one script on a generation 1 VM and by another on a generation 2 VM.
    """
    vm, command = facts.vm, remedy.command
    ephemeral = vm is not None and vm.ephemeral_os_disk
    if command.startswith(LOSES_EPHEMERAL_DISK):
        return vm is None or ephemeral
    if command.startswith("az vm repair "):
        generation = vm.hyperv_generation.upper() if vm is not None else ""
        return (
            ephemeral or ("grubfix" in command and generation == "V2") or ("efifix" in command and generation == "V1")
        )
    return False


def step_of(remedy: Remedy, facts: Facts) -> NextStep:
    """A remedy of no cause in particular as a next step for this VM."""
    return _step(remedy, remedy.link, facts, Wish(), None)


def _step(remedy: Remedy, link: str, facts: Facts, wish: Wish, culprit: str | None) -> NextStep:
    return NextStep(
        remedy.action,
        _command(remedy, facts, wish, culprit),
        effect=remedy.effect or None,
        risk=remedy.risk or None,
        downtime=remedy.downtime or None,
        undo=_filled(remedy.undo, facts, culprit) or None,
        link=LEARN + link if link else None,
    )


def _command(remedy: Remedy, facts: Facts, wish: Wish, culprit: str | None) -> str | None:
    """None where the command needs a name that the evidence did not give."""
    if not remedy.command or ("{culprit}" in remedy.command and not culprit):
        return None
    filled = _filled(remedy.command, facts, culprit)
    if remedy.where is not Where.GUEST:
        return filled
    if facts.windows:
        # a command that ends the agent ends the Run Command that carries it
        return filled if _ENDS_AGENT.search(filled) else in_windows(facts, filled)
    return in_guest(facts, wish, filled)


_ENDS_AGENT = re.compile(r"(?:Restart|Stop)-(?:Service|Process) -Name [^;|]{0,40}(?:RdAgent|WindowsAzureGuestAgent)")


def _filled(command: str, facts: Facts, culprit: str | None) -> str:
    unit = _windows_unit(facts, culprit) if facts.windows else shlex.quote(unit_name(facts.guest or GuestFacts()))
    named = (quoted if facts.windows else shlex.quote)(culprit or "")
    for name, value in (("{vm}", vm_arguments(facts)), ("{unit}", unit), ("{culprit}", named)):
        command = command.replace(name, value)
    return command


def _windows_unit(facts: Facts, culprit: str | None) -> str:
    """The service that is blamed or was seen not to run; else the one that serves goal states."""
    seen = facts.guest.service.unit if facts.guest is not None else None
    return next((name for name in (culprit, seen) if name in AGENT_SERVICES), AGENT_SERVICES[0]) or ""
