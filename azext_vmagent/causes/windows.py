"""Windows guests: what keeps the agent from running, from the Wire Server, or from working, and what to do about it.

Signatures and remedies: learn.microsoft.com «Troubleshoot Azure Windows VM Agent issues», and the checks of VMAssist
(Azure/azure-support-scripts). Commands are for an elevated PowerShell in the guest.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from azext_vmagent.causes import boot, network
from azext_vmagent.causes.access import in_windows
from azext_vmagent.causes.catalogue import find_cause, windows_agent, windows_crypto, windows_network, windows_runtime
from azext_vmagent.causes.catalogue.wire_server_path import ROUTE
from azext_vmagent.causes.remedies import next_steps
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.firewall_facts import WIRE_SERVER, BlockingRule
from azext_vmagent.facts.guest_facts import Connect, GuestFacts, LogLine
from azext_vmagent.facts.reading import Facts
from azext_vmagent.facts.windows_facts import LEAST_VERSION, WindowsFacts, WindowsService, is_older, since_start
from azext_vmagent.facts.windows_firewall import PROFILE_TOOL, quoted
from azext_vmagent.model import Cause, NextStep

WIRE_LINK = "https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16"
NIC_LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/reset-network-interface"
CONSOLE_LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/serial-console-windows"
#: VMAssist calls less than this critical
LEAST_FREE_KIB = 100 * 1024
_CRASHES = (1000, 1026, 7031, 7034)
_SYSTEM_IN_LUAUTH = re.compile(r"\|LUAuth=[^|]*;(?:SY|S-1-5-18)\)", re.IGNORECASE)
#: builds of the agent that end at once on Windows Server 2008 R2, and what they say (Azure/WindowsVMAgent#8, #20)
_TOO_NEW = re.compile(r"ServiceInstallFailedException|DllNotFoundException|RustWrapper")
_SERVER_2008_R2 = ("7600", "7601")
#: words of WaAppAgent.log and TransparentInstaller.log that name a fault; the more telling first
_NAMED_IN_LOG = tuple(
    (re.compile(words), known)
    for words, known in (
        ("Did not discover fabric address on interface Npcap Loopback Adapter", windows_runtime.NPCAP),
        ("RdCrypt Initialization failed", windows_crypto.KEY_ISOLATION),
        ("PFXImportCertStore failed", windows_crypto.CRYPTO_RIGHTS),
        ("BadImageFormatException", windows_runtime.DOTNET_32_BIT),
        ("ServiceModelSink", windows_runtime.WCF_PROFILING),
        ("ConfigurationErrorsException", windows_runtime.MACHINE_CONFIG),
        (r"Access to the path '?[A-Za-z]:\\(?:WindowsAzure|Packages)\b", windows_runtime.FOLDER_RIGHTS),
        ("GAPluginPinger", windows_runtime.HOST_PLUGIN_CLIENT),
    )
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
        return None if guest.processes else windows_agent.NOT_INSTALLED.named("Neither of its services exists.")
    service = agent_service(guest)
    if service.state == "StopPending":
        return windows_agent.STUCK_STOPPING.named("", service.name)
    if service.state not in ("Stopped", "Paused"):
        return None
    if service.there is False:
        return windows_agent.PATH_WRONG.named(f"The service's path is: {service.path or 'empty'}.", service.name)
    if service.start == "disabled":
        return windows_agent.NOT_AUTOMATIC.named("Nothing starts it.", service.name, "windows-agent-disabled")
    return _crash_cause(guest, windows, service) or _stopped(service)


def _stopped(service: WindowsService) -> Cause:
    code = f", exit code {service.exit_code}" if service.exit_code else ""
    if service.start == "manual":
        detail = f"Its start type is manual{code}: nothing starts it at boot."
        title = "The agent's service is stopped and not started at boot"
        return windows_agent.NOT_AUTOMATIC.named(detail, service.name, title=title)
    return windows_agent.STOPPED.named(f"{service.name} is {service.state}{code}.", service.name)


def _crash_cause(guest: GuestFacts, windows: WindowsFacts, service: WindowsService) -> Cause | None:
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
            return windows_runtime.WCF_PROFILING.named(detail, "machine.config")
        config = f" machine.config: {windows.machine_config}." if broken else ""
        return windows_runtime.MACHINE_CONFIG.named(f"{detail}.{config}", "machine.config")
    if guest.kernel.startswith(_SERVER_2008_R2) and any(_TOO_NEW.search(event.what) for event in crashes):
        version = f" The agent is {windows.agent_version}." if windows.agent_version else ""
        return windows_agent.BUILD_TOO_NEW.named(f"{detail}; Windows is build {guest.kernel}.{version}", service.name)
    return windows_agent.CRASHES.named(detail + ".", service.name)


def side_causes(guest: GuestFacts, now: datetime | None) -> tuple[Cause, ...]:
    """What else is wrong, whatever the verdict is: each can stop the agent or its extensions on its own."""
    windows = guest.windows or WindowsFacts()
    found = []
    for disk in guest.disks:
        if disk.free_kib is not None and disk.free_kib < LEAST_FREE_KIB:
            free = f"{disk.free_kib // 1024} MiB are free on {disk.mount}."
            found.append(windows_agent.DRIVE_FULL.named(free, disk.mount))
    winmgmt = windows.services.get("Winmgmt")
    if winmgmt is not None and winmgmt.running is False:
        found.append(windows_agent.WMI_STOPPED.named("", "Winmgmt"))
    dhcp = windows.services.get("Dhcp")
    if dhcp is not None and (dhcp.running is False or dhcp.start == "disabled"):
        state = f"The service is {dhcp.state or 'there'}, start type {dhcp.start or 'not known'}."
        found.append(windows_network.DHCP_CLIENT.named(state, "Dhcp"))
    if is_older(windows.agent_version, LEAST_VERSION):
        detail = f"Version {windows.agent_version}; Azure supports {LEAST_VERSION} and newer."
        found.append(windows_agent.TOO_OLD.named(detail))
    ends = [c.until for c in windows.certificates or () if c.name == "TenantEncryptionCert" and c.until is not None]
    if now is not None and ends and max(ends) < now:
        detail = f"TenantEncryptionCert ended on {max(ends):%Y-%m-%d}; extensions cannot read protected settings."
        found.append(windows_crypto.CERTIFICATE.named(detail))
    if windows.certificates is not None and not ends and guest.service.running:
        detail = "LocalMachine\\My holds no TenantEncryptionCert; extensions cannot read protected settings."
        found.append(windows_crypto.CERTIFICATE.named(detail, variant="certificate-missing"))
    return tuple(found)


# -- scenario 2 --------------------------------------------------------------------------------------------------------


def rule_cause(rule: BlockingRule) -> Cause:
    """The cause that one firewall rule or profile is."""
    ports = ", ".join(f"tcp/{port}" for port in rule.ports)
    if rule.tool == PROFILE_TOOL:
        return windows_network.FIREWALL.named(f"{rule.where} stops {ports}.", rule.rule, "firewall-profile")
    known = windows_network.SYSTEM_BLOCKED if _SYSTEM_IN_LUAUTH.search(rule.rule) else windows_network.FIREWALL
    return known.named(f"In {rule.where}; stops {ports}.", rule.rule)


def wire_causes(guest: GuestFacts) -> tuple[Cause, ...]:
    """What keeps the probe's test, and so the agent, from the Wire Server; a refusal by no known rule comes last."""
    found = [rule_cause(rule) for rule in guest.rules.blocks]
    if guest.route.kind == "none":
        found.append(ROUTE.named(f"Winsock: {guest.route.text}.", variant="no-route"))
    kept = stray_routes(guest)
    if kept and guest.outcome(80) not in (Connect.OK, Connect.DENIED):
        detail = "Azure's own route to it is never a persistent one."
        found.append(ROUTE.named(detail, kept[0], "route-elsewhere"))
    if not found and Connect.DENIED in (guest.outcome(80), guest.outcome(32526)):
        detail = "Windows answers «access denied» (WSAEACCES 10013), and no rule of Windows Firewall does it: another"
        detail += " product's filter, such as an antivirus program's."
        found.append(windows_network.FIREWALL.named(detail, variant="local-filter"))
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
    if not named or not since_start(guest, guest.log.failures):
        return None
    detail = "The Wire Server answers without it, and the agent's log shows failures. " + "; ".join(named) + "."
    return windows_network.PROXY.named(detail, named[0])


