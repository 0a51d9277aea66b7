"""Scenario 3, Linux: the network interface is there, and it is down, without an address, or without a route."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from azext_vmagent.causes.catalogue.wire_server_path import PORTS, SEVERAL_NICS, out_of_reach
from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, Variant, Where
from azext_vmagent.causes.signs import (
    agent_says,
    guest_shows,
    guest_word,
    inside,
    serial_boot,
    serial_line,
    told,
    unrecovered,
)
from azext_vmagent.facts.agent_log import GOAL_STATE_FETCHED
from azext_vmagent.facts.guest_facts import Connect
from azext_vmagent.facts.host_metrics import CpuState, NetworkTrend
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import HOST_METRICS, Facts
from azext_vmagent.facts.serial_log import Outlook
from azext_vmagent.facts.serial_signature import STATUS
from azext_vmagent.model import Reason, Scenario

RESET = "troubleshoot/azure/virtual-machines/linux/reset-network-interface-azure-linux-vm"
LINUX_NETWORK = "troubleshoot/azure/virtual-machines/linux/cannot-connect-linux-network"
SERIAL_CONSOLE = "troubleshoot/azure/virtual-machines/linux/serial-console-linux"
RESET_NIC = Remedy(
    "reset the network interface from outside",
    "az vm repair reset-nic {vm} --yes",
    where=Where.AZ,
    effect="a new configuration of the NIC, which undoes a static address set in the guest",
    risk="two restarts; the private address changes for a moment",
    downtime="5-10 min",
    link=RESET,
)
LOG_IN = Remedy(
    "log in on the serial console: it needs no network, but a user with a password",
    "az serial-console connect {vm}",
    where=Where.AZ,
    effect="a shell in the guest, to look and to mend",
    link=SERIAL_CONSOLE,
)
LOOK = Remedy("see interfaces, addresses and routes", "ip -br link; ip -br addr; ip route", effect="reads only")
#: asks DHCP again by what the guest has
RENEW = "nmcli device reapply eth0 || networkctl reconfigure eth0 || dhclient eth0"


def _never(_facts: Facts) -> bool:
    return False


def from_boot() -> Sign:
    """A line of the newest boot; that none is there proves nothing, for a network may fail later without a word."""
    return replace(serial_boot(), settles=_never)


def _works(facts: Facts) -> bool:
    """Root reached the Wire Server, or the first interface is up, with an address and a route out."""
    guest = facts.guest
    if guest is None or not told("network", *PORTS)(facts):
        return False
    if guest.root is True and guest.outcome(80) is Connect.OK:
        return True
    first = guest.azure_interfaces[0] if guest.azure_interfaces else None
    up = first is not None and first.admin_up is True and first.carrier not in ("DOWN", "LOWERLAYERDOWN")
    return up and first is not None and bool(first.addresses) and bool(guest.default_routes)


def by_guest() -> Sign:
    """Named by the guest's own word; settled by a network that works."""
    return replace(inside(), settles=_works)


def _address_is_azures(facts: Facts) -> bool:
    """Root reached the Wire Server, or some interface holds the address that Azure gave the primary one."""
    guest, network = facts.guest, facts.network
    if guest is None or not told("network", *PORTS)(facts):
        return False
    held = {address.partition("/")[0] for one in guest.interfaces for address in one.addresses}
    reached = guest.root is True and guest.outcome(80) is Connect.OK
    return reached or (network is not None and network.private_address in held)


def _nothing(_scene: Scene, _cause: KnownCause) -> Iterable[Seen]:
    return ()


