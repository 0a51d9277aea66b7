"""What systems print on their console when they boot, stop or lose the network: one row per kind of line.

Each signature is what a *program* prints (the kernel, systemd, dracut, initramfs-tools, GRUB, UEFI firmware, cloud-init, fsck,
the guest agent), bound to the place where it prints it: a kernel message follows its time stamp or begins the line, a systemd
status follows ``[FAILED]``. So prose that quotes an error (a motd, a manual page, a syslog line about one) does not match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


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
    GRUB = "the boot loader waits for a person"
    FIRMWARE = "the firmware found nothing to start"
    PANIC = "the kernel stopped"
    OOPS = "the kernel broke, and may go on"
    HANG = "a CPU or a task makes no progress"
    SHUTDOWN = "the system goes down"
    RESTART = "the machine restarts now"
    OFF = "the machine switches itself off now"
    STOPPER = "stops the boot unless a later line shows that it went on"
    CAUSE = "explains a boot that failed; proves nothing in a boot that did not"
    WAITING = "the boot waits for something, with a limit"
    NET_BAD = "the system sees no usable network"
    NET_GOOD = "the system has an address or reached a peer"
    AGENT = "the Azure guest agent or its unit speaks"
    OOM = "the kernel killed a process for lack of memory"
    BENIGN = "looks like a fault and is none"


@dataclass(frozen=True)
class Signature:
    """A kind of line. ``needle`` is text that every such line holds; ``pattern`` is searched in a line that holds it.

    ``code`` and ``slug`` name the cause it argues for. ``rank`` orders causes: a smaller one is more specific. ``at_least`` is how
    often it must be seen before it counts (a single route error is noise). Named groups: ``mount``, ``device``, ``culprit``.
    """

    kind: Kind
    needle: str
    pattern: re.Pattern[str]
    meaning: str
    code: str | None = None
    slug: str = ""
    rank: int = 50
    at_least: int = 1


_KERNEL = r"(?:^ ?|(?<!kernel: )\[ {0,6}\d{1,8}\.\d{1,6}\](?:\[ *[TC]?\d+\])? {1,2}|\] - )"
"""Where a kernel message begins: at the line's start or after its time stamp, but not in a copy that syslog made."""

_STATUS = r"(?<![\"'`])\[ ?(?:FAILED|DEPEND|TIME) {0,2}\] ?"
_DONE = r"^\[ {1,3}OK {1,3}\] "
_SYSTEMD = r"(?:^|\] )systemd\[1\]: "
_DRACUT = r"(?:^|\] )(?:dracut(?:-[a-z-]+)?(?:\[\d+\])?:? )?"
_AGENT_LINE = r"(?:^|login: ?)(?:\d{4}[-/]\d\d[-/]\d\d[T ][\d:.]+Z? |YYYY/MM/DD HH:MM:SS )(?:[A-Z]+[ :])?.{0,60}?"


def _sig(
    kind: Kind, needle: str, pattern: str, meaning: str, cause: str = "", rank: int = 50, at_least: int = 1
) -> Signature:
    code, _, slug = cause.partition(" ")
    return Signature(kind, needle, re.compile(pattern), meaning, code or None, slug, rank, at_least)


_ARRIVALS = (
    _sig(
        Kind.LOGIN,
        "login:",
        r"^ {0,2}(?!(?:[Ll]ast|[Ff]ailed|[Ii]nvalid|[Pp]lease|[Yy]our|[Tt]he|[Aa]|to|at|or) )"
        r"(?:[A-Za-z0-9][\w.-]{0,63} )?login:(?=$| (?!(?:[a-z]+ ){2}[a-z]+))",
        "login prompt",
        "B39 login-prompt-present",
    ),
    _sig(Kind.SHELL, "#", r"^(?:/ |~ |\[?[\w.-]{1,64}@[\w.-]{1,64}[: ][~/\w.-]{0,80}\]?|(?:ba)?sh-\d[\d.]{0,5})# ?(?=$|\S)", "shell prompt"),
    _sig(Kind.WINDOWS_UP, "CMD command", r"^EVENT: +The CMD command is now available", "Windows started its special console"),
    _sig(Kind.WINDOWS_UP, "VM Health Report", r"^=+ Microsoft Azure VM Health Report - (?:Start|End)", "Windows writes its health report"),
    _sig(Kind.WINDOWS_BOOT, "SAC started", r"^Computer is booting, SAC started and initialized", "Windows is booting"),
    _sig(Kind.WINDOWS_BOOT, "SAC>", r"^SAC>", "Windows special console"),
    _sig(Kind.BOOTED, "Reached target ", _DONE + r"Reached target .{0,60}(?:Multi-User System|Graphical Interface|Login Prompts|Cloud-init target)", "late boot target"),
    _sig(Kind.BOOTED, "finished at", r"cloud-init\[\d+\]: Cloud-init v\. \S+ finished at ", "cloud-init finished"),
)  # fmt: skip

