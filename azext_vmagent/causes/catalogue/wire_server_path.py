"""Scenario 2, Linux: what stands in the way from the guest to the Wire Server (168.63.129.16): rules, routes, units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, System, Variant
from azext_vmagent.causes.signs import (
    failing_with,
    guest_shows,
    guest_word,
    inside,
    serial_boot,
    serial_words,
    told,
    unrecovered,
)
from azext_vmagent.facts.guest_facts import Connect, GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Scenario

WIRE_SERVER = "azure/virtual-network/what-is-ip-address-168-63-129-16"
AGENT = "troubleshoot/azure/virtual-machines/linux/linux-azure-guest-agent"
SEVERAL_NICS = "troubleshoot/azure/virtual-machines/linux/linux-vm-multiple-virtual-network-interfaces-configuration"
PORTS = ("wire server 80", "wire server 32526")

TEST = Remedy(
    "test the way as root, on both ports",
    "curl --noproxy '*' -m 5 http://168.63.129.16/?comp=versions; "
    "curl --noproxy '*' -m 5 http://168.63.129.16:32526/versions",
    effect="reads only; another user's test proves nothing, for the agent's own rules stop it",
    link=WIRE_SERVER,
)


def out_of_reach(guest: GuestFacts) -> bool:
    """Root's test of tcp/80 did not get through."""
    return guest.root is True and guest.outcome(80) not in (Connect.OK, Connect.NOT_SAID, Connect.NO_TOOL)


def _leads(what: str, guest: GuestFacts, facts: Facts, variant: str = "") -> Iterator[Seen]:
    text = guest.route.text.strip()
    yield guest_word(facts, what, "ip route get", text, text, variant)


#: what the agent asks of tcp/32526, the host's plugin
OF_THE_PLUGIN = re.compile(r"GET vmSettings|:32526\b")
_TUNNEL = re.compile(
    r"(?:wg|tun|tap|tailscale|ts|ppp|zt|nordlynx|proton|ipsec|vti|xfrm|gpd|cscotun|outline|utun)[\w-]{0,15}"
)


_BY_ETH0 = (
    "ip route replace 168.63.129.16/32 via \"$(ip -4 route show default dev eth0 | awk '{ print $3; exit }')\" dev eth0"
)


