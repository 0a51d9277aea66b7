"""Scenario 4, Linux: damaged file systems, and the disk under them."""

from __future__ import annotations

from collections.abc import Iterable

from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, Where
from azext_vmagent.causes.known_cause import Variant as V
from azext_vmagent.causes.offline_repair import (
    LINUX,
    REDEPLOY,
    RESTART,
    RESTORE,
    alar,
    on_console,
)
from azext_vmagent.causes.signs import kernel_says, serial_boot
from azext_vmagent.facts.reading import SERIAL_LOG
from azext_vmagent.facts.serial_signature import KERNEL, STATUS, Kind, signature
from azext_vmagent.model import Reason, Scenario

_FSTAB_LINK = LINUX + "linux-virtual-machine-cannot-start-fstab-errors"
_DAMAGE_LINK = LINUX + "linux-recovery-cannot-start-file-system-errors"
_SNAPSHOT_FIRST = "a repair of a damaged file system can lose data: take a snapshot of the disk first"


def _repairs(tool: str) -> tuple[Remedy, ...]:
    """A repair on a copy of the disk, by ALAR or by hand with ``tool``."""
    by_hand = Remedy(
        f"in place of step 2, by hand: log in to the repair VM, run {tool} -n on the file system while it is not "
        "mounted, and without -n if that looks right",
        where=Where.ANYWHERE,
        effect="shows what would be changed before it is",
        risk=_SNAPSHOT_FIRST,
        link=_DAMAGE_LINK,
    )
    return (*alar("corrupt", "let ALAR try the repairs that lose nothing", _SNAPSHOT_FIRST), by_hand)


XFS = KnownCause(
    code="B04",
    slug="xfs-corrupt",
    title="An XFS file system is damaged",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The kernel found damaged metadata on an XFS file system that the boot needs, and shut it down or refuses "
    "to mount it. A hard power-off, an error of the storage or a kernel bug can be behind it.",
    looks_like=(
        "XFS (sdc1): Metadata CRC error detected at xfs_agi_read_verify+0xd0/0xf0 [xfs], xfs_agi block 0x10",
        "XFS (sdc1): Unmount and run xfs_repair",
        "XFS (dm-0): Corruption of in-memory data detected.  Shutting down filesystem",
    ),
    not_to_confuse=(
        "B32: the disk itself returns errors; the damage is its effect.",
        "B01: the file system's disk is not there.",
        "The same on a data disk with nofail, in a boot that came up: no reason for a silent agent.",
    ),
    signs=(
        serial_boot(settled_by_a_prompt=False),
        kernel_says(
            r"XFS \((?P<culprit>[\w-]{1,40})\): .{0,80}(?:[Cc]orruption|[Ss]hutting down|been shut down|I/O [Ee]rror)",
            "the kernel finds XFS damaged",
        ),
    ),
    signatures=(
        signature(
            Kind.CAUSE,
            "XFS (",
            KERNEL + r"XFS \((?P<device>[\w-]{1,40})\): (?:Log I/O Error|metadata I/O error|xfs_do_force_shutdown"
            r"|Filesystem has been shut down|Please u(?:n?)mount the filesystem and rectify|bad magic number"
            r"|SB validate failed|Superblock has unknown|Failed to recover|failed to read root inode)",
            "XFS is damaged",
            "B04 xfs-corrupt",
            23,
        ),
    ),
    covers=("B02", "B05"),
    remedies=(
        *_repairs("xfs_repair"),
        RESTORE,
    ),
    links=(_DAMAGE_LINK,),
    sources=("linux-recovery-cannot-start-file-system-errors.md", "Linux fs/xfs", "gcpdiag"),
)

