"""Windows guests: what keeps the agent from running, from the Wire Server, or from working, and what to do about it.

Signatures and remedies: learn.microsoft.com «Troubleshoot Azure Windows VM Agent issues», and the checks of VMAssist
(Azure/azure-support-scripts). Commands are for an elevated PowerShell in the guest.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from datetime import datetime, timedelta

from azext_vmagent.causes import network
from azext_vmagent.causes.access import az_vm
from azext_vmagent.facts.firewall_facts import WIRE_SERVER, BlockingRule
from azext_vmagent.facts.guest_facts import Connect, GuestFacts, LogLine
from azext_vmagent.facts.reading import RUN_COMMAND, Facts
from azext_vmagent.facts.windows_facts import AGENT_SERVICES, WindowsFacts, WindowsService
from azext_vmagent.facts.windows_firewall import PROFILE_TOOL, quoted
from azext_vmagent.model import Cause, NextStep

LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/windows-azure-guest-agent"
INSTALL_LINK = "https://learn.microsoft.com/azure/virtual-machines/extensions/agent-windows#manual-installation"
WIRE_LINK = "https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16"
NIC_LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/reset-network-interface"
CONSOLE_LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/serial-console-windows"
CERTIFICATE_LINK = (
    "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/troubleshoot-extension-certificates-issues"
)
#: VMAssist calls less than this critical
LEAST_FREE_KIB = 100 * 1024
#: the oldest version that VMAssist calls supported
LEAST_VERSION = "2.7.41491.1010"
_CRASHES = (1000, 1026, 7031, 7034)
_SYSTEM_IN_LUAUTH = re.compile(r"\|LUAuth=[^|]*;(?:SY|S-1-5-18)\)", re.IGNORECASE)

#: code -> slug and title of the faults that the agent's logs or events name
_NAMED = {
    "W06": ("npcap-loopback", "The agent looks for its host on Npcap's loopback adapter"),
    "W07": ("key-isolation", "The agent cannot use CNG Key Isolation (KeyIso)"),
    "W08": ("crypto-folder-rights", "SYSTEM may not write to the crypto folders"),
    "W09": ("dotnet-32-bit", "64-bit .NET programs are loaded as 32-bit ones"),
    "W10": ("machine-config-broken", ".NET's machine.config is missing or broken"),
    "W11": ("wcf-profiling", "WCF profiling is on and its library is not there"),
    "W24": ("host-plugin-client", "The agent's client of the host plugin never came up"),
}
#: words of WaAppAgent.log and TransparentInstaller.log -> code; the more telling first
_SIGNATURES = (
    ("Npcap Loopback Adapter", "W06"),
    ("RdCrypt Initialization failed", "W07"),
    ("PFXImportCertStore failed", "W08"),
    ("BadImageFormatException", "W09"),
    ("ServiceModelSink", "W11"),
    ("ConfigurationErrorsException", "W10"),
    ("GAPluginPinger", "W24"),
)


# -- scenario 1 --------------------------------------------------------------------------------------------------------


def agent_service(guest: GuestFacts) -> WindowsService:
    """The service that the verdict speaks of: the one that does not run."""
    services = guest.windows.services if guest.windows else {}
    return services.get(guest.service.unit or "", WindowsService(guest.service.unit or ""))


def service_cause(guest: GuestFacts) -> Cause | None:
    """Why one of the agent's services does not run, or None when both do, one is starting, or nobody said."""
    windows = guest.windows
    if windows is None:
        return None
    if guest.service.load_state == "not-found":
        if guest.processes:
            return None
        return Cause("W02", "agent-not-installed", "The agent is not installed", "Neither of its services exists.")
    service = agent_service(guest)
    if service.state == "StopPending":
        return Cause("W05", "agent-stuck-stopping", "The agent's service is stuck while stopping", "", service.name)
    if service.state not in ("Stopped", "Paused"):
        return None
    if service.there is False:
        detail = f"The service's path is: {service.path or 'empty'}."
        return Cause(
            "W04", "agent-path-wrong", "The agent's service names a program that is not there", detail, service.name
        )
    if service.start == "disabled":
        return Cause("W03", "agent-disabled", "The agent's service is disabled", "Nothing starts it.", service.name)
    return _crash_cause(windows, service) or _stopped(service)


