"""The types of what a serial console log says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from azext_vmagent.facts.serial_ci_info import CiInfo
from azext_vmagent.facts.windows_health_report import HealthReport

if TYPE_CHECKING:
    from azext_vmagent.facts.serial_newest import NewestBoot


class SerialState(str, Enum):
    """Where the newest boot ends.

    ``SHELL`` is a prompt of a running system without a login (autologin, BusyBox); ``EMERGENCY`` covers systemd's
    emergency and rescue mode, single-user mode and the maintenance shell of a failed fsck; ``PASSPHRASE`` is the
    question for that of an encrypted disk; ``WINDOWS`` is a console that only Windows (SAC, health report) writes.
    """

    LOGIN_PROMPT = "login-prompt"
    SHELL = "shell"
    WINDOWS = "windows"
    EMERGENCY = "emergency"
    PANIC = "panic"
    DRACUT_SHELL = "dracut-shell"
    INITRAMFS_SHELL = "initramfs-shell"
    PASSPHRASE = "passphrase"
    GRUB = "grub"
    FIRMWARE = "firmware"
    BOOTING = "booting"
    SHUTTING_DOWN = "shutting-down"
    POWERED_OFF = "powered-off"
    HUNG = "hung"
    EMPTY = "empty"
    UNKNOWN = "unknown"


class Outlook(str, Enum):
    """What the log alone says of the guest; the words of ``serialLog.outlook`` in the JSON contract.

    ``HEALTHY`` means «the newest boot reached a prompt and nothing contradicts it», no more: a NIC taken down later
    and a paused machine print nothing, so their logs look the same.
    """

    HEALTHY = "healthy"
    NETWORK_DOWN = "network_down"
    NOT_BOOTED = "not_booted"
    BOOTING = "booting"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class SerialEvent:
    """One line that matters. ``line`` is 1-based in the cleaned whole log, ``text`` is free of control characters.

    ``code`` and ``slug`` name the cause that the line argues for (None and "" when it names none), ``culprit`` the
    mount, device, interface or process in it, ``uptime`` the kernel time stamp of the line in seconds.
    """

    line: int
    text: str
    meaning: str
    slug: str = ""
    code: str | None = None
    culprit: str | None = None
    uptime: float | None = None


@dataclass(frozen=True)
class SerialLogFacts:
    """The newest boot, judged, with the lines that say so.

    ``deciding`` holds the lines that the state and the outlook rest on, the most specific cause first;
    ``cause_code``, ``cause_slug`` and ``culprit`` are those of the first that names a cause. ``failed_mount`` is a
    mount point («/data»), ``failed_device`` a device path («/dev/disk/by-uuid/5f3b…»), ``emergency`` the line that
    announces emergency mode. ``network``, ``agent``, ``hang`` and ``oom`` are lines of the newest boot; ``benign``
    those that look like a fault and are none (the log collector killed in its own 30 MB cgroup, I/O errors of the
    provisioning DVD). No agent line proves nothing: agents from 2.2.53 on are silent on the console after the first
    boot. ``boot_time`` is given only where the text has a date. ``dates`` are the first and the last date seen in the
    newest boot. ``uptime`` is the newest kernel time stamp, in seconds. ``newest`` is the newest boot's text, to be
    searched; None for an empty log. ``health_report`` is the newest boot's newest report of a Windows guest.
    ``kernel`` and ``command_line`` are those of the newest boot, ``ci_info`` what cloud-init saw of its network,
    ``leases`` lines in which DHCP gave an address (the culprit).
    """

    state: SerialState
    outlook: Outlook
    boots: int
    lines: int
    boot_line: int
    boot_time: datetime | None = None
    deciding: tuple[SerialEvent, ...] = ()
    cause_code: str | None = None
    cause_slug: str | None = None
    culprit: str | None = None
    emergency: SerialEvent | None = None
    failed_mount: str | None = None
    failed_device: str | None = None
    prompt: SerialEvent | None = None
    network: tuple[SerialEvent, ...] = ()
    agent: tuple[SerialEvent, ...] = ()
    hang: tuple[SerialEvent, ...] = ()
    oom: tuple[SerialEvent, ...] = ()
    benign: tuple[SerialEvent, ...] = ()
    earlier: tuple[SerialEvent, ...] = ()
    dates: tuple[datetime, ...] = ()
    uptime: float | None = None
    last_line: str = ""
    newest: NewestBoot | None = field(default=None, repr=False, compare=False)
    health_report: HealthReport | None = None
    kernel: str | None = None
    command_line: str | None = None
    ci_info: CiInfo | None = None
    leases: tuple[SerialEvent, ...] = ()
