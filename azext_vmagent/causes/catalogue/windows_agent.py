"""Scenario 1, Windows: the agent's two services do not run, or their program is old, gone or crashes.

Sources: learn.microsoft.com «Troubleshoot Azure Windows VM Agent issues», the checks of VMAssist
(Azure/azure-support-scripts), issues of Azure/WindowsVMAgent. None of it was seen on a Windows guest of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, System, Variant
from azext_vmagent.causes.signs import agent_says, guest_shows, health_report, inside
from azext_vmagent.facts.agent_log import Lifecycle
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.reading import AGENT_LOG, INSTANCE_VIEW, Facts
from azext_vmagent.facts.windows_facts import AGENT_SERVICES, LEAST_VERSION, is_older
from azext_vmagent.facts.windows_health_report import HealthReport, HealthService
from azext_vmagent.model import Reason, Scenario

ARTICLE = "troubleshoot/azure/virtual-machines/windows/windows-azure-guest-agent"
INSTALL = "azure/virtual-machines/extensions/agent-windows"
_ARTICLE_NAME = "windows-azure-guest-agent.md"
_VMASSIST = "VMAssist (Azure/azure-support-scripts)"
_REPORT = "microsoft/azserialconsole Known_Issues/Windows_Health_Info.md"

_INSTALL_AGAIN = Remedy(
    "if it does not stay up, install the agent again from its .msi file",
    effect="replaces a broken agent",
    link=f"{INSTALL}#manual-installation",
)


# -- the health report on the serial line ------------------------------------------------------------------------------


def _services(report: HealthReport, names: Iterable[str]) -> tuple[HealthService, ...]:
    return tuple(report.services[name] for name in names if name in report.services)


def _lists(*names: str) -> Callable[[HealthReport], bool]:
    """The report speaks of all these services, so that nothing found means that nothing is wrong with them."""

    def told(report: HealthReport) -> bool:
        return all(name in report.services and report.services[name].state for name in names)

    return told


def _stopped(report: HealthReport) -> Iterator[tuple[str, HealthService]]:
    for service in _services(report, AGENT_SERVICES):
        if service.running is False and service.start not in ("disabled", "manual"):
            ended = " after it had ended by itself (exit code 1067)" if service.exit_code == 1067 else ""
            yield f"the guest's own report: {service.name} is {service.state}{ended}", service


def _not_automatic(report: HealthReport) -> Iterator[tuple[str, HealthService]]:
    for service in _services(report, AGENT_SERVICES):
        if service.start in ("disabled", "manual"):
            yield f"the guest's own report: {service.name} is {service.state}, start type {service.start}", service


def _wmi_stopped(report: HealthReport) -> Iterator[tuple[str, HealthService]]:
    for service in _services(report, ("Winmgmt",)):
        if service.running is False:
            yield f"the guest's own report: {service.name} is {service.state}", service


# -- what the guest told -----------------------------------------------------------------------------------------------


def _manual(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """A service that runs now and will not after a restart."""
    windows = scene.facts.guest.windows if scene.facts.guest else None
    for name in AGENT_SERVICES:
        service = windows.services.get(name) if windows else None
        if service is not None and service.start in ("disabled", "manual"):
            what = f"{name} is {service.state or 'there'}, start type {service.start}"
            variant = "windows-agent-disabled" if service.start == "disabled" else ""
            yield Seen(Reason(what, scene.facts.guest_channel or "", name), name, variant)


def _old_in_view(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    vm = scene.facts.vm
    if vm is not None and vm.windows and is_older(vm.agent_version, LEAST_VERSION):
        what = f"the agent is version {vm.agent_version}; Azure supports {LEAST_VERSION} and newer"
        yield Seen(Reason(what, INSTANCE_VIEW, "instanceView.vmAgent.vmAgentVersion"))


def _version_in_view(facts: Facts) -> bool:
    """A silent agent's version is not shown."""
    return facts.vm is not None and facts.vm.agent is AgentStatus.READY and facts.vm.agent_version.count(".") == 3


def _version_told(facts: Facts) -> bool:
    return bool(facts.guest and facts.guest.complete and facts.guest.windows and facts.guest.windows.agent_version)


# -- a saved log -------------------------------------------------------------------------------------------------------