def _stopped(service: WindowsService) -> Cause:
    code = f", exit code {service.exit_code}" if service.exit_code else ""
    if service.start == "manual":
        detail = f"Its start type is manual{code}: nothing starts it at boot."
        return Cause(
            "W03", "agent-not-automatic", "The agent's service is stopped and not started at boot", detail, service.name
        )
    return Cause(
        "W01",
        "agent-stopped",
        "The agent's service is stopped",
        f"{service.name} is {service.state}{code}.",
        service.name,
    )


def _crash_cause(windows: WindowsFacts, service: WindowsService) -> Cause | None:
    """A stopped service that Windows saw die in the last day. Start and stop events (7036) are not collected."""
    crashes = [event for event in windows.events if event.id in _CRASHES]
    if not crashes:
        return None
    newest = max(crashes, key=lambda event: (bool(event.what), event.time is not None, event.time))
    detail = f"Event {newest.id} ({newest.who}), {newest.count} in the last day" + (
        f": {newest.what}" if newest.what else ""
    )
    broken = windows.machine_config not in ("", "ok")
    if broken or any("ConfigurationErrorsException" in event.what for event in crashes):
        if windows.wcf_profiling and not broken:
            return Cause("W11", *_NAMED["W11"], detail, "machine.config")
        config = f" machine.config: {windows.machine_config}." if broken else ""
        return Cause("W10", *_NAMED["W10"], f"{detail}.{config}", "machine.config")
    return Cause("W14", "agent-crashes", "The agent's program crashes", detail + ".", service.name)


def side_causes(guest: GuestFacts, now: datetime | None) -> tuple[Cause, ...]:
    """What else is wrong, whatever the verdict is: each can stop the agent or its extensions on its own."""
    windows = guest.windows or WindowsFacts()
    found = []
    for disk in guest.disks:
        if disk.free_kib is not None and disk.free_kib < LEAST_FREE_KIB:
            free = f"{disk.free_kib // 1024} MiB are free on {disk.mount}."
            found.append(Cause("W18", "system-drive-full", "The system drive is full", free, disk.mount))
    winmgmt = windows.services.get("Winmgmt")
    if winmgmt is not None and winmgmt.running is False:
        found.append(Cause("W23", "wmi-stopped", "Windows Management Instrumentation does not run", "", "Winmgmt"))
    if _older(windows.agent_version, LEAST_VERSION):
        detail = f"Version {windows.agent_version}; Azure supports {LEAST_VERSION} and newer."
        found.append(Cause("W16", "agent-too-old", "The agent is older than what Azure supports", detail))
    ends = [c.until for c in windows.certificates or () if c.name == "TenantEncryptionCert" and c.until is not None]
    if now is not None and ends and max(ends) < now:
        detail = f"TenantEncryptionCert ended on {max(ends):%Y-%m-%d}; extensions cannot read protected settings."
        found.append(Cause("W13", "certificate-expired", "The agent's certificate has expired", detail))
    return tuple(found)


def _older(version: str, least: str) -> bool:
    """Whether a dotted version is below another; one that is no version is not."""
    parts = version.split(".")
    if len(parts) != 4 or not all(part.isdecimal() and len(part) < 9 for part in parts):
        return False
    return [int(part) for part in parts] < [int(part) for part in least.split(".")]


# -- scenario 2 --------------------------------------------------------------------------------------------------------


