"""Scenario 4, Linux: the initial RAM disk and the way to the root file system."""

from __future__ import annotations

from azext_vmagent.causes.known_cause import KnownCause
from azext_vmagent.causes.known_cause import Variant as V
from azext_vmagent.causes.offline_repair import (
    LINUX,
    NEW_INITRAMFS,
    RESTORE,
    alar,
    at_boot_menu,
    by_hand,
    on_console,
)
from azext_vmagent.causes.signs import screen_says, serial_boot
from azext_vmagent.facts.serial_signature import DRACUT, KERNEL, STATUS, Kind, signature
from azext_vmagent.model import Scenario

_DRACUT_LINK = LINUX + "linux-no-boot-dracut"
_KERNEL_LINK = LINUX + "kernel-related-boot-issues"
VFS_ROOT = KnownCause(
    code="B07",
    slug="kernel-panic-vfs-root",
    title="The kernel cannot mount the root file system: no usable initramfs",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The kernel starts without its initial RAM disk (initramfs), and so without the drivers for its disk, and "
    "stops. As a rule a kernel update was interrupted, or /boot was full, so that the new kernel has no "
    "initramfs or GRUB has no line that loads it.",
    looks_like=(
        "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        'VFS: Cannot open root device "sda2" or unknown-block(0,0): error -6',
        "error: file `/initramfs-3.10.0-1160.36.2.el7.x86_64.img' not found.",
        "Initramfs unpacking failed: XZ-compressed data is corrupt",
    ),
    not_to_confuse=(
        "B11: the initramfs runs and does not find the root device.",
        "B08: the root file system is mounted and init cannot be started.",
        "B13: the Hyper-V storage driver is switched off: the same panic, and no disk in the partition list.",
        "«Initramfs unpacking failed: Decoding failed» in a boot that goes on is a known harmless line of Ubuntu.",
    ),
    signs=(
        serial_boot(),
        screen_says(r"not syncing: VFS: Unable to mount root", "the screen shows the kernel's last words"),
    ),
    signatures=(
        signature(
            Kind.CAUSE,
            "rror: ",
            r"^error: (?:[\w./-]{1,80}:\d{1,5}: ?)?file [`'\"‘?](?P<culprit>[^'`\"’?]{0,100}(?:initr|vmlinu)"
            r"[^'`\"’?]{0,120})['`\"’?] not found",
            "the kernel or the initramfs that GRUB should load is not there",
            "B07 kernel-or-initrd-missing",
            21,
        ),
        signature(
            Kind.CAUSE,
            "nitramfs unpacking failed",
            KERNEL + r"Initramfs unpacking failed: (?!Decoding failed)(?P<culprit>.{1,60})",
            "the initramfs is damaged",
            "B07 initramfs-corrupt",
            21,
        ),
        signature(
            Kind.CAUSE,
            "rootfs image is not initramfs",
            KERNEL + r"rootfs image is not initramfs \((?P<culprit>[^)]{1,60})\)",
            "the initramfs is damaged",
            "B07 initramfs-corrupt",
            23,
        ),
    ),
    covers=("B16",),
    variants=(
        V("kernel-or-initrd-missing", "GRUB does not find the kernel or the initramfs that it should load"),
        V("kernel-or-initrd-broken", "GRUB cannot load the kernel or the initramfs: the file is damaged or too large"),
        V("initramfs-corrupt", "The initramfs is damaged"),
    ),
    remedies=(
        at_boot_menu(
            "start the previous kernel, then build the initramfs of the newest one anew (dracut -f, or "
            "update-initramfs -c -k all)"
        ),
        NEW_INITRAMFS,
        *alar("kernel", "make the previous kernel the default"),
        RESTORE,
    ),
    links=(_KERNEL_LINK,),
    sources=("kernel-related-boot-issues.md", "Linux init/do_mounts.c", "gcloud compute diagnose", "laboratory"),
)

