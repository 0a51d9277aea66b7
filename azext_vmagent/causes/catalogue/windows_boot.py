"""Scenario 4, Windows: boot manager, blue screen, updates.

Seen on the screenshot, or on a serial line with EMS.

Sources: learn.microsoft.com «Windows shows blue screen error when booting an Azure VM» and its relatives, one for each
error code. The boot manager writes to the serial line only with «bootems», Windows only with EMS (SAC).
"""

from __future__ import annotations

from collections.abc import Iterator

from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, System, Where
from azext_vmagent.causes.offline_repair import windows_script
from azext_vmagent.causes.signs import screen_says, screen_shows, serial_boot
from azext_vmagent.facts.reading import SERIAL_LOG, Facts
from azext_vmagent.facts.screenshot import ScreenKind
from azext_vmagent.facts.serial_signature import Kind, signature
from azext_vmagent.model import Reason, Scenario

_WINDOWS = "troubleshoot/azure/virtual-machines/windows/"
BLUE_SCREEN_LINK = f"{_WINDOWS}troubleshoot-common-blue-screen-error"
REPAIR = f"{_WINDOWS}repair-windows-vm-using-azure-virtual-machine-repair-commands"
SAFE_MODE_LINK = f"{_WINDOWS}troubleshoot-rdp-safe-mode"

_RESTART = Remedy(
    "restart the VM once: a single stop can be chance",
    "az vm restart {vm}",
    where=Where.AZ,
    effect="Windows boots again",
    risk="unsaved work in the guest is lost",
    downtime="1-5 min",
)
_REPAIR_VM = Remedy(
    "repair offline: a repair VM with a copy of the OS disk, where a person mends it or a script that az vm repair "
    "list-scripts shows; then az vm repair restore swaps it in",
    "az vm repair create {vm}",
    where=Where.AZ,
    effect="the original disk is not touched before restore; asks for a user and password of the repair VM",
    risk="needs Contributor on the resource group; costs a VM while it exists",
    downtime="10-30 min",
    link=REPAIR,
)

BUGCHECK = KnownCause(
    code="B41",
    slug="windows-bugcheck",
    title="Windows stopped with a blue screen",
    scenario=Scenario.OS_NOT_RUNNING,
    system=System.WINDOWS,
    means="Windows found that it could not go on safely, and stopped: a driver's mistake, a damaged system file, or "
    "memory that something overwrote. The stop code says which. It writes a dump and restarts; when the same comes "
    "back each time, the VM never gets as far as its agent.",
    looks_like=(
        "Your PC ran into a problem and needs to restart. Stop code: CRITICAL SERVICE FAILED",
        '<PROPERTY NAME="STOPCODE" TYPE="string"><VALUE>"0xD1"</VALUE></PROPERTY> on the serial line, with EMS',
    ),
    not_to_confuse=(
        "B44: csagent.sys failed.",
        "B42: the boot manager's error, before Windows started.",
        "B43: Windows is at work and takes long.",
    ),
    signatures=(
        signature(
            Kind.PANIC,
            "STOPCODE",
            r'<PROPERTY NAME="STOPCODE" TYPE="string"> {0,4}<VALUE>"?(?P<culprit>0x[0-9A-Fa-f]{1,16})',
            "Windows stopped with a blue screen",
            "B41 windows-bugcheck",
            20,
        ),
        signature(
            Kind.PANIC,
            " ran into a problem and needs to restart",
            r"^ {0,8}Your (?:PC|device|computer) ran into a problem and needs to restart",
            "Windows stopped with a blue screen",
            "B41 windows-bugcheck",
            25,
        ),
        signature(
            Kind.PANIC,
            "*** STOP: 0x",
            r"^ {0,8}\*\*\* STOP: (?P<culprit>0x[0-9A-Fa-f]{8,16}) {0,2}\(",
            "Windows stopped with a blue screen",
            "B41 windows-bugcheck",
            20,
        ),
    ),
    signs=(
        serial_boot(),
        screen_shows(ScreenKind.BLUE_SCREEN),
        screen_says(
            r"your (?:pc|device|computer) ran into a problem|問題が発生したため"
            r"|\*\*\* stop: ?(?P<culprit>0x[0-9a-f]{8})"
            r"|a problem has been detected and windows has been shut down|stop code: ?[a-z0-9]",
            "the screen shows Windows' stop message",
        ),
    ),
    remedies=(
        _RESTART,
        Remedy(
            "look the stop code up; restore a backup from before the change (update, driver) that brought it",
            effect="the VM as it was at the time of the backup",
            risk="what was written since is lost",
            link=BLUE_SCREEN_LINK,
        ),
        _REPAIR_VM,
    ),
    links=(BLUE_SCREEN_LINK, f"{_WINDOWS}bad-pool-header", f"{_WINDOWS}irql-not-less-or-equal"),
    sources=("troubleshoot-common-blue-screen-error.md", "learn.microsoft.com «Emergency Management Services»"),
)