def rule_cause(rule: BlockingRule) -> Cause:
    """The cause that one firewall rule or profile is."""
    ports = ", ".join(f"tcp/{port}" for port in rule.ports)
    if rule.tool == PROFILE_TOOL:
        title = "A firewall profile blocks outbound connections, and no rule allows the Wire Server"
        return Cause("W20", "firewall-profile", title, f"{rule.where} stops {ports}.", rule.rule)
    if _SYSTEM_IN_LUAUTH.search(rule.rule):
        title = "A firewall rule blocks the Wire Server for SYSTEM"
        return Cause("W21", "firewall-rule-for-system", title, f"In {rule.where}; stops {ports}.", rule.rule)
    title = "A Windows Firewall rule blocks the Wire Server"
    return Cause("W20", "firewall-rule", title, f"In {rule.where}; stops {ports}.", rule.rule)


def wire_causes(guest: GuestFacts) -> tuple[Cause, ...]:
    """What keeps the probe's test, and so the agent, from the Wire Server; a refusal by no known rule comes last."""
    found = [rule_cause(rule) for rule in guest.rules.blocks]
    if guest.route.kind == "none":
        found.append(
            Cause("N08", "no-route", "Windows has no route to the Wire Server", f"Winsock: {guest.route.text}.")
        )
    kept = stray_routes(guest)
    if kept and guest.outcome(80) not in (Connect.OK, Connect.DENIED):
        title = "A persistent route leads the Wire Server elsewhere"
        found.append(
            Cause("N08", "route-elsewhere", title, "Azure's own route to it is never a persistent one.", kept[0])
        )
    if not found and Connect.DENIED in (guest.outcome(80), guest.outcome(32526)):
        title = "A filter in the guest refuses connections to the Wire Server"
        detail = "Windows answers «access denied» (WSAEACCES 10013), and no rule of Windows Firewall does it: another"
        found.append(Cause("W20", "local-filter", title, f"{detail} product's filter, such as an antivirus program's."))
    return tuple(found)


def stray_routes(guest: GuestFacts) -> tuple[str, ...]:
    """Persistent routes to exactly the Wire Server, as the registry has them: destination, mask, gateway, metric."""
    windows = guest.windows or WindowsFacts()
    return tuple(route for route in windows.persistent_routes if route.startswith(f"{WIRE_SERVER},255.255.255.255,"))


def agent_only_causes(guest: GuestFacts) -> tuple[Cause, ...]:
    """Rules bound to the agent's own program or service: the probe's test passes them by."""
    return tuple(rule_cause(rule) for rule in (guest.windows or WindowsFacts()).agent_only)


def proxy_cause(guest: GuestFacts) -> Cause | None:
    """A proxy that the agent may be sent through and the test was not; only together with failures in its log."""
    windows = guest.windows or WindowsFacts()
    named = [
        f"{where}: {proxy}"
        for where, proxy in windows.proxies.items()
        if WIRE_SERVER not in windows.bypasses.get(where, "")
    ]
    if not named or not current(guest, guest.log.failures):
        return None
    detail = "The Wire Server answers without it, and the agent's log shows failures. " + "; ".join(named) + "."
    return Cause("W22", "proxy-in-the-way", "A proxy may stand between the agent and the Wire Server", detail, named[0])


# -- an agent that runs and does not work ------------------------------------------------------------------------------


def log_cause(guest: GuestFacts) -> tuple[Cause, LogLine] | None:
    """A known fault that the agent's logs name since its newest start, and the line."""
    windows = guest.windows or WindowsFacts()
    for line in current(guest, windows.known):
        for words, code in _SIGNATURES:
            if words in line.text:
                return Cause(code, *_NAMED[code], line.text), line
    return None