INIT_KILLED = KnownCause(
    code="B08",
    slug="kernel-panic-init-killed",
    title="Init, the first program, ended or cannot be started",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The kernel found its root file system, and the first program on it (systemd) ended at once or is not "
    "there: libraries or directories were deleted, permissions of the whole system were changed (chmod -R on "
    "/), a partition such as /usr is missing, or SELinux labels are wrong. Without init the kernel stops.",
    looks_like=(
        "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00",
        "Kernel panic - not syncing: No working init found.  Try passing init= option to kernel.",
        "/sbin/init: error while loading shared libraries: libc.so.6: cannot open shared object file",
    ),
    not_to_confuse=(
        "B07: the root file system itself is not mounted.",
        "B10: dracut of EL6 ends with the same panic after «No root device found».",
        "B20: the initramfs stays in control and says that it cannot switch to the root file system.",
        "B19: init stops by itself because the SELinux policy does not load.",
    ),
    signs=(
        serial_boot(),
        screen_says(
            r"not syncing: (?:Attempted to kill init|No working init found)", "the screen shows the kernel's last words"
        ),
    ),
    signatures=(
        signature(
            Kind.PANIC,
            "panic",
            KERNEL
            + r"(?:---\[ end )?Kernel panic - not syncing: (?:No working init found|No init found|Requested init "
            r"(?P<culprit>\S{1,120}) failed)",
            "there is no init that can be started",
            "B08 init-not-found",
            22,
        ),
        signature(
            Kind.CAUSE,
            "loading shared libraries",
            r"(?:^|\] |: )(?:/(?:usr/)?(?:s?bin|lib/systemd)/)?(?:init|systemd|bash|sh): error while loading shared"
            r" libraries: (?P<culprit>[^:]{1,100}): cannot ",
            "init misses a library",
            "B08 init-library-missing",
            18,
        ),
        signature(
            Kind.CAUSE,
            "tarting init",
            KERNEL + r"Starting init: (?P<culprit>\S{1,100}) exists but couldn't execute it \(error -\d+\)",
            "init is there and cannot be executed",
            "B08 init-not-found",
            19,
        ),
    ),
    variants=(
        V("init-not-found", "There is no init on the root file system that can be started"),
        V("init-library-missing", "Init cannot start: one of its libraries is missing"),
    ),
    remedies=(
        at_boot_menu("add selinux=0 to the line that begins with linux; if that boots: touch /.autorelabel and reboot"),
        *by_hand("put missing files back (rpm --verify --all, or dpkg --verify, lists them)", link=_KERNEL_LINK),
        RESTORE,
    ),
    links=(_KERNEL_LINK, LINUX + "linux-kernel-panic-troubleshooting"),
    sources=("kernel-related-boot-issues.md", "Linux kernel/exit.c, init/main.c", "laboratory"),
)

DRACUT_NO_ROOT = KnownCause(
    code="B10",
    slug="dracut-no-root",
    title="The initramfs (dracut) does not find the root file system",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The initramfs of a RHEL, Oracle, SUSE or Azure Linux guest waits for the device that root= names, gives "
    "up and opens a shell. The name or UUID in GRUB's configuration is wrong, the volume group cannot be "
    "activated, the partition is gone, or the driver for the disk is missing; all of them look alike here.",
    looks_like=(
        "dracut-initqueue[455]: Warning: dracut-initqueue timeout - starting timeout scripts",
        "Warning: /dev/mapper/rootvg-rootlv does not exist",
        "Entering emergency mode. Exit the shell to continue.",
        "dracut:/#",
    ),
    not_to_confuse=(
        "B12: the device that is missing is a swap volume.",
        "B13: no disk at all, because the Hyper-V storage driver is off.",
        "B33: the disk is there and encrypted, and its key is not.",
        "B34: a dracut shell without any error above was asked for (rd.break).",
    ),
    signs=(
        serial_boot(),
        screen_says(
            r"dracut:/\S{0,40}#|Dracut Emergency Shell|Generating .{0,3}/run/initramfs/rdsosreport",
            "the screen shows dracut's shell",
        ),
    ),
    signatures=(
        signature(
            Kind.STOPPER,
            "Dependency failed for",
            STATUS + r"Dependency failed for (?:\S{1,60}\.(?:mount|target|device) - )?"
            r"(?P<culprit>/sysroot|/sysusr/usr|Initrd Root (?:Device|File System))\.?$",
            "the root file system's device did not appear",
            "B10 dracut-no-root",
            8,
        ),
        signature(
            Kind.CAUSE,
            "racut",
            DRACUT
            + r"(?:FATAL: |Warning: )?(?P<culprit>No or empty root= argument|Don't know how to handle 'root=\S{0,100})",
            "root= on the kernel command line is missing or wrong",
            "B10 dracut-no-root",
            15,
        ),
    ),
    covers=("B01", "B02", "B08"),
    variants=(
        V("lvm-missing", "A logical volume that the boot needs is not there"),
        V("bsd-no-root", "The kernel (FreeBSD) does not find its root file system"),
    ),
    remedies=(
        at_boot_menu("correct root= and rd.lvm.lv= in the line that begins with linux, then Ctrl+X"),
        NEW_INITRAMFS,
        *by_hand(
            "check pvs, vgs, lvs and root= in /etc/default/grub, and build GRUB's configuration and the initramfs anew",
            link=_DRACUT_LINK,
        ),
        RESTORE,
    ),
    links=(_DRACUT_LINK,),
    sources=("linux-no-boot-dracut.md", "dracut initqueue and emergency hooks", "FreeBSD vfs_mountroot.c"),
)

