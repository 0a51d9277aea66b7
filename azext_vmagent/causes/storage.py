"""What the agent writes to: a disk that is full, read-only or forbids programs."""

from __future__ import annotations

import shlex

from azext_vmagent.causes.catalogue import agent_storage
from azext_vmagent.facts.guest import Disk, GuestFacts
from azext_vmagent.model import Cause

FULL_LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/linux-fulldisk-boot-error"


def causes(guest: GuestFacts) -> tuple[Cause, ...]:
    """What is wrong with the mounts of the agent's folder and log, the gravest first; noexec harms extensions only."""
    found: list[Cause] = []
    for disk in guest.agent_disks():
        if disk.read_only:
            found.append(agent_storage.READ_ONLY.named(_use(disk), disk.mount))
        if disk.full:
            found.append(agent_storage.DISK_FULL.named(_use(disk), disk.mount))
        if disk.out_of_inodes:
            found.append(agent_storage.INODES_FULL.named(_use(disk), disk.mount))
        if disk.no_exec and disk.mount == guest.mount_of.get("/var/lib/waagent"):
            found.append(
                agent_storage.NO_EXEC.named(
                    "Extensions live in /var/lib/waagent; starting one ends with exit code 126.", disk.mount
                )
            )
    return tuple(found)


def _use(disk: Disk) -> str:
    mode = "read-only" if disk.read_only else "writable"
    return f"{disk.mount}: {disk.free_kib} KiB and {disk.free_inodes} inodes free, {mode}."


def look(cause: Cause) -> str | None:
    """The command that shows what uses the place up, or None."""
    mount = shlex.quote(cause.culprit or "/")
    return {
        agent_storage.DISK_FULL.code: f"du -xh -d 3 {mount} | sort -h | tail -n 20",
        agent_storage.INODES_FULL.code: f"du -x --inodes -d 4 {mount} | sort -n | tail -n 20",
        agent_storage.READ_ONLY.code: "dmesg | grep -iE 'error|remount' | tail -n 20",
    }.get(cause.code)


def cure(cause: Cause, unit: str) -> str | None:
    """The command that makes room or the mount writable again, where one is right for every VM."""
    mount = shlex.quote(cause.culprit or "/")
    return {
        agent_storage.READ_ONLY.code: f"mount -o remount,rw {mount} && systemctl restart {unit}",
        agent_storage.NO_EXEC.code: f"mount -o remount,exec {mount}",
    }.get(cause.code)
