"""Scenario 4: the guest OS did not boot, or hangs. What is known of each cause is in the catalogue."""

from __future__ import annotations

from azext_vmagent.causes.access import az_vm
from azext_vmagent.causes.catalogue import find_cause
from azext_vmagent.causes.catalogue.file_system import EMERGENCY_MODE, FSTAB_DEVICE
from azext_vmagent.causes.catalogue.kernel import CPU_STUCK, HUNG_TASK, STARVED
from azext_vmagent.causes.catalogue.startup import AUDIT_HALT, SHUT_DOWN, asked_from_outside
from azext_vmagent.causes.offline_repair import CONSOLE_LINK as CONSOLE
from azext_vmagent.causes.offline_repair import RESTART
from azext_vmagent.causes.remedies import LEARN, next_steps
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.facts.serial_log import SerialLogFacts, SerialState
from azext_vmagent.model import Cause, NextStep

CONSOLE_LINK = LEARN + CONSOLE

HUNG = CPU_STUCK.named(
    "It had booted to a prompt; since then its processor and its network are dead.", variant="os-hung"
)
HUNG_PROGRAMS = STARVED.named(
    "The kernel still accepts connections; the processors are busy to the last, and no program answers."
)


def hung_disk_cause(guest: GuestFacts, serial: SerialLogFacts | None) -> Cause | None:
    """A disk that does not answer, seen from inside: the kernel complains and the agent waits for it at this moment.

    One of the two alone is no proof: a complaint may be history, and everybody waits for a disk now and then.
    """
    waiting = [process for process in guest.processes or () if process.state.startswith("D")]
    complaints = [line for line in guest.kernel_words if _COMPLAINT in line]
    if serial is not None:
        complaints += [event.text for event in serial.hang if _COMPLAINT in event.text]
    if not waiting or not complaints:
        return None
    detail = f"The agent's process {waiting[0].pid} waits for it in the kernel, and so does what the kernel names."
    return HUNG_TASK.named(detail, complaints[-1])


_COMPLAINT = " blocked for more than "


def serial_cause(serial: SerialLogFacts) -> Cause | None:
    """The cause that the serial log names, or None."""
    if not serial.cause_code:
        return None
    first = next((event for event in serial.deciding if event.code == serial.cause_code), None)
    detail = f"{first.meaning[:1].upper()}{first.meaning[1:]}: {first.text}" if first else ""
    slug = serial.cause_slug or ""
    known = find_cause(serial.cause_code)
    if known is None or slug not in ("", *known.slugs()):
        name = slug or "boot-failed"
        return Cause(serial.cause_code, name, name.replace("-", " ").capitalize(), detail, serial.culprit)
    if known is FSTAB_DEVICE:
        mount, device = serial.failed_mount or "a mount", serial.failed_device or "a device"
        return known.named(
            f"The boot waited for {device} and gave up.",
            serial.failed_mount or serial.failed_device or serial.culprit,
            title=f"/etc/fstab names a disk that is not there ({mount}), without nofail",
        )
    return known.named(detail, serial.culprit, variant=slug)


def redeploy_step(facts: Facts) -> NextStep | None:
    """Redeploy, unless this VM loses data by it (an ephemeral OS disk is made anew), or may: its model is unknown."""
    vm = facts.vm
    if vm is None or vm.ephemeral_os_disk:
        return None
    return NextStep(
        "redeploy: moves the VM to another host",
        az_vm("redeploy", facts),
        effect="a fresh host and network path; the OS disk stays",
        risk="the temporary disk is lost, a dynamic address may change"
        + ("; a Spot VM may not get a place again" if vm.spot else ""),
        downtime="5-15 min",
    )


def restart_step(facts: Facts) -> NextStep:
    """Restart from outside: needs no agent."""
    return NextStep(
        RESTART.action,
        az_vm("restart", facts),
        effect=RESTART.effect,
        risk=RESTART.risk,
        downtime=RESTART.downtime,
    )


def hung_remedies(facts: Facts) -> tuple[NextStep, ...]:
    """Restart first; another host if the same happens again."""
    redeploy = redeploy_step(facts)
    return (restart_step(facts), *((redeploy,) if redeploy else ()))


def boot_remedies(cause: Cause | None, facts: Facts) -> tuple[NextStep, ...]:
    """What the catalogue advises against this cause; where none is known, what finds it."""
    return known_remedies(cause, facts) or next_steps(EMERGENCY_MODE, facts, Wish(), None)


def known_remedies(cause: Cause | None, facts: Facts) -> tuple[NextStep, ...]:
    """What the catalogue advises against this cause; nothing where it does not know it."""
    known = find_cause(cause.code) if cause is not None else None
    if cause is None or known is None:
        return ()
    return next_steps(known, facts, Wish(), cause.culprit)


def why_off(facts: Facts) -> Cause | None:
    """What switched the machine off, by its own console; None where that is not known or Azure asked for it."""
    serial, vm = facts.serial, facts.vm
    if serial is None or vm is None or vm.power != "stopped" or asked_from_outside(serial):
        return None
    if serial.state is SerialState.SHUTTING_DOWN:
        return SHUT_DOWN.named("Its console ends within a shutdown.")
    return serial_cause(serial) if serial.state is SerialState.POWERED_OFF else None


def before_a_start(why: Cause | None, facts: Facts) -> tuple[NextStep, ...]:
    """What a VM that switched itself off needs so that its next boot does not end the same way; nothing for most."""
    return boot_remedies(why, facts) if why is not None and why.code == AUDIT_HALT.code else ()