EXT4 = KnownCause(
    code="B05",
    slug="ext4-corrupt",
    title="An ext4 file system is damaged",
    scenario=Scenario.OS_NOT_RUNNING,
    means="A file system that the boot needs cannot be mounted: its metadata is damaged, its journal cannot be "
    "replayed, or the line in /etc/fstab names another type or unknown options. A hard power-off or an error "
    "of the storage can be behind it. The boot stops in emergency mode.",
    looks_like=(
        "EXT4-fs error (device dm-0): ext4_iget:4398: inode #8: comm mount: bad extra_isize",
        "EXT4-fs (dm-2): VFS: Can't find ext4 filesystem",
        "BTRFS error (device sda2): open_ctree failed",
        "[FAILED] Failed to mount /opt/data.",
    ),
    not_to_confuse=(
        "B01: the disk is not there at all.",
        "B06: fsck found the damage before the mount and waits for a person.",
        "B14: /boot/efi cannot be mounted, because vfat is switched off.",
        "B32: the disk itself returns errors.",
        "«mounting ext3 file system using the ext4 subsystem» and «recovery complete» are normal.",
    ),
    signs=(
        serial_boot(settled_by_a_prompt=False),
        kernel_says(
            r"EXT4-fs error \(device (?P<culprit>[\w-]{1,40})\)"
            r"|EXT4-fs \([\w-]{1,40}\): Remounting filesystem read-only",
            "the kernel finds ext4 damaged",
        ),
    ),
    signatures=(
        signature(
            Kind.STOPPER,
            "mounting ",
            r"^mount: mounting (?P<device>\S{1,120}) on /root failed: (?:Invalid argument|Structure needs cleaning"
            r"|Input/output error|I/O error|Bad message|No such device)",
            "the root file system was found and cannot be mounted",
            "B05 root-mount-failed",
            17,
        ),
        signature(
            Kind.CAUSE,
            "EXT4-fs",
            KERNEL
            + r"EXT4-fs (?:warning )?\((?:device )?(?P<device>[\w-]{1,40})\): (?:ext4_clear_journal_err:\d+: Marking"
            r"|group descriptors corrupted|ext4_check_descriptors|unable to read superblock|failed to initialize"
            r"|Remounting filesystem read-only|get root inode failed|failed to parse options)",
            "ext4 is damaged",
            "B05 ext4-corrupt",
            24,
        ),
        signature(
            Kind.CAUSE,
            "BTRFS",
            KERNEL
            + r"BTRFS(?: (?:error|critical))?(?: \(device (?P<device>[\w-]{1,40})[^)]{0,20}\))?: (?:parent transid"
            r" verify failed|failed to read (?:chunk|tree|log) (?:root|tree)|failed to verify dev|bad tree block)",
            "btrfs is damaged",
            "B05 btrfs-corrupt",
            22,
        ),
        signature(
            Kind.CAUSE,
            "mount: ",
            r"(?:^|\] |: )mount: .{0,160}?(?:wrong fs type, bad option, bad superblock on (?P<device>/dev/\S{1,100}?),"
            r"|Structure needs cleaning|can't read superblock|bad superblock)",
            "a file system cannot be mounted",
            "B05 mount-failed",
            29,
        ),
        signature(
            Kind.STOPPER,
            "Failed to ",
            STATUS + r"Failed to mount (?:sysroot\.mount - )?(?P<mount>/sysroot)\.?$",
            "the root file system cannot be mounted",
            "B05 root-mount-failed",
            30,
        ),
        signature(
            Kind.CAUSE,
            "FAT-fs (",
            KERNEL
            + r"FAT-fs \((?P<device>[\w-]{1,40})\): (?:bogus|Can't find a valid FAT filesystem|invalid media value)",
            "the EFI partition is damaged",
            "B05 fat-corrupt",
            22,
        ),
        signature(
            Kind.CAUSE,
            "verity",
            KERNEL + r"device-mapper: verity: (?P<device>[\w:-]{1,40}): (?:data|metadata) block \d+ is corrupted",
            "a sealed partition was changed (dm-verity)",
            "B05 verity-corrupt",
            21,
        ),
    ),
    covers=("B02", "B11", "B20"),
    variants=(
        V("mount-failed", "A file system of /etc/fstab cannot be mounted"),
        V("root-mount-failed", "The root file system was found and cannot be mounted"),
        V("btrfs-corrupt", "A btrfs file system is damaged"),
        V("fat-corrupt", "The EFI system partition is damaged"),
        V("verity-corrupt", "A sealed partition (dm-verity) was changed or is damaged"),
    ),
    remedies=(
        on_console(
            "log in as root; systemctl status 'DIR.mount' tells why; a data disk's line may be commented out in "
            "/etc/fstab",
            link=_DAMAGE_LINK,
        ),
        *_repairs("fsck"),
        RESTORE,
    ),
    links=(_DAMAGE_LINK, _FSTAB_LINK),
    sources=("linux-recovery-cannot-start-file-system-errors.md", "Linux fs/ext4, fs/btrfs, fs/fat", "kola checks"),
)

FSCK = KnownCause(
    code="B06",
    slug="fsck-needs-a-person",
    title="The file system check found damage that it may not repair alone",
    scenario=Scenario.OS_NOT_RUNNING,
    means="At boot fsck repairs what is safe. It found more than that, ended with an error, and the boot waits in a "
    "maintenance shell (or at «(initramfs)» for the root file system) until a person has answered its "
    "questions.",
    looks_like=(
        "/dev/sda1: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.",
        "The root filesystem on /dev/sda1 requires a manual fsck",
        "[FAILED] Failed to start File System Check on /dev/sda1.",
        "*** An error occurred during the file system check.",
    ),
    not_to_confuse=(
        "B01: «Unable to resolve UUID» above it: the disk is not there, there is nothing to check.",
        "B05: the mount fails, no check was made.",
        "«A start job is running for File System Check on …» only takes long.",
    ),
    signs=(serial_boot(),),
    signatures=(
        signature(
            Kind.STOPPER,
            "Failed to ",
            STATUS + r"Failed to start .{0,60}File System Check on (?P<culprit>Root Device)\.?$",
            "the check of the root file system failed",
            "B06 fsck-failed",
            30,
        ),
        signature(
            Kind.STOPPER,
            "MANUALLY",
            r"(?:systemd-fsck|fsck|fsck\.ext4)\[\d+\]: (?P<device>/dev/\S{1,120}|\S{1,60}): "
            r"UNEXPECTED INCONSISTENCY[;:] RUN fsck MANUALLY",
            "the file system needs a manual check",
            "B06 fsck-needs-a-person",
            15,
        ),
        signature(
            Kind.STOPPER,
            "requires a manual fsck",
            r"^(?:[Tt]he |T?he )?root filesystem on (?P<device>/dev/\S{1,100}) requires a manual fsck",
            "the root file system needs a manual check",
            "B06 fsck-needs-a-person",
            14,
        ),
        signature(
            Kind.STOPPER,
            "fsck",
            r"^(?:fsck died with exit status|An automatic file system check \(fsck\) of the root filesystem failed)",
            "the file system check failed at boot",
            "B06 fsck-failed",
            54,
        ),
    ),
    covers=("B02", "B11", "B34"),
    variants=(V("fsck-failed", "The file system check at boot failed"),),
    remedies=(
        on_console(
            "log in as root and run fsck DEVICE, which asks before each repair; then exit",
            risk=_SNAPSHOT_FIRST,
            link=_DAMAGE_LINK,
        ),
        *_repairs("fsck"),
        RESTORE,
    ),
    links=(_DAMAGE_LINK,),
    sources=("e2fsck", "systemd-fsck(8)", "initramfs-tools scripts/functions", "mantle and LISA checks"),
)

