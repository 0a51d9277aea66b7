"""Scenario 4, Linux: firmware and boot loader."""

from __future__ import annotations

from azext_vmagent.causes.known_cause import KnownCause, Remedy, System, Where
from azext_vmagent.causes.known_cause import Variant as V
from azext_vmagent.causes.offline_repair import LINUX, RESTORE, alar, at_boot_menu, button, by_hand
from azext_vmagent.causes.signs import screen_says, serial_boot
from azext_vmagent.facts.serial_signature import Kind, signature
from azext_vmagent.model import Scenario

_GRUB_LINK = LINUX + "troubleshoot-vm-boot-error"
_UEFI_LINK = LINUX + "azure-linux-vm-uefi-boot-failures"

_GRUB = r"^error: (?:[\w./-]{1,80}:\d{1,5}: ?)?"
"""GRUB's errors, in newer versions with the place in its source."""

_REINSTALL = (
    button("grubfix", "reinstall GRUB and write its configuration anew (a generation 1 VM)"),
    button("efifix", "reinstall the EFI boot loader and write GRUB's configuration anew (a generation 2 VM)"),
)

GRUB_RESCUE = KnownCause(
    code="B15",
    slug="grub-rescue",
    title="GRUB cannot read what it needs from the disk",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The boot loader starts and does not find its own files, its partition or its file system. That comes "
    "from a partition that was deleted, resized or recreated, from a damaged /boot, or from an upgrade that "
    "installed GRUB on another disk. No kernel is started, so no agent can run; GRUB waits for a person for "
    "ever.",
    looks_like=(
        "grub rescue>",
        "error: file `/boot/grub2/i386-pc/normal.mod' not found.",
        "error: no such partition.",
        "error: unknown filesystem.",
        "error: symbol `grub_calloc' not found.",
    ),
    not_to_confuse=(
        "B16: GRUB itself is whole and misses only its configuration: the prompt is «grub>», not «grub rescue>».",
        "B07: GRUB works and the kernel or the initramfs is missing.",
        "B17: the firmware does not even find a boot loader.",
        "An «error:» line in a boot that goes on to the kernel is harmless.",
    ),
    signs=(serial_boot(), screen_says(r"grub rescue ?>|Entering rescue mode", "the screen shows GRUB's rescue prompt")),
    signatures=(
        signature(
            Kind.CAUSE,
            "rror: ",
            _GRUB
            + r"(?P<culprit>(?:symbol|disk) [`'\"?]\S{1,80}?['\"?] not found|can't find command [`'\"?]\w{1,30}['\"?])",
            "GRUB misses its disk or a function of its own",
            "B15 grub-disk-unreadable",
            25,
        ),
        signature(
            Kind.CAUSE,
            "rror: ",
            _GRUB + r"(?P<culprit>invalid arch-(?:in)?dependent ELF magic)",
            "GRUB's modules do not fit it",
            "B15 grub-modules-mismatch",
            24,
        ),
        signature(
            Kind.GRUB,
            "rror",
            r"^(?:GRUB )?(?:Loading stage1\.5\. ?)?Error (?P<culprit>1[5-9]|2[0-4])(?:: |$)",
            "GRUB legacy cannot read a file it needs",
            "B15 grub-legacy-error",
            25,
        ),
        signature(
            Kind.CAUSE,
            "rror: ",
            _GRUB + r"(?P<culprit>attempt to read or write outside of (?:disk|partition)"
            r"|failure reading sector|unknown LVM metadata|cannot find LVM header)",
            "the boot loader cannot read its disk",
            "B15 grub-disk-unreadable",
            26,
        ),
    ),
    covers=("B16",),
    variants=(
        V("grub-file-missing", "GRUB does not find one of its files"),
        V("grub-legacy-error", "GRUB Legacy does not find what it needs on the disk"),
        V("grub-modules-mismatch", "GRUB's modules are of another version or machine than GRUB itself"),
        V("grub-crashed", "GRUB crashed"),
        V("syslinux-no-configuration", "SYSLINUX does not find its configuration"),
        V("grub-disk-unreadable", "GRUB does not find its partition, file system or a function of its own"),
    ),
    remedies=(*_REINSTALL, RESTORE),
    links=(_GRUB_LINK,),
    sources=("troubleshoot-vm-boot-error.md", "gcloud compute diagnose", "GRUB kern/rescue_reader.c"),
)