INITRAMFS_SHELL = KnownCause(
    code="B11",
    slug="initramfs-shell",
    title="The initramfs does not find the root file system and opens a shell",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The initramfs of a Debian or Ubuntu guest waited for the device that root= names, gave up and stands at "
    "a BusyBox prompt. The UUID in GRUB's configuration is wrong, the partition is gone, the file system "
    "needs a check, or the driver for the disk is missing.",
    looks_like=(
        "Gave up waiting for root file system device.  Common problems:",
        "ALERT!  UUID=143c811b-… does not exist.  Dropping to a shell! Then the prompt:",
        "(initramfs)",
    ),
    not_to_confuse=(
        "B06: the same prompt after a failed fsck.",
        "B33: /dev/mapper/osencrypt does not exist: the disk is encrypted.",
        "B13: no disk at all, because the Hyper-V storage driver is off.",
        "«Gave up waiting for suspend/resume device» delays a boot and does not stop it.",
    ),
    signs=(
        serial_boot(),
        screen_says(r"Gave up waiting for root|\(initramfs\)", "the screen shows the initramfs' prompt"),
    ),
    covers=("B02",),
    remedies=(
        at_boot_menu("correct root= in the line that begins with linux, then Ctrl+X"),
        on_console(
            "ls -l /dev/disk/by-uuid; cat /proc/cmdline; blkid", "shows what is there; the shell needs no password"
        ),
        NEW_INITRAMFS,
        RESTORE,
    ),
    links=(_DRACUT_LINK,),
    sources=("linux-no-boot-dracut.md", "initramfs-tools scripts/local", "LISA serial_console.py", "laboratory"),
)

SWAP_VOLUME = KnownCause(
    code="B12",
    slug="swap-volume-missing",
    title="The kernel command line asks for a swap volume that is not there",
    scenario=Scenario.OS_NOT_RUNNING,
    means="GRUB's configuration holds rd.lvm.lv= or resume= with a logical volume for swap that was removed or "
    "renamed. The initramfs waits for it like for the root device and opens a shell. Swap of that kind is not "
    "advised on Azure.",
    looks_like=(
        "dracut-initqueue[324]: Warning: /dev/VG/SwapVol does not exist",
        "rd.lvm.lv=VG/SwapVol",
    ),
    not_to_confuse=(
        "B10: it is the root volume that is missing.",
        "B01: a swap line in /etc/fstab delays a boot by 90 s and does not stop it.",
    ),
    signs=(serial_boot(),),
    signatures=(
        signature(
            Kind.CAUSE,
            "does not exist",
            r"(?:^|\] |: )Warning: (?P<device>(?:\S{0,40})?/dev/\S{0,100}(?i:swap)\S{0,60}) does not exist$",
            "a swap volume that the boot waits for does not exist",
            "B12 swap-volume-missing",
            26,
        ),
    ),
    covers=("B10",),
    remedies=(
        at_boot_menu(
            "remove rd.lvm.lv= or resume= with the swap volume from the line that begins with linux, then Ctrl+X"
        ),
        *by_hand(
            "remove it from GRUB_CMDLINE_LINUX in /etc/default/grub and build GRUB's configuration anew; "
            "RHEL 8 and later: grubby --update-kernel=ALL --remove-args='rd.lvm.lv=VG/LV resume=DEVICE'",
            link=_DRACUT_LINK,
        ),
    ),
    links=(_DRACUT_LINK, LINUX + "create-swap-file-linux-vm"),
    sources=("linux-no-boot-dracut.md", "gcloud compute diagnose"),
)

