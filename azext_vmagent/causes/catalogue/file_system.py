"""Scenario 4, Linux: mounts, file systems and the disk under them."""

from __future__ import annotations

from collections.abc import Iterator

from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, Where
from azext_vmagent.causes.known_cause import Variant as V
from azext_vmagent.causes.offline_repair import (
    LINUX,
    RESTART,
    SINGLE_USER_LINK,
    at_boot_menu,
    button,
    by_hand,
    on_console,
)
from azext_vmagent.causes.signs import came_up, screen_says, serial_boot, serial_line
from azext_vmagent.facts.reading import SERIAL_LOG
from azext_vmagent.facts.serial_signature import Kind, signature
from azext_vmagent.model import Reason, Scenario

_FSTAB_LINK = LINUX + "linux-virtual-machine-cannot-start-fstab-errors"
_DAMAGE_LINK = LINUX + "linux-recovery-cannot-start-file-system-errors"
_FULL_LINK = LINUX + "linux-fulldisk-boot-error"

_FSTAB_BUTTON = button(
    "fstab",
    "take every line out of /etc/fstab that the boot does not need (the old file is kept beside it)",
    "data disks are not mounted until their lines are put back",
)
#: what may keep a mount from being made although its disk is there
_OTHER_REASONS = ("B04", "B05", "B06", "B14", "B32")