GRUB_PROMPT = KnownCause(
    code="B16",
    slug="grub-prompt",
    title="GRUB has no boot menu to go by and waits at its command prompt",
    scenario=Scenario.OS_NOT_RUNNING,
    means="GRUB is whole, but its configuration (grub.cfg) is missing, empty or has no usable entry, so that it "
    "does not know which kernel to start. A package update that was interrupted, a full /boot or a deleted "
    "file does that. GRUB waits for a command, and nothing else runs.",
    looks_like=("grub>", "Minimal BASH-like line editing is supported. For the first word, TAB lists possible …"),
    not_to_confuse=(
        "B15: GRUB cannot even read its modules («grub rescue>»).",
        "B07: there is a menu; the kernel or initramfs that it names is missing.",
        "A boot menu that waits for its countdown is no fault.",
    ),
    signs=(
        serial_boot(),
        screen_says(r"Minimal BASH-like line editing|(?<!\w)grub> ", "the screen shows GRUB's prompt"),
    ),
    variants=(V("loader-prompt", "The boot loader (BSD) finds no kernel and waits at its prompt"),),
    remedies=(*_REINSTALL, RESTORE),
    links=(_GRUB_LINK,),
    sources=("gcloud compute diagnose", "gcpdiag", "LISA serial_console.py"),
)

NO_LOADER = KnownCause(
    code="B17",
    slug="uefi-no-loader",
    title="The firmware finds nothing to boot from",
    scenario=Scenario.OS_NOT_RUNNING,
    system=System.BOTH,
    means="The virtual firmware looked at every disk, found no boot loader, and tries the network or gives up. The "
    "EFI system partition is missing, damaged or empty, the disk is not the one that should be there, or an "
    "image of the other generation (BIOS, UEFI) was used. Often only the screenshot shows it, because the "
    "firmware of a generation 2 VM writes to the screen and not to the serial line.",
    looks_like=(
        "The boot loader did not load an operating system.",
        "No operating system was loaded. Your virtual machine may be configured incorrectly.",
        ">>Start PXE over IPv4.",
        "BdsDxe: No bootable option or device was found.",
    ),
    not_to_confuse=(
        "B18: a boot loader is there and Secure Boot refuses it.",
        "B15: GRUB was started and misses its own files.",
    ),
    signs=(
        serial_boot(),
        screen_says(
            r"boot loader did not load an operating system|No operating system was loaded|Start PXE over IPv"
            r"|No UEFI-compatible file system|No boot(?:able)? (?:image|device) was found",
            "the firmware says so on the screen",
        ),
    ),
    signatures=(
        signature(
            Kind.FIRMWARE,
            "ailed to ",
            r"^(?:!!! )?Failed to (?:load image|open) (?P<culprit>\S{1,100}\.(?i:efi))\b.{0,20}Not Found",
            "shim does not find GRUB on the EFI partition",
            "B17 efi-loader-missing",
            50,
        ),
    ),
    variants=(V("efi-loader-missing", "shim does not find GRUB on the EFI partition"),),
    remedies=(
        button("efifix", "reinstall the EFI boot loader (a generation 2 Linux VM)"),
        *by_hand("recreate the EFI system partition or check it with fsck.vfat -n", link=_UEFI_LINK),
        RESTORE,
    ),
    links=(_UEFI_LINK,),
    sources=("azure-linux-vm-uefi-boot-failures.md", "EDK II BdsDxe", "SeaBIOS boot.c"),
)

