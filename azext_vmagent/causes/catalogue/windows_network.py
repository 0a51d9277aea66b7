"""Scenarios 2 and 3, Windows: firewall, proxy, adapter, DHCP.

Sources: learn.microsoft.com «Troubleshoot Azure Windows VM Agent issues» and «What is IP address 168.63.129.16»,
VMAssist (Azure/azure-support-scripts). None of it was seen on a Windows guest of our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from azext_vmagent.causes.known_cause import Kind, KnownCause, Need, Remedy, Scene, Seen, Sign, System, Variant, Where
from azext_vmagent.causes.offline_repair import windows_script
from azext_vmagent.causes.signs import agent_says, guest_shows, health_report, inside, only_when, told
from azext_vmagent.facts.guest_facts import GuestFacts
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.reading import AGENT_LOG, Facts
from azext_vmagent.facts.windows_health_report import HealthAdapter, HealthReport, HealthService
from azext_vmagent.model import Reason, Scenario

ARTICLE = "troubleshoot/azure/virtual-machines/windows/windows-azure-guest-agent"
WIRE = "azure/virtual-network/what-is-ip-address-168-63-129-16"
RESET = "troubleshoot/azure/virtual-machines/windows/reset-network-interface"
CONSOLE = "troubleshoot/azure/virtual-machines/windows/serial-console-windows"
STATIC = "troubleshoot/azure/virtual-machines/windows/troubleshoot-rdp-static-ip"
SEVERAL = "troubleshoot/azure/virtual-machines/windows/no-internet-access-multi-ip"
_ARTICLE_NAME = "windows-azure-guest-agent.md"
_VMASSIST = "VMAssist (Azure/azure-support-scripts)"
_REPORT = "microsoft/azserialconsole Known_Issues/Windows_Health_Info.md"

#: Windows numbers the instances of a driver that it has ever seen on this disk; more than this is no chance
_GHOSTS = 10
_INSTANCE = re.compile(r"#(\d{1,5})\s*$")


def _silent(facts: Facts) -> bool:
    """Nobody says that the agent reports."""
    return facts.vm is None or facts.vm.agent is not AgentStatus.READY


# -- the health report on the serial line ------------------------------------------------------------------------------


def _no_network(report: HealthReport) -> Iterator[tuple[str, HealthAdapter]]:
    for adapter in report.without_network:
        yield f"the guest's own report: {adapter.trouble}", adapter


def _fixed_address(report: HealthReport) -> Iterator[tuple[str, HealthAdapter]]:
    """One address that does not come from DHCP; several must be entered by hand."""
    for adapter in report.without_dhcp:
        fixed = [found for found in adapter.addresses or () if found.version == 4]
        if len(fixed) == 1:
            yield f"the guest's own report: adapter «{adapter.name}» does not use DHCP ({fixed[0].address})", adapter


def _tells_adapters(report: HealthReport) -> bool:
    return bool(report.adapters)


def _dhcp_client(report: HealthReport) -> Iterator[tuple[str, HealthService]]:
    service = report.services.get("Dhcp")
    if service is not None and (service.running is False or service.start == "disabled"):
        yield f"the guest's own report: the DHCP Client is {service.state}, start type {service.start}", service


def _tells_dhcp_client(report: HealthReport) -> bool:
    return "Dhcp" in report.services and bool(report.services["Dhcp"].state)


# -- what the guest told -----------------------------------------------------------------------------------------------


def _adapter_off(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """Adapters that are switched off while none has an address of the network."""
    guest, channel = scene.facts.guest or GuestFacts(), scene.facts.guest_channel or ""
    off = guest.windows.adapters_off if guest.windows else ()
    if any(not address.startswith("169.254.") for one in guest.interfaces for address in one.addresses):
        return
    for name in off:
        yield Seen(Reason(f"adapter «{name}» is switched off", channel, "adapters"), name)
    for one in guest.interfaces if not off else ():
        yield Seen(Reason(f"adapter «{one.name}» has no address of its network", channel, "adapters"), one.name)


def _without_dhcp(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest, channel = scene.facts.guest or GuestFacts(), scene.facts.guest_channel or ""
    for name in guest.windows.without_dhcp if guest.windows and _silent(scene.facts) else ():
        addresses = [one.addresses for one in guest.interfaces if one.name == name]
        if len(addresses) == 1 and len(addresses[0]) == 1:
            what = f"adapter «{name}» does not use DHCP ({addresses[0][0]})"
            yield Seen(Reason(what, channel, "adapters"), name, "windows-dhcp-off")


def _dhcp_client_off(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    windows = scene.facts.guest.windows if scene.facts.guest else None
    service = windows.services.get("Dhcp") if windows else None
    if service is not None and (service.running is False or service.start == "disabled"):
        what = f"the DHCP Client is {service.state or 'there'}, start type {service.start or 'not known'}"
        yield Seen(Reason(what, scene.facts.guest_channel or "", "Dhcp"), "Dhcp")


def _other_source(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """Connections to the Wire Server, which fail, leave from another address than the one Azure calls primary."""
    guest, network = scene.facts.guest, scene.facts.network
    if guest is None or network is None or not network.private_address:
        return
    held = {address for one in guest.interfaces for address in one.addresses}
    source, primary = guest.route.source or "", network.private_address
    fails = any(test.blocked for test in guest.wire.values())
    if fails and len(held) > 1 and {source, primary} <= held and source != primary:
        what = f"Windows sends to the Wire Server from {source}; Azure's primary address is {primary}"
        yield Seen(Reason(what, scene.facts.guest_channel or "", "route"), source)


def _sources_known(facts: Facts) -> bool:
    address = facts.network.private_address if facts.network else None
    source = facts.guest.route.source if facts.guest else None
    return bool(address) and bool(source) and told("network", "wire server 80")(facts)


def _not_elevated(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    if guest is not None and guest.windows is not None and guest.root is False:
        for test in guest.wire.values():
            if test.blocked:
                what = f"tcp/{test.port} was tested by a user who is no administrator: that proves nothing"
                yield Seen(Reason(what, scene.facts.guest_channel or "", test.tool))


def _many_instances(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    windows = scene.facts.guest.windows if scene.facts.guest else None
    for about in windows.adapter_models if windows else ():
        number = _INSTANCE.search(about)
        if number and int(number[1]) >= _GHOSTS:
            what = f"Windows calls its adapter «{about}»: it has seen {number[1]} of that kind"
            yield Seen(Reason(what, scene.facts.guest_channel or "", "adapters"), about)


def _refused_in_saved_log(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """The refusals of a saved log that nothing took back: a new start of the agent does not."""
    log = scene.facts.agent_log
    for line in log.wire_server.failures[-1:] if log is not None and log.windows else ():
        if "forbidden by its access permissions" in line.text:
            what = "a filter in the guest refuses the agent's connections to the Wire Server"
            yield Seen(Reason(what, AGENT_LOG, None, line.line, line.text, line.time))


# -- the entries -------------------------------------------------------------------------------------------------------

_ALLOW = Remedy(
    "allow tcp/80 and tcp/32526 to 168.63.129.16 for SYSTEM in the guest's firewall and antivirus products",
    effect="the agent reaches the Wire Server again",
    link=WIRE,
)

FIREWALL = KnownCause(
    code="W20",
    slug="firewall-rule",
    title="A Windows Firewall rule blocks the Wire Server",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    system=System.WINDOWS,
    means="Windows Firewall, a filter of an antivirus product or a profile that blocks all that goes out stops the "
    "agent's connections to 168.63.129.16, over which it gets its orders and reports. The VM works as before, and "
    "Azure hears nothing.",
    looks_like=(
        "An attempt was made to access a socket in a way forbidden by its access permissions 168.63.129.16:32526",
        "Test-NetConnection 168.63.129.16 -Port 80, elevated: TcpTestSucceeded : False",
        "Get-NetFirewallRule -Direction Outbound -Action Block -Enabled True lists a rule with that address",
    ),
    not_to_confuse=(
        "W21: the rule blocks SYSTEM alone: an administrator's test gets through.",
        "W26: the test was made without elevation.",
        "W22: the way out is open, and a proxy stands in it.",
        "Lines of BFETool in WaAppAgent.log: the agent's own filters, which let SYSTEM and administrators through.",
    ),
    signs=(
        inside("wire server 80", "wire server 32526", "firewall"),
        *agent_says(
            "forbidden by its access permissions",
            r"forbidden by its access permissions.{0,10}168\.63\.129\.16",
            what="a filter in the guest refuses the agent's connections to the Wire Server",
            recovered_by="Discovered fabric address",
            on_console=False,
        ),
        Sign(Need.AGENT_LOG, _refused_in_saved_log),
    ),
    variants=(
        Variant(
            "firewall-profile", "A firewall profile blocks outbound connections, and no rule allows the Wire Server"
        ),
        Variant("local-filter", "A filter in the guest refuses connections to the Wire Server"),
    ),
    remedies=(
        Remedy(
            "see which rules block what goes out (elevated PowerShell in the guest)",
            "Get-NetFirewallRule -Enabled True -Direction Outbound -Action Block | "
            "Format-Table Name, DisplayName, PolicyStoreSourceType",
            effect="reads only; then switch the one off that names the address: Disable-NetFirewallRule -Name …",
            link=WIRE,
        ),
        _ALLOW,
    ),
    links=(ARTICLE, WIRE),
    sources=(_ARTICLE_NAME, _VMASSIST),
)

SYSTEM_BLOCKED = KnownCause(
    code="W21",
    slug="firewall-rule-for-system",
    title="A firewall rule blocks the Wire Server for SYSTEM",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    system=System.WINDOWS,
    means="A rule keeps programs from Azure's addresses by the account that they run as (LocalUser), and lists SYSTEM, "
    "the account of the agent. Images for Kubernetes nodes had such a rule, meant for containers: the VM then never "
    "comes up in Azure after it was generalised.",
    looks_like=(
        "…|Action=Block|…|RA4=168.63.129.16|…|LUAuth=D:(A;;CC;;;SY)| in the rule's registry value",
        "an administrator's test of tcp/80 gets through, the agent does not",
    ),
    not_to_confuse=("W20: a rule for every account.", "W26: a test without elevation."),
    signs=(inside("wire server 80", "wire server 32526", "firewall"),),
    covers=("W20",),
    remedies=(
        Remedy(
            "see the accounts of the rules that block (elevated PowerShell in the guest)",
            "Get-NetFirewallRule -Enabled True -Direction Outbound -Action Block | Get-NetFirewallSecurityFilter | "
            "Format-Table InstanceID, LocalUser",
            effect="reads only; then name the accounts in the rule that it is meant for, without SYSTEM",
            link=WIRE,
        ),
    ),
    links=(WIRE,),
    sources=("kubernetes-sigs/image-builder#694", "kubernetes-sigs/image-builder#719"),
)

PROXY = KnownCause(
    code="W22",
    slug="proxy-in-the-way",
    title="A proxy may stand between the agent and the Wire Server",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    system=System.WINDOWS,
    means="A proxy is set for WinHTTP, for SYSTEM, for the machine or in machine.config. The agent sends its requests "
    "through it, and a proxy elsewhere cannot reach 168.63.129.16, which exists on the VM's own host alone.",
    looks_like=("netsh winhttp show proxy: Proxy Server(s): proxy:8080, Bypass List: (none)",),
    not_to_confuse=(
        "A proxy with 168.63.129.16 in its bypass list: harmless.",
        "W20: connections without the proxy are refused, too.",
    ),
    signs=(inside("agent log", "proxy"),),
    remedies=(
        Remedy(
            "let 168.63.129.16 pass the proxy by, for SYSTEM and for WinHTTP",
            effect="the agent talks to its host directly; the proxy serves all else",
            link=WIRE,
        ),
    ),
    links=(WIRE, ARTICLE),
    sources=(_VMASSIST, _ARTICLE_NAME),
)

NOT_ELEVATED = KnownCause(
    code="W26",
    slug="test-without-elevation",
    title="The Wire Server was tested without elevation",
    kind=Kind.BENIGN,
    system=System.WINDOWS,
    means="The agent's own filters let only SYSTEM and administrators reach 168.63.129.16. A test from a PowerShell "
    "that was not started as administrator therefore fails on every healthy VM. It says nothing about the agent.",
    looks_like=("Test-NetConnection 168.63.129.16 -Port 80: False, from a PowerShell without elevation",),
    not_to_confuse=("W20: an elevated test fails as well.", "N20: the same on Linux, for users other than root."),
    signs=(guest_shows(_not_elevated, "system", "wire server 80"),),
    remedies=(
        Remedy("test again from a PowerShell that was started as administrator", "az vm agent-diagnose {vm}", Where.AZ),
    ),
    links=(WIRE,),
    sources=("Azure/GuestProxyAgent README", "vmassist README"),
)

ADAPTER_DOWN = KnownCause(
    code="I18",
    slug="windows-adapter-down",
    title="The guest's network adapter is down or has no address",
    scenario=Scenario.NETWORK_DOWN,
    system=System.WINDOWS,
    means="Windows runs, and its adapter is switched off, without a link, or without an address that the network knows "
    "(169.254.… is what Windows makes up when DHCP does not answer). Nobody can connect, and the agent cannot reach "
    "its host. With a fixed address in place of DHCP the agent does not learn where its host is.",
    looks_like=(
        '{"name":"Ethernet","status":"Down"} in the health report on the serial log',
        '"isDhcpEnabled":false in the health report',
        "the lock screen shows a crossed-out network symbol; Remote Desktop times out",
    ),
    not_to_confuse=(
        "I19: the service that asks for addresses is off.",
        "An adapter with several addresses: Windows wants them entered by hand, without DHCP.",
        "I20: it has several addresses, and leaves from the wrong one.",
    ),
    signs=(
        guest_shows(_adapter_off, "network"),
        guest_shows(_without_dhcp, "network"),
        health_report(_no_network, _tells_adapters),
        only_when(_silent, health_report(_fixed_address, _tells_adapters, "windows-dhcp-off")),
    ),
    covers=("I01",),
    variants=(Variant("windows-dhcp-off", "The guest's network adapter does not use DHCP"),),
    remedies=(
        Remedy(
            "switch the adapter on (PowerShell on the serial console: SAC, cmd, log in)",
            "Enable-NetAdapter -Name {culprit}",
            where=Where.CONSOLE,
            effect="no restart; needs a user with a password",
            link=CONSOLE,
        ),
        Remedy(
            "let it use DHCP (same place)",
            "Set-NetIPInterface -InterfaceAlias {culprit} -AddressFamily IPv4 -Dhcp Enabled; ipconfig.exe /renew",
            where=Where.CONSOLE,
            effect="the address that Azure has for it; a fixed one belongs into Azure's settings of the NIC",
            risk="a session over this adapter breaks",
            link=STATIC,
        ),
        Remedy(
            "reset the network interface",
            "az vm repair reset-nic {vm} --yes",
            where=Where.AZ,
            effect="a new configuration of the NIC, which undoes a static address set in the guest",
            risk="two restarts; the private address changes for a moment",
            downtime="5-10 min",
            link=RESET,
        ),
    ),
    links=(RESET, CONSOLE, STATIC),
    sources=(_REPORT, _ARTICLE_NAME),
)

DHCP_CLIENT = KnownCause(
    code="I19",
    slug="dhcp-client-off",
    title="The DHCP Client service does not run",
    scenario=Scenario.NETWORK_DOWN,
    system=System.WINDOWS,
    means="Windows' service DHCP Client (Dhcp) asks for the VM's address, and for the host's address that the agent "
    "needs. It is disabled or stopped: after the next restart, or when its lease ends, the VM has no address.",
    looks_like=(
        "Get-Service Dhcp: Stopped, StartType Disabled",
        r"HKLM\SYSTEM\CurrentControlSet\Services\Dhcp Start: 4",
        '{"name":"Dhcp","startMode":"Disabled","state":"Stopped"} in the health report',
    ),
    not_to_confuse=("I18: the service runs, and the adapter is off or has a fixed address.",),
    signs=(guest_shows(_dhcp_client_off, "service"), health_report(_dhcp_client, _tells_dhcp_client)),
    covers=("I18", "I01"),
    remedies=(
        Remedy(
            "start the service (PowerShell on the serial console: SAC, cmd, log in)",
            "Set-Service -Name Dhcp -StartupType Automatic; Start-Service -Name Dhcp; ipconfig.exe /renew",
            where=Where.CONSOLE,
            effect="Windows gets its address from Azure again",
            undo="Stop-Service -Name Dhcp",
            link=CONSOLE,
        ),
        *windows_script("win-dhcp-fix", "mend the DHCP Client service"),
    ),
    links=(CONSOLE, RESET),
    sources=("repair-script-library win-dhcp-fix",),
)

WRONG_SOURCE = KnownCause(
    code="I20",
    slug="wrong-source-address",
    title="Windows sends from an address that Azure does not call primary",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    system=System.WINDOWS,
    means="The adapter has several addresses. Windows sends from the numerically lowest, whatever Azure calls primary; "
    "and only from the primary one can it reach Azure's services and the Wire Server.",
    looks_like=(
        "10.0.0.7 and 10.0.0.10 on one adapter; primary in Azure: 10.0.0.10; Windows sends from 10.0.0.7",
        "Remote Desktop works, nothing that goes out does",
    ),
    not_to_confuse=("N08: there is no way at all.", "W20: a filter refuses the connection."),
    signs=(Sign(Need.GUEST, _other_source, _sources_known), Sign(Need.NETWORK, _other_source)),
    remedies=(
        Remedy(
            "keep Windows from sending from that address (elevated PowerShell in the guest)",
            "Set-NetIPAddress -IPAddress {culprit} -SkipAsSource $true",
            effect="Windows sends from the primary address; the other one still answers",
            undo="Set-NetIPAddress -IPAddress {culprit} -SkipAsSource $false",
            link=SEVERAL,
        ),
    ),
    links=(SEVERAL, ARTICLE),
    sources=("no-internet-access-multi-ip.md", _VMASSIST, _ARTICLE_NAME),
)

GHOSTS = KnownCause(
    code="I21",
    slug="ghosted-adapters",
    title="Windows keeps many network adapters that are gone",
    kind=Kind.STATE,
    system=System.WINDOWS,
    means="Each time that the VM moves to another host Windows may see a new adapter, and keeps the old one, hidden. "
    "Tens do no harm; many hundreds slow down the start, and can break the network or updates.",
    looks_like=(
        "the adapter is called «Microsoft Hyper-V Network Adapter #57»",
        "Device Manager, hidden devices: long rows of greyed-out adapters",
    ),
    not_to_confuse=("I18: the adapter in use is down.",),
    signs=(guest_shows(_many_instances, "network"),),
    remedies=(
        Remedy(
            "list the hidden ones (elevated PowerShell in the guest)",
            "Get-PnpDevice -Class Net | Where-Object Status -EQ 'Unknown' | Format-Table FriendlyName, InstanceId",
            effect="reads only",
        ),
        Remedy(
            "take a snapshot of the disk, then remove them with Windows_GhostedNIC_Removal of "
            "Azure/azure-support-scripts",
            effect="Windows starts faster",
            risk="it changes the registry and the devices",
            downtime="up to an hour where there are a thousand",
        ),
    ),
    links=(RESET,),
    sources=("Azure/azure-support-scripts RunCommand/Windows/Windows_GhostedNIC_Removal",),
)