_DEAD_ENDS = (
    _sig(Kind.EMERGENCY, "emergency mode", r"^(?:You are in|Welcome to) emergency mode", "systemd stopped in emergency mode", "B02 emergency-mode", 80),
    _sig(Kind.EMERGENCY, "rescue mode", r"^(?:You are in|Welcome to) rescue mode", "systemd stopped in rescue mode", "B02 rescue-mode", 80),
    _sig(Kind.EMERGENCY, "emerg", _DONE + r"(?:Started|Reached target) (?:emergency\.(?:service|target) - )?Emergency (?:Shell|Mode)", "systemd goes to emergency mode", "B02 emergency-mode", 82),
    _sig(Kind.EMERGENCY, "rescue.", _DONE + r"(?:Started|Reached target) rescue\.(?:service|target) - Rescue (?:Shell|Mode)", "systemd goes to rescue mode", "B02 rescue-mode", 82),
    _sig(Kind.EMERGENCY, "Give root password", r"(?:^|[a-z.])Give root password for (?:maintenance|login)", "asks for the root password for maintenance", "B02 emergency-mode", 81),
    _sig(Kind.EMERGENCY, "access to console", r"^Cannot open access to console, the root account is locked", "the maintenance shell is closed: root is locked", "B03 emergency-root-locked", 70),
    _sig(Kind.EMERGENCY, "for maintenance", r"^\(?(?:Press Enter for maintenance|or press Control-D to continue)", "waits for Enter to open a maintenance shell", "B02 emergency-mode", 81),
    _sig(Kind.EMERGENCY, "maintenance shell", r"^A maintenance shell will now be started", "a maintenance shell starts", "B02 emergency-mode", 80),
    _sig(Kind.EMERGENCY, "Dropping you to a shell", r"^\*\*\* Dropping you to a shell", "the boot scripts drop to a shell", "B02 emergency-mode", 81),
    _sig(Kind.EMERGENCY, "for emergency shell", r"^(?:Press Enter for emergency shell|Starting Emergency Shell)", "waits for Enter to open an emergency shell", "B02 emergency-mode", 80),
    _sig(Kind.DRACUT, "Entering emergency mode", r"^Entering emergency mode\. Exit the shell", "dracut stopped in its shell", "B10 dracut-no-root", 75),
    _sig(Kind.DRACUT, "dracut:", r"^dracut:[/\w]{0,40}# ?", "dracut's shell prompt", "B10 dracut-no-root", 76),
    _sig(Kind.DRACUT, "switch_root:", r"^switch_root:[/\w]{0,40}# ?", "a shell before the switch to the root file system (rd.break)", "B34 boot-break-left", 40),
    _sig(Kind.DRACUT, "Could not boot", _DRACUT + r"Warning: Could not boot", "dracut could not boot", "B10 dracut-no-root", 74),
    _sig(Kind.DRACUT, "Boot has failed", r"dracut Warning: Boot has failed", "dracut could not boot", "B10 dracut-no-root", 74),
    _sig(Kind.DRACUT, "Refusing to continue", r"(?:^|\] )dracut(?:\[\d+\])?: (?:FATAL: .{0,200}|Refusing to continue)", "dracut refuses to continue", "B10 dracut-no-root", 60),
    _sig(Kind.INITRAMFS, "(initramfs)", r"^\(initramfs\)", "the initramfs shell prompt", "B11 initramfs-shell", 76),
    _sig(Kind.INITRAMFS, "Dropping to a shell", r"^ALERT! {1,2}(?P<device>\S+) does not exist\. {1,2}Dropping to a shell", "the root device does not exist", "B11 initramfs-shell", 30),
    _sig(Kind.INITRAMFS, "Gave up waiting", r"^Gave up waiting for (?:root|suspend/resume)? ?(?:file system )?device", "gave up waiting for the root device", "B11 initramfs-shell", 45),
    _sig(Kind.INITRAMFS, "No init found", r"^No init found\. Try passing init=", "the root file system has no init", "B20 switch-root-failed", 40),
    _sig(Kind.INITRAMFS, "recovery shell launched", r"^initramfs emergency recovery shell launched", "the initramfs recovery shell", "B11 initramfs-shell", 60),
    _sig(Kind.SHELL, "(none)", r"^root@\(none\):[^#]{0,40}# ?", "a root shell instead of init", "B34 boot-break-left", 40),
    _sig(Kind.GRUB, "grub rescue", r"^grub rescue> ?", "GRUB's rescue prompt", "B15 grub-rescue", 40),
    _sig(Kind.GRUB, "Entering rescue mode", r"^Entering rescue mode\.\.\.", "GRUB enters rescue mode", "B15 grub-rescue", 45),
    _sig(Kind.GRUB, "BASH-like", r"Minimal BASH-like line editing is supported", "GRUB's command prompt", "B16 grub-prompt", 45),
    _sig(Kind.GRUB, "grub>", r"^grub> ?", "GRUB's command prompt", "B16 grub-prompt", 45),
    _sig(Kind.GRUB, "load the kernel first", r"^error: (?:\S+: )?you need to load the kernel first", "GRUB found no kernel", "B07 kernel-or-initrd-missing", 30),
    _sig(Kind.FIRMWARE, "BdsDxe", r"^BdsDxe: (?:No bootable option or device was found|failed to load .{0,200}(?:Not Found|Access Denied|rejected))", "the firmware found nothing to start", "B17 uefi-no-loader", 60),
    _sig(Kind.FIRMWARE, "Security Violation", r"(?:^Verification failed: ?\(0x1A\)|^)[ :]*Security Violation", "Secure Boot rejected the loader", "B18 secure-boot-violation", 30),
    _sig(Kind.FIRMWARE, "Secure Boot", r"rejected probably by Secure Boot", "Secure Boot rejected the loader", "B18 secure-boot-violation", 30),
    _sig(Kind.FIRMWARE, "bad shim signature", r"(?:^|error: )bad shim signature", "Secure Boot rejected the kernel", "B18 secure-boot-violation", 30),
    _sig(Kind.FIRMWARE, "Boot failed", r"^Boot failed: not a bootable disk", "the disk is not bootable", "B17 uefi-no-loader", 60),
    _sig(Kind.FIRMWARE, "No bootable device", r"^No bootable device", "no bootable disk", "B17 uefi-no-loader", 60),
    _sig(Kind.FIRMWARE, "Start PXE over", r"^>{0,2}Start PXE over IPv[46]", "the firmware tries the network: no boot loader on the disk", "B17 uefi-no-loader", 65),
    _sig(Kind.FIRMWARE, "Synchronous Exception", r"^Synchronous Exception at 0x", "the firmware crashed", "B17 uefi-no-loader", 50),
    _sig(Kind.FIRMWARE, "System halted", r"^ ?-- System halted", "the kernel could not be unpacked", "B31 kernel-image-corrupt", 30),
)  # fmt: skip

