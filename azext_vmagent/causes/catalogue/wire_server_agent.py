"""Scenario 2, Linux: the agent's side of its talk with the Wire Server: ports, proxies, storage."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azext_vmagent.causes.catalogue.wire_server_path import AGENT, OF_THE_PLUGIN, PORTS, WIRE_SERVER, out_of_reach
from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, System, Where
from azext_vmagent.causes.signs import (
    agent_says,
    failing_with,
    guest_word,
    said_in_log,
    serial_line,
    told,
    wire_logs,
)
from azext_vmagent.facts.agent_log import GOAL_STATE_FETCHED
from azext_vmagent.facts.guest_facts import Connect, GuestFacts
from azext_vmagent.facts.instance_view import VmFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.facts.serial_signature import KERNEL
from azext_vmagent.model import Scenario

_UPDATE = "azure/virtual-machines/extensions/update-linux-agent"
_NO_EXTENSIONS = "troubleshoot/azure/virtual-machines/linux/linux-agent-cannot-process-extensions"
_UPDATE_AGENT = Remedy("update the agent", effect="replaces a version that has this fault", link=_UPDATE)
_TRIED = (Connect.NOT_SAID, Connect.NO_TOOL)


def _blocked(guest: GuestFacts, port: int) -> bool:
    return guest.root is True and guest.outcome(port) not in (Connect.OK, *_TRIED)


def _half(guest: GuestFacts) -> bool:
    return guest.outcome(80) is Connect.OK and _blocked(guest, 32526)


def _only_32526(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    if guest is not None and _half(guest):
        what = f"tcp/80 answers root, tcp/32526 ends {guest.outcome(32526).value}"
        yield guest_word(scene.facts, what, guest.wire[32526].tool or "", guest.wire[32526].detail or None)


def _plugin_fails(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """The newest word on port 32526 is a failure of the network, and nothing tells of port 80."""
    guest = scene.facts.guest
    if guest is not None and (guest.outcome(32526) is Connect.OK or out_of_reach(guest)):
        return
    for channel, log in wire_logs(scene.facts):
        others = [line for line in log.failures if not OF_THE_PLUGIN.search(line.text)]
        lines = log.failures or ((log.host_plugin,) if log.host_plugin is not None else ())
        if not others and lines and _NETWORK_FAULT.search(lines[-1].text):
            what = "the agent does not reach tcp/32526, and tells of no trouble with tcp/80"
            yield said_in_log(what, channel, lines[-1])


_NETWORK_FAULT = re.compile(r"IOError|timed out|\[Errno (?:11[013]|101)\]")


def _nothing_blocks_32526(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    if guest is None or not guest.complete or not _half(guest):
        return
    if not guest.rules.complete or guest.rules.undecided:
        return
    if 32526 not in guest.rules.ports():
        yield guest_word(scene.facts, "tcp/32526 does not answer, and no rule of the guest blocks it", "tcp/32526")


def _proxies(guest: GuestFacts) -> Iterator[str]:
    """The proxies that the agent may be sent through, each with where it is set."""
    host = guest.config.get("HttpProxy.Host", "None")
    if host not in ("", "None"):
        yield f"/etc/waagent.conf: HttpProxy.Host={host}"
    words = guest.service.environment.split()
    named = {name.lower(): value for name, _, value in (word.strip('"').partition("=") for word in words)}
    spared = re.split(r"[,\s]+", named.get("no_proxy", ""))
    if "168.63.129.16" in spared or "*" in spared:
        return
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        if named.get(name):
            yield f"{guest.service.unit}: {name}={named[name]}"


def _by_proxy(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """A proxy is set, the agent fails, and a test that uses no proxy gets through."""
    guest = scene.facts.guest
    if guest is None or guest.outcome(80) is not Connect.OK or not guest.log.failures:
        return
    for proxy in _proxies(guest):
        what = "the agent fails while root's test, which uses no proxy, gets through"
        yield guest_word(scene.facts, what, proxy.partition(":")[0], proxy, proxy)


def _enforced(vm: VmFacts | None) -> bool:
    return vm is not None and vm.proxy_agent_enabled is True and vm.proxy_agent_wire_server_mode.lower() == "enforce"


def _proxy_agent_denies(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """The Wire Server's door refuses root, or its keeper does not run although the VM's model demands it."""
    facts, guest = scene.facts, scene.facts.guest
    if guest is None:
        return
    enforced = _enforced(facts.vm)
    if not enforced and (not guest.proxy_agent or facts.vm is not None):
        return
    for port, test in sorted(guest.wire.items()):
        if test.status in (401, 403):
            yield guest_word(
                facts, f"tcp/{port} of 168.63.129.16 answers root with HTTP {test.status}", test.tool or ""
            )
    if enforced and guest.proxy_agent not in ("active", "") and _blocked(guest, 80):
        state = f"azure-proxy-agent.service is {guest.proxy_agent}"
        yield guest_word(facts, "the Guest Proxy Agent does not run, and the VM's model demands it", "systemd", state)


_CONNTRACK = r"(?:[a-z]{2}_conntrack: ){1,2}table full, dropping packet"


def _conntrack_words(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    for line in guest.kernel_words if guest is not None else ():
        if re.search(_CONNTRACK, line):
            yield guest_word(scene.facts, cause.title, "kernel", line)


def _plugin_answers(facts: Facts) -> bool:
    return facts.guest is not None and facts.guest.outcome(32526) is Connect.OK


def _unproxied(facts: Facts) -> bool:
    return facts.guest is not None and not any(_proxies(facts.guest))


ONLY_32526 = KnownCause(
    code="N06",
    slug="only-32526-blocked",
    title="Only tcp/32526 of the Wire Server is blocked",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="The Wire Server has two doors: tcp/80, where the agent asks what to do, and tcp/32526, the host's plugin, "
    "where it fetches settings and leaves its status. With only the first one open the agent works by half: Azure may "
    "show Ready, Not Ready or change between them, and extensions hang.",
    looks_like=(
        "waagent.log: HostGAPlugin: Exception Get API versions: [HTTP Failed] GET http://168.63.129.16:32526/versions "
        "-- IOError timed out -- 6 attempts made",
        "curl http://168.63.129.16/?comp=versions answers, curl http://168.63.129.16:32526/versions times out",
    ),
    not_to_confuse=(
        "N02: the rule stops both ports.",
        "N14: tcp/32526 answers, with 400 Bad Request.",
        "tcp/443 of 168.63.129.16 is closed everywhere and not needed.",
    ),
    signs=(
        Sign(Need.GUEST, _only_32526, lambda facts: told(*PORTS)(facts) and _plugin_answers(facts)),
        Sign(Need.AGENT_LOG, _plugin_fails),
    ),
    remedies=(
        Remedy(
            "let root out to tcp/32526 as well",
            "iptables -I OUTPUT -d 168.63.129.16/32 -p tcp --dport 32526 -m owner --uid-owner 0 -j ACCEPT",
            effect="until the rules are loaded anew: add it to the firewall that owns them",
            risk="none known",
            undo="iptables -D OUTPUT -d 168.63.129.16/32 -p tcp --dport 32526 -m owner --uid-owner 0 -j ACCEPT",
        ),
    ),
    links=(WIRE_SERVER, AGENT),
    sources=("WALA#1596", "WALinuxAgent common/protocol/hostplugin.py", "recorded: fault wire-server-32526"),
)


HOST_PLUGIN_SILENT = KnownCause(
    code="N21",
    slug="host-plugin-blocked",
    title="Only tcp/32526 of the Wire Server is out of reach",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="tcp/80 of the Wire Server answers, tcp/32526 does not, and no rule or route of the guest is in the way as "
    "far as they could be read: the host's plugin behind that port is silent. The agent falls back to direct uploads; "
    "extensions may hang.",
    looks_like=("curl http://168.63.129.16:32526/versions: Connection refused, while the rules list nothing about it",),
    not_to_confuse=("N06: something in the guest blocks the port.", "P11: tcp/80 does not answer either."),
    signs=(Sign(Need.GUEST, _nothing_blocks_32526, lambda facts: told(*PORTS)(facts) and _plugin_answers(facts)),),
    covers=("N06",),
    remedies=(
        Remedy(
            "redeploy the VM to another host",
            "az vm redeploy {vm}",
            where=Where.AZ,
            effect="another host's plugin serves the VM",
            risk="what is on the temporary disk is lost; a dynamic address may change",
            downtime="5-10 min",
        ),
        Remedy(
            "look again for a rule about tcp/32526",
            "iptables-save | grep -n 32526; nft list ruleset | grep -n 32526",
            effect="reads only",
        ),
    ),
    links=(WIRE_SERVER,),
    sources=("WALinuxAgent common/protocol/hostplugin.py", "vmassist"),
)

PROXY = KnownCause(
    code="N07",
    slug="http-proxy-in-the-way",
    title="A proxy swallows what the agent sends to the Wire Server",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="A proxy is set in /etc/waagent.conf (HttpProxy.Host) or in the environment of the agent's unit "
    "(http_proxy), without an exception for 168.63.129.16. Older agents then send the Wire Server's calls through it. "
    "The proxy knows nothing of that address, which exists only on the VM's own host, and answers with a page of its "
    "own.",
    looks_like=(
        "waagent.log: Agent WALinuxAgent-2.2.2 failed with exception: syntax error: line 1, column 49",
        "systemctl show waagent -p Environment: http_proxy=http://10.0.0.9:3128, and no no_proxy",
        "/etc/waagent.conf: HttpProxy.Host=10.0.0.9",
    ),
    not_to_confuse=(
        "A proxy that is set while the agent works: agents since 2.2.13 or so go past it to the Wire Server.",
        "N02: root's test, which uses no proxy, does not get through either.",
    ),
    signs=(
        Sign(Need.GUEST, _by_proxy, lambda facts: told("service", "configuration")(facts) and _unproxied(facts)),
        *agent_says(
            "syntax error: line 1, column",
            r"(?:failed with exception|goal ?state|Protocol endpoint not found|versions?)\b.{0,120}"
            r"syntax error: line 1, column \d{1,4}",
            "the agent got a page that is no answer of the Wire Server",
            recovered_by=GOAL_STATE_FETCHED,
        ),
    ),
    covers=("N24",),
    remedies=(
        Remedy(
            "let the agent's unit go past the proxy to Azure's own addresses",
            "mkdir -p /etc/systemd/system/{unit}.service.d && printf "
            "'[Service]\\nEnvironment=no_proxy=168.63.129.16,169.254.169.254\\n' > "
            "/etc/systemd/system/{unit}.service.d/no-proxy.conf && systemctl daemon-reload && systemctl restart {unit}",
            effect="the agent asks the Wire Server itself; downloads still use the proxy",
            undo="rm /etc/systemd/system/{unit}.service.d/no-proxy.conf; systemctl daemon-reload; systemctl restart "
            "{unit}",
        ),
        Remedy(
            "where it stands in waagent.conf: comment HttpProxy.Host and HttpProxy.Port out, then restart the agent",
            "grep -n HttpProxy /etc/waagent.conf",
            effect="shows them; some old agents do not mind no_proxy",
        ),
        _UPDATE_AGENT,
    ),
    links=(WIRE_SERVER, _UPDATE),
    sources=("WALA#364", "WALA#523", "WALA#769", "WALA#783", "WALA#800", "WALA#846", "WALA#1382"),
)


STORAGE_400 = KnownCause(
    code="N14",
    slug="host-plugin-refuses",
    title="An old agent's status is refused by the host's plugin (400 Bad Request)",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    system=System.BOTH,
    means="A security group or a route keeps the VM from Azure Storage, where old agents write their status. They fall "
    "back to the host's plugin in a form that it does not take any more, get 400 Bad Request, and Azure never hears "
    "their status.",
    looks_like=(
        "waagent.log: [HTTP Failed] PUT http://168.63.129.16:32526/status [400: Bad Request]",
        "waagent.log: get API versions returned status code [400]",
    ),
    not_to_confuse=("N06: tcp/32526 does not answer at all.", "N17: a new agent, and both ways fail."),
    signs=(
        *agent_says(
            "32526/status",
            r":32526/status.{0,40}\[400: Bad Request\]",
            "the host's plugin refuses the agent's status",
        ),
        *agent_says("returned status code [400]", r"get API versions returned status code \[400\]"),
    ),
    remedies=(
        _UPDATE_AGENT,
        Remedy(
            "let the VM reach Azure Storage (service tag Storage, tcp/443) in its security group and route table",
            "az network nic list-effective-nsg --ids $(az vm show {vm} --query "
            "'networkProfile.networkInterfaces[0].id' -o tsv)",
            where=Where.AZ,
            effect="shows the rules in force",
        ),
    ),
    links=(_UPDATE, WIRE_SERVER),
    sources=("WALA#627", "WALA#632"),
)

PROXY_AGENT = KnownCause(
    code="N15",
    slug="guest-proxy-agent-denies",
    title="The Guest Proxy Agent keeps the agent from the Wire Server",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    system=System.BOTH,
    means="With the Metadata Security Protocol in Enforce mode, only signed requests reach the Wire Server. The Guest "
    "Proxy Agent in the guest signs what its rules allow. Where it does not run, lost its key, or its allow list "
    "leaves the agent out, every request is answered with 403 and Azure hears nothing.",
    looks_like=(
        "VM model: securityProfile.proxyAgentSettings.enabled true, wireServer.mode Enforce",
        "curl as root: HTTP/1.1 403 Forbidden from 168.63.129.16",
        "/var/log/azure-proxy-agent/: denied requests; systemctl is-active azure-proxy-agent: failed",
    ),
    not_to_confuse=(
        "In Audit mode it denies nothing, it only writes down what it would deny.",
        "N02: the request gets no answer at all, rather than 403.",
        "P11: an answer of 5xx comes from the host.",
    ),
    signs=(
        Sign(Need.GUEST, _proxy_agent_denies, lambda facts: facts.vm is not None and told(*PORTS)(facts)),
        Sign(Need.VM_MODEL, lambda _scene, _cause: (), lambda facts: not _enforced(facts.vm)),
    ),
    covers=("N24", "P11"),
    remedies=(
        Remedy(
            "see what it denies and whether it runs",
            "systemctl status azure-proxy-agent --no-pager; tail -n 50 /var/log/azure-proxy-agent/*",
            effect="reads only",
        ),
        Remedy(
            "set the Wire Server's mode to Audit until its rules are right",
            "az vm update {vm} --set securityProfile.proxyAgentSettings.wireServer.mode=Audit",
            where=Where.AZ,
            effect="nothing is denied any more",
            risk="programs in the guest reach the Wire Server without being checked",
            undo="az vm update {vm} --set securityProfile.proxyAgentSettings.wireServer.mode=Enforce",
        ),
    ),
    links=(WIRE_SERVER,),
    sources=("Azure/GuestProxyAgent README", "azure-cli#29279", "azure-cli#31685"),
)

CONNTRACK_FULL = KnownCause(
    code="N16",
    slug="conntrack-table-full",
    title="The kernel's table of connections is full: it drops packets",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="The kernel remembers each connection that its firewall sees, up to nf_conntrack_max. Under a flood of short "
    "connections (a proxy, a scanner, many containers) the table fills, and every new connection is dropped, the "
    "agent's too. It comes and goes with the load.",
    looks_like=(
        "kernel: nf_conntrack: nf_conntrack: table full, dropping packet",
        "kernel: ip_conntrack: table full, dropping packet.",
        "some connections work, new ones time out at random",
    ),
    not_to_confuse=("N02: every attempt fails, and a rule is named.",),
    signs=(
        serial_line("_conntrack: table full", KERNEL + _CONNTRACK),
        Sign(Need.GUEST, _conntrack_words),
    ),
    remedies=(
        Remedy(
            "see how full it is",
            "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
            effect="reads only",
        ),
        Remedy(
            "raise the limit",
            "sysctl -w net.netfilter.nf_conntrack_max=262144",
            effect="until the next reboot; put it into /etc/sysctl.d to keep it",
            risk="some 320 bytes of kernel memory for each connection",
            undo="sysctl -w net.netfilter.nf_conntrack_max=65536",
        ),
    ),
    links=(WIRE_SERVER,),
    sources=("kernel net/netfilter/nf_conntrack_core.c", "EC2RL conntrackfull"),
)

BOTH_UPLOADS = KnownCause(
    code="N17",
    slug="both-channels-fail",
    title="The agent can upload or download neither directly nor through the host",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="The agent uploads its status and fetches extensions directly from Azure Storage, and through the host's "
    "plugin where that fails. Both fail here: no DNS or no way to storage, and tcp/32526 out of reach as well.",
    looks_like=(
        "waagent.log: Failed to upload status blob via either channel",
        "waagent.log: Download failed both on the primary and fallback channels. Primary: [...] Fallback: [...]",
    ),
    not_to_confuse=(
        "N06: only tcp/32526 fails, and storage is reached directly.",
        "N14: an old agent's upload is refused with 400.",
        "P05: the upload succeeds and Azure does not find it.",
    ),
    signs=(
        failing_with("upload status blob via either channel", "the agent's status is uploaded by neither way"),
        *agent_says(
            "primary and fallback channels",
            r"Download failed both on the primary and fallback channels",
            "the agent downloads by neither way",
            recovered_by="ProcessExtensionsInGoalState completed",
        ),
        *agent_says(
            "via either channel",
            what="the agent's status is uploaded by neither way",
            recovered_by="oal state completed",
            on_console=False,
        ),
    ),
    remedies=(
        Remedy(
            "see which of the two fails, and why",
            "grep -nE 'either channel|fallback channels|HostGAPlugin|blob.core' /var/log/waagent.log | tail -n 20; "
            "getent hosts blob.core.windows.net; curl -sS -m 5 -o /dev/null http://168.63.129.16:32526/versions",
            effect="reads only",
        ),
        Remedy("let the VM reach either: the host's plugin (tcp/32526), or Azure Storage (DNS and tcp/443)"),
    ),
    links=(_NO_EXTENSIONS, WIRE_SERVER),
    sources=("WALinuxAgent common/protocol/wire.py",),
)