SWITCH_ROOT = KnownCause(
    code="B20",
    slug="switch-root-failed",
    title="The initramfs cannot hand over to the root file system",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The root device was found and mounted, and what is on it is no system that can be started: /sbin/init, "
    "/etc/os-release or /usr is missing, root= points to the wrong volume or subvolume, or GRUB's boot entry "
    "lost its kernel options. The initramfs opens an emergency shell.",
    looks_like=(
        "[FAILED] Failed to start Switch Root.",
        "Failed to switch root: Specified switch root path '/sysroot' does not seem to be an OS tree.",
        "Target filesystem doesn't have requested /sbin/init.",
        "No init found. Try passing init= bootarg.",
    ),
    not_to_confuse=(
        "B10: the root device is not even found.",
        "B08: the kernel itself reports that init cannot be started.",
    ),
    signs=(serial_boot(),),
    signatures=(
        signature(
            Kind.CAUSE,
            "switch root",
            r"(?:systemctl|@ystemctl|systemd|switch_root)\[\d+\]: (?:Failed to switch root: |Not switching root: )"
            r"(?P<culprit>.{1,160})",
            "the initramfs cannot switch to the root file system",
            "B20 switch-root-failed",
            18,
        ),
        signature(
            Kind.CAUSE,
            "Target filesystem",
            r"^Target filesystem doesn't have requested (?P<culprit>/\S{1,100}?)\.?$",
            "the root file system has no init",
            "B20 switch-root-failed",
            19,
        ),
    ),
    covers=("B02", "B10", "B11"),
    remedies=(
        at_boot_menu("start the rescue or an older kernel; then compare kernelopts in grubenv with the boot entry"),
        on_console("ls /sysroot; mount; cat /proc/cmdline", "shows what was mounted as root"),
        *by_hand(
            "check root= and the boot entry in /boot/loader/entries, and what is missing on the root file system",
            link=LINUX + "resolve-failed-start-switch-root-azure-linux-vm",
        ),
        RESTORE,
    ),
    links=(LINUX + "resolve-failed-start-switch-root-azure-linux-vm",),
    sources=(
        "resolve-failed-start-switch-root-azure-linux-vm.md",
        "systemd core/dbus-manager.c",
        "initramfs-tools init",
    ),
)

BREAK_LEFT = KnownCause(
    code="B34",
    slug="boot-break-left",
    title="The kernel command line tells the boot to stop in a shell",
    scenario=Scenario.OS_NOT_RUNNING,
    means="Somebody repaired the system with rd.break, init=/bin/bash or systemd.unit=emergency.target and left it "
    "in GRUB's configuration. The boot does what it is told: it stops in a shell, without any error.",
    looks_like=(
        "switch_root:/#",
        "root@(none):/#",
        "Command line: BOOT_IMAGE=… rd.break",
        "Command line: BOOT_IMAGE=… systemd.unit=rescue.target",
    ),
    not_to_confuse=(
        "B10: the shell of dracut comes after an error.",
        "B02: systemd goes to emergency mode by itself.",
        "Somebody may be repairing the guest at this moment: ask before changing anything.",
    ),
    signs=(serial_boot(),),
    signatures=(
        signature(
            Kind.CAUSE,
            "ommand line: ",
            KERNEL + r"(?:Kernel c|C)ommand line: .{0,1500}? "
            r"(?P<culprit>rd\.break(?:=[\w-]{1,30})?|rdbreak|init=/(?:usr/)?bin/(?:ba|da)?sh"
            r"|break=[\w-]{1,30})(?: |$)",
            "the kernel command line asks for a shell",
            "B34 boot-break-left",
            38,
        ),
        signature(
            Kind.CAUSE,
            "ommand line: ",
            KERNEL + r"(?:Kernel c|C)ommand line: .{0,1500}? "
            r"(?P<culprit>systemd\.unit=(?:rescue|emergency)(?:\.target)?|single|emergency"
            r"|rescue)(?: |$)",
            "the kernel command line asks for single-user mode",
            "B34 single-user-mode-left",
            50,
        ),
    ),
    covers=("B02", "B10"),
    variants=(V("single-user-mode-left", "The kernel command line asks for rescue or single-user mode"),),
    remedies=(
        at_boot_menu("remove it from the line that begins with linux, then Ctrl+X"),
        on_console("exit (or Ctrl+D): the boot goes on", "lets this boot go on; the next one stops again"),
        *by_hand(
            "remove it from GRUB_CMDLINE_LINUX in /etc/default/grub and build GRUB's configuration anew; "
            "RHEL 8 and later: grubby --update-kernel=ALL --remove-args=OPTION",
            link=_DRACUT_LINK,
        ),
    ),
    links=(_DRACUT_LINK, LINUX + "serial-console-grub-single-user-mode"),
    sources=("linux-no-boot-dracut.md", "dracut.cmdline(7)", "systemd(1)"),
)
