"""Scenario 4, Linux: the drivers and the key without which the disk cannot be read."""

from __future__ import annotations

from collections.abc import Iterable

from azext_vmagent.causes.known_cause import KnownCause, Need, Scene, Seen, Sign
from azext_vmagent.causes.known_cause import Variant as V
from azext_vmagent.causes.offline_repair import (
    LINUX,
    NEW_INITRAMFS,
    RESTORE,
    at_boot_menu,
    by_hand,
    on_console,
)
from azext_vmagent.causes.signs import serial_boot
from azext_vmagent.facts.reading import SERIAL_LOG
from azext_vmagent.facts.serial_log import SerialState
from azext_vmagent.facts.serial_signature import DRACUT, KERNEL, STATUS, Kind, signature
from azext_vmagent.model import Reason, Scenario

_DRACUT_LINK = LINUX + "linux-no-boot-dracut"
_HYPERV_LINK = LINUX + "linux-hyperv-issue"
_ADE_LINK = "azure/virtual-machines/linux/disk-encryption-troubleshooting"

#: states in which an initramfs looked for the root device; a kernel that panics for want of one may have none
_WITHOUT_ROOT = (SerialState.DRACUT_SHELL, SerialState.INITRAMFS_SHELL)


def _no_storage_driver(scene: Scene, _cause: KnownCause) -> Iterable[Seen]:
    """No root device, and a kernel that lists its devices names Hyper-V and no disk of it.

    Only a log that shows the boot from its first lines, with the kernel's notes (they are missing with ``quiet``).
    """
    serial = scene.facts.serial
    boot = serial.newest if serial is not None else None
    if serial is None or boot is None or serial.state not in _WITHOUT_ROOT:
        return ()
    hypervisor = boot.search("Hypervisor detected", KERNEL + r"Hypervisor detected: Microsoft Hyper-?V")
    disks = [
        line
        for needle in ("hv_storvsc", "storvsc", "Attached SCSI", "nvme", "ata_piix", "virtio_blk")
        for line in boot.search(needle, KERNEL + r".{0,100}" + needle)
    ]
    if not hypervisor or disks:
        return ()
    what = "the kernel found Hyper-V and no disk: its storage driver (hv_storvsc) did not start"
    where = hypervisor[0]
    return (Seen(Reason(what, SERIAL_LOG, None, where.line, where.text), None, "hyperv-storage-driver-missing"),)


HYPERV_DRIVERS = KnownCause(
    code="B13",
    slug="hyperv-drivers-disabled",
    title="The Hyper-V drivers for disk and bus are off or not in the initramfs",
    scenario=Scenario.OS_NOT_RUNNING,
    means="On Azure disks and network cards appear through Hyper-V's drivers (hv_vmbus, hv_storvsc, hv_netvsc). "
    "Where hardening or a tool blacklists them, or where the initramfs of a migrated machine does not contain "
    "them, the kernel sees no disk, and the boot ends as if the root device were missing.",
    looks_like=(
        "Module hv_storvsc is blacklisted",
        "Command line: … modprobe.blacklist=hv_storvsc",
        "hv_storvsc: probe of vmbus_3 failed with error -110",
        "(initramfs) or dracut:/#, and not a single line of hv_storvsc in the boot",
    ),
    not_to_confuse=(
        "B10: disks are listed, and the one with the root file system is not among them.",
        "B11: the same on Debian and Ubuntu.",
        "B07: the initramfs is missing altogether.",
        "I08: only hv_netvsc is missing: the guest boots, without a network.",
    ),
    signs=(serial_boot(), Sign(Need.SERIAL_LOG, _no_storage_driver)),
    signatures=(
        signature(
            Kind.CAUSE,
            "is blacklisted",
            KERNEL + r"Module (?P<culprit>hv_(?:storvsc|vmbus|utils)) is blacklisted",
            "a Hyper-V driver is blacklisted",
            "B13 hyperv-drivers-disabled",
            14,
        ),
        signature(
            Kind.CAUSE,
            "hv_vmbus: Unable to",
            KERNEL + r"hv_vmbus: (?P<culprit>Unable to connect to host)",
            "the guest cannot talk to Hyper-V",
            "B13 hyperv-device-probe-failed",
            15,
        ),
        signature(
            Kind.CAUSE,
            "ommand line: ",
            KERNEL + r"(?:Kernel c|C)ommand line: .{0,1500}?\b"
            r"(?P<culprit>(?:modprobe\.|module_|rd\.driver\.)?(?:blacklist|initcall_blacklist)"
            r"=[\w,]{0,100}hv_(?:storvsc|vmbus)[\w,]{0,100})",
            "the kernel command line blacklists a Hyper-V driver",
            "B13 hyperv-drivers-disabled",
            14,
        ),
        signature(
            Kind.CAUSE,
            "hv_",
            r"(?:^|\] |: )modprobe: (?:FATAL|ERROR): .{0,40}(?P<culprit>hv_(?:storvsc|vmbus))\b",
            "a Hyper-V driver could not be loaded",
            "B13 hyperv-drivers-disabled",
            15,
        ),
    ),
    covers=("B07", "B10", "B11"),
    variants=(
        V("hyperv-storage-probe-failed", "The Hyper-V storage driver could not start its disk"),
        V("hyperv-device-probe-failed", "A Hyper-V device could not be started"),
        V("hyperv-storage-driver-missing", "The kernel sees no disk: the Hyper-V storage driver is not there"),
    ),
    remedies=(
        NEW_INITRAMFS,
        *by_hand(
            "remove hv_* from /etc/modprobe.d (grep -nr hv_ /etc/modprobe.d) and build the initramfs anew",
            link=_HYPERV_LINK,
        ),
    ),
    links=(_HYPERV_LINK, _DRACUT_LINK),
    sources=("linux-hyperv-issue.md, scenario 3", "Linux kernel/module, drivers/hv/vmbus_drv.c"),
)