def _log_ends_stopped(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    log = scene.facts.agent_log
    if log is not None and log.windows and log.end is Lifecycle.STOPPED and log.end_line is not None:
        last = log.end_line
        yield Seen(Reason("the agent's log ends with its stop", AGENT_LOG, None, last.line, last.text, last.time))


def _old_in_log(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    log = scene.facts.agent_log
    if log is not None and log.windows and is_older(log.version, LEAST_VERSION):
        what = f"the agent is version {log.version}; Azure supports {LEAST_VERSION} and newer"
        yield Seen(Reason(what, AGENT_LOG, time=log.newest))


# -- the entries -------------------------------------------------------------------------------------------------------

STOPPED = KnownCause(
    code="W01",
    slug="windows-agent-stopped",
    title="The agent's service is stopped",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="The agent of a Windows VM is two services: RdAgent, which sends the heartbeat and installs the other, and "
    "WindowsAzureGuestAgent, which carries out extensions. Both must run. One of them was stopped by somebody, or "
    "ended and was not started again. Windows works as before, but Azure hears nothing from it or can run nothing.",
    looks_like=(
        "Get-Service RdAgent, WindowsAzureGuestAgent: Stopped",
        '{"exitCode":1067,"name":"WindowsAzureGuestAgent","startMode":"Auto","state":"Stopped"} on the serial log',
        "Remote Desktop and every other service of the VM work",
    ),
    not_to_confuse=(
        "W03: its start type is Manual or Disabled as well, so that it is gone after a restart, too.",
        "W14: its program crashes at every start.",
        "WindowsAzureTelemetryService may be stopped or not there: newer agents have it built in.",
    ),
    signs=(
        inside("service"),
        health_report(_stopped, _lists(*AGENT_SERVICES)),
        Sign(Need.AGENT_LOG, _log_ends_stopped),
    ),
    remedies=(
        Remedy(
            "start the agent (elevated PowerShell in the guest)",
            "Start-Service -Name {unit}",
            effect="the agent reports again within a few minutes",
            undo="Stop-Service -Name {unit}",
            link=ARTICLE,
        ),
        _INSTALL_AGAIN,
    ),
    links=(ARTICLE, INSTALL),
    sources=(f"{_ARTICLE_NAME} step 3", _REPORT, "MicrosoftDocs/azure-stack-docs#221", _VMASSIST),
)

NOT_INSTALLED = KnownCause(
    code="W02",
    slug="windows-agent-not-installed",
    title="The agent is not installed",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="There is neither an RdAgent nor a WindowsAzureGuestAgent service. So it is with disks that came from "
    "another place than the Azure Marketplace (a migrated server, an image of one's own), and after somebody removed "
    "the agent. The VM runs without it; Azure shows it Not Ready and can run no extension.",
    looks_like=(
        "Get-Service RdAgent: Cannot find any service with service name 'RdAgent'",
        r"there is no folder C:\WindowsAzure",
    ),
    not_to_confuse=(
        "P04: the VM was created without an agent on purpose (provisionVMAgent is false).",
        "W04: the services are there and name a program that is not.",
    ),
    signs=(inside("service"),),
    remedies=(
        Remedy(
            "install the agent from its .msi file; where nobody can log in, offline on a copy of the disk "
            "(az vm repair, run id win-GA-fix)",
            effect="Azure hears from the VM a few minutes later",
            link=f"{INSTALL}#manual-installation",
        ),
    ),
    links=(INSTALL, "troubleshoot/azure/virtual-machines/windows/install-vm-agent-offline"),
    sources=(_ARTICLE_NAME, _VMASSIST, "install-vm-agent-offline.md", "repair-script-library win-GA-fix"),
)

NOT_AUTOMATIC = KnownCause(
    code="W03",
    slug="agent-not-automatic",
    title="The agent's service is not started at boot",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="The start type of RdAgent or WindowsAzureGuestAgent is Manual or Disabled in place of Automatic: a "
    "hardening script, a policy or a person changed it. After the next restart nothing starts the agent; while it "
    "still runs, it works.",
    looks_like=(
        "Get-Service RdAgent | Format-List Name, StartType: Disabled",
        '{"name":"RdAgent","startMode":"Manual","state":"Stopped"} in the health report on the serial log',
    ),
    not_to_confuse=("W01: the start type is Automatic, and the service was only stopped.",),
    signs=(
        inside("service"),
        guest_shows(_manual, "service"),
        health_report(_not_automatic, _lists(*AGENT_SERVICES)),
    ),
    covers=("W01",),
    variants=(Variant("windows-agent-disabled", "The agent's service is disabled"),),
    remedies=(
        Remedy(
            "let Windows start the agent, and start it now (elevated PowerShell in the guest)",
            "Set-Service -Name {unit} -StartupType Automatic; Start-Service -Name {unit}",
            effect="the agent reports again within a few minutes, and after every restart",
            risk="a policy that set it may set it again",
            undo="Stop-Service -Name {unit}; Set-Service -Name {unit} -StartupType Disabled",
            link=ARTICLE,
        ),
        _INSTALL_AGAIN,
    ),
    links=(ARTICLE,),
    sources=(_VMASSIST, f"{_ARTICLE_NAME} step 3", _REPORT),
)

PATH_WRONG = KnownCause(
    code="W04",
    slug="agent-path-wrong",
    title="The agent's service names a program that is not there",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="A service has the path of its program in the registry (ImagePath). Here that file does not exist, or the "
    "value is empty: an update of the agent was broken off, its folder was moved or cleaned away, or the value was "
    "edited. Windows cannot start the service.",
    looks_like=(
        r"HKLM\SYSTEM\CurrentControlSet\Services\RdAgent ImagePath: C:\WindowsAzure\Packages_…\WaAppAgent.exe, no file",
        "Start-Service RdAgent: the system cannot find the file specified",
    ),
    not_to_confuse=("W02: the services themselves are gone.", "W14: the program is there and crashes."),
    signs=(inside("service"),),
    covers=("W01", "W03"),
    remedies=(
        Remedy(
            "install the agent again from its .msi file; where nobody can log in, offline on a copy of the disk "
            "(az vm repair, run id win-GA-fix)",
            effect="writes the program and its path anew",
            link=f"{INSTALL}#manual-installation",
        ),
    ),
    links=(INSTALL, "troubleshoot/azure/virtual-machines/windows/install-vm-agent-offline"),
    sources=(_VMASSIST, "repair-script-library GA_offlinefixer.ps1"),
)

STUCK_STOPPING = KnownCause(
    code="W05",
    slug="agent-stuck-stopping",
    title="The agent's service is stuck while stopping",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="The agent was told to stop (for an update, a restart of the service) while an extension was at work, and "
    "its process never ends. The service stays in Stopping: it cannot be started, and it does nothing.",
    looks_like=(
        "Get-Service WindowsAzureGuestAgent: StopPending",
        "[WARN] WindowsAzureGuestAgent could not be stopped. Exception: System.NullReferenceException",
    ),
    not_to_confuse=("W01: it has stopped, and can be started.", "L28: the Linux agent that runs and does nothing."),
    signs=(
        inside("service"),
        *agent_says(
            "could not be stopped",
            r"WindowsAzureGuestAgent could not be stopped",
            what="the agent could not be stopped",
            recovered_by="WindowsAzureGuestAgent starting",
            on_console=False,
        ),
    ),
    remedies=(
        Remedy(
            "end the stuck process; RdAgent starts the agent again (elevated PowerShell in the guest)",
            "Start-Service -Name RdAgent; Start-Sleep -Seconds 300; Stop-Process -Name WindowsAzureGuestAgent -Force",
            effect="the agent reports again within a few minutes",
            link=ARTICLE,
        ),
        _INSTALL_AGAIN,
    ),
    links=(ARTICLE,),
    sources=(_ARTICLE_NAME,),
)

CRASHES = KnownCause(
    code="W14",
    slug="windows-agent-crashes",
    title="The agent's program crashes",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="WaAppAgent.exe or WindowsAzureGuestAgent.exe ended with an error that nobody caught, and Windows' event log "
    "has it. Often .NET, on which the agent is built, is damaged, or another product's library was loaded into it.",
    looks_like=(
        "Application log, event 1000: Faulting application name: WindowsAzureGuestAgent.exe",
        "Application log, event 1026 (.NET Runtime): The process was terminated due to an unhandled exception",
        "System log, event 7031 or 7034: the Windows Azure Guest Agent service terminated unexpectedly",
    ),
    not_to_confuse=(
        "W10: the exception is ConfigurationErrorsException: machine.config is broken.",
        "W15: a build of the agent that does not fit Windows Server 2008 R2.",
        "W01: it was stopped; an event 7036 only says so.",
    ),
    signs=(inside("service", "events"),),
    covers=("W01",),
    remedies=(
        Remedy(
            "see why it crashes",
            "Get-WinEvent -MaxEvents 5 -FilterHashtable @{LogName='Application'; Id=1000,1026} | "
            "Format-List TimeCreated, Message",
            effect="shows the error",
            link=ARTICLE,
        ),
        _INSTALL_AGAIN,
    ),
    links=(ARTICLE,),
    sources=(_VMASSIST,),
)

BUILD_TOO_NEW = KnownCause(
    code="W15",
    slug="agent-build-for-newer-windows",
    title="This build of the agent does not run on this old Windows",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="The agent updates itself. Some builds call what Windows Server 2008 R2 (build 7601) does not have, and end "
    "right after they start: 2.7.41491.1018 could not install its service, 2.7.41491.1193 cannot load a library. The "
    "agent worked until the day of the update.",
    looks_like=(
        "event 1026: Exception Info: Microsoft.WindowsAzure.GuestAgent.Core.ServiceInstallFailedException",
        "event 1026: System.DllNotFoundException at …RustWrapper.RustCommonWrapper.init_lib",
        r"C:\Windows\system32\KERNELBASE.dll, version 6.1.7601.… as the faulting module",
    ),
    not_to_confuse=("W14: another exception, or a newer Windows.", "W10: ConfigurationErrorsException."),
    signs=(inside("service", "events"),),
    covers=("W14", "W01"),
    remedies=(
        Remedy(
            "install the build before it from its .msi file, or a newer one that says that it fits this Windows",
            effect="the agent works until it updates itself to the same build again",
            link=f"{INSTALL}#manual-installation",
        ),
        Remedy(
            "upgrade Windows: the support of Windows Server 2008 R2 has ended",
            effect="the only lasting way",
            risk="an upgrade in place can fail: take a snapshot of the disk first",
            downtime="hours",
        ),
    ),
    links=(INSTALL,),
    sources=("Azure/WindowsVMAgent#8", "Azure/WindowsVMAgent#20"),
)

TOO_OLD = KnownCause(
    code="W16",
    slug="windows-agent-too-old",
    title="The agent is older than what Azure supports",
    system=System.WINDOWS,
    means=f"Azure supports versions {LEAST_VERSION} and newer. An older agent may work for years, but new extensions "
    "fail with it, and an agent that does not update itself is often one that is broken in other ways.",
    looks_like=("vmAgentVersion 2.7.41491.949 in the instance view", "Agent version 2.6.1198.718 in the portal"),
    not_to_confuse=("W15: an agent that is too new for an old Windows.",),
    signs=(
        Sign(Need.VM_MODEL, _old_in_view, _version_in_view),
        Sign(Need.GUEST, inside().look, _version_told),
        Sign(Need.AGENT_LOG, _old_in_log),
    ),
    remedies=(
        Remedy(
            "install the newest agent from its .msi file",
            effect="it updates itself from then on",
            link=f"{INSTALL}#manual-installation",
        ),
    ),
    links=("troubleshoot/azure/virtual-machines/windows/support-extensions-agent-version", INSTALL),
    sources=(_VMASSIST, "support-extensions-agent-version.md"),
)

DRIVE_FULL = KnownCause(
    code="W18",
    slug="system-drive-full",
    title="The system drive is full",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="Less than 100 MB are free on the system drive. The agent writes goal states, extensions and logs there; "
    "without room its files end in the middle, updates fail, and Windows itself becomes unreliable.",
    looks_like=("Get-PSDrive C: Free 0.05 GB", "There is not enough space on the disk"),
    not_to_confuse=("L16: the same on Linux.",),
    signs=(inside("disk"),),
    remedies=(
        Remedy(
            "see what fills the drive",
            r"Get-ChildItem C:\ -Directory -Force | Select-Object FullName, @{n='MB'; e={[int]((Get-ChildItem "
            "$_.FullName -Recurse -Force -ErrorAction SilentlyContinue | Measure-Object Length -Sum).Sum / 1MB)}}",
            effect="lists the folders with their sizes; reads only",
        ),
        Remedy(
            "free room, or expand the OS disk and its partition",
            effect="the agent goes on by itself",
            risk="deleted files are gone: take a snapshot of the disk first",
            link="azure/virtual-machines/windows/expand-disks",
        ),
    ),
    links=("azure/virtual-machines/windows/expand-disks",),
    sources=(_VMASSIST,),
)

WMI_STOPPED = KnownCause(
    code="W23",
    slug="wmi-stopped",
    title="Windows Management Instrumentation does not run",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="The agent and many extensions ask Windows about itself through WMI (service Winmgmt). It is stopped: the "
    "agent may not start, cannot be installed, and extensions fail in odd ways.",
    looks_like=(
        "Get-Service Winmgmt: Stopped",
        '{"name":"Winmgmt","state":"Stopped"} in the health report on the serial log',
    ),
    not_to_confuse=("W12: the service runs, and what it holds is damaged.",),
    signs=(inside("service"), health_report(_wmi_stopped, _lists("Winmgmt"))),
    remedies=(
        Remedy(
            "start WMI (elevated PowerShell in the guest)",
            "Set-Service -Name Winmgmt -StartupType Automatic; Start-Service -Name Winmgmt",
            effect="the agent and extensions can ask Windows again",
            undo="Stop-Service -Name Winmgmt -Force",
            link=ARTICLE,
        ),
    ),
    links=(ARTICLE,),
    sources=(_VMASSIST,),
)