def _silent_from_outside(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """The host counts no traffic any more, the processor works, and the newest boot reached a prompt."""
    facts, metrics, serial = scene.facts, scene.facts.metrics, scene.facts.serial
    answers = facts.port is not None and facts.port.outcome in (PortOutcome.GREETING, PortOutcome.REFUSED)
    if metrics is None or serial is None or facts.guest is not None or answers:
        return
    fell = metrics.network in (NetworkTrend.FELL, NetworkTrend.FELL_JUST_NOW)
    if fell and metrics.cpu is CpuState.ALIVE and serial.outlook is Outlook.HEALTHY:
        what = "network out fell to nothing while the processor works and the console shows a prompt"
        yield Seen(Reason(what, HOST_METRICS, "Network Out Total", time=metrics.fell_at))


def _swapped(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """The address that Azure gave the primary interface is on another one than the guest's first."""
    guest, network = scene.facts.guest, scene.facts.network
    address = network.private_address if network is not None else None
    if guest is None or not address or not out_of_reach(guest):
        return
    for one in guest.azure_interfaces[1:]:
        if address in {held.partition("/")[0] for held in one.addresses}:
            first = guest.azure_interfaces[0].name
            what = f"Azure's primary address {address} is on {one.name}, not on {first}"
            yield guest_word(scene.facts, what, "ip addr", f"{one.name} {address}", one.name)


def _bonded(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """A bond or team with an address, and one of Azure's interfaces beside it with an address of its own."""
    guest = scene.facts.guest
    if guest is None or not out_of_reach(guest):
        return
    over = [one for one in guest.interfaces if one.name.startswith(("bond", "team")) and one.addresses]
    under = [one for one in guest.azure_interfaces if one.addresses]
    if over and under:
        names = f"{over[0].name} {over[0].addresses[0]}, {under[0].name} {under[0].addresses[0]}"
        yield guest_word(scene.facts, "a bond and an interface below it both have an address", "ip addr", names, names)


DOWN = KnownCause(
    code="I01",
    slug="network-interface-down",
    title="The guest's network interface is down",
    scenario=Scenario.NETWORK_DOWN,
    means="Somebody or something took the guest's primary interface down (ifconfig eth0 down, ip link set eth0 down, "
    "a service that failed to bring it up), or it has no carrier. The guest runs on: the console shows a login "
    "prompt, but neither SSH nor the agent gets through.",
    looks_like=(
        "ip -br link: eth0 DOWN",
        "SSH times out, the serial log ends with a login prompt, Network Out falls to 0, the processor works",
    ),
    not_to_confuse=(
        "I07: the interface is up and has no address; the serial log says so sometimes.",
        "B23, B24: the guest hangs: the processor stands still or spins.",
        "A port that times out alone: a security rule or a private address look the same.",
        "N02: a firewall in the guest drops everything, SSH included.",
    ),
    signs=(
        by_guest(),
        Sign(Need.HOST_METRICS, _silent_from_outside),
        unrecovered(
            serial_line(
                "Network is down",
                r"receive_packet failed on (?P<culprit>[\w.-]{1,16}): Network is down",
                "the DHCP client finds the interface down",
            )
        ),
    ),
    covers=("N09", "N24"),
    remedies=(
        LOG_IN,
        Remedy(
            "bring it up and ask DHCP for its address",
            f"ip link set eth0 up && {{ {RENEW}; }}",
            effect="address and routes as Azure gave them",
            undo="ip link set eth0 down",
        ),
        Remedy(
            "restart the VM: undoes a change that was not made permanent",
            "az vm restart {vm}",
            where=Where.AZ,
            effect="the guest boots again",
            risk="unsaved work in the guest is lost",
            downtime="1-3 min",
        ),
        RESET_NIC,
    ),
    links=(RESET, SERIAL_CONSOLE),
    sources=("reset-network-interface-azure-linux-vm.md", "recorded in the laboratory: fault nic-down"),
)

STATIC_ADDRESS = KnownCause(
    code="I05",
    slug="static-address-wrong",
    title="The guest has an address that Azure did not give it",
    scenario=Scenario.NETWORK_DOWN,
    means="The guest was switched from DHCP to an address of its own, or keeps the one of another subnet or another "
    "VM. Azure delivers only what is sent to the address that its network interface has, and drops what comes from "
    "another. A fixed address is set on Azure's side; the guest goes on asking DHCP.",
    looks_like=(
        "ip -br addr: eth0 10.0.0.77/24, and Azure's network interface has 10.0.0.4",
        "DoDhcpWork: Setting socket.timeout=10, entering recv; receiveBuffer = sock.recv(1024); timeout: timed out",
        "No DHCPOFFERS received.",
    ),
    not_to_confuse=(
        "I07: it has no address at all.",
        "N12: a newer agent asks DHCP for the Wire Server, and the address may be right.",
        "Secondary addresses of the same interface are Azure's as well.",
    ),
    signs=(replace(inside(), settles=_address_is_azures), Sign(Need.NETWORK, _nothing), from_boot()),
    covers=("N24", "N12", "P11"),
    variants=(Variant("dhcp-no-answer", "DHCP does not answer the guest"),),
    remedies=(
        LOG_IN,
        Remedy(
            "let DHCP configure the interface again",
            f"ip -4 addr flush dev eth0 && {{ {RENEW}; }}",
            effect="until the next reboot; then what the guest's own configuration says: set it to DHCP as well",
            risk="ends every session through this interface",
        ),
        RESET_NIC,
    ),
    links=(LINUX_NETWORK, RESET),
    sources=(
        "cannot-connect-linux-network.md, error 4",
        "WALA#2781",
        "recorded in the laboratory: fault wrong-address",
    ),
)

NO_ADDRESS = KnownCause(
    code="I07",
    slug="interface-without-address",
    title="The guest's network interface has no IPv4 address",
    scenario=Scenario.NETWORK_DOWN,
    means="The interface is there and got no address: no DHCP client asked, DHCP did not answer, or the configuration "
    "of netplan, ifupdown, NetworkManager or cloud-init for it is broken. An IPv6 address of the form fe80:… or an "
    "IPv4 one of the form 169.254.… is none.",
    looks_like=(
        "ci-info: | eth0 | False | . | . | . | 00:0d:3a:00:00:04 |",
        "ci-info: !!!!!!!!!!!!!Route info failed!!!!!!!!!!!!!, a table without an address",
        "Booting system without full network configuration...",
        "Missing required variable: address; Failed to bring up eth0.",
    ),
    not_to_confuse=(
        "I01: the interface is down.",
        "I04: another interface took its name.",
        "A second interface without an address: the first one counts.",
        "«link is not ready» while the kernel starts: «link becomes ready» follows.",
    ),
    signs=(
        by_guest(),
        from_boot(),
        unrecovered(
            serial_line(
                "leases in persistent database",
                r"No working leases in persistent database",
                "the DHCP client got no address",
            )
        ),
    ),
    covers=("N09", "N24"),
    remedies=(
        LOG_IN,
        Remedy("ask DHCP again", RENEW, effect="address and routes as Azure gave them, until the next reboot"),
        Remedy(
            "put the configuration right: DHCP for this interface",
            "grep -rn . /etc/netplan /etc/network/interfaces /etc/network/interfaces.d "
            "/etc/sysconfig/network-scripts/ifcfg-*",
            effect="shows what is set now; old leases in /var/lib/dhcp may be removed",
        ),
        RESET_NIC,
    ),
    links=(LINUX_NETWORK, RESET),
    sources=("cannot-connect-linux-network.md", "cloud-init netinfo.py", "recorded in the laboratory: fault dhcp-lost"),
)

SERVICE_FAILED = KnownCause(
    code="I12",
    slug="network-service-failed",
    title="The guest's network service failed",
    scenario=Scenario.NETWORK_DOWN,
    means="The service that configures the network at boot ended with an error: its configuration names a device that "
    "is not there, has a mistake, or two services manage the same interface. The rest of the system starts.",
    looks_like=(
        "[FAILED] Failed to start LSB: Bring up/down networking.",
        "[FAILED] Failed to start Raise network interfaces.",
        "[FAILED] Failed to start NetworkManager.service - Network Manager.",
        "Failed services in runlevel 3:network",
    ),
    not_to_confuse=(
        "I02, I03, I08: the lines before it tell why.",
        "«Failed to start … Wait for Network to be Configured»: it waited too long; the network may have come later.",
    ),
    signs=(
        from_boot(),
        # also fails where only a second interface was not set up: it decides nothing about the boot
        unrecovered(
            serial_line("wicked managed", STATUS + r"Failed to start .{0,60}wicked managed network interfaces")
        ),
    ),
    covers=("N09", "N24"),
    remedies=(
        LOG_IN,
        Remedy(
            "see why it failed",
            "systemctl --failed --no-pager; journalctl -b -u NetworkManager -u systemd-networkd -u networking -u "
            "network -u wicked -n 50 --no-pager",
            effect="reads only",
        ),
        RESET_NIC,
    ),
    links=(
        "troubleshoot/azure/virtual-machines/linux/linux-hyperv-issue",
        LINUX_NETWORK,
    ),
    sources=("linux-hyperv-issue.md", "systemd's status lines"),
)

NO_ROUTES = KnownCause(
    code="I13",
    slug="no-default-route",
    title="The guest has no route out",
    scenario=Scenario.NETWORK_DOWN,
    means="The interface has an address and the routing table no default route: a static configuration without a "
    "gateway, a deleted route, or a DHCP client that could not store its lease because the disk is full.",
    looks_like=(
        "waagent.log: ERROR ExtHandler /proc/net/route contains no routes",
        "SIOCADDRT: Network is unreachable",
        "ip route: nothing that begins with «default»",
    ),
    not_to_confuse=(
        "L16: the disk is full; free it first, then renew the lease.",
        "I07: there is no address either.",
        "N08: there is a route, and it leads the wrong way.",
    ),
    signs=(
        by_guest(),
        from_boot(),
        *agent_says(
            "/proc/net/route contains no routes", recovered_by=GOAL_STATE_FETCHED, what="the agent sees no routes",
            on_console=False,
        ),
    ),
    covers=("N09", "N24"),
    remedies=(
        LOG_IN,
        Remedy("see whether a disk is full", "df -h / /var; df -i / /var", effect="reads only"),
        Remedy("let DHCP set the routes again", RENEW, effect="until the next reboot"),
        RESET_NIC,
    ),
    links=("troubleshoot/azure/virtual-machines/linux/linux-fulldisk-boot-error", RESET),
    sources=("linux-fulldisk-boot-error.md", "WALinuxAgent common/osutil/default.py"),
)  # fmt: skip


BOND = KnownCause(
    code="I15",
    slug="bond-and-slave-addressed",
    title="A bond and an interface below it both have an address",
    scenario=Scenario.NETWORK_DOWN,
    means="An interface was put into a bond or team and keeps an address of its own. Two interfaces then claim the "
    "way out, and the agent may ask through the one that is not answered. Azure's own way to bundle is accelerated "
    "networking; a bond brings nothing there.",
    looks_like=("ip -br addr: bond0 10.0.0.4/24, eth0 10.0.0.4/24",),
    not_to_confuse=(
        "enP…s1 is the second face of an accelerated interface, has no address and needs none.",
        "I16: two interfaces of Azure's in another order.",
    ),
    signs=(guest_shows(_bonded, "network", *PORTS),),
    covers=("N24",),
    remedies=(
        LOG_IN,
        Remedy("see the bond and its members", "cat /proc/net/bonding/*; ip -br addr", effect="reads only"),
        Remedy("take the address off the member, or the bond away, in the guest's network configuration"),
    ),
    links=(SEVERAL_NICS, RESET),
    sources=("WALA#758",),
)

ORDER_SWAPPED = KnownCause(
    code="I16",
    slug="interfaces-swapped",
    title="The guest's interfaces are in another order than Azure's",
    scenario=Scenario.NETWORK_DOWN,
    means="On a VM with several network interfaces the guest calls another one eth0 than Azure's primary. "
    "Configuration and routes written for eth0 then apply to a secondary interface, on which neither the Wire Server "
    "nor the Internet answers. It happens after interfaces were added, removed or swapped.",
    looks_like=("Azure's primary address 10.0.0.4 is on eth1; the default route leaves by eth0",),
    not_to_confuse=(
        "N08: the order is right, the default route is a secondary interface's.",
        "I05: the address is on no interface of the guest.",
    ),
    signs=(Sign(Need.NETWORK, _swapped), Sign(Need.GUEST, _nothing)),
    covers=("N24", "N08", "P11"),
    remedies=(
        LOG_IN,
        Remedy("see which interface has which address", "ip -br link; ip -br addr; ip route", effect="reads only"),
        Remedy("name the interfaces by their MAC address, with a routing table for each", link=SEVERAL_NICS),
    ),
    links=(SEVERAL_NICS,),
    sources=("azure-docs#15672", "linux-vm-multiple-virtual-network-interfaces-configuration.md"),
)