#: lines about a lost disk after which it is no passing error
_MANY = 3


def _lost_disk(scene: Scene, _cause: KnownCause) -> Iterable[Seen]:
    """The kernel rejects I/O again and again, whatever the boot did before."""
    serial = scene.facts.serial
    if serial is None or serial.newest is None:
        return ()
    pattern = KERNEL + r"(?:sd (?P<culprit>\S{1,20}): (?:\[\w{1,8}\] )?)?rejecting I/O to (?:offline|dead) device"
    lines = serial.newest.search("rejecting I/O to ", pattern)
    if len(lines) < _MANY:
        return ()
    last = lines[-1]
    what = f"the kernel rejects I/O to a disk that went away ({len(lines)} lines)"
    return (Seen(Reason(what, SERIAL_LOG, None, last.line, last.text), last.culprit),)


STORAGE_GONE = KnownCause(
    code="B32",
    slug="storage-offline",
    title="A disk went away or returns errors while it is in use",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The kernel lost a disk or gets errors from it. If it is the OS disk, nothing can be read any more and "
    "the guest stands still or remounts its root read-only. The storage behind the VM was interrupted, or a "
    "disk was detached while it was in use.",
    looks_like=(
        "sd 0:0:0:0: rejecting I/O to offline device",
        "blk_update_request: I/O error, dev sda, sector 2048",
        "Buffer I/O error on dev sda1, logical block 0, lost async page write",
    ),
    not_to_confuse=(
        "I/O errors of sr0 (the provisioning DVD), fd0 and loop devices: harmless on Azure.",
        "B24: the disk is there and does not answer.",
        "B04: XFS is damaged, the disk works.",
        "B05: a file system is damaged, the disk works.",
    ),
    signs=(
        serial_boot(settled_by_a_prompt=False),
        Sign(Need.SERIAL_LOG, _lost_disk),
        kernel_says(r"I/O error, dev (?P<culprit>(?!sr\d|fd\d|loop\d)\w{1,20})[, ]", "a disk returns errors"),
    ),
    signatures=(
        signature(
            Kind.CAUSE,
            "rejecting I/O to dead device",
            KERNEL + r"(?:sd \S{1,20}: (?:\[\w{1,8}\] )?)?rejecting I/O to dead device",
            "the disk went away under I/O",
            "B32 storage-offline",
            30,
        ),
        signature(
            Kind.CAUSE,
            "Buffer I/O error",
            KERNEL + r"Buffer I/O error on dev(?:ice)? (?P<device>(?!sr\d|fd\d|loop\d)[\w-]{1,30}),",
            "the disk returns errors",
            "B32 disk-io-error",
            46,
        ),
        signature(
            Kind.CAUSE,
            "nvme nvme",
            KERNEL + r"nvme (?P<culprit>nvme\d{1,3}): (?:Removing after probe failure|Device not ready; aborting"
            r"|Disabling device after reset failure|controller is down; will reset)",
            "an NVMe disk went away",
            "B32 storage-offline",
            31,
        ),
        signature(
            Kind.CAUSE,
            "critical ",
            KERNEL + r"(?:blk_update_request: )?critical (?:medium|target|space allocation) error, dev "
            r"(?P<device>(?!sr\d|fd\d|loop\d)\w{1,20})[, ]",
            "the disk returns errors",
            "B32 disk-io-error",
            45,
        ),
    ),
    covers=("B04", "B05", "B24", "L31"),
    variants=(V("disk-io-error", "A disk returns errors"),),
    remedies=(RESTART, REDEPLOY, RESTORE),
    links=(LINUX + "redeploy-to-new-node-linux", "azure/virtual-machines/disks-metrics"),
    sources=("gcloud compute diagnose", "mantle checks", "Linux drivers/scsi/scsi_lib.c, block/blk-core.c"),
)