_PANICS = (
    _sig(Kind.PANIC, "Kernel panic", _KERNEL + r"(?:---\[ end )?Kernel panic - not syncing: VFS: Unable to mount root fs on (?P<device>(?:\"[^\"]{1,80}\" or )?unknown-block\S{0,20})", "the kernel could not mount the root file system", "B07 kernel-panic-vfs-root", 20),
    _sig(Kind.PANIC, "Kernel panic", _KERNEL + r"(?:---\[ end )?Kernel panic - not syncing: (?:Attempted to kill init!|No working init found|No init found|Requested init)", "init died or could not be started", "B08 kernel-panic-init-killed", 22),
    _sig(Kind.PANIC, "Kernel panic", _KERNEL + r"(?:---\[ end )?Kernel panic - not syncing: (?:Out of memory|System is deadlocked on memory|out of memory)", "the kernel ran out of memory", "B26 kernel-panic-oom", 20),
    _sig(Kind.PANIC, "Kernel panic", _KERNEL + r"(?:---\[ end )?Kernel panic - not syncing: (?:softlockup|hard LOCKUP|Hard LOCKUP|NMI)", "a CPU hung and the kernel stopped", "B23 kernel-panic-lockup", 20),
    _sig(Kind.PANIC, "Kernel panic", _KERNEL + r"(?:---\[ end )?Kernel panic - not syncing: hung_task", "a task hung and the kernel stopped", "B24 kernel-panic-hung-task", 20),
    _sig(Kind.PANIC, "Kernel panic", _KERNEL + r"(?:---\[ end )?Kernel panic(?: - not syncing)?: (?P<culprit>.{1,120})", "the kernel stopped", "B09 kernel-panic", 25),
    _sig(Kind.PANIC, "eadlocked on memory", _KERNEL + r"(?:System is deadlocked on memory|Out of memory and no killable processes)", "the kernel ran out of memory", "B26 kernel-panic-oom", 21),
    _sig(Kind.PANIC, "panic: ", r"^panic: (?!runtime error|fatal error|assignment to)(?P<culprit>.{1,120})", "the BSD kernel stopped", "B09 kernel-panic", 25),
    _sig(Kind.PANIC, "Fatal trap", r"^Fatal trap \d+: (?P<culprit>.{1,80})", "the BSD kernel stopped", "B09 kernel-panic", 26),
    _sig(Kind.PANIC, "mountroot>", r"^mountroot> ?", "the BSD kernel found no root file system", "B10 bsd-no-root", 30),
    _sig(Kind.PANIC, "db>", r"^db(?:\{\d+\})?> ?$", "the BSD kernel debugger", "B09 kernel-panic", 60),
    _sig(Kind.PANIC, "SELinux policy", r"(?:" + _SYSTEMD + r"|^|\[!!!!!!\] )Failed to load SELinux policy", "init could not load the SELinux policy", "B19 selinux-policy-load-failed", 15),
    _sig(Kind.PANIC, "reezing", r"(?:" + _SYSTEMD + r"|\[!!!!!!\] ).{0,60}[Ff]reezing(?: execution)?\.?$", "systemd froze", "B28 systemd-froze", 60),
    _sig(Kind.OOPS, "BUG: ", _KERNEL + r"BUG: (?:unable to handle|kernel NULL pointer|failure at|Bad page)", "kernel bug", "B09 kernel-oops", 55),
    _sig(Kind.OOPS, "kernel BUG at", _KERNEL + r"kernel BUG at (?P<culprit>\S{1,120}?)!?$", "kernel bug", "B09 kernel-oops", 55),
    _sig(Kind.OOPS, "Oops", _KERNEL + r"(?:Internal error: )?Oops(?:: [0-9a-f]{4}| - )", "kernel oops", "B09 kernel-oops", 56),
    _sig(Kind.OOPS, "general protection", _KERNEL + r"general protection fault", "kernel fault", "B09 kernel-oops", 57),
    _sig(Kind.OOPS, "NULL pointer", _KERNEL + r"Unable to handle kernel NULL pointer dereference", "kernel bug", "B09 kernel-oops", 55),
    _sig(Kind.HANG, "soft lockup", _KERNEL + r"(?:NMI )?(?:watchdog: )?BUG: soft lockup - CPU#(?P<culprit>\d+ stuck for \d+s)", "a CPU is stuck", "B23 soft-lockup", 30),
    _sig(Kind.HANG, "LOCKUP on cpu", _KERNEL + r"(?:NMI )?(?:watchdog: )?(?:Watchdog detected )?[Hh]ard LOCKUP on cpu (?P<culprit>\d+)", "a CPU is stuck", "B23 hard-lockup", 30),
    _sig(Kind.HANG, "workqueue lockup", _KERNEL + r"BUG: workqueue lockup - pool (?P<culprit>.{1,60})", "kernel workers are stuck", "B23 workqueue-lockup", 30),
    _sig(Kind.HANG, " stall", _KERNEL + r"(?:INFO: |rcu: INFO: )rcu\w* (?:self-)?detected (?:expedited )?stall", "a CPU is stuck", "B25 rcu-stall", 40),
    _sig(Kind.HANG, "blocked for more than", _KERNEL + r"INFO: task (?P<culprit>\S{1,64}):\d+ blocked for more than \d+ seconds", "a task waits for a disk that does not answer", "B24 hung-task", 35),
)  # fmt: skip