# -- an agent that runs and does not work ------------------------------------------------------------------------------


def log_cause(guest: GuestFacts) -> tuple[Cause, LogLine] | None:
    """A known fault that the agent's logs name since its newest start, and the line."""
    windows = guest.windows or WindowsFacts()
    for line in since_start(guest, windows.known):
        known = next((entry for words, entry in _NAMED_IN_LOG if words.search(line.text)), None)
        if known is not None:
            return known.named(line.text), line
    return None


def state_cause(guest: GuestFacts) -> Cause | None:
    """What the agent stands on and is broken, by the guest's registry and files: it runs and can do nothing."""
    windows = guest.windows or WindowsFacts()
    if windows.enable_64bit == 0:
        return windows_runtime.DOTNET_32_BIT.named("Enable64Bit of .NET is 0 in the registry.")
    if windows.machine_config not in ("", "ok"):
        return windows_runtime.MACHINE_CONFIG.named(f"It is {windows.machine_config}.", "machine.config")
    if "KeyIso" in windows.services and windows.services["KeyIso"].start == "disabled":
        return windows_crypto.KEY_ISOLATION.named("The service is disabled.", "KeyIso")
    return None


def refused_cause(guest: GuestFacts) -> Cause | None:
    """The agent's connections are refused, by its log, and the probe's are not: a filter that goes by the program."""
    lines = [line for line in since_start(guest, guest.log.failures) if "forbidden by its access" in line.text]
    detail = "The agent's connections are refused, PowerShell's are not: a filter that goes by the program."
    return windows_network.FIREWALL.named(detail, variant="local-filter") if lines else None


# -- remedies ----------------------------------------------------------------------------------------------------------


def service_remedies(cause: Cause, facts: Facts) -> tuple[NextStep, ...]:
    """Start what is stopped; where that cannot help, what to look at; a fresh installation last."""
    steps = known_remedies(cause, facts)
    if cause.code == "W03" and facts.guest is not None and agent_service(facts.guest).start == "manual":
        return tuple(replace(step, undo=step.undo and step.undo.replace("Disabled", "Manual")) for step in steps)
    return steps


def known_remedies(cause: Cause, facts: Facts) -> tuple[NextStep, ...]:
    """What the catalogue says to do about it."""
    known = find_cause(cause.code)
    return next_steps(known, facts, Wish(), cause.culprit) if known is not None else ()


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
    ephemeral = facts.vm is not None and facts.vm.ephemeral_os_disk
    return (*steps, boot.restart_step(facts) if ephemeral else network.reset_step(facts, NIC_LINK))
