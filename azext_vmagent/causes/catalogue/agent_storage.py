"""Scenario 1: the agent cannot write or run what it wrote: disk, inodes, read-only or noexec mounts, SELinux."""

from __future__ import annotations

from collections.abc import Iterator

from azext_vmagent.causes.agent_signs import complains
from azext_vmagent.causes.catalogue.agent_steps import GUIDE, REPORTS_AGAIN, UPDATE, UPDATE_AGENT
from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, Variant
from azext_vmagent.causes.signs import (
    guest_shows,
    guest_word,
    inside,
    only_when,
    serial_boot,
    serial_line,
    serial_words,
    told,
)
from azext_vmagent.facts.guest_facts import GuestFacts
from azext_vmagent.facts.reading import INSTANCE_VIEW, Facts
from azext_vmagent.facts.serial_log import Outlook
from azext_vmagent.facts.serial_signature import KERNEL
from azext_vmagent.model import Reason, Scenario

_LINUX = "troubleshoot/azure/virtual-machines/linux/"
_FULL_LINK = _LINUX + "linux-fulldisk-boot-error"
_HISTORY = "/var/lib/waagent/history"
#: the agent keeps the newest 50 goal states
_MANY = 2000
#: logrotate cuts the log at 20 MB
_HUGE = 500_000_000
_ERRNO = r"\[Errno {}\] {}(?: on device)?(?:: '(?P<culprit>/[^']{{1,120}})')?"

DISK_FULL = KnownCause(
    code="L16",
    slug="disk-full",
    title="The agent's disk is full",
    scenario=Scenario.AGENT_STOPPED,
    means="No room is left where the agent keeps its goal state, its status and its log (/var/lib/waagent, "
    "/var/log). "
    "Not even root's reserve is left, so the agent cannot write a status file: it crashes at its start, or runs and "
    "reports nothing. Mostly it was filled by logs, by old packages of extensions or by a program's own data.",
    looks_like=(
        "OSError: [Errno 28] No space left on device: '/var/lib/waagent/WireServerEndpoint'",
        "[EventError] Failed to write events to file: [Errno 28] No space left on device",
        "df: 100% used on / or /var",
    ),
    not_to_confuse=(
        "L17: there is room and no inode left; df -i tells.",
        "B22: the disk is full and the boot does not come to its end.",
        "«inotify_add_watch … No space left on device» speaks of a limit of the kernel.",
    ),
    signs=(
        inside("disk"),
        serial_words("agent"),
        *complains(
            "[Errno 28]", _ERRNO.format(28, "No space left"), "the agent finds no room on the disk", on_console=False
        ),
    ),
    covers=("L05", "L27"),
    remedies=(
        Remedy("see what fills it", "du -xh -d 3 {culprit} | sort -h | tail -n 20", effect="reads only"),
        Remedy(
            "free at least 10 % of it, or enlarge the disk, then restart the agent",
            "systemctl restart {unit}",
            effect="the agent can write its state and log again",
            link=_FULL_LINK,
        ),
    ),
    links=(_FULL_LINK, GUIDE),
    sources=("linux-fulldisk-boot-error.md, scenario 3", "our laboratory"),
)

INODES_FULL = KnownCause(
    code="L17",
    slug="inodes-full",
    title="The agent's disk has no inodes left",
    scenario=Scenario.AGENT_STOPPED,
    means="The disk has room, but its file system can hold no more files, because too many small ones exist. Often "
    "they "
    "are the agent's own: version 2.2.46 left its event files in /var/lib/waagent/events, others their history. The "
    "error that programs see is the same as for a full disk.",
    looks_like=(
        "df -i: 100% used, while df -h shows room",
        "OSError: [Errno 28] No space left on device",
        "WARNING Too many files under: /var/lib/waagent/events, removing oldest",
    ),
    not_to_confuse=("L16: no bytes are left.", "L18: the history grows and there is still room."),
    signs=(inside("disk"),),
    covers=("L05",),
    remedies=(
        Remedy("see where the files are", "du -x --inodes -d 4 {culprit} | sort -n | tail -n 20", effect="reads only"),
        Remedy(
            "if they are the agent's events, delete them and restart the agent",
            "find /var/lib/waagent/events -type f -delete; systemctl restart {unit}",
            effect="the agent can make files again; events that were not sent yet are lost",
        ),
        UPDATE_AGENT,
    ),
    links=(_FULL_LINK, UPDATE),
    sources=("WALA#3080", "WALA#1055", "our laboratory"),
)


