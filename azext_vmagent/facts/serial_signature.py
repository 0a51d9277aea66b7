"""What a kind of console line is: the row type of the tables, and the pieces their patterns share.

Each signature is what a *program* prints (the kernel, systemd, dracut, initramfs-tools, GRUB, UEFI firmware,
cloud-init, fsck, the guest agent), bound to the place where it prints it: a kernel message follows its time stamp or
begins the line, a systemd status follows ``[FAILED]``. So prose that quotes an error (a motd, a manual page, a syslog
line about one) does not match. Repetitions in a pattern are bounded: the text is hostile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property


class Kind(Enum):
    """What a line tells about the boot it stands in."""

    LOGIN = "a getty asks for a name: the system is up"
    SHELL = "an interactive shell prompt"
    WINDOWS_UP = "Windows runs"
    WINDOWS_BOOT = "Windows boots"
    BOOTED = "a late milestone of the boot, also printed by boots that failed"
    EMERGENCY = "a maintenance shell instead of the system"
    DRACUT = "dracut gave up in the initramfs"
    INITRAMFS = "initramfs-tools gave up in the initramfs"
    PASSPHRASE = "the boot waits for the passphrase of a disk"
    GRUB = "the boot loader waits for a person"
    FIRMWARE = "the firmware found nothing to start"
    PANIC = "the kernel stopped"
    CRASH_DUMP = "another kernel saves the memory of a crashed one"
    OOPS = "the kernel broke, and may go on"
    HANG = "a CPU or a task makes no progress"
    AUDITING = "auditd starts: the cause of a machine that switches itself off right after"
    SHUTDOWN = "the system goes down"
    STOPPING = "the system waits for something to stop"
    RESTART = "the machine restarts now"
    OFF = "the machine switches itself off now"
    STOPPER = "stops the boot unless a later line shows that it went on"
    CAUSE = "explains a boot that failed; proves nothing in a boot that did not"
    WAITING = "the boot waits for something, with a limit"
    NET_BAD = "the system sees no usable network"
    NET_DOUBT = "a network was not set up in time; nothing where an address was seen"
    NET_GOOD = "the system has an address or reached a peer"
    AGENT = "the Azure guest agent or its unit speaks"
    OOM = "the kernel killed a process for lack of memory"
    BENIGN = "looks like a fault and is none"


@dataclass(frozen=True)
class Signature:
    """A kind of line. ``needle`` is text that every such line holds; ``pattern`` is searched in lines that hold it.

    The pattern is compiled when it is first needed: most of them never are.

    ``code`` and ``slug`` name the cause it argues for. ``rank`` orders causes: a smaller one is more specific.
    ``at_least`` is how often it must be seen before it counts (a single route error is noise); ``confirmed_by`` must
    be found in one of the next four lines, where given. Named groups: ``mount``, ``device``, ``culprit``.
    """

    kind: Kind
    needle: str
    regex: str
    meaning: str
    code: str | None = None
    slug: str = ""
    rank: int = 50
    at_least: int = 1
    confirmed_by: str | None = None

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the line must look like."""
        return re.compile(self.regex)

    @cached_property
    def confirm(self) -> re.Pattern[str] | None:
        """What one of the next lines must look like."""
        return re.compile(self.confirmed_by) if self.confirmed_by else None


ADDRESS_SEEN = "address-seen"
"""The slug of lines that show an interface with an address, or a peer that answered."""

BARE_SHELL = "a shell that no login started"
MOUNT_WAITS = "a mount needs a device that is not there"
"""What the prompt of a shell without its start files means: an appliance, or a shell in the place of init."""

KERNEL = r"(?:^ ?|(?<!kernel: )\[ {0,6}\d{1,8}\.\d{1,6}\](?:\[ *[TC]?\d+\])? {1,2}|\] - )"
"""Where a kernel message begins: at the line's start or after its time stamp, but not in a copy that syslog made."""

SYSTEMD = r"(?:^|\] )systemd\[1\]: "
"""What systemd writes to the kernel's log, as it does in the initramfs and where it shows no status on the console."""

STATUS = r"(?:(?<![\"'`])\[ ?(?:FAILED|DEPEND|TIME) {0,2}\] ?|" + SYSTEMD + ")"
"""A systemd status that is bad news, also in the middle of another line, but not in quotes; or systemd's log."""

DONE = r"(?:^\[ {1,3}OK {1,3}\] |" + SYSTEMD + ")"
"""A systemd status that is good news, or systemd's log."""

DRACUT = r"(?:^|\] )(?:dracut(?:-[a-z-]+)?(?:\[\d+\])?:? )?"


def signature(
    kind: Kind,
    needle: str,
    pattern: str,
    meaning: str,
    cause: str = "",
    rank: int = 50,
    at_least: int = 1,
    confirm: str | None = None,
) -> Signature:
    """A row of the tables. ``cause`` is «CODE slug»."""
    code, _, slug = cause.partition(" ")
    return Signature(kind, needle, pattern, meaning, code or None, slug, rank, at_least, confirm)