_GOING_DOWN = (
    _sig(Kind.SHUTDOWN, "eached target", _DONE + r"Reached target .{0,60}(?:Shutdown|System Reboot|System Power Off|Power-Off|System Halt|Late Shutdown Services|Unmount All Filesystems)\.?$", "the system goes down"),
    _sig(Kind.SHUTDOWN, "systemd-shutdown[1]", r"systemd-shutdown\[1\]: ", "the system goes down"),
    _sig(Kind.SHUTDOWN, "system is going down", r"^The system is going down", "the system goes down"),
    _sig(Kind.RESTART, "reboot: ", _KERNEL + r"reboot: (?:Restarting system|machine restart)", "the machine restarts"),
    _sig(Kind.RESTART, "Restarting system", _KERNEL + r"Restarting system\.?$", "the machine restarts"),
    _sig(Kind.OFF, "reboot: ", _KERNEL + r"reboot: (?:Power down|System halted|Power off not available)", "the system switched the machine off", "B37 guest-shut-itself-down", 70),
    _sig(Kind.OFF, "Power down", _KERNEL + r"(?:Power down\.?|acpi_power_off called)$", "the system switched the machine off", "B37 guest-shut-itself-down", 70),
    _sig(Kind.OFF, "has halted", r"^The operating system has halted\.", "the system halted", "B37 guest-shut-itself-down", 70),
    _sig(Kind.CAUSE, "audit daemon", r"[Tt]he audit daemon is now (?:halting|suspending|changing) the system", "auditd halts the system", "B21 auditd-halt", 20),
)  # fmt: skip