CROWDSTRIKE = KnownCause(
    code="B44",
    slug="crowdstrike-boot-loop",
    title="CrowdStrike's driver csagent.sys stops Windows at every boot",
    scenario=Scenario.OS_NOT_RUNNING,
    system=System.WINDOWS,
    means="On 19 July 2024 CrowdStrike's Falcon sensor received a faulty file (C-00000291*.sys). Its driver fails on "
    "it while Windows starts, Windows stops with a blue screen, restarts, and fails again. A disk or a backup from "
    "that day brings it back at any time.",
    looks_like=("Stop code: PAGE FAULT IN NONPAGED AREA. What failed: csagent.sys",),
    not_to_confuse=("B41: another driver failed, or none is named.",),
    signatures=(
        signature(
            Kind.CAUSE,
            "csagent.sys",
            r"^ {0,8}(?:What failed: {0,2})?(?P<culprit>csagent\.sys)\b",
            "CrowdStrike's driver stopped Windows",
            "B44 crowdstrike-boot-loop",
            10,
        ),
    ),
    signs=(serial_boot(), screen_says(r"\b(?P<culprit>csagent\.sys)\b", "the stop screen names csagent.sys")),
    covers=("B41",),
    remedies=(
        *windows_script(
            "win-crowdstrike-fix-bootloop-v2",
            "remove the faulty file (a disk with BitLocker needs its key; for a confidential VM the run id is "
            "win-crowdstrike-fix-bootloop-cvm)",
        ),
    ),
    links=(REPAIR,),
    sources=("repair-script-library win-crowdstrike-fix-bootloop",),
)

BOOT_MANAGER = KnownCause(
    code="B42",
    slug="windows-boot-manager-error",
    title="Windows' boot manager cannot start Windows",
    scenario=Scenario.OS_NOT_RUNNING,
    system=System.WINDOWS,
    means="Before Windows, its boot manager reads the boot configuration (BCD) and loads Windows' first files. One of "
    "them is missing, damaged, or looked for on a disk that is not there, often after an update that was broken off, a "
    "restored or converted disk. The status code says which.",
    looks_like=(
        r"File: \Boot\BCD, Status: 0xc000000f, the Boot Configuration Data for your PC is missing or contains errors",
        r"File: \Windows\system32\winload.exe, Status: 0xc000000e",
        "Recovery: Your PC needs to be repaired. Error code: 0xc0000034",
        "BOOTMGR is missing. Press Ctrl+Alt+Del to restart",
    ),
    not_to_confuse=(
        "B46: the firmware did not get as far as the boot manager.",
        "B41: Windows itself stopped.",
        "The boot manager's menu («Choose an operating system to start»): it waits some seconds and goes on.",
    ),
    signs=(
        serial_boot(),
        screen_shows(ScreenKind.BOOT_ERROR),
        screen_says(
            r"(?:status|error code): ?(?P<culprit>0xc0[0-9a-f]{6})\b|windows failed to start\."
            r"|boot configuration data for your pc is missing|your (?:pc|device|pc/device) needs to be repaired"
            r"|automatic repair couldn.t repair"
            r"|bootmgr (?:is (?:missing|compressed)|image is corrupt)",
            "the screen shows an error of Windows' boot manager",
        ),
    ),
    remedies=(
        Remedy(
            "look the status code up: each has an article with the commands that mend it",
            effect="reads only",
            link=f"{_WINDOWS}boot-error-0xc000000f",
        ),
        _REPAIR_VM,
    ),
    links=(
        f"{_WINDOWS}boot-error-0xc000000f",
        f"{_WINDOWS}error-code-0xc000000e",
        f"{_WINDOWS}boot-error-0xc0000034",
        f"{_WINDOWS}boot-error-0xc0000098",
        f"{_WINDOWS}boot-error-0xc0000221",
        f"{_WINDOWS}error-code-0xc0000605",
    ),
    sources=("boot-error-0xc*.md", "error-code-0xc*.md", "repair-script-library win-chkdsk, win-sfc, win-LKGC"),
)