SECURE_BOOT = KnownCause(
    code="B18",
    slug="secure-boot-violation",
    title="Secure Boot refuses the boot loader or the kernel",
    scenario=Scenario.OS_NOT_RUNNING,
    system=System.BOTH,
    means="The VM has Secure Boot on (Trusted Launch), and what should be started is not signed by a key that the "
    "firmware or shim trusts, or its signature was revoked. It happens after a self-built kernel, an own boot "
    "loader, an image that was never signed, or an update of the revocation list under an old shim. Nothing "
    "is started.",
    looks_like=(
        "Verification failed: (0x1A) Security Violation",
        "error: bad shim signature.",
        "BdsDxe: failed to load Boot0001 …: Access Denied",
        "The image's hash and certificate are not allowed (DB).",
    ),
    not_to_confuse=(
        "B17: there is no boot loader at all.",
        "«prohibited by secure boot policy» for a font or a module in a boot that goes on is harmless.",
    ),
    signs=(
        serial_boot(),
        screen_says(
            r"hash (?:and certificate )?(?:are|is) not allowed|Security Violation|Secure Boot (?:Violation|policy)"
            r"|bad shim signature|SBAT self-check failed",
            "the screen says so",
        ),
    ),
    signatures=(
        signature(
            Kind.CAUSE,
            "shim_lock",
            _GRUB + r"shim_lock protocol not found",
            "GRUB was started without shim and may not start a kernel",
            "B18 secure-boot-violation",
            29,
        ),
        signature(
            Kind.FIRMWARE,
            "blacklisted",
            r"^(?:Hash|Certificate|Binary|Image|Cert)\b.{0,40} is (?:blacklisted|revoked|forbidden)",
            "the signature of the loader was revoked",
            "B18 secure-boot-violation",
            30,
        ),
        signature(
            Kind.FIRMWARE,
            "SBAT",
            r"^(?:Verifying shim SBAT data failed|Something has gone seriously wrong: SBAT self-check failed)",
            "shim is older than the revocation list allows",
            "B18 secure-boot-revoked-shim",
            25,
        ),
        signature(
            Kind.CAUSE,
            "rror: ",
            _GRUB + r"(?P<culprit>\S{1,120}) has invalid signature",
            "GRUB may not load an unsigned file",
            "B18 secure-boot-violation",
            32,
        ),
        signature(
            Kind.FIRMWARE,
            "ailed to load image",
            r"^(?:!!! )?Failed to load image\b.{0,120}(?:Security|Access Denied|Unsupported)",
            "Secure Boot rejected the loader",
            "B18 secure-boot-violation",
            31,
        ),
    ),
    covers=("B07", "B17"),
    variants=(V("secure-boot-revoked-shim", "Secure Boot refuses shim: its version was revoked"),),
    remedies=(
        at_boot_menu("start an older, signed kernel"),
        Remedy(
            "if the image is trusted, start without Secure Boot, install signed packages, and turn it on again",
            "az vm deallocate {vm} && az vm update {vm} --enable-secure-boot false && az vm start {vm}",
            where=Where.AZ,
            effect="the firmware starts unsigned loaders",
            risk="unsigned code can start; deallocation can lose the temporary disk and a dynamic address",
            downtime="5-10 min",
            undo="az vm deallocate {vm} && az vm update {vm} --enable-secure-boot true && az vm start {vm}",
            link="azure/virtual-machines/trusted-launch",
        ),
    ),
    links=("azure/virtual-machines/trusted-launch", LINUX + "linux-vm-secure-boot-cert-updates-trusted-launch"),
    sources=("gcpdiag err_2021_004", "shim verify.c and sbat.c", "GRUB kern/verifiers.c"),
)

KERNEL_IMAGE = KnownCause(
    code="B31",
    slug="kernel-image-corrupt",
    title="The kernel's file is damaged: it cannot be unpacked",
    scenario=Scenario.OS_NOT_RUNNING,
    means="GRUB loads a kernel whose compressed image is cut or damaged, so that it stops before its first own "
    "line. Usually /boot was full or the VM was switched off while a kernel was being installed.",
    looks_like=(
        "XZ-compressed data is corrupt",
        " -- System halted",
        "error: premature end of file /vmlinuz-5.14.0-….x86_64.",
    ),
    not_to_confuse=(
        "B07: the kernel starts and the initramfs is missing or damaged («Initramfs unpacking failed»).",
        "B37: «reboot: System halted» is a shutdown of a running system.",
    ),
    signs=(serial_boot(),),
    signatures=(
        signature(
            Kind.CAUSE,
            "compressed",
            r"^(?:Decompressing Linux\.\.\. ?)?(?P<culprit>(?:XZ|ZSTD|LZMA|GZIP|LZO|LZ4|BZIP2)-compressed data is"
            r" (?:probably )?corrupt|invalid compressed format \(err=\d\))",
            "the kernel's image is damaged",
            "B31 kernel-image-corrupt",
            28,
        ),
        signature(
            Kind.CAUSE,
            "rror: ",
            _GRUB + r"premature end of file "
            r"(?P<culprit>\S{0,40}vmlinu\S{1,120}?)\.?$",
            "GRUB cannot load the kernel: its file is cut",
            "B31 kernel-image-corrupt",
            23,
        ),
    ),
    covers=("B16",),
    remedies=(
        at_boot_menu("start the previous kernel; then reinstall the newest kernel package"),
        *alar("kernel", "make the previous kernel the default"),
        RESTORE,
    ),
    links=(LINUX + "kernel-related-boot-issues",),
    sources=("Linux boot/compressed/misc.c, lib/decompress_unxz.c", "gcloud compute diagnose"),
)
