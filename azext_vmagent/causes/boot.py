"""Scenario 4: the guest OS did not boot, or hangs."""

from __future__ import annotations

from azext_vmagent.causes.access import az_vm, vm_arguments
from azext_vmagent.facts.guest import GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.facts.serial_log import SerialLogFacts
from azext_vmagent.model import Cause, NextStep

FSTAB_LINK = (
    "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/"
    "linux-virtual-machine-cannot-start-fstab-errors"
)
ALAR_LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/repair-linux-vm-using-alar"
CONSOLE_LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/serial-console-linux"

HUNG = Cause(
    "B23",
    "os-hung",
    "The guest OS hangs",
    "It had booted to a prompt; since then its processor and its network are dead.",
)

HUNG_PROGRAMS = Cause(
    "B38",
    "os-starved",
    "The guest OS hangs: its programs get no processor",
    "The kernel still accepts connections; the processors are busy to the last, and no program answers.",
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
    return Cause("B24", "hung-task", "The guest's disk does not answer", detail, complaints[-1])


_COMPLAINT = " blocked for more than "


def serial_cause(serial: SerialLogFacts) -> Cause | None:
    """The cause that the serial log names, or None."""
    if not serial.cause_code:
        return None
    if serial.cause_code == "B01":
        mount, device = serial.failed_mount or "a mount", serial.failed_device or "a device"
        return Cause(
            "B01",
            serial.cause_slug or "fstab-missing-device",
            f"/etc/fstab names a disk that is not there ({mount}), without nofail",
            f"The boot waited for {device} and gave up.",
            serial.failed_mount or serial.failed_device or serial.culprit,
        )
    first = next((e for e in serial.deciding if e.code == serial.cause_code), None)
    slug = serial.cause_slug or "boot-failed"
    return Cause(
        serial.cause_code,
        slug,
        first.meaning if first else slug.replace("-", " "),
        first.text if first else "",
        serial.culprit,
    )


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
        "restart the VM",
        az_vm("restart", facts),
        effect="the guest boots again; what is wrong on the disk stays wrong",
        risk="unsaved work in the guest is lost",
        downtime="1-3 min",
    )


def hung_remedies(facts: Facts) -> tuple[NextStep, ...]:
    """Restart first; another host if the same happens again."""
    redeploy = redeploy_step(facts)
    return (restart_step(facts), *((redeploy,) if redeploy else ()))


def boot_remedies(cause: Cause | None, facts: Facts) -> tuple[NextStep, ...]:
    """Repair what keeps the guest from booting: on its console, or offline on a copy of its disk."""
    fstab = cause is not None and cause.code == "B01"
    action = "repair the boot on the serial console"
    if fstab:
        action = "on the serial console: log in as root, comment out the line in /etc/fstab, then: systemctl reboot"
    console = NextStep(
        action,
        f"az serial-console connect {vm_arguments(facts)}",
        effect="works without agent and network; needs root's password (root locked: the offline way below)",
        risk="none known",
        downtime="one reboot",
        link=FSTAB_LINK if fstab else CONSOLE_LINK,
    )
    offline = NextStep(
        "repair offline, 1 of 3: a repair VM with a copy of the OS disk"
        + (
            " (2: az vm repair run --run-id linux-alar2 --parameters fstab --run-on-repair; 3: restore)"
            if fstab
            else ""
        ),
        az_vm("repair create", facts),
        effect="the original disk is not touched before restore; asks for a user and password of the repair VM",
        risk="needs Contributor on the resource group; costs a VM while it exists",
        downtime="10-30 min",
        link=ALAR_LINK,
    )
    ephemeral = facts.vm is not None and facts.vm.ephemeral_os_disk  # there is no disk to take a copy of
    return (console, *(() if ephemeral else (offline,)), *(() if fstab else (restart_step(facts),)))