AT_WORK = KnownCause(
    code="B43",
    slug="windows-busy-at-start",
    title="Windows is stuck at updates or policies while it starts or stops",
    scenario=Scenario.OS_NOT_RUNNING,
    system=System.WINDOWS,
    means="Windows installs or takes back updates, or applies policies, before it lets anybody in. Depending on their "
    "number that takes minutes to hours; an update that fails, or a policy that waits for a network share, can hold it "
    "for ever. Nothing is reachable meanwhile, and the agent does not run yet.",
    looks_like=(
        "Getting Windows ready. Don't turn off your computer",
        "Working on updates 27% complete",
        "We couldn't complete the updates. Undoing changes",
        "Applying Registry Policy; Please wait for the Group Policy Client",
        "Error 0xc0000142 applying update operations 128 of 5382",
    ),
    not_to_confuse=(
        "A ring of dots alone: Windows starts, and may be up in a minute.",
        "B41: it has stopped, and the screen says so.",
    ),
    signs=(
        screen_says(
            r"getting (?:windows )?ready|applying .{1,60} policy|please wait for the (?:group policy|local "
            r"session|user)"
            r"|working on (?:windows )?updates|installing (?:windows|updates?) \d|keep your pc on until"
            r"|undoing changes|reverting changes|configuring windows updates|applying update operations"
            r"|stopping services|don.t turn off your (?:pc|computer)|applying computer settings"
            r"|scanning and repairing drive|checking file system on|preparing (?:to configure windows|automatic repair)"
            r"|windows の準備|更新プログラムを構成|電源を切らないで",
            "the screen says that Windows is at work on updates or policies",
        ),
    ),
    remedies=(
        Remedy(
            "wait, and look at the screenshot again: updates that move on may take up to eight hours",
            "az vm boot-diagnostics get-boot-log-uris {vm}",
            where=Where.AZ,
            effect="reads only",
            risk="a restart in the middle can damage Windows",
            link=f"{_WINDOWS}troubleshoot-stuck-updating-boot-error",
        ),
        Remedy(
            "if nothing moves for that long, restart once",
            "az vm restart {vm}",
            where=Where.AZ,
            effect="Windows takes the update back, or finishes it",
            risk="Windows may be damaged: take a snapshot of the OS disk first",
            downtime="1-60 min",
        ),
        _REPAIR_VM,
    ),
    links=(
        f"{_WINDOWS}troubleshoot-stuck-updating-boot-error",
        f"{_WINDOWS}troubleshoot-vm-boot-configure-update",
        f"{_WINDOWS}unresponsive-vm-apply-security-policy",
        f"{_WINDOWS}boot-error-troubleshoot-windows",
    ),
    sources=(
        "troubleshoot-stuck-updating-boot-error.md",
        "troubleshoot-vm-boot-configure-update.md",
        "applying-group-policy-*.md",
        "repair-script-library win-remove-patch",
    ),
)

DISK_READ = KnownCause(
    code="B46",
    slug="no-operating-system",
    title="The firmware finds no operating system on the disk",
    scenario=Scenario.OS_NOT_RUNNING,
    system=System.BOTH,
    means="The firmware started the disk's boot code, and that could not read on: the file system is damaged, the "
    "partition with the boot manager is not marked active (generation 1), or the disk holds no system at all.",
    looks_like=(
        "A disk read error occurred. Press Ctrl+Alt+Del to restart",
        "Missing operating system",
        "An operating system wasn't found. Try disconnecting any drives that don't contain an operating system",
    ),
    not_to_confuse=("B42: the boot manager runs and shows a status code.", "B17: UEFI firmware finds no loader."),
    signs=(
        serial_boot(),
        screen_says(
            r"disk read error occurred|operating system (?:wasn.t|was not) found|missing operating "
            r"system|error loading operating system",
            "the screen shows that no Windows was found on the disk",
        ),
    ),
    remedies=(_REPAIR_VM,),
    links=(f"{_WINDOWS}boot-error-disk-read-error-occurred", REPAIR),
    sources=("boot-error-disk-read-error-occurred.md",),
)


def _safe_boot(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    report = scene.facts.serial.health_report if scene.facts.serial else None
    if report is not None and report.safe_boot:
        what = f"the guest's own report: Windows runs in safe mode (safeBoot {report.safe_boot})"
        yield Seen(Reason(what, SERIAL_LOG, None, report.line, time=report.time or report.written))


def _system_told(facts: Facts) -> bool:
    report = facts.serial.health_report if facts.serial else None
    return report is not None and bool(report.os_version)


SAFE_MODE = KnownCause(
    code="B45",
    slug="windows-safe-mode",
    title="Windows boots into safe mode",
    scenario=Scenario.OS_NOT_RUNNING,
    system=System.WINDOWS,
    means="Somebody set safe mode in the boot configuration (bcdedit safeboot, msconfig) and did not take it back. "
    "Windows starts with the fewest services: no Remote Desktop, mostly no network, and no agent; after each restart "
    "it does the same.",
    looks_like=(
        "the words «Safe Mode» in the corners of the screen",
        "bcdedit /enum: safeboot Minimal",
        '"safeBoot":1 in the health report on the serial log',
    ),
    not_to_confuse=("I18: the adapter is down in a Windows that started as usual.",),
    signs=(
        Sign(Need.HEALTH_REPORT, _safe_boot, _system_told),
        screen_says(r"\bsafe mode\b(?! ?with)|セーフ ?モード", "the screen says «Safe Mode»"),
    ),
    covers=("I18",),
    remedies=(
        Remedy(
            "take it back (serial console: SAC, cmd, log in), then restart the VM",
            "bcdedit /deletevalue safeboot",
            where=Where.CONSOLE,
            effect="Windows starts as usual",
            downtime="one restart",
            undo="bcdedit /set safeboot minimal",
            link=SAFE_MODE_LINK,
        ),
        *windows_script("win-toggle-safe-mode", "switch safe mode off"),
    ),
    links=(SAFE_MODE_LINK,),
    sources=("troubleshoot-rdp-safe-mode.md", "repair-script-library win-toggle-safe-mode"),
)
