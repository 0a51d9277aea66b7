"""Windows: the agent's services run, and something that they stand on is broken.

Sources: learn.microsoft.com «Troubleshoot Azure Windows VM Agent issues», VMAssist (Azure/azure-support-scripts). None
of it was seen on a Windows guest of our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from azext_vmagent.causes.known_cause import KnownCause, Remedy, Scene, Seen, System, Where
from azext_vmagent.causes.signs import agent_says, guest_shows, inside
from azext_vmagent.model import Reason, Scenario

ARTICLE = "troubleshoot/azure/virtual-machines/windows/windows-azure-guest-agent"
_ARTICLE_NAME = "windows-azure-guest-agent.md"
_VMASSIST = "VMAssist (Azure/azure-support-scripts)"

_RESTART = "Restart-Service -Name RdAgent, WindowsAzureGuestAgent"


def _thirty_two_bit(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    windows = scene.facts.guest.windows if scene.facts.guest else None
    if windows is not None and windows.enable_64bit == 0:
        key = r"HKLM\SOFTWARE\Microsoft\.NETFramework\Enable64Bit"
        yield Seen(Reason(f"{key} is 0", scene.facts.guest_channel or "", key), key)


def _broken_config(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    windows = scene.facts.guest.windows if scene.facts.guest else None
    if windows is not None and windows.machine_config not in ("", "ok"):
        what = f"machine.config is {windows.machine_config}"
        yield Seen(Reason(what, scene.facts.guest_channel or "", "machine.config"), "machine.config")


#: what WMI answers when its classes or its repository are damaged, as text (MOF of WbemError) or as a number
_WMI_DAMAGED = re.compile(
    r"(?i)invalid (?:class|namespace)|provider load failure|initialization failure|generic failure"
    r"|0x8004100E|0x80041010|0x80041013|0x80041014"
)


def _wmi_damaged(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """A question to WMI ended with an error although its service runs."""
    windows = scene.facts.guest.windows if scene.facts.guest else None
    if windows is None or not windows.runs("Winmgmt"):
        return
    for name, why in windows.failed.items():
        if _WMI_DAMAGED.search(why):
            yield Seen(Reason(f"WMI answers: {why}", scene.facts.guest_channel or "", name, excerpt=why), "Winmgmt")


NPCAP = KnownCause(
    code="W06",
    slug="npcap-loopback",
    title="The agent looks for its host on Npcap's loopback adapter",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    system=System.WINDOWS,
    means="Wireshark and Nmap install Npcap, a driver that captures packets, with a loopback adapter of its own. The "
    "agent asks each adapter by DHCP where its host is, gets nothing from this one, and gives up.",
    looks_like=("[ERROR] Did not discover fabric address on interface Npcap Loopback Adapter",),
    not_to_confuse=("W20: the host's address is known and a filter keeps the agent from it.",),
    signs=agent_says(
        "Npcap Loopback Adapter",
        r"Did not discover fabric address on interface (?P<culprit>Npcap Loopback Adapter)",
        what="the agent did not find its host through Npcap's loopback adapter",
        recovered_by="Discovered fabric address",
        on_console=False,
    ),
    remedies=(
        Remedy(
            "disable Npcap's loopback adapter, then restart the agent (elevated PowerShell in the guest)",
            f"Get-NetAdapter -InterfaceDescription 'Npcap Loopback*' | Disable-NetAdapter -Confirm:$false; {_RESTART}",
            effect="the agent asks the other adapters alone",
            risk="Wireshark no longer sees what the VM sends to itself",
            undo="Get-NetAdapter -InterfaceDescription 'Npcap Loopback*' | Enable-NetAdapter",
            link=ARTICLE,
        ),
    ),
    links=(ARTICLE,),
    sources=(_ARTICLE_NAME,),
)

DOTNET_32_BIT = KnownCause(
    code="W09",
    slug="dotnet-32-bit",
    title="Windows loads 64-bit .NET programs as 32-bit ones",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="The registry value Enable64Bit of .NET is 0: some installer asked for 32-bit programs. The agent is a "
    "64-bit program that then loads 32-bit libraries, and fails as soon as it unpacks an extension.",
    looks_like=(
        "[ERROR] InstallPlugins() failed with exception: … System.BadImageFormatException … 0x8007000B",
        r"HKLM\SOFTWARE\Microsoft\.NETFramework Enable64Bit: 0",
    ),
    not_to_confuse=("W10: .NET's machine.config is broken.",),
    signs=(
        *agent_says("BadImageFormatException", what="the agent loads a 32-bit library", on_console=False),
        guest_shows(_thirty_two_bit, ".NET"),
    ),
    remedies=(
        Remedy(
            "let .NET load 64-bit programs, then restart the VM (elevated PowerShell in the guest)",
            r"Set-ItemProperty -Path HKLM:\SOFTWARE\Microsoft\.NETFramework -Name Enable64Bit -Value 1",
            effect="after the restart the agent works again",
            risk="a program that relies on the old value may stop working",
            downtime="one restart",
            undo=r"Set-ItemProperty -Path HKLM:\SOFTWARE\Microsoft\.NETFramework -Name Enable64Bit -Value 0",
            link=ARTICLE,
        ),
    ),
    links=(ARTICLE,),
    sources=(_ARTICLE_NAME,),
)

MACHINE_CONFIG = KnownCause(
    code="W10",
    slug="machine-config-broken",
    title="The machine.config of .NET is missing or broken",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="Every .NET program reads machine.config of its .NET version when it starts. The file is gone or is no "
    "well-formed XML any more, so that the agent, and every other .NET program, ends before it did anything.",
    looks_like=(
        "event 1026: Exception Info: System.Configuration.ConfigurationErrorsException",
        "System.TypeInitializationException at Microsoft.WindowsAzure.GuestAgent.Prime.TraceManager.Write",
        r"C:\Windows\Microsoft.NET\Framework64\v4.0.30319\Config\machine.config is missing",
    ),
    not_to_confuse=("W11: the file is whole, and names a library for profiling that is not there.",),
    signs=(
        inside("service", "events"),
        guest_shows(_broken_config, ".NET"),
        *agent_says(
            "ConfigurationErrorsException",
            r"ConfigurationErrorsException(?!.{0,200}ServiceModelSink)",
            what="the agent cannot read .NET's configuration",
            on_console=False,
        ),
    ),
    covers=("W14",),
    remedies=(
        Remedy(
            "copy machine.config from a working VM of the same .NET version, then start RdAgent and the agent",
            effect="the agent can read its configuration again",
            link=ARTICLE,
        ),
    ),
    links=(ARTICLE,),
    sources=(_ARTICLE_NAME,),
)

WCF_PROFILING = KnownCause(
    code="W11",
    slug="wcf-profiling",
    title="WCF profiling is on and its library is not there",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="Visual Studio's profiling of Windows Communication Foundation puts a behaviour into machine.config. It was "
    "left on, and the library that it names is not there for the agent, which ends as soon as it starts.",
    looks_like=(
        "System.Configuration.ConfigurationErrorsException: The type "
        "'Microsoft.VisualStudio.Diagnostics.ServiceModelSink.Behavior …' … could not be loaded",
        "System log, events 7031 and 7034 for RdAgent or WindowsAzureGuestAgent",
    ),
    not_to_confuse=(
        "W10: machine.config itself is broken.",
        "Profiling that is on while the agent works: it slows .NET down and is no cause.",
    ),
    signs=(
        inside("service", "events"),
        *agent_says("ServiceModelSink", what="the agent cannot load WCF's profiling library", on_console=False),
    ),
    covers=("W10", "W14"),
    remedies=(
        Remedy(
            "take ServiceModelSink.Behavior out of machine.config (keep a copy), then start both services",
            effect="the agent can read its configuration again",
            risk="machine.config serves every .NET program: take out nothing else",
            link=ARTICLE,
        ),
    ),
    links=(ARTICLE,),
    sources=(_ARTICLE_NAME, _VMASSIST),
)

WMI_DAMAGED = KnownCause(
    code="W12",
    slug="wmi-damaged",
    title="Windows Management Instrumentation is damaged",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="WMI runs, but what it knows (its classes, its repository) is damaged. The agent's installer reads and "
    "writes the registry through WMI's StdRegProv, so that the agent cannot be installed or updated, and "
    "some extensions fail.",
    looks_like=(
        "Product: Windows Azure VM Agent -- Error 1722 … InstallOrUpdateGA.vbs (MSI log)",
        "Setting the new RdAgent service path in registry failed. 424 Object required (VmAgentInstaller.xml)",
        "Get-CimInstance: Invalid class, Invalid namespace or Provider load failure",
    ),
    not_to_confuse=("W23: the service Winmgmt does not run at all.",),
    signs=(
        guest_shows(_wmi_damaged, "exit codes", "service"),
        *agent_says("InstallOrUpdateGA.vbs", what="the agent's installer script failed", on_console=False),
        *agent_says(
            "Setting the new RdAgent service path in registry failed",
            what="the agent's installer cannot write the registry through WMI",
            on_console=False,
        ),
    ),
    covers=("W02",),
    remedies=(
        Remedy(
            "test WMI's access to the registry (elevated PowerShell in the guest)",
            "Invoke-CimMethod -ClassName StdRegProv -MethodName GetDWORDValue -Arguments "
            r"@{sSubKeyName='SYSTEM\CurrentControlSet\Services\Winmgmt'; sValueName='Start'}; winmgmt.exe "
            "/verifyrepository",
            effect="reads only",
            link=ARTICLE,
        ),
        Remedy(
            "keep a copy of WMI's repository, then let Windows mend it (elevated PowerShell in the guest)",
            r"Copy-Item -Recurse C:\Windows\System32\wbem\repository C:\Windows\System32\wbem\repository.bak; "
            "winmgmt.exe /salvagerepository",
            effect="rebuilds the repository where it is inconsistent; then install the agent again",
            risk="programs may have to register their classes anew",
            link=ARTICLE,
        ),
    ),
    links=(ARTICLE,),
    sources=(_ARTICLE_NAME, _VMASSIST),
)

FOLDER_RIGHTS = KnownCause(
    code="W17",
    slug="agent-folder-rights",
    title="SYSTEM has lost its rights on the agent's folders",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="The agent keeps itself in C:\\WindowsAzure and extensions in C:\\Packages, and sets the rights of both at "
    "each start. If it may not (hardening, a changed owner, an inherited denial), it goes no further.",
    looks_like=(r"[ERROR] … System.UnauthorizedAccessException: Access to the path 'C:\WindowsAzure\…' is denied.",),
    not_to_confuse=("W08: the folders of the keys.", "W25: the folder MachineKeys, for extensions alone."),
    signs=agent_says(
        "Access to the path",
        r"Access to the path '?(?P<culprit>[A-Za-z]:\\(?:WindowsAzure|Packages)\b[^']{0,200})'? is denied",
        what="the agent may not use its own folder",
        on_console=False,
    ),
    remedies=(
        Remedy(
            "give SYSTEM and the administrators full control of both folders again (elevated PowerShell in the guest)",
            r"icacls.exe C:\WindowsAzure /save $env:TEMP\WindowsAzure.acl /t /c; "
            r"icacls.exe C:\WindowsAzure /grant 'SYSTEM:(OI)(CI)F' /t /c; "
            r"icacls.exe C:\Packages /grant 'SYSTEM:(OI)(CI)F' /t /c",
            effect="the agent sets the rest itself at its next start",
            undo=r"icacls.exe C:\ /restore $env:TEMP\WindowsAzure.acl",
            link=ARTICLE,
        ),
        Remedy("start the agent afresh", _RESTART, effect="the agent reports again"),
    ),
    links=(ARTICLE,),
    sources=(_VMASSIST,),
)

FOREIGN_LIBRARY = KnownCause(
    code="W19",
    slug="foreign-library-in-agent",
    title="Another product's library is loaded into the agent",
    system=System.WINDOWS,
    means="Antivirus, monitoring and patching products load a library of theirs into every process. That seldom hurts, "
    "but such a library can make the agent hang or crash in ways that its own logs do not explain.",
    looks_like=("(Get-Process WaAppAgent).Modules lists a library that is not Microsoft's",),
    not_to_confuse=("W14: the crash itself, which Windows' event log has.", "W20: a product's filter on the network."),
    untold="Only the list of the libraries in the agent's processes, with their signatures, shows it; the probe's "
    "answer has no room for that list, and neither a log nor Azure has it.",
    remedies=(
        Remedy(
            "list them (elevated PowerShell in the guest)",
            "Get-Process WaAppAgent, WindowsAzureGuestAgent | Select-Object -ExpandProperty Modules | "
            "Where-Object Company -NE 'Microsoft Corporation' | Format-Table ModuleName, Company, FileName",
            effect="reads only",
        ),
        Remedy(
            "exclude WaAppAgent.exe and WindowsAzureGuestAgent.exe in the product that put it there",
            effect="the agent runs without the library after a restart",
        ),
    ),
    links=(ARTICLE,),
    sources=(_VMASSIST,),
)

HOST_PLUGIN_CLIENT = KnownCause(
    code="W24",
    slug="host-plugin-client",
    title="The agent's client of the host plugin never came up",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="The agent reports through a service on its host, the host plugin (tcp/32526). Its client for it was never "
    "initialised in this run, so that every report fails; the agent runs, and Azure hears nothing.",
    looks_like=(
        "[WARN] Error state triggered for caller:GAPluginPinger",
        "[INFO] WriteGAPluginHeartbeat: HostGAPluginServiceClient is not initialized so setting "
        "isCurrentlyHealthy as false",
    ),
    not_to_confuse=("W20: the client is there, and connections to tcp/32526 are refused.",),
    signs=agent_says(
        "GAPluginPinger",
        r"Error state triggered for caller: ?GAPluginPinger",
        what="the agent cannot report to the host plugin",
        on_console=False,
    ),
    remedies=(
        Remedy(
            "start the agent afresh (elevated PowerShell in the guest)",
            _RESTART,
            effect="the agent sets up its client anew",
            link=ARTICLE,
        ),
        Remedy(
            "if it comes back, move the VM to another host",
            "az vm redeploy {vm}",
            where=Where.AZ,
            effect="a fresh host and host plugin; the OS disk stays",
            risk="the temporary disk is lost, a dynamic address may change",
            downtime="5-15 min",
        ),
    ),
    links=(ARTICLE,),
    sources=("MicrosoftDocs/SupportArticles-docs#782",),
)