def _missing_device(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
    """A disk that the boot misses by name; a mount that failed for another one's sake counts where no reason is seen.

    «Dependency failed for /data» is printed as well where the check of its disk failed.
    """
    serial = scene.facts.serial
    deciding = serial.deciding if serial is not None else ()
    named = [event for event in deciding if event.code == cause.code]
    effects_only = all("Dependency failed for" in event.text for event in named)
    if effects_only and any(event.code in _OTHER_REASONS for event in deciding):
        return
    for event in named[:2]:
        yield Seen(Reason(event.meaning, SERIAL_LOG, None, event.line, event.text), event.culprit)


FSTAB_DEVICE = KnownCause(
    code="B01",
    slug="fstab-missing-device",
    title="A disk that /etc/fstab names is not there, and its line has no nofail",
    scenario=Scenario.OS_NOT_RUNNING,
    means="Every line of /etc/fstab without nofail must be mounted before the boot goes on. When a data disk was "
    "detached or swapped, when its UUID changed, or when a name such as /dev/sdc1 now belongs to another "
    "disk, systemd waits 90 s for it and then stops in emergency mode. No network and no agent are started.",
    looks_like=(
        "[ TIME ] Timed out waiting for device dev-disk-by\\x2duuid-….device.",
        "[DEPEND] Dependency failed for /data.",
        "[DEPEND] Dependency failed for Local File Systems.",
        'You are in emergency mode. After logging in, type "journalctl -xb" to view',
        "EL6: fsck.ext4: Unable to resolve 'UUID=…'",
        'SLES 11: /dev/sdc1: nonexistent device ("nofail" fstab option may be used to skip this device)',
    ),
    not_to_confuse=(
        "B05: the disk is there and its file system cannot be mounted.",
        "B30: every device times out, also ttyS0, because udev did not start.",
        "B10: it is the root file system, and dracut speaks, not systemd.",
        "«A start job is running for dev-…device (42s / 1min 30s)» only waits: the boot may still go on.",
    ),
    signs=(Sign(Need.SERIAL_LOG, _missing_device, came_up),),
    signatures=(
        signature(
            Kind.CAUSE,
            "special device",
            r"(?:^|\] |: )mount: (?:/\S{1,120}: )?special device (?P<device>\S{1,160}) does not exist",
            "a disk of /etc/fstab does not exist",
            "B01 fstab-missing-device",
            11,
        ),
        signature(
            Kind.CAUSE,
            "can't find ",
            r"(?:^|\] |: )mount: (?:(?P<mount>/(?!new_root|sysroot|root:)\S{1,120}): )?"
            r"can't find (?:PART)?(?:UUID|LABEL)=(?P<culprit>\S{1,80}?)\.?$",
            "a file system named in /etc/fstab does not exist",
            "B01 fstab-missing-device",
            11,
        ),
        signature(
            Kind.CAUSE,
            "while trying to open",
            r"^fsck\.\w{2,8}: No such file or directory while trying to open (?P<device>/dev/\S{1,120})",
            "a disk of /etc/fstab does not exist",
            "B01 fstab-missing-device",
            11,
        ),
    ),
    covers=("B02",),
    remedies=(
        on_console("log in as root, comment out the line in /etc/fstab, then: systemctl reboot", link=_FSTAB_LINK),
        _FSTAB_BUTTON,
        Remedy(
            "attach the missing disk again, then restart the VM",
            "az vm disk attach {vm} --disk DISK",
            where=Where.AZ,
            effect="the boot finds what it waits for",
            downtime="one reboot",
            undo="az vm disk detach {vm} --disk DISK",
            link=_FSTAB_LINK,
        ),
        Remedy(
            "once it is up, add nofail to every line of a data disk, with UUID= in place of /dev/sdX",
            where=Where.ANYWHERE,
            effect="a missing data disk does not stop a boot any more",
            link=_FSTAB_LINK,
        ),
    ),
    links=(_FSTAB_LINK, LINUX + "troubleshoot-device-names-problems"),
    sources=("linux-virtual-machine-cannot-start-fstab-errors.md", "systemd.mount(5)", "laboratory, fault fstab"),
)

EMERGENCY_MODE = KnownCause(
    code="B02",
    slug="emergency-mode",
    title="The boot stopped in emergency or rescue mode",
    scenario=Scenario.OS_NOT_RUNNING,
    means="systemd could not bring up something that the boot needs, as a rule a file system, and opened a "
    "maintenance shell on the console. No network and no agent run. The lines with FAILED or DEPEND above it "
    "tell why; this entry stands for the cases in which none was found.",
    looks_like=(
        'Welcome to emergency mode! After logging in, type "journalctl -xb" to view',
        "You are in emergency mode.",
        "Give root password for maintenance",
        "Press Enter for maintenance",
    ),
    not_to_confuse=(
        "B01: a disk of /etc/fstab is not there, by the lines above.",
        "B04: XFS is damaged, by the kernel's lines above.",
        "B05: a file system cannot be mounted, by the lines above.",
        "B06: fsck waits for a person.",
        "B34: the kernel command line asks for it.",
        "B36: it was an earlier boot; the newest one came up.",
        "A manual page or a message of the day that quotes these words.",
    ),
    signs=(
        serial_boot(),
        screen_says(
            r"You are in (?:emergency|rescue) mode|Welcome to emergency mode|Give root password for maintenance",
            "the screen shows it",
        ),
    ),
    variants=(
        V("single-user-mode", "The boot stopped in single-user mode"),
        V("rescue-mode", "The boot stopped in rescue mode"),
        V("local-fs-failed", "A file system of /etc/fstab is not there: the boot stops"),
    ),
    remedies=(
        on_console("log in as root, find the reason with: systemctl --failed; journalctl -xb -p err", link=_FSTAB_LINK),
        _FSTAB_BUTTON,
        RESTART,
    ),
    links=(_FSTAB_LINK, LINUX + "boot-error-troubleshoot-linux"),
    sources=("linux-virtual-machine-cannot-start-fstab-errors.md", "systemd emergency.service", "sulogin(8)"),
)

ROOT_LOCKED = KnownCause(
    code="B03",
    slug="emergency-root-locked",
    title="The boot stopped in emergency mode, and nobody can log in to it: root is locked",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The boot stopped in emergency mode for another reason. Its shell asks for root's password, and root has "
    "none, as in most images of the Marketplace, so the console only repeats its message. The repair needs "
    "another way.",
    looks_like=(
        "Cannot open access to console, the root account is locked.",
        "See sulogin(8) man page for more details.",
        "Press Enter to continue.",
    ),
    not_to_confuse=(
        "B02: the same with an open root account.",
        "B01: often the reason behind it; then its lines stand above.",
    ),
    signs=(serial_boot(),),
    covers=("B02",),
    remedies=(
        at_boot_menu("add init=/bin/bash to the line that begins with linux; then: mount -o remount,rw / and repair"),
        _FSTAB_BUTTON,
        *by_hand("find and repair the reason, often a line of /etc/fstab", link=_FSTAB_LINK),
    ),
    links=(_DAMAGE_LINK, SINGLE_USER_LINK),
    sources=("linux-recovery-cannot-start-file-system-errors.md", "util-linux sulogin.c", "laboratory"),
)

FULL_AT_BOOT = KnownCause(
    code="B22",
    slug="disk-full-at-boot",
    title="The disk is full, and cloud-init or a service of the boot fails for it",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The root file system has no room left. After a resize of the disk cloud-init should grow the file "
    "system, which itself needs a little room, so that it fails and the boot does not come to its end.",
    looks_like=(
        "cloud-init[1142]: OSError: [Errno 28] No space left on device",
        "Original exception was:",
    ),
    not_to_confuse=(
        "L16: the guest runs and the agent has no room for its files.",
        "B21: the audit daemon switches the machine off for a full disk.",
        "«inotify_add_watch: No space left on device» and the same for a cgroup speak of other limits.",
    ),
    signs=(
        serial_boot(settled_by_a_prompt=False),
        serial_line(
            "No space left",
            r"cloud-init\[\d+\]: .{0,200}\[Errno 28\] No space left on device",
            "cloud-init finds no room on the disk",
        ),
    ),
    covers=("B02",),
    remedies=(
        at_boot_menu("start in single-user mode, then free about 10 % (du -xh / | sort -h | tail; ls -lS /var/log)"),
        *by_hand("free about 10 % of the root file system", link=_FULL_LINK),
        Remedy(
            "then let the file system grow: the disk may have been enlarged already",
            where=Where.ANYWHERE,
            effect="cloud-init or growpart use the added room at the next boot",
            link="azure/virtual-machines/linux/expand-disks",
        ),
    ),
    links=(_FULL_LINK, "azure/virtual-machines/linux/expand-disks"),
    sources=("linux-fulldisk-boot-error.md, scenario 2",),
)
