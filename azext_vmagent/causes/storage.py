"""What the agent writes to: a disk that is full, read-only or forbids programs."""

from __future__ import annotations

import shlex

from azext_vmagent.facts.guest import Disk, GuestFacts
from azext_vmagent.model import Cause

DISK_FULL, NO_INODES, READ_ONLY, NO_EXEC = "L16", "L17", "L31", "L24"
FULL_LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/linux-fulldisk-boot-error"


def causes(guest: GuestFacts) -> tuple[Cause, ...]:
    """What is wrong with the mounts of the agent's folder and log, the gravest first; noexec harms extensions only."""
    found: list[Cause] = []
    for disk in guest.agent_disks():
        if disk.read_only:
            found.append(
                Cause(READ_ONLY, "filesystem-read-only", "The agent's file system is read-only", _use(disk), disk.mount)
            )
        if disk.full:
            found.append(Cause(DISK_FULL, "disk-full", "The agent's disk is full", _use(disk), disk.mount))
        if disk.out_of_inodes:
            found.append(Cause(NO_INODES, "inodes-full", "The agent's disk has no inodes left", _use(disk), disk.mount))
        if disk.no_exec and disk.mount == guest.mount_of.get("/var/lib/waagent"):
            found.append(
                Cause(
                    NO_EXEC,
                    "mounted-noexec",
                    "No extension can be started: its folder is mounted noexec",
                    "Extensions live in /var/lib/waagent; starting one ends with exit code 126.",
                    disk.mount,
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
        DISK_FULL: f"du -xh -d 3 {mount} | sort -h | tail -n 20",
        NO_INODES: f"du -x --inodes -d 4 {mount} | sort -n | tail -n 20",
        READ_ONLY: "dmesg | grep -iE 'error|remount' | tail -n 20",
    }.get(cause.code)


def cure(cause: Cause, unit: str) -> str | None:
    """The command that makes room or the mount writable again, where one is right for every VM."""
    mount = shlex.quote(cause.culprit or "/")
    return {
        READ_ONLY: f"mount -o remount,rw {mount} && systemctl restart {unit}",
        NO_EXEC: f"mount -o remount,exec {mount}",
    }.get(cause.code)