_DEVICE = r"(?P<device>/dev/\S+?|\S{0,120}?\.device|\S*[0-9a-f]{4}-[0-9a-f]{12}|\S{1,120}?)"

_STOPPERS = (
    _sig(Kind.STOPPER, "Dependency failed for", _STATUS + r"Dependency failed for .{0,60}Local File Systems", "a file system of /etc/fstab is missing, so systemd enters emergency mode", "B02 local-fs-failed", 60),
    _sig(Kind.CAUSE, "Dependency failed for", _STATUS + r"Dependency failed for (?:\S{1,120}\.mount - |\S{0,60}\? ?- )?(?P<mount>/(?!dev/)\S{0,200}?)\.?$", "a mount needs a device that is not there", "B01 fstab-missing-device", 12),
    _sig(Kind.CAUSE, "Timed out waiting for device", _STATUS + r"Timed out waiting for device (?:\S{1,200}\.device - )?" + _DEVICE + r"\.?$", "a device of /etc/fstab never appeared", "B01 fstab-missing-device", 10),
    _sig(Kind.STOPPER, "Failed to mount", _STATUS + r"Failed to mount (?:\S{1,120}\.mount - )?(?P<mount>/\S{0,200}?)\.?$", "a mount failed", "B05 mount-failed", 40),
    _sig(Kind.STOPPER, "Failed to start", _STATUS + r"Failed to start .{0,60}File System Check on (?P<device>/dev/\S{1,200}?)\.?$", "a file system check failed", "B06 fsck-failed", 30),
    _sig(Kind.STOPPER, "Failed to start", _STATUS + r"Failed to start .{0,60}Switch Root", "the switch to the root file system failed", "B20 switch-root-failed", 20),
    _sig(Kind.STOPPER, "Failed to isolate", r"(?:" + _SYSTEMD + r"|^|\[!!!!!!\] )Failed to isolate default target", "systemd has no target to boot", "B28 no-default-target", 30),
    _sig(Kind.STOPPER, "RUN fsck MANUALLY", r"^(?P<device>/dev/\S{1,120}|\S{1,60}): UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY", "the file system needs a manual check", "B06 fsck-needs-a-person", 15),
    _sig(Kind.STOPPER, "root filesystem failed", r"^Failure: File system check of the root filesystem failed", "the check of the root file system failed", "B06 fsck-failed", 20),
    _sig(Kind.STOPPER, "file system check", r"^\*\*\* An error occurred during the file system check", "the file system check failed at boot", "B06 fsck-failed", 55),
    _sig(Kind.STOPPER, "nonexistent device", r"^(?P<device>/dev/\S{1,120}): nonexistent device \(\"nofail\" fstab option", "a device of /etc/fstab does not exist", "B01 fstab-missing-device", 10),
    _sig(Kind.STOPPER, "Unable to resolve", r"^(?:\[[^\]]{0,80}\] )?fsck\.\w+: Unable to resolve '?(?P<device>(?:UUID|LABEL|PARTUUID)=\S{1,80}?)'?$", "a file system named in /etc/fstab does not exist", "B01 fstab-missing-device", 10),
    _sig(Kind.STOPPER, "unknown filesystem type", _DRACUT + r"mount: (?:\S{1,80}: )?unknown filesystem type '(?P<culprit>vfat)'", "the kernel cannot mount vfat", "B14 vfat-disabled", 14),
    _sig(Kind.STOPPER, "fs-vfat", _KERNEL + r"request_module fs-(?P<culprit>vfat) succeeded, but still no fs\?", "the kernel cannot mount vfat", "B14 vfat-disabled", 14),
    _sig(Kind.STOPPER, "LinuxPassPhraseFileName", _DRACUT + r"ls: cannot access \S{0,60}LinuxPassPhraseFileName", "the disk encryption key is not there", "B33 ade-key-missing", 25),
    _sig(Kind.STOPPER, "hv_storvsc: probe", r"(?:^|\] {0,2})hv_storvsc: probe of (?P<culprit>\S{1,60}) failed with error -?\d+", "the Hyper-V storage driver could not start", "B13 hyperv-storage-probe-failed", 15),
    _sig(Kind.CAUSE, "hv_vmbus: probe", r"(?:^|\] {0,2})hv_vmbus: probe failed for device (?P<culprit>\S{1,60}) \(-?\d+\)", "a Hyper-V device did not start", "B13 hyperv-device-probe-failed", 45),
    _sig(Kind.CAUSE, "dracut-initqueue", _DRACUT + r"(?:Warning: )?dracut-initqueue:? timeout", "dracut waits for the root device", "B10 dracut-no-root", 60),
    _sig(Kind.CAUSE, "does not exist", r"(?:^|\] |: )Warning: (?P<device>\S{0,40}/dev/\S{1,120}?|/dev/\S{1,120}?) does not exist$", "a device the boot needs does not exist", "B10 dracut-no-root", 28),
    _sig(Kind.CAUSE, "No root device", r"dracut Warning: No root device \"(?:block:)?(?P<device>[^\"]{1,120})\" found", "the root device was not found", "B10 dracut-no-root", 16),
    _sig(Kind.CAUSE, "osencrypt does not", r"(?P<device>/dev/mapper/osencrypt) does not exist", "the encrypted system disk was not unlocked", "B33 ade-os-disk-locked", 20),
    _sig(Kind.CAUSE, "Failed to mount", _STATUS + r"Failed to mount (?:\S{1,120}\.mount - )?(?P<mount>/bek)\.?$", "the volume with the disk encryption key could not be mounted", "B33 ade-key-volume-mount-failed", 18),
    _sig(Kind.CAUSE, "XFS (", _KERNEL + r"XFS \((?P<device>[\w-]{1,40})\): (?:Metadata (?:CRC error|corruption) detected|Corruption of in-memory data|Internal error|Unmount and run xfs_repair|log mount/recovery failed)", "XFS is damaged", "B04 xfs-corrupt", 22),
    _sig(Kind.CAUSE, "EXT4-fs", _KERNEL + r"EXT4-fs (?:error \(device (?P<device>[\w-]{1,40})\)|\([\w-]{1,40}\): (?:VFS: Can't find ext4|bad geometry|no journal found|error loading journal))", "ext4 is damaged", "B05 ext4-corrupt", 22),
    _sig(Kind.CAUSE, "open_ctree failed", r"BTRFS(?: error)?[ :].{0,80}open_ctree failed", "btrfs is damaged", "B05 btrfs-corrupt", 22),
    _sig(Kind.CAUSE, "Cannot open root device", _KERNEL + r"VFS: Cannot open root device \"(?P<device>[^\"]{1,80})\"", "the root device was not found", "B07 kernel-panic-vfs-root", 24),
    _sig(Kind.CAUSE, "nitramfs unpacking", _KERNEL + r"(?:Initramfs unpacking failed|XZ-compressed data is corrupt)", "the initramfs or kernel image is damaged", "B07 initramfs-damaged", 26),
    _sig(Kind.CAUSE, "error: file", r"^error: file [`'\"](?P<culprit>[^'`\"]{1,160})['`\"] not found", "the boot loader misses a file", "B15 grub-file-missing", 24),
    _sig(Kind.CAUSE, "error: ", r"^error: (?P<culprit>no such partition|unknown filesystem|no such device: \S{1,60}|disk `\S{1,60}' not found|symbol `\S{1,60}' not found)", "the boot loader cannot read its disk", "B15 grub-disk-unreadable", 26),
    _sig(Kind.CAUSE, "offline device", _KERNEL + r"(?:sd \S{1,20}: (?:\[\w+\] )?)?rejecting I/O to offline device", "the disk went away under I/O", "B32 storage-offline", 30),
    _sig(Kind.CAUSE, "I/O error, dev ", r"I/O error, dev (?P<device>(?!sr\d|fd\d|loop\d)\w{1,20})[, ]", "the disk returns errors", "B32 disk-io-error", 46),
    _sig(Kind.CAUSE, "No space left", r"(?:cloud-init\[\d+\]: .{0,80}|OSError: |IOError: )\[Errno 28\] No space left on device", "the disk is full", "B22 disk-full", 30),
    _sig(Kind.WAITING, "start job is running", r"A (?:start|stop) job is running for (?P<device>\S{1,200}.{0,60}?) \((?P<culprit>[^)]{1,40})\)", "systemd waits for something"),
    _sig(Kind.WAITING, "/start running (", r"Job (?P<device>\S{1,200})/start running \((?P<culprit>[^)]{1,40})\)", "systemd waits for something"),
    _sig(Kind.WAITING, "relabel", r"(?:^|\*\*\* )Warning -- SELinux \S+ policy relabel is required", "SELinux relabels the whole file system: this can take hours"),
)  # fmt: skip