ADE_KEY = KnownCause(
    code="B33",
    slug="ade-os-disk-locked",
    title="The encrypted OS disk is not unlocked: its key cannot be had",
    scenario=Scenario.OS_NOT_RUNNING,
    means="Azure Disk Encryption keeps the key of the OS disk in a key vault and gives it to the boot on a small "
    "volume (BEK VOLUME). If the key vault, the key or the right to read it is gone, or if that volume cannot "
    "be mounted, the disk stays locked and the initramfs finds no root file system.",
    looks_like=(
        "ALERT!  /dev/mapper/osencrypt does not exist.",
        "ls: cannot access /mnt/azure_bek_disk/LinuxPassPhraseFileName*: No such file or directory",
        "[FAILED] Failed to mount /bek.",
    ),
    not_to_confuse=(
        "B14: the key volume is there and vfat, which it needs, is switched off.",
        "B10: the disk is not encrypted.",
        "B11: the same on Debian and Ubuntu.",
    ),
    signs=(serial_boot(),),
    signatures=(
        signature(
            Kind.CAUSE,
            "does not exist",
            DRACUT + r"Warning: (?P<device>/dev/mapper/osencrypt) does not exist",
            "the encrypted system disk was not unlocked",
            "B33 ade-os-disk-locked",
            20,
        ),
    ),
    covers=("B05", "B10", "B11"),
    variants=(
        V("passphrase-prompt", "The boot waits for the passphrase of an encrypted disk"),
        V("ade-key-missing", "The key of the encrypted OS disk is not there"),
        V("ade-key-volume-mount-failed", "The volume with the key of the encrypted OS disk cannot be mounted"),
    ),
    remedies=(
        on_console(
            "nothing can be repaired before the disk is unlocked: check first that the key vault, the key and the "
            "access policy for disk encryption exist",
            effect="shows whether the boot still waits",
            link=_ADE_LINK,
        ),
        *by_hand(
            "check that vfat is not blacklisted in /etc/modprobe.d, and build the initramfs anew",
            options="--unlock-encrypted-vm",
            link=LINUX + "vfat-disabled-boot-issues",
        ),
        RESTORE,
    ),
    links=(_DRACUT_LINK, _ADE_LINK),
    sources=("linux-no-boot-dracut.md", "vfat-disabled-boot-issues.md"),
)

_VFAT_LINK = LINUX + "vfat-disabled-boot-issues"
VFAT = KnownCause(
    code="B14",
    slug="vfat-disabled",
    title="The kernel may not mount vfat, which the boot needs",
    scenario=Scenario.OS_NOT_RUNNING,
    means="Hardening (CIS and others) blacklists the vfat module. The EFI system partition (/boot/efi) and the key "
    "volume of Azure Disk Encryption are vfat, so that after the next restart /boot/efi is not mounted and "
    "the boot stops, or an encrypted OS disk is not unlocked.",
    looks_like=(
        "request_module fs-vfat succeeded, but still no fs?",
        "mount: unknown filesystem type 'vfat'",
        "[FAILED] Failed to mount /boot/efi.",
    ),
    not_to_confuse=(
        "B01: the EFI partition is not there: «Timed out waiting for device».",
        "B05: the EFI partition is damaged («FAT-fs (sda15): bogus …»).",
        "B33: the key of the encrypted disk is missing for another reason.",
    ),
    signs=(serial_boot(),),
    signatures=(
        signature(
            Kind.STOPPER,
            "vfat",
            r"(?:^|\] |: )mount: (?:\S{1,80}: )?unknown filesystem type ['‘?](?P<culprit>vfat)['’?]",
            "the kernel cannot mount vfat",
            "B14 vfat-disabled",
            14,
        ),
        signature(
            Kind.STOPPER,
            "Failed to ",
            STATUS + r"Failed to mount (?:boot-efi\.mount - )?(?P<mount>/boot/efi)\.?$",
            "the EFI partition could not be mounted",
            "B14 efi-mount-failed",
            31,
        ),
    ),
    covers=("B02", "B05", "B10", "B11", "B33"),
    variants=(V("efi-mount-failed", "/boot/efi cannot be mounted: usually because vfat is switched off"),),
    remedies=(
        at_boot_menu(
            "add init=/bin/bash to the line that begins with linux; then: mount -o remount,rw /, remove vfat "
            "from /etc/modprobe.d (grep -nr vfat /etc/modprobe.d); sync; reboot -f"
        ),
        *by_hand("remove vfat from /etc/modprobe.d and build the initramfs anew", link=_VFAT_LINK),
    ),
    links=(_VFAT_LINK,),
    sources=("vfat-disabled-boot-issues.md", "Linux fs/filesystems.c", "util-linux mount"),
)
