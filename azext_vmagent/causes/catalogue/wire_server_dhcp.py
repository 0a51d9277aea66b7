"""The agent has no network, or asks DHCP for the Wire Server in vain (Linux)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azext_vmagent.causes.catalogue.wire_server_path import PORTS, WIRE_SERVER
from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, Where
from azext_vmagent.causes.signs import (
    agent_says,
    failing_with,
    guest_shows,
    guest_word,
    only_when,
    serial_boot,
    told,
    wire_logs,
)
from azext_vmagent.facts.agent_log import GOAL_STATE_FETCHED
from azext_vmagent.facts.guest_facts import Connect
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Scenario

_LINUX_NETWORK = "troubleshoot/azure/virtual-machines/linux/cannot-connect-linux-network"


def _nowhere(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    if guest is not None and Connect.UNREACHABLE in (guest.outcome(80), guest.outcome(32526)):
        yield guest_word(scene.facts, "the kernel says «network is unreachable»", "tcp/80", guest.route.text or None)


def _no_client(facts: Facts) -> bool:
    """The guest told of no client, or it was not asked and the agent does not get through."""
    if facts.guest is not None and facts.guest.dhcp_clients is not None:
        return not facts.guest.dhcp_clients
    return any(log.failures for _, log in wire_logs(facts))


def _client_gone(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
    """No client, and the first interface has no address."""
    guest = scene.facts.guest
    if guest is None or not guest.complete or guest.dhcp_clients != () or not guest.azure_interfaces:
        return
    first = guest.azure_interfaces[0]
    if not first.addresses:
        yield guest_word(scene.facts, f"{cause.title}, and {first.name} has no address", "processes")


NO_NETWORK = KnownCause(
    code="N09",
    slug="network-unreachable",
    title="The guest has no network at all",
    scenario=Scenario.NETWORK_DOWN,
    means="The kernel has no route for what the agent sends, neither to the Wire Server nor anywhere: an interface is "
    "down or has no address, or the routes are gone. It is the guest's network that is broken, not the way to one "
    "address; nobody can log in through it either.",
    looks_like=(
        "waagent.log: [HTTP Failed] GET http://168.63.129.16/… -- IOError [Errno 101] Network is unreachable",
        "ERROR:socket IOError  args: (101, 'Network is unreachable') (agents of the 2.0 line)",
        "curl: (7) Immediate connect fail for 168.63.129.16: Network is unreachable",
    ),
    not_to_confuse=(
        "N08: other addresses are reached.",
        "I01: the interface is down; I07: it has no address; I13: it has no route.",
        "Once or twice while the guest starts: the network came a moment later.",
    ),
    signs=(
        Sign(Need.GUEST, _nowhere, told(*PORTS)),
        failing_with(r"\[Errno 101\]|Network is unreachable", "the agent has no network"),
        *agent_says(
            "Network is unreachable",
            r"socket IOError.{0,60}\(101, 'Network is unreachable'\)",
            "the agent has no network",
            recovered_by=GOAL_STATE_FETCHED,
        ),
    ),
    covers=("N24",),
    remedies=(
        Remedy("see interfaces, addresses and routes", "ip -br link; ip -br addr; ip route", effect="reads only"),
        Remedy(
            "reset the network interface from outside",
            "az vm repair reset-nic {vm} --yes",
            where=Where.AZ,
            effect="a new configuration of the NIC, which undoes what was set in the guest",
            risk="two restarts; the private address changes for a moment",
            downtime="5-10 min",
        ),
    ),
    links=("troubleshoot/azure/virtual-machines/linux/reset-network-interface-azure-linux-vm", WIRE_SERVER),
    sources=("WALA#461", "connect(2): ENETUNREACH"),
)


NO_DHCP = KnownCause(
    code="N12",
    slug="endpoint-discovery-by-dhcp",
    title="The agent looks for the Wire Server by DHCP, and DHCP does not answer",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="When its route table holds no route that it takes for the Wire Server's, the agent asks DHCP where it is "
    "(option 245). In a guest with a static address, without a DHCP client or with a rule against DHCP, nobody "
    "answers, and it asks for ever. Azure wants DHCP in the guest: a fixed address is set on Azure's network "
    "interface.",
    looks_like=(
        "waagent.log: Failed to send DHCP request: [DhcpError] timed out, again and again",
        "waagent.log: No route exists to 168.63.129.16; Send dhcp request",
    ),
    not_to_confuse=(
        "One or two of these lines at a start, before the address comes, are nothing.",
        "I05: the address in the guest is not the one that Azure gave.",
        "I07: the interface has no address because DHCP failed.",
    ),
    signs=(
        serial_boot(),
        *agent_says(
            "Failed to send DHCP request",
            r"Failed to send DHCP request: (?:\[DhcpError\]|\(000006\)|\[000006\])",
            "the agent's request to DHCP got no answer",
            recovered_by=re.compile("ire server endpoint:|" + GOAL_STATE_FETCHED.pattern),
            on_console=False,
        ),
        *agent_says(
            "Failed to receive dhcp response",
            what="the agent's request to DHCP got no answer",
            recovered_by=re.compile("ire server endpoint:|" + GOAL_STATE_FETCHED.pattern),
            on_console=False,
        ),
    ),
    covers=("N24",),
    remedies=(
        Remedy(
            "let the interface be configured by DHCP again; set the fixed address on Azure's network interface",
            "grep -rn -E 'BOOTPROTO|iface .* inet|dhcp4|addresses' /etc/sysconfig/network-scripts "
            "/etc/network/interfaces /etc/netplan",
            effect="shows what is set now",
            link=_LINUX_NETWORK,
        ),
        Remedy(
            "newer agents: name the Wire Server instead (Protocol.EndpointDiscovery=static)",
            "grep -q '^Protocol.EndpointDiscovery' /etc/waagent.conf || echo Protocol.EndpointDiscovery=static >> "
            "/etc/waagent.conf; systemctl restart {unit}",
            effect="the agent asks 168.63.129.16 without DHCP",
            undo="sed -i '/^Protocol.EndpointDiscovery=static$/d' /etc/waagent.conf; systemctl restart {unit}",
        ),
    ),
    links=(_LINUX_NETWORK, WIRE_SERVER),
    sources=("WALA#2781", "WALinuxAgent common/dhcp.py", "cannot-connect-linux-network.md, error 4"),
)


NO_DHCP_CLIENT = KnownCause(
    code="N13",
    slug="dhcp-client-missing",
    title="No DHCP client runs in the guest",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="The agent watches the guest's DHCP client and finds none. Without one the lease is not renewed, the "
    "address is lost when it ends, and the agent cannot learn the Wire Server's address by DHCP.",
    looks_like=(
        "waagent.log: Dhcp client is not running.",
        "no dhclient, dhcpcd, NetworkManager or systemd-networkd runs",
    ),
    not_to_confuse=(
        "The agent knows its distribution's client by name only: where NetworkManager asks DHCP itself it says so as "
        "well, and nothing is wrong.",
        "N12: a client may run, and gets no answer.",
    ),
    signs=(
        *(only_when(_no_client, sign) for sign in agent_says("Dhcp client is not running", on_console=False)),
        guest_shows(_client_gone, "network", "traffic control"),
    ),
    covers=("N24",),
    remedies=(
        Remedy(
            "see who should ask DHCP",
            "systemctl status NetworkManager systemd-networkd networking --no-pager; command -v dhclient dhcpcd udhcpc",
            effect="reads only",
        ),
        Remedy(
            "start what manages this guest's network, or install a DHCP client",
            "systemctl enable --now NetworkManager",
            risk="where another service manages the network, start that one instead",
            undo="systemctl disable --now NetworkManager",
        ),
    ),
    links=(_LINUX_NETWORK,),
    sources=("WALA#735", "WALinuxAgent ga/env.py"),
)