def current(guest: GuestFacts, lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
    """The lines since the agent's newest start, newest first; a line without a time is not counted."""
    started = guest.windows.started if guest.windows else None
    floor = started or (guest.clock - timedelta(days=1) if guest.clock else None)
    dated = [(line.time, line) for line in lines if line.time is not None and (floor is None or line.time >= floor)]
    return tuple(line for _, line in sorted(dated, key=lambda pair: pair[0], reverse=True))


# -- remedies ----------------------------------------------------------------------------------------------------------


def in_windows(facts: Facts, command: str, keeps_agent: bool = True) -> str:
    """A PowerShell command line as the operator can run it: through Run Command where that answered and survives it.

    Everywhere else the line is for an elevated PowerShell in the guest.
    """
    if facts.guest_channel == RUN_COMMAND and keeps_agent:
        script = f"--scripts {shlex.quote(command)}"
        return az_vm("run-command invoke", facts, "--command-id RunPowerShellScript", script)
    return command


def service_remedies(cause: Cause, facts: Facts) -> tuple[NextStep, ...]:
    """Start what is stopped; where that cannot help, what to look at; a fresh installation last."""
    name = cause.culprit if cause.culprit in AGENT_SERVICES else "WindowsAzureGuestAgent"
    start = f"Start-Service -Name {name}"
    commands = {
        "W01": (start, f"Stop-Service -Name {name}"),
        "W03": (
            f"Set-Service -Name {name} -StartupType Automatic; {start}",
            f"Stop-Service -Name {name}; Set-Service -Name {name} -StartupType {_start_type(facts)}",
        ),
        "W05": (
            "Start-Service -Name RdAgent; Start-Sleep -Seconds 300; Stop-Process -Name WindowsAzureGuestAgent -Force",
            None,
        ),
    }
    steps = []
    if cause.code in commands:
        command, undo = commands[cause.code]
        action = "end the stuck process; RdAgent starts the agent again" if cause.code == "W05" else "start the agent"
        steps.append(
            NextStep(
                f"{action} (elevated PowerShell in the guest)",
                in_windows(facts, command, keeps_agent=cause.code != "W05"),
                effect="the agent reports again within a few minutes",
                risk="none known",
                downtime="none",
                undo=undo,
                link=LINK,
            )
        )
    if cause.code in ("W10", "W11", "W14"):
        look = (
            "Get-WinEvent -MaxEvents 5 -FilterHashtable @{LogName='Application'; Id=1000,1026} | "
            "Format-List TimeCreated, Message"
        )
        steps.append(
            NextStep(
                "see why it crashes", in_windows(facts, look), effect="shows the error", downtime="none", link=LINK
            )
        )
    advice = {
        "W10": "copy machine.config from a working VM of the same .NET version, then start RdAgent and the agent",
        "W11": "take ServiceModelSink.Behavior out of machine.config (keep a copy), then start both services",
    }.get(cause.code)
    if advice:
        steps.append(NextStep(advice, None, effect="the agent can read its configuration again", link=LINK))
    last = "install the agent" if cause.code == "W02" else "if it does not stay up, install the agent again"
    steps.append(NextStep(last, None, effect="replaces a broken agent", downtime="none", link=INSTALL_LINK))
    return tuple(steps)


def _start_type(facts: Facts) -> str:
    start = agent_service(facts.guest).start if facts.guest else ""
    return {"disabled": "Disabled", "manual": "Manual"}.get(start, "Automatic")


def wire_remedies(facts: Facts, rules: tuple[BlockingRule, ...]) -> tuple[NextStep, ...]:
    """Switch each rule off by its own name; what policy set is changed in the policy."""
    steps = []
    for rule in rules:
        if rule.undo:
            opens = rule.tool == PROFILE_TOOL
            steps.append(
                NextStep(
                    ("allow the Wire Server" if opens else "switch the rule off")
                    + " (elevated PowerShell in the guest)",
                    in_windows(facts, rule.undo),
                    effect="the agent reaches the Wire Server again; stays so after a restart",
                    risk="the rule may have been set on purpose: tell whoever hardened this VM",
                    downtime="none",
                    undo="Remove-NetFirewallRule -Name AzureWireServer" if opens else _enabled_again(rule.undo),
                    link=WIRE_LINK,
                )
            )
        else:
            steps.append(
                NextStep(
                    f"change it where it was set ({rule.where}): {rule.rule}",
                    effect="allow outbound tcp/80 and tcp/32526 to 168.63.129.16 for SYSTEM",
                    downtime="none",
                    link=WIRE_LINK,
                )
            )
    guest = facts.guest
    for route in stray_routes(guest) if guest is not None and not steps else ():
        gateway = route.split(",")[2]
        steps.append(
            NextStep(
                "take the persistent route away (elevated PowerShell in the guest)",
                in_windows(facts, f"route.exe DELETE {WIRE_SERVER}"),
                effect="the route that DHCP gave is used; renew the lease if it is gone: ipconfig.exe /renew",
                risk="none known",
                downtime="none",
                undo=f"route.exe -p ADD {WIRE_SERVER} MASK 255.255.255.255 {gateway}"
                if _ADDRESS.fullmatch(gateway)
                else None,
                link=WIRE_LINK,
            )
        )
    if not steps:
        steps.append(
            NextStep(
                "allow tcp/80 and tcp/32526 to 168.63.129.16 for SYSTEM in the guest's firewall and antivirus products",
                downtime="none",
                link=WIRE_LINK,
            )
        )
    return tuple(steps)


_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


def _enabled_again(undo: str) -> str:
    if undo.startswith("netsh"):
        return undo.removesuffix("enable=no") + "enable=yes"
    return undo.replace("Disable-NetFirewallRule", "Enable-NetFirewallRule", 1)


def log_remedies(cause: Cause) -> tuple[NextStep, ...]:
    """What the article says for a fault that the log names."""
    commands = {
        "W07": (
            "start CNG Key Isolation, then the agent",
            "Start-Service -Name KeyIso; Restart-Service -Name WindowsAzureGuestAgent",
        ),
        "W24": ("start the agent afresh", "Restart-Service -Name RdAgent, WindowsAzureGuestAgent"),
    }
    advice = {
        "W06": "disable Npcap's loopback adapter, then restart the agent",
        "W08": "give SYSTEM full control of Keys, RSA and SystemKeys in C:\\ProgramData\\Microsoft\\Crypto",
        "W09": "set Enable64Bit to 1 in HKLM\\SOFTWARE\\Microsoft\\.NETFramework, then restart the VM",
        "W10": "copy machine.config from a working VM of the same .NET version, then restart the agent",
        "W11": "take ServiceModelSink.Behavior out of machine.config (keep a copy), then restart the agent",
        "W13": "renew the agent's certificate",
        "W22": "let 168.63.129.16 pass the proxy by, for SYSTEM and for WinHTTP",
    }
    action, command = commands.get(cause.code, (advice.get(cause.code, "see the article"), None))
    link = {"W13": CERTIFICATE_LINK, "W22": WIRE_LINK}.get(cause.code, LINK)
    return (
        NextStep(
            action + (" (elevated PowerShell in the guest)" if command else ""),
            command,
            effect="takes away the cause that the evidence names",
            risk="none known" if command else None,
            downtime="none" if cause.code != "W09" else "one restart",
            link=link,
        ),
    )


def nic_remedies(facts: Facts, off: tuple[str, ...]) -> tuple[NextStep, ...]:
    """Switch the adapter on from the serial console; resetting the NIC also undoes a static address."""
    steps = [
        NextStep(
            "switch the adapter on (PowerShell on the serial console: SAC, cmd, log in)",
            f"Enable-NetAdapter -Name {quoted(name)}",
            effect="no restart; needs a user with a password",
            risk="none known",
            downtime="none",
            link=CONSOLE_LINK,
        )
        for name in off
        if name and not set(name) & set("*?[]")
    ]
    return (
        *steps,
        network.reset_step(facts, NIC_LINK),
    )