_NETWORK = (
    _sig(Kind.NET_BAD, "ci-info:", r"^ci-info: \| +(?P<culprit>(?!lo\b|docker|virbr|veth|br-|cni)\w{1,16}) +\| +False \|", "cloud-init saw the interface down", "I07 interface-without-address", 30),
    _sig(Kind.NET_BAD, "ci-info:", r"^ci-info: (?P<culprit>(?!lo\b)\w{1,16}) +: 0 ", "cloud-init saw the interface down", "I04 interface-renamed", 28),
    _sig(Kind.NET_BAD, "oute info failed", r"^ci-info: !+ ?Route info failed", "cloud-init found no routes", "I07 interface-without-address", 40),
    _sig(Kind.NET_BAD, "route_info failed", r"^route_info failed", "cloud-init found no routes", "I07 interface-without-address", 40),
    _sig(Kind.NET_BAD, "cloud-init-nonet", r"^cloud-init-nonet(?:\[[\d.]+\])? gave up waiting for a network device", "no network device appeared", "I04 no-network-device", 20),
    _sig(Kind.NET_BAD, "network configuration", r"^Booting system without full network configuration", "booted without a network", "I07 interface-without-address", 42),
    _sig(Kind.NET_BAD, "does not seem to be present", r"Device (?P<culprit>\w{1,16}) does not seem to be present, delaying initialization", "the interface does not exist", "I02 nic-not-present", 15),
    _sig(Kind.NET_BAD, "different MAC address", r"Device (?P<culprit>\w{1,16}) has different MAC address than expected, ignoring", "the configuration names another MAC address", "I03 nic-mac-mismatch", 15),
    _sig(Kind.NET_BAD, "No interface found", r"^\s*(?P<culprit>eth\d) +No interface found", "the interface does not exist", "I06 nic-not-found", 15),
    _sig(Kind.NET_BAD, "nic not present", r"\[nic not present\] Cannot rename mac=", "the network driver did not load, or the NIC was replaced", "I08 netvsc-driver-missing", 15),
    _sig(Kind.NET_BAD, "Interface not found for DHCP", r"(?:^|: |\] )Interface not found for DHCP", "no interface for DHCP", "I08 netvsc-driver-missing", 20),
    _sig(Kind.NET_BAD, "Failed to bring up", r"^Failed to bring up (?P<culprit>(?!lo\b)\w{1,16})", "the interface did not come up", "I07 interface-without-address", 32),
    _sig(Kind.NET_BAD, "networking", _STATUS + r"Failed to start (?:networking\.service - )?(?:LSB: Bring up/down networking|Raise network interfaces)", "the network service failed", "I12 network-service-failed", 25),
    _sig(Kind.NET_BAD, "Failed services in runlevel", r"^Failed services in runlevel \d:.{0,80}\bnetwork\b", "the network service failed", "I12 network-service-failed", 26),
    _sig(Kind.NET_BAD, "SIOCADDRT", r"^SIOCADDRT: Network is unreachable", "a default route could not be set", "I13 no-default-route", 30, at_least=3),
    _sig(Kind.NET_BAD, "/proc/net/route", r"ERROR .{0,60}/proc/net/route contains no routes", "the agent sees no routes", "I13 no-default-route", 22),
    _sig(Kind.NET_BAD, "No route to host", r"ERROR:? ?.{0,60}socket IOError.{0,60}No route to host", "the agent has no route to the Wire Server", "N08 no-route-to-wire-server", 35, at_least=2),
    _sig(Kind.NET_BAD, "DoDhcpWork", _AGENT_LINE + r"(?:DoDhcpWork: Setting socket\.timeout|File \"\S{1,60}\", line \d+, in DoDhcpWork)", "the agent waits for a DHCP answer", "I05 dhcp-no-answer", 36, at_least=2),
    _sig(Kind.NET_BAD, "DHCP request", r"Failed to send DHCP request: \[DhcpError\]", "the agent got no DHCP answer", "I05 dhcp-no-answer", 34, at_least=3),
    _sig(Kind.NET_GOOD, "ci-info:", r"^ci-info: \| +(?!lo\b)(?P<culprit>\w{1,16}) +\| +True \| +(?!127\.|169\.254\.)\d{1,3}(?:\.\d{1,3}){3}", "cloud-init saw the interface up with an address"),
    _sig(Kind.NET_GOOD, "ci-info:", r"^ci-info: (?!lo\b)(?P<culprit>\w{1,16}) *: 1 +\d{1,3}(?:\.\d{1,3}){3}", "cloud-init saw the interface up with an address"),
    _sig(Kind.NET_GOOD, "link becomes ready", r"ADDRCONF\(NETDEV_CHANGE\): (?P<culprit>\w{1,16}): link becomes ready", "the interface came up"),
    _sig(Kind.NET_GOOD, "168.63.129.16 exists", r"Route to 168\.63\.129\.16 exists", "the agent has a route to the Wire Server"),
    _sig(Kind.NET_GOOD, "etch goal state completed", _AGENT_LINE + r"Fetch goal state completed", "the agent reached the Wire Server"),
    _sig(Kind.NET_GOOD, "protocol version", _AGENT_LINE + r"(?:Fabric preferred wire|Wire) protocol version", "the agent reached the Wire Server"),
    _sig(Kind.NET_GOOD, "DHCPACK", r"\bDHCPACK (?:of|from) ", "DHCP gave an address"),
    _sig(Kind.NET_GOOD, "bound to ", r"\bbound to \d{1,3}(?:\.\d{1,3}){3} ", "DHCP gave an address"),
)  # fmt: skip