def _history_grows(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    count = (scene.facts.guest or GuestFacts()).file_counts.get(_HISTORY, 0)
    if count > _MANY:
        yield guest_word(scene.facts, f"{_HISTORY} holds {count} entries", _HISTORY, culprit=_HISTORY)


HISTORY_GROWS = KnownCause(
    code="L18",
    slug="history-grows",
    title="The agent's history of goal states grows without end",
    scenario=Scenario.AGENT_STOPPED,
    means="The agent keeps its newest fifty goal states under /var/lib/waagent/history. Versions up to 2.2.53 did "
    "not "
    "always clean up, above all when each goal state failed (no openssl, no certificate): millions of entries and "
    "20 GB "
    "have been seen, until the disk or its inodes are used up.",
    looks_like=(
        "/var/lib/waagent/history with a hundred thousand folders",
        "a new folder every six seconds: 2022-06-27T17-25-49__1, 2022-06-27T17-25-55__1",
    ),
    not_to_confuse=(
        "L17: no inode is left any more.",
        "L21: openssl is missing, and that is why each goal state fails.",
    ),
    signs=(guest_shows(_history_grows, "disk"),),
    remedies=(
        Remedy(
            "delete what is older than a day",
            "find /var/lib/waagent/history -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf {} +",
            effect="room and inodes are free again",
            risk="the goal states of the past are lost to an analysis",
        ),
        UPDATE_AGENT,
    ),
    links=(UPDATE, _FULL_LINK),
    sources=("WALA#1759", "WALA#2836", "WALA#2703", "WALA#2619", "WALA#1674"),
)

OLD_PACKAGES = KnownCause(
    code="L19",
    slug="old-packages-pile-up",
    title="Old packages of agent and extensions are not cleaned up",
    scenario=Scenario.AGENT_STOPPED,
    means="Each update of the agent and of an extension leaves a zip file and a folder in /var/lib/waagent. The "
    "agent "
    "deletes its own outdated builds; where it cannot, and for extensions that leave theirs, they add up to many "
    "gigabytes and fill a small /var.",
    looks_like=(
        "WARNING Purging /var/lib/waagent/WALinuxAgent-2.2.40.zip raised exception: …",
        "ls /var/lib/waagent/*.zip lists dozens of files",
    ),
    not_to_confuse=(
        "L16: the disk is full already, whatever fills it.",
        "«Purging outdated Agent directory …» is the agent's normal cleaning.",
    ),
    signs=complains(
        "raised exception: ",
        r"Purging (?P<culprit>/\S{1,160}) raised exception: ",
        "the agent cannot delete an outdated build",
    ),
    remedies=(
        Remedy("see what there is", "ls -lhS /var/lib/waagent/*.zip; du -sh /var/lib/waagent/*/", effect="reads only"),
        Remedy(
            "delete zip files of versions that are not in use any more",
            effect="room for the agent",
            risk="the package of the version in use is downloaded again when it is needed",
        ),
    ),
    links=(_FULL_LINK,),
    sources=("WALA#2424", "WALA#2031", "bosh#107", "WALA ga/update.py, _purge_agents"),
)


def _log_is_huge(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    size = (scene.facts.guest or GuestFacts()).log.size or 0
    if size > _HUGE:
        what = f"the agent's log has {size / 1e9:.1f} GB"
        yield guest_word(scene.facts, what, "/var/log/waagent.log", culprit="/var/log/waagent.log")


LOG_RUNAWAY = KnownCause(
    code="L20",
    slug="agent-log-runaway",
    title="The agent's log grows without end",
    scenario=Scenario.AGENT_STOPPED,
    means="The agent writes the same complaint over and over and fills the disk with its own log: a check of "
    "firewall "
    "rules that an old iptables cannot answer (2.2.19), a worker that cannot be started. A log that works well is "
    "cut "
    "by logrotate at 20 MB.",
    looks_like=(
        "/var/log/waagent.log of 4 GB and more",
        "the same lines about firewall rules, many times a second",
    ),
    not_to_confuse=("L10: the daemon cannot start its worker and says so without a pause.", "L16: the disk is full."),
    signs=(guest_shows(_log_is_huge, "agent log"),),
    remedies=(
        Remedy("see what it repeats", "tail -n 30 /var/log/waagent.log", effect="reads only"),
        Remedy(
            "empty the log and restart the agent",
            "truncate -s 0 /var/log/waagent.log && systemctl restart {unit}",
            effect="the room is free at once",
            risk="what the log told of the past is lost: keep its end first",
        ),
        Remedy(
            "where an old iptables is the reason, let the agent set no firewall rules until it is updated",
            "sed -i 's/^ *OS.EnableFirewall *=.*/OS.EnableFirewall=n/' /etc/waagent.conf && systemctl restart {unit}",
            effect="the agent checks its rules no more",
            risk="every user of the guest can talk to the Wire Server, not only root",
            undo="sed -i 's/^ *OS.EnableFirewall *=.*/OS.EnableFirewall=y/' /etc/waagent.conf && systemctl restart "
            "{unit}",
        ),
    ),
    links=(UPDATE, _FULL_LINK),
    sources=("WALA#977", "WALA#2336", "WALA config/waagent.logrotate"),
)

_NOEXEC = "mounted with the noexec flag"


def _extension_says(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    for at, extension in enumerate(scene.facts.vm.extensions if scene.facts.vm else ()):
        if _NOEXEC in extension.message or "noexec flag is set" in extension.message:
            path = f"properties.instanceView.extensions[{at}]"
            yield Seen(Reason(f"{extension.name} could not be started", INSTANCE_VIEW, path, excerpt=extension.message))


NO_EXEC = KnownCause(
    code="L24",
    slug="mounted-noexec",
    title="No extension can be started: its folder is mounted noexec",
    scenario=Scenario.AGENT_DEGRADED,
    means="Extensions are programs in /var/lib/waagent. A hardening rule mounts /var (or that folder) with noexec, "
    "so "
    "that the kernel starts nothing from there. The agent itself lives elsewhere and stays Ready; every extension, "
    "and "
    "with them every run command, ends with exit code 126.",
    looks_like=(
        "Non-zero exit code: 126, /var/lib/waagent/…/bin/custom-script-shim install",
        "WARNING: /var is mounted with the noexec flag, which can prevent execution of VM Extensions.",
        "The noexec flag is set on /var.",
        "findmnt -T /var/lib/waagent shows noexec",
    ),
    not_to_confuse=(
        "Exit code 126 alone may be one extension's script without its execute bit.",
        "noexec on /tmp or /dev/shm is usual and harms no agent.",
    ),
    signs=(
        inside("disk"),
        Sign(Need.VM_MODEL, _extension_says),
        *complains(
            "noexec flag",
            r"(?P<culprit>/\S{0,60}) is mounted with the noexec flag|The noexec flag is set on /",
            "the agent says that the mount forbids programs",
        ),
    ),
    covers=("P10",),
    remedies=(
        Remedy(
            "let programs be started from it again, until the next boot",
            "mount -o remount,exec {culprit}",
            effect="extensions work at once",
            undo="mount -o remount,noexec {culprit}",
        ),
        Remedy(
            "for good, take noexec out of its line in /etc/fstab", "findmnt -T /var/lib/waagent", effect="reads only"
        ),
    ),
    links=(_LINUX + "linux-agent-cannot-process-extensions", GUIDE),
    sources=("WALA#1388", "WALA PR#2859", "WALA#2949", "WALA ga/extensionprocessutil.py"),
)


def _not_only_a_data_disk(facts: Facts) -> bool:
    """A boot whose only faults are those of another disk than the system's is well (``serial_judge``)."""
    return facts.serial is not None and facts.serial.outlook is not Outlook.HEALTHY


READ_ONLY = KnownCause(
    code="L31",
    slug="filesystem-read-only",
    title="The agent's file system is read-only",
    variants=(Variant("disk-read-only", "A file system was made read-only after errors"),),
    scenario=Scenario.AGENT_STOPPED,
    means="After errors of the disk or in the file system's own data the kernel makes the file system read-only, so "
    "that "
    "nothing gets worse. Programs go on that write nothing; the agent cannot store goal state or status and falls "
    "silent, or crashes at its next start.",
    looks_like=(
        "EXT4-fs (sda1): Remounting filesystem read-only",
        "OSError: [Errno 30] Read-only file system: '/var/lib/waagent/provisioned'",
        "/proc/mounts shows ro for /",
    ),
    not_to_confuse=(
        "«EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro» is the mount at every boot.",
        "«Remounting '/' read-only» from systemd-shutdown belongs to every shutdown.",
        "B04, B05, B06: the damage stops the boot itself.",
    ),
    signs=(
        inside("disk"),
        serial_boot(settled_by_a_prompt=False),
        only_when(
            _not_only_a_data_disk,
            serial_line(
                "emounting filesystem read-only",
                KERNEL + r"EXT[234]-fs \((?P<device>[\w-]{1,40})\): Remounting filesystem read-only",
                "the kernel made a file system read-only after errors",
            ),
        ),
        *complains(
            "[Errno 30]",
            _ERRNO.format(30, "Read-only file system"),
            "the agent may not write to its disk",
            on_console=False,
        ),
        serial_line(
            "[Errno 30]",
            r"(?:Daemon|ExtHandler|EnvHandler) .{0,200}\[Errno 30\] Read-only file system"
            r"(?:: '(?P<culprit>/[^']{1,120})')?",
            "the agent may not write to its disk",
        ),
    ),
    covers=("L05",),
    remedies=(
        Remedy("see why", "dmesg | grep -iE 'error|remount' | tail -n 20", effect="reads only"),
        Remedy(
            "if there was no error, make it writable again and restart the agent",
            "mount -o remount,rw {culprit} && systemctl restart {unit}",
            effect=REPORTS_AGAIN,
            risk="with errors in the file system, writing can damage it further: check it offline first",
        ),
        Remedy(
            "if there were errors, check the file system from a repair VM",
            effect="what is damaged is repaired while nothing uses it",
            risk="take a snapshot of the OS disk first",
            downtime="the time of the repair",
            link=_LINUX + "linux-recovery-cannot-start-file-system-errors",
        ),
    ),
    links=(_LINUX + "linux-recovery-cannot-start-file-system-errors",),
    sources=("Linux fs/ext4/super.c", "gcloud vm_boot_troubleshooter", "our laboratory"),
)


def _no_selinux(facts: Facts) -> bool:
    """Only Red Hat's and SUSE's kin come with it; what was not asked is not known."""
    guest = facts.guest
    return guest is not None and told("system")(facts) and guest.distribution.startswith(("Debian", "Ubuntu"))


_DENIED = (
    r"avc: {1,2}denied {1,2}\{[^}]{1,80}\}(?!.{0,600}permissive=1).{0,300}"
    r"(?:comm=\"(?P<culprit>waagent)|exe=\"\S{0,60}waagent|path=\"/var/(?:lib/waagent|log/waagent)"
    r"|name=\"(?:waagent|WALinuxAgent)|scontext=\S{0,40}:waagent_t)"
)

SELINUX_DENIES = KnownCause(
    code="L36",
    slug="selinux-denies",
    title="SELinux denies the agent, or a login, what it needs",
    scenario=Scenario.AGENT_STOPPED,
    means="Files of the agent (or of a login) carry the wrong SELinux label, after a restore, a copy, work on the "
    "disk "
    "from another VM or a boot without SELinux. In enforcing mode the kernel then denies what file rights would "
    "allow: "
    "the agent's program cannot be executed, or its folders cannot be written.",
    looks_like=(
        'avc:  denied  { execute } for  pid=812 comm="(waagent)" name="waagent" …',
        " -- shamish: no shell: Permission denied",
    ),
    not_to_confuse=(
        "permissive=1 in the line: it was only noted, not denied.",
        "Denials for other programs do not touch the agent.",
        "B19: the policy cannot be loaded at all, and the boot stops.",
    ),
    signs=(
        *complains("avc: ", _DENIED, "SELinux denied the agent something"),
        serial_line(
            "no shell: Permission denied",
            r"^(?: ?-- )?(?P<culprit>[\w.-]{1,64}): no shell: Permission denied",
            "SELinux denies a login its shell",
        ),
        Sign(Need.GUEST, lambda _scene, _cause: (), _no_selinux),
    ),
    remedies=(
        Remedy("see what is denied", "getenforce; ausearch -m avc -ts recent | tail -n 20", effect="reads only"),
        Remedy(
            "give the agent's files their labels back, then restart the agent",
            "restorecon -Rv /usr/sbin/waagent /var/lib/waagent /var/log/waagent.log && systemctl restart {unit}",
            effect=REPORTS_AGAIN,
        ),
        Remedy(
            "if much is labelled wrongly, label everything at the next boot",
            "touch /.autorelabel",
            effect="the next boot labels every file and starts once more",
            downtime="minutes to hours, by the number of files",
            undo="rm /.autorelabel",
        ),
    ),
    links=(_LINUX + "linux-selinux-troubleshooting",),
    sources=("WALA#2840", "mantle kola/harness.go, avc denied", "linux-selinux-troubleshooting.md"),
)