def _by_tunnel(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    if guest is not None and out_of_reach(guest) and _TUNNEL.fullmatch(guest.route.device):
        yield from _leads(f"what is sent to the Wire Server leaves by {guest.route.device}", guest, scene.facts)


def _default_devices(guest: GuestFacts) -> set[str]:
    lines = guest.default_routes or ()
    return {found[1] for line in lines if (found := re.search(r" dev (\S{1,16})", line))}


def _by_lan_side(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """A route of its own that leaves by an interface which no default route uses."""
    guest = scene.facts.guest
    if guest is None or not out_of_reach(guest) or guest.route.kind != "unicast":
        return
    device, usual = guest.route.device, _default_devices(guest)
    if device and usual and device not in usual and not _TUNNEL.fullmatch(device):
        what = f"the Wire Server's own route leaves by {device}, the default route by {', '.join(sorted(usual))}"
        yield from _leads(what, guest, scene.facts)


def _by_another_nic(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """The default route that won is a secondary interface's: Azure answers the primary one alone."""
    guest = scene.facts.guest
    if guest is None or not out_of_reach(guest) or guest.route.kind != "unicast" or guest.rules.blocks:
        return
    nics = [one.name for one in guest.azure_interfaces]
    device = guest.route.device
    if device in nics[1:] and device in _default_devices(guest):
        what = f"the route to the Wire Server leaves by {device}, which is not the first interface ({nics[0]})"
        yield from _leads(what, guest, scene.facts, "route-by-another-interface")


def _no_answer(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    if guest is not None and out_of_reach(guest):
        test = guest.wire[80]
        what = f"tcp/80 to 168.63.129.16 ends {test.outcome.value} from root"
        yield guest_word(scene.facts, what, test.tool or "", test.detail or None)


def _answers(facts: Facts) -> bool:
    return facts.guest is not None and facts.guest.root is True and facts.guest.outcome(80) is Connect.OK


ROUTE = KnownCause(
    code="N08",
    slug="route-blocks",
    title="A route keeps the guest from the Wire Server",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    system=System.BOTH,
    means="The guest's routes lead to 168.63.129.16 the wrong way, or nowhere: a blackhole or unreachable route, a "
    "gateway that is not Azure's, or, on a VM with several interfaces, the default route of a secondary one. Azure "
    "answers on the primary interface only. No firewall shows anything of it.",
    looks_like=(
        "ip route get 168.63.129.16: RTNETLINK answers: Invalid argument (a blackhole) or: No route to host",
        "waagent.log: [Errno 113] No route to host; No route exists to 168.63.129.16",
        "ERROR:socket IOError  args: (113, 'No route to host') (agents of the 2.0 line)",
        "ip neigh: 10.0.0.254 dev eth0 FAILED",
    ),
    not_to_confuse=(
        "«No route exists to 168.63.129.16» alone: agents say so at each start when the route is the default one, and "
        "go on.",
        "N09: there is no network at all.",
        "N10: a static route of its own leads out of an inner interface.",
        "N11: a tunnel takes it.",
        "I13: there is no default route.",
    ),
    signs=(
        replace(inside("network"), settles=lambda facts: told("network", *PORTS)(facts) and _answers(facts)),
        guest_shows(_by_another_nic, "network", *PORTS),
        serial_boot(),
        unrecovered(serial_words("agent")),
        failing_with(r"\[Errno 113\]|No route to host|No route exists to 168", "the agent has no route to it"),
    ),
    covers=("N24", "P11"),
    variants=(
        Variant("gateway-wrong", "The guest's gateway does not answer"),
        Variant("no-route-to-wire-server", "The agent has no route to the Wire Server"),
        Variant("route-by-another-interface", "The route to the Wire Server leaves by a secondary interface"),
        Variant("no-route", "Windows has no route to the Wire Server"),
        Variant("route-elsewhere", "A persistent route leads the Wire Server elsewhere"),
    ),
    remedies=(
        Remedy(
            "see where it leads",
            "ip route get 168.63.129.16; ip route show table all | grep -E '168.63|default|blackhole|unreachable'; ip "
            "rule",
            effect="reads only",
        ),
        Remedy(
            "send it through the primary interface's own gateway (here eth0)",
            _BY_ETH0,
            effect="until the next reboot; then whatever the guest's network configuration says",
            undo="ip route del 168.63.129.16/32",
        ),
        Remedy("several interfaces: a routing table for each of them", link=SEVERAL_NICS),
    ),
    links=(WIRE_SERVER, SEVERAL_NICS),
    sources=(
        "WALA#968",
        "WALA#2481",
        "WALinuxAgent common/dhcp.py",
        "recorded: faults wire-server-blackhole and others",
    ),
)

LAN_SIDE = KnownCause(
    code="N10",
    slug="route-by-inner-interface",
    title="A route of its own sends the Wire Server out of an inner interface",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="On a firewall or router appliance, or a VM with an inner and an outer network, a static route for "
    "168.63.129.16 leads out of the inner (LAN) side while the default route uses the other one. Azure answers on the "
    "primary interface only, so the agent never hears anything.",
    looks_like=(
        "ip route get 168.63.129.16: 168.63.129.16 via 10.1.0.1 dev eth1, and: default via 10.0.0.1 dev eth0",
        "pfSense, OPNsense: a static route for 168.63.129.16/32 with the LAN gateway",
    ),
    not_to_confuse=(
        "N08: the default route itself is wrong, or a route blocks.",
        "N11: a tunnel takes it.",
        "Such a route while the Wire Server answers: then it is right.",
    ),
    signs=(guest_shows(_by_lan_side, "network", *PORTS),),
    covers=("N24", "N08", "P11"),
    remedies=(
        Remedy("see where it leads", "ip route get 168.63.129.16; ip route show", effect="reads only"),
        Remedy(
            "delete the route of its own, so that the default route of the primary interface serves it",
            "ip route del 168.63.129.16/32",
            effect="until the configuration sets it again: take it out there as well",
            risk="none known where the default route leaves by the primary interface",
        ),
    ),
    links=(WIRE_SERVER, SEVERAL_NICS),
    sources=("opnazure#20", "AzurePfSense#1"),
)

TUNNEL = KnownCause(
    code="N11",
    slug="route-by-tunnel",
    title="A VPN or tunnel takes what goes to the Wire Server",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="A VPN with a full tunnel, an exit node or a mesh network took over the guest's default route, or a route "
    "that holds 168.63.129.16. That address exists only between a VM and its own host: behind a tunnel nobody answers "
    "it.",
    looks_like=(
        "ip route get 168.63.129.16: 168.63.129.16 dev wg0 table 51820 src 10.8.0.2",
        "ip route get 168.63.129.16: 168.63.129.16 dev tailscale0 table 52 src 100.64.0.5",
        "the agent went silent when the VPN came up",
    ),
    not_to_confuse=(
        "N08: the route leads to an interface of Azure's, but the wrong one.",
        "A tunnel that only carries its own networks is none of the agent's business.",
    ),
    signs=(guest_shows(_by_tunnel, "network", *PORTS),),
    covers=("N24", "N08", "N10", "P11"),
    remedies=(
        Remedy(
            "see what takes it", "ip route get 168.63.129.16; ip rule; ip route show table all", effect="reads only"
        ),
        Remedy(
            "send it through the primary interface's own gateway (here eth0)",
            "ip rule add to 168.63.129.16/32 lookup main priority 100 && " + _BY_ETH0,
            effect="until the next reboot: exclude 168.63.129.16/32 in the VPN's own settings as well",
            undo="ip rule del to 168.63.129.16/32 lookup main priority 100; ip route del 168.63.129.16/32",
        ),
    ),
    links=(WIRE_SERVER,),
    sources=("tailscale#12883", "wg-quick(8): AllowedIPs = 0.0.0.0/0 takes the default route"),
)

UNIT_CUT_OFF = KnownCause(
    code="N22",
    slug="unit-cut-off",
    title="The agent's unit may not reach the Wire Server, everybody else may",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="A setting of systemd in the agent's own unit (or in a slice around it) keeps its processes off the network: "
    "IPAddressDeny=, PrivateNetwork=, RestrictAddressFamilies= without AF_INET, or a network namespace. A test from a "
    "shell succeeds, because it runs outside that unit.",
    looks_like=(
        "systemctl cat waagent: IPAddressDeny=any",
        "systemctl show waagent -p IPAddressDeny: IPAddressDeny=168.63.129.16/32",
        "curl as root answers, waagent.log goes on with: IOError [Errno 1] Operation not permitted, or timed out",
    ),
    not_to_confuse=(
        "N02: root is stopped everywhere, not only in the unit.",
        "IPAddressAllow= that holds the address outweighs IPAddressDeny=.",
    ),
    signs=(inside("service"),),
    covers=("N24",),
    remedies=(
        Remedy("see the unit with its drop-ins", "systemctl cat {unit}", effect="reads only"),
        Remedy(
            "let the unit reach the Wire Server",
            "systemctl set-property --runtime {unit} IPAddressAllow=168.63.129.16",
            effect="until the next reboot; then the drop-in decides: mend it, systemctl daemon-reload, restart the "
            "agent",
            risk="none known",
            undo="systemctl revert --runtime {unit}",
        ),
    ),
    links=(WIRE_SERVER,),
    sources=(
        "systemd.resource-control(5), systemd.exec(5)",
        "recorded in the laboratory: faults agent-unit-ip-deny, agent-unit-private-network",
    ),
)

NO_ANSWER = KnownCause(
    code="N24",
    slug="wire-server-timeout",
    title="The Wire Server does not answer the agent",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="The agent's requests to 168.63.129.16 end without an answer. That is what a rule, a route, a proxy agent "
    "or the host's side looks like as long as nobody has looked at what is in the way; one of the causes beside this "
    "one names it.",
    looks_like=(
        "waagent.log: [HTTP Failed] GET http://168.63.129.16/?comp=versions -- IOError timed out -- 6 attempts made",
        "waagent.log: WireServer is not responding. Reset dhcp endpoint",
        "curl: (28) Connection timed out after 3001 milliseconds",
    ),
    not_to_confuse=(
        "N20: somebody tested it as another user than root.",
        "L34: the log goes on with «recovered from previous errors», or completes a goal state.",
        "P11: it answers with a status of 5xx, or nothing in the guest is in the way.",
        "«WireServer endpoint is not found. Rerun dhcp handler» stands in the log of every start.",
    ),
    signs=(
        Sign(Need.GUEST, _no_answer, lambda facts: told("agent log")(facts) and _answers(facts)),
        failing_with(
            r"^(?!.{0,300}(?:GET vmSettings|:32526)).*?"
            r"(?:IOError|timed out|\[Errno 11[01]\]|WireServer is not responding|Protocol endpoint not found)",
            "the agent got no answer from the Wire Server",
        ),
        unrecovered(serial_words("agent")),
    ),
    remedies=(
        TEST,
        Remedy("look for what is in the way", "iptables-save; nft list ruleset; ip route get 168.63.129.16"),
    ),
    links=(WIRE_SERVER + "#troubleshoot-connectivity", AGENT),
    sources=(
        "linux-azure-guest-agent.md, scenario 2",
        "WALinuxAgent common/utils/restutil.py, common/protocol/util.py",
    ),
)