_AGENT = (
    _sig(Kind.AGENT, "Azure Linux Agent", _AGENT_LINE + r"Azure Linux Agent Version:? ?(?P<culprit>\S{1,40})", "the agent started"),
    _sig(Kind.AGENT, "Azure Linux Agent", _DONE + r"Started .{0,60}Azure Linux Agent", "systemd started the agent"),
    _sig(Kind.AGENT, "Azure Linux Agent", _STATUS + r"Failed to start .{0,60}Azure Linux Agent", "systemd could not start the agent", "L05 agent-start-failed", 30),
    _sig(Kind.AGENT, "End of log to /dev/console", r"End of log to /dev/console", "the agent goes on silently: normal", "B40 agent-reached-provisioning"),
    _sig(Kind.AGENT, "Daemon ended with exception", _AGENT_LINE + r"Daemon ended with exception", "the agent's daemon crashed", "L05 agent-crash-loop", 40),
    _sig(Kind.AGENT, "azurelinuxagent", r"(?:ModuleNotFoundError|ImportError): No module named '?azurelinuxagent", "the agent's python module is missing", "L06 agent-module-missing", 10),
    _sig(Kind.AGENT, "disable_agent", r"Disabling the guest agent by sleeping forever", "the agent is disabled by a file", "P04 agent-disabled-by-model", 10),
    _sig(Kind.AGENT, "IOError timed out", _AGENT_LINE + r".{0,160}168\.63\.129\.16.{0,120}IOError timed out", "the agent got no answer from the Wire Server", "N02 wire-server-timeout", 35),
    _sig(Kind.AGENT, "No route exists to 168", _AGENT_LINE + r"No route exists to 168\.63\.129\.16", "the agent has no route to the Wire Server", "N08 no-route-to-wire-server", 38),
    _sig(Kind.AGENT, "WireServer is not responding", _AGENT_LINE + r"WireServer is not responding", "the Wire Server does not answer the agent", "N02 wire-server-timeout", 40),
    _sig(Kind.AGENT, "No space left", _AGENT_LINE + r".{0,160}\[Errno 28\] No space left on device", "the disk is full", "L16 disk-full", 12),
    _sig(Kind.AGENT, "no datasource found", r"Can not apply stage \w+, no datasource found", "cloud-init found no data source", "L15 cloud-init-no-datasource", 30),
    _sig(Kind.OOM, "Out of memory: Kill", _KERNEL + r"Out of memory: Kill(?:ed)? process \d+ \((?P<culprit>[^)]{1,40}\)?)\)", "the kernel killed a process for lack of memory", "B26 out-of-memory", 40),
    _sig(Kind.OOM, "Memory cgroup out of memory", _KERNEL + r"Memory cgroup out of memory: Kill(?:ed)? process \d+ \((?P<culprit>[^)]{1,40})\)", "a process outgrew its own limit"),
    _sig(Kind.BENIGN, "I/O error, dev ", r"I/O error, dev (?P<culprit>sr\d|fd\d|loop\d)", "the provisioning DVD or a loop device: normal on Azure"),
    _sig(Kind.BENIGN, "topology_sane", r"RIP: 0010:topology_sane\.isra", "a known warning on AMD hosts"),
    _sig(Kind.BENIGN, "kernel image not aligned", r"EFI stub: .{0,20}FIRMWARE BUG: kernel image not aligned", "a known warning on arm64"),
    _sig(Kind.BENIGN, "endpoint is not found", r"WireServer endpoint is not found\. Rerun dhcp handler", "the agent says so at every boot"),
)  # fmt: skip

SIGNATURES: tuple[Signature, ...] = (
    *_ARRIVALS,
    *_DEAD_ENDS,
    *_PANICS,
    *_GOING_DOWN,
    *_STOPPERS,
    *_NETWORK,
    *_AGENT,
)
"""Every known kind of line. The first pattern that matches a line for its kind is the one that counts."""
