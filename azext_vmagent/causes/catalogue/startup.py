"""Scenario 4, Linux: init and what it starts; shutdowns; what the console's own words are worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from azext_vmagent.causes.known_cause import Kind as Nature
from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, System, Where
from azext_vmagent.causes.known_cause import Variant as V
from azext_vmagent.causes.offline_repair import LINUX, RESTART, RESTORE, alar, at_boot_menu, by_hand
from azext_vmagent.causes.signs import serial_boot, serial_line, serial_words
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import INSTANCE_VIEW, SERIAL_LOG, Facts
from azext_vmagent.facts.serial_log import Outlook, SerialEvent, SerialLogFacts, SerialState
from azext_vmagent.facts.serial_signature import SYSTEMD, Kind, signature
from azext_vmagent.model import Reason, Scenario

_SELINUX_LINK = LINUX + "linux-selinux-troubleshooting"
_FULL_LINK = LINUX + "linux-fulldisk-boot-error"
_BOOT_LINK = LINUX + "boot-error-troubleshoot-linux"
_CONSOLE_LINK = LINUX + "serial-console-linux"

SELINUX = KnownCause(
    code="B19",
    slug="selinux-policy-load-failed",
    title="SELinux is enforced and its policy cannot be loaded: init stops",
    scenario=Scenario.OS_NOT_RUNNING,
    means="SELinux is set to enforcing, and the policy that /etc/selinux/config names is not there or damaged. A "
    "usual slip is SELINUXTYPE=disabled, where SELINUX=disabled was meant. systemd then freezes before it "
    "starts anything.",
    looks_like=(
        "systemd[1]: Failed to load SELinux policy. Freezing.",
        "[!!!!!!] Failed to load SELinux policy, freezing.",
    ),
    not_to_confuse=(
        "B28: systemd froze for another reason.",
        "B08: init dies of wrong SELinux labels.",
        "«Warning -- SELinux targeted policy relabel is required»: the boot is busy labelling, which can take hours.",
        "«+SELINUX» in systemd's first line tells how it was built.",
    ),
    signs=(serial_boot(),),
    signatures=(
        signature(
            Kind.CAUSE,
            "SELinux",
            r"(?:^|\] |: )Unable to load SELinux Policy\. Machine is in enforcing mode",
            "init could not load the SELinux policy",
            "B19 selinux-policy-load-failed",
            15,
        ),
    ),
    covers=("B08", "B28"),
    remedies=(
        at_boot_menu(
            "add selinux=0 to the line that begins with linux; then correct SELINUX= and SELINUXTYPE= in "
            "/etc/selinux/config"
        ),
        *by_hand(
            "correct SELINUX= and SELINUXTYPE= (targeted, minimum or mls) in /etc/selinux/config", link=_SELINUX_LINK
        ),
    ),
    links=(_SELINUX_LINK,),
    sources=("linux-selinux-troubleshooting.md", "systemd core/selinux-setup.c", "gcloud compute diagnose"),
)

AUDIT_HALT = KnownCause(
    code="B21",
    slug="auditd-halt",
    title="The audit daemon switches the VM off, because it cannot write its log",
    scenario=Scenario.OS_NOT_RUNNING,
    means="Hardening often tells auditd to halt the machine where it cannot write its log (disk_full_action = HALT "
    "in /etc/audit/auditd.conf). With /var/log/audit full every boot ends right after auditd was started, and "
    "Azure shows the VM as stopped.",
    looks_like=(
        "Starting Security Auditing Service... and right after it «reboot: Power down»",
        "auditd[700]: The audit daemon is now halting the system",
        "PowerState/stopped, minutes after a start",
    ),
    not_to_confuse=(
        "B37: auditd was started well, and somebody shut the guest down.",
        "B22: the disk is full and the boot fails without a shutdown.",
    ),
    signs=(serial_boot(settled_by_a_prompt=False),),
    signatures=(
        signature(
            Kind.CAUSE,
            "uditd[",
            r"(?:^|\] |: )auditd\[\d+\]: .{0,120}(?:halting the system|no space left on the logging"
            r"|Audit daemon is low on disk space for logging|[Uu]nable to write .{0,40}audit)",
            "auditd cannot write its log",
            "B21 auditd-halt",
            19,
        ),
    ),
    covers=("B37",),
    remedies=(
        *alar(
            "auditd",
            "replace HALT by SYSLOG in /etc/audit/auditd.conf (the old file is kept beside it)",
            "changes the VM's security settings: put them back once there is room",
        ),
        Remedy(
            "then free /var/log/audit or enlarge it, and put disk_full_action and its relatives back",
            where=Where.ANYWHERE,
            effect="the next full disk is noticed, and the rule holds again",
            link=_FULL_LINK,
        ),
    ),
    links=(_FULL_LINK, LINUX + "repair-linux-vm-using-alar"),
    sources=("linux-fulldisk-boot-error.md, scenario 1", "auditd.conf(5)", "gcpdiag"),
)

SYSTEMD_FROZE = KnownCause(
    code="B28",
    slug="systemd-froze",
    title="The first program (systemd) froze",
    scenario=Scenario.OS_NOT_RUNNING,
    means="systemd met an error that it cannot handle (a crash of its own, no target to boot, a file system such as "
    "/sys or cgroups that cannot be mounted) and stopped doing anything. The kernel lives and may still "
    "answer a ping; nothing is started, stopped or restarted any more.",
    looks_like=(
        "systemd[1]: Freezing execution.",
        "[!!!!!!] Failed to mount API filesystems.",
        "systemd[1]: Caught <SEGV>, dumped core as pid 812.",
        "systemd[1]: Failed to isolate default target, freezing: Unit default.target not found.",
    ),
    not_to_confuse=(
        "B19: it froze because the SELinux policy does not load.",
        "B02: it lives and opened a maintenance shell.",
        "«Freezing user space processes» belongs to a suspend of the machine.",
    ),
    signs=(serial_boot(),),
    signatures=(
        signature(
            Kind.STOPPER,
            "target",
            SYSTEMD + r"Failed to (?:load|start) (?:default|rescue|fallback) target",
            "systemd has no target to boot",
            "B28 no-default-target",
            30,
        ),
        signature(
            Kind.PANIC,
            "aught <",
            SYSTEMD
            + r"Caught <(?P<culprit>[A-Z]{3,8})>(?:, dumped core as pid| from |, core dump failed|, cannot fork|,"
            r" not dumping core)",
            "systemd crashed",
            "B28 systemd-crashed",
            55,
        ),
        signature(
            Kind.PANIC,
            "[!!!!!!] ",
            r"^\[!!!!!!\] (?P<culprit>(?!Freezing|Failed to load SELinux|Failed to isolate).{1,120}?)[.,]?$",
            "systemd gave up at its own start",
            "B28 systemd-gave-up",
            58,
        ),
    ),
    variants=(
        V("no-default-target", "The first program (systemd) has no target to boot"),
        V("systemd-crashed", "The first program (systemd) crashed and froze"),
        V("systemd-gave-up", "The first program (systemd) gave up at its own start"),
    ),
    remedies=(
        RESTART,
        at_boot_menu("add systemd.unit=multi-user.target to the line that begins with linux, or start an older kernel"),
        *by_hand("check /etc/systemd/system/default.target and the systemd packages", link=_BOOT_LINK),
        RESTORE,
    ),
    links=(_BOOT_LINK,),
    sources=("systemd core/main.c, core/manager.c", "mantle checks"),
)

_WHAT_MATTERS = (
    r"(?i:[^\"']{0,80}?(?:network|wicked|netplan|cloud-init|cloud-config|azure linux agent|wa(?:linux)?agent|local-fs"
    r"|local file system|sysinit|basic\.target|multi-user|getty|login prompts|sshd|openssh|d-?bus|udev)[^\"']{0,80}?)"
)

ORDERING_CYCLE = KnownCause(
    code="B29",
    slug="ordering-cycle",
    title="A unit was left out of the boot, because units wait for one another in a circle",
    scenario=Scenario.OS_NOT_RUNNING,
    means="Units that were added or changed (After=, Before=, a mount in /etc/fstab with x-systemd options) wait "
    "for one another in a circle. systemd breaks it by leaving one of them out of this boot: it may be the "
    "agent, the network or cloud-init, and another one at the next boot.",
    looks_like=(
        "[ SKIP ] Ordering cycle found, skipping Network Manager",
        "systemd[1]: Job walinuxagent.service/start deleted to break ordering cycle starting with …",
        "systemd[1]: Breaking ordering cycle by deleting job network.target/start",
    ),
    not_to_confuse=(
        "L02: the unit is not enabled.",
        "A unit that has nothing to do with network, agent and login was left out: no reason for a silent agent.",
    ),
    signs=(
        serial_line(
            "rdering cycle found, skipping",
            r"^(?:\[ {0,2}SKIP {0,2}\] {0,2})?Ordering cycle found, skipping (?P<culprit>" + _WHAT_MATTERS + r")\.?$",
            "systemd left a unit out to break a cycle",
        ),
        serial_line(
            "rdering cycle",
            SYSTEMD
            + r"(?:\S{1,120}: )?(?:Job (?P<culprit>"
            + _WHAT_MATTERS
            + r")/start deleted to break ordering cycle"
            r"|Breaking ordering cycle by deleting job )",
            "systemd left a unit out to break a cycle",
        ),
    ),
    remedies=(
        Remedy(
            "see which units form the circle",
            "journalctl -b -o cat | grep -i 'ordering cycle'",
            effect="names the units; the one that was added or changed last is the one to mend",
        ),
        Remedy(
            "mend After= and Before= of the unit that was added last (systemctl edit), then restart the VM",
            where=Where.ANYWHERE,
            effect="no unit is left out any more",
            downtime="one reboot",
        ),
    ),
    links=(_BOOT_LINK,),
    sources=("systemd core/transaction.c", "mantle checks"),
)


def _speechless(serial: SerialLogFacts) -> bool:
    """The log is empty or ends with firmware and boot loader: no kernel, no service, no prompt."""
    if serial.state is SerialState.EMPTY:
        return True
    boot = serial.newest
    quiet = serial.state in (SerialState.UNKNOWN, SerialState.BOOTING, SerialState.GRUB, SerialState.FIRMWARE)
    spoke = serial.uptime is not None or serial.prompt is not None or serial.agent or serial.network
    if boot is None or not quiet or spoke:
        return False
    services = boot.search("  OK  ] ", r"\[ {1,3}OK {1,3}\] ") or boot.search("Linux version ", r"Linux version \d")
    return not services


def _silent_console(alive: str) -> Iterator[Seen]:
    what = f"the serial log shows no kernel and no service, yet {alive}"
    yield Seen(Reason(what, SERIAL_LOG))


def _greets(scene: Scene, _cause: KnownCause) -> Iterable[Seen]:
    serial, port = scene.facts.serial, scene.facts.port
    if serial is None or port is None or port.outcome is not PortOutcome.GREETING or not _speechless(serial):
        return ()
    return _silent_console(f"{port.greeting or 'its server'} answers on port {port.port}")


def _answers_inside(scene: Scene, _cause: KnownCause) -> Iterable[Seen]:
    serial, guest = scene.facts.serial, scene.facts.guest
    if serial is None or guest is None or guest.windows is not None or not _speechless(serial):
        return ()
    return _silent_console("the guest answers")


NO_CONSOLE = KnownCause(
    code="B35",
    slug="serial-console-not-configured",
    title="The guest writes nothing to its serial console",
    kind=Nature.OBSTACLE,
    means="The kernel command line lacks console=ttyS0 (or GRUB lacks its serial terminal), as in images made "
    "elsewhere. Boot diagnostics and the serial console stay empty, so that the next boot failure cannot be "
    "seen. The agent is not hurt by it.",
    looks_like=(
        "the serial log is empty, or ends at GRUB, while SSH works",
        "the serial console shows nothing and takes no key",
    ),
    not_to_confuse=(
        "P12: boot diagnostics is off, so there is no log at all.",
        "B17: the firmware found nothing to boot and speaks on the screen only: SSH does not work either.",
        "B16: GRUB's prompt, and SSH does not work.",
    ),
    signs=(
        Sign(Need.PORT, _greets),
        Sign(Need.GUEST, _answers_inside),
        Sign(Need.SERIAL_LOG, lambda _scene, _cause: (), lambda facts: not _speechless(_of(facts))),
    ),
    remedies=(
        Remedy(
            "in the guest, RHEL and its kin: grubby --update-kernel=ALL --args='console=tty0 console=ttyS0,115200n8'; "
            "others: add both to GRUB_CMDLINE_LINUX in /etc/default/grub and run update-grub (Debian, Ubuntu) or "
            "grub2-mkconfig -o /boot/grub2/grub.cfg (SUSE, Azure Linux); then restart",
            where=Where.ANYWHERE,
            effect="the kernel and a login prompt appear on the serial console",
            downtime="one reboot",
            link=_CONSOLE_LINK,
        ),
        *alar("serialconsole", "set up the serial console for kernel and GRUB"),
    ),
    links=(_CONSOLE_LINK, LINUX + "repair-linux-vm-using-alar"),
    sources=("Azure/ALAR README", "serial-console-linux.md"),
)


def _of(facts: Facts) -> SerialLogFacts:
    assert facts.serial is not None, "asked only where there is a log"
    return facts.serial


def _failed_before(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """A failure of an older boot that is still in the log, where the newest boot came up."""
    serial = scene.facts.serial
    if serial is None or serial.outlook is not Outlook.HEALTHY:
        return
    for event in _failures(serial.earlier)[-2:]:
        what = f"an earlier boot failed ({event.meaning}); the newest one, from line {serial.boot_line} on, did not"
        yield Seen(Reason(what, SERIAL_LOG, "an earlier boot", event.line, event.text), event.culprit)


def _failures(events: Iterable[SerialEvent]) -> list[SerialEvent]:
    return [event for event in events if event.code and event.code not in ("B39", "B40")]


def _all_boots_well(facts: Facts) -> bool:
    """Every boot that is in the log, from its beginning, came up."""
    serial = facts.serial
    return serial is not None and serial.outlook is Outlook.HEALTHY and not _failures(serial.earlier)


STALE = KnownCause(
    code="B36",
    slug="failure-of-earlier-boot",
    title="The serial log shows a failure of an earlier boot: the newest one came up",
    kind=Nature.BENIGN,
    system=System.BOTH,
    means="Azure keeps the last part of the console's text, and with it several boots. A failure above the newest "
    "boot was cured since, as the newest boot shows: it is history and no reason for a silent agent now.",
    looks_like=("«You are in emergency mode» or «Kernel panic», and further down a new boot with a login prompt",),
    not_to_confuse=(
        "B02: the newest boot itself stops, for this or another reason.",
        "A panic after the login prompt of the same boot is no history.",
    ),
    signs=(Sign(Need.SERIAL_LOG, _failed_before, _all_boots_well),),
    sources=("gcloud compute diagnose, which looks at the last boot only", "laboratory, fault fstab cured"),
)


def asked_from_outside(serial: SerialLogFacts) -> bool:
    """Hyper-V asked for the shutdown, as it does for «az vm stop» and «az vm deallocate»."""
    boot = serial.newest
    return boot is not None and bool(boot.search("hutdown request received", r"hv_utils: Shutdown request received"))


def _went_off(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
    """The newest boot switched the machine off, and nobody outside is known to have asked for it."""
    serial = scene.facts.serial
    if serial is None or asked_from_outside(serial):
        return
    for event in serial.deciding:
        if event.code == cause.code:
            yield Seen(Reason(event.meaning, SERIAL_LOG, None, event.line, event.text))


def _stopped_by_itself(scene: Scene, _cause: KnownCause) -> Iterable[Seen]:
    """Azure says stopped, which is not deallocated, and the console ends within a shutdown."""
    serial, vm = scene.facts.serial, scene.facts.vm
    if serial is None or vm is None or vm.power != "stopped" or asked_from_outside(serial):
        return ()
    if serial.state is not SerialState.SHUTTING_DOWN:
        return ()
    what = "Azure shows the VM as stopped, and its console ends in a shutdown"
    return (Seen(Reason(what, INSTANCE_VIEW, "instanceView.statuses", excerpt=serial.last_line or None)),)


SHUT_DOWN = KnownCause(
    code="B37",
    slug="guest-shut-itself-down",
    title="The guest OS shut itself down",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The guest ended in an orderly shutdown from inside: a person typed shutdown, a script or a scheduled job "
    "did, or a service was told to (auditd, an UPS, a cluster's fence). Azure shows «stopped» and goes on "
    "charging for it, since it is not deallocated. A stop from Azure's side ends in the same lines; a kernel "
    "that prints its notes then says before them that Hyper-V asked for it.",
    looks_like=(
        "reboot: Power down",
        "systemd-shutdown[1]: Powering off.",
        "PowerState/stopped",
    ),
    not_to_confuse=(
        "P01: the VM was stopped from Azure's side: «hv_utils: Shutdown request received», and the Activity Log.",
        "B21: auditd does it in every boot, because its disk is full.",
        "«reboot: Restarting system»: a restart; the next boot follows.",
    ),
    signs=(Sign(Need.SERIAL_LOG, _went_off), Sign(Need.VM_MODEL, _stopped_by_itself)),
    remedies=(
        Remedy(
            "start the VM",
            "az vm start {vm}",
            where=Where.AZ,
            effect="the guest boots; the agent reports a few minutes later",
            downtime="none",
        ),
        Remedy(
            "find who shut it down",
            "journalctl -b -1 -e | tail -n 50; last -x shutdown reboot | head",
            effect="names the user, the job or the service",
        ),
    ),
    links=("azure/virtual-machines/states-billing", _FULL_LINK),
    sources=("Linux kernel/reboot.c", "linux-fulldisk-boot-error.md"),
)


def _prompt(scene: Scene, _cause: KnownCause) -> Iterable[Seen]:
    serial = scene.facts.serial
    if serial is None or serial.prompt is None:
        return ()
    return (
        Seen(
            Reason("the newest boot reached a login prompt", SERIAL_LOG, None, serial.prompt.line, serial.prompt.text)
        ),
    )


def _failed_before_a_prompt(facts: Facts) -> bool:
    serial = facts.serial
    if (
        serial is None or serial.newest is None or not serial.newest.has_start
    ):  # a prompt may have been cut off with the beginning
        return False
    return serial.outlook is Outlook.NOT_BOOTED and serial.prompt is None


LOGIN_PROMPT = KnownCause(
    code="B39",
    slug="login-prompt-present",
    title="The newest boot reached a login prompt: the OS did boot",
    kind=Nature.STATE,
    means="A login prompt after the beginning of the newest boot shows that kernel, disk and init work, which "
    "speaks against scenario 4. It says nothing about now: a network that was taken down later, a stopped "
    "agent and a machine that stands still since all look the same.",
    looks_like=("web-03 login:", "the same with kernel messages after it on the line"),
    not_to_confuse=(
        "«[  OK  ] Reached target Login Prompts» is also printed by boots that fail.",
        "«Last login:» and a unit called «User Login Management» are no prompts.",
        "B36: the prompt belongs to an earlier boot.",
    ),
    signs=(Sign(Need.SERIAL_LOG, _prompt, _failed_before_a_prompt),),
    sources=("agetty", "laboratory, healthy"),
)

AGENT_SPOKE = KnownCause(
    code="B40",
    slug="agent-reached-provisioning",
    title="The agent spoke on the console in this boot: it was started",
    kind=Nature.STATE,
    means="The agent writes its first steps to the console and then says that it goes on silently. So it was "
    "installed, started, and came past provisioning in this boot. Later boots of an agent from 2.2.53 on are "
    "silent on the console: nothing follows from a log without its lines.",
    looks_like=(
        "INFO Daemon Daemon End of log to /dev/console. The agent will now check for updates and then will process "
        "extensions.",
        "… Output to /dev/console will be suspended during those operations.",
    ),
    not_to_confuse=("L01: it may have been stopped since.", "L28: it may be stuck since."),
    signs=(serial_words("agent"),),
    signatures=(
        signature(
            Kind.AGENT,
            "/dev/console",
            r"Output to /dev/console will be suspended during those operations",
            "the agent goes on silently: normal",
            "B40 agent-reached-provisioning",
        ),
    ),
    sources=("WALA daemon/main.py, agent.py", "laboratory, healthy"),
)
