"""Scenario 3, Linux: the network device is not there, has another name or another MAC address than it should."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azext_vmagent.causes.catalogue.network_interface import (
    LINUX_NETWORK,
    LOG_IN,
    LOOK,
    RESET,
    RESET_NIC,
    by_guest,
    from_boot,
)
from azext_vmagent.causes.known_cause import KnownCause, Remedy, Scene, Seen, Variant, Where
from azext_vmagent.causes.signs import guest_shows, guest_word, only_when, serial_line, unrecovered
from azext_vmagent.facts.reading import Facts
from azext_vmagent.facts.serial_log import Outlook
from azext_vmagent.facts.serial_signature import STATUS
from azext_vmagent.model import Scenario

_DRIVERS = "troubleshoot/azure/virtual-machines/linux/linux-hyperv-issue"
_UNDO_UDEV = Remedy(
    "put the rules that name interfaces by MAC address away, then restart",
    "mkdir -p /root/udev-rules && mv /etc/udev/rules.d/*persistent-net* /root/udev-rules/ && reboot",
    effect="the first interface is eth0 again",
    downtime="1-3 min",
    undo="mv /root/udev-rules/* /etc/udev/rules.d/",
)
_OFFLINE = Remedy(
    "nobody can log in on the console: mend a copy of the OS disk on a repair VM",
    "az vm repair create {vm} --verbose",
    where=Where.AZ,
    effect="attaches a copy of the disk to another VM; az vm repair restore swaps it back",
    downtime="until the disk is swapped",
)
#: the kernel's words when its driver for Azure's network is loaded
_DRIVER_LOADED = re.compile(r"registering driver hv_netvsc|\bhv_netvsc [0-9a-f]{8}-")


def _driver_loaded(facts: Facts) -> bool:
    newest = facts.serial.newest if facts.serial is not None else None
    return newest is not None and bool(newest.search("hv_netvsc", _DRIVER_LOADED.pattern))


def _driver_not_seen(facts: Facts) -> bool:
    return not _driver_loaded(facts)


def _network_down(facts: Facts) -> bool:
    return facts.serial is not None and facts.serial.outlook is Outlook.NETWORK_DOWN


def _named_otherwise(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """There is no eth0, and the one that there is has another number and no address."""
    guest = scene.facts.guest
    first = guest.azure_interfaces[0] if guest is not None and guest.azure_interfaces else None
    if guest is None or first is None or first.addresses:
        return
    names = {one.name for one in guest.azure_interfaces}
    if "eth0" not in names and re.fullmatch(r"eth[1-9]\d?", first.name):
        what = f"there is no eth0; {first.name} has no address"
        yield guest_word(scene.facts, what, "ip link", first.name, first.name, "interface-renamed")


def _left_half_renamed(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    for one in guest.interfaces if guest is not None else ():
        if re.fullmatch(r"(?:rename|cirename)\d{1,3}", one.name):
            yield guest_word(scene.facts, f"{one.name} was left half renamed", "ip link", one.name, one.name)


MISSING = KnownCause(
    code="I02",
    slug="network-interface-missing",
    title="The guest has no network interface",
    scenario=Scenario.NETWORK_DOWN,
    means="The interface that the guest's configuration names does not exist: the configuration is another machine's, "
    "the interface was renamed, or its driver did not load. Nothing configures whatever interface there is.",
    looks_like=(
        "Bringing up interface eth0:  Device eth0 does not seem to be present, delaying initialization.",
        "Cannot find device \"eth0\"",
        "[ TIME ] Timed out waiting for device /sys/subsystem/net/devices/eth0.",
    ),
    not_to_confuse=(
        "I03: the device is there, with another MAC address.",
        "I08: the driver is missing; then there is no interface at all.",
    ),
    signs=(
        by_guest(),
        from_boot(),
        unrecovered(serial_line(
            "Cannot find device",
            r"(?:^|ifup\[\d{1,7}\]: |: )Cannot find device \"(?P<culprit>e(?:th0|n\w{1,12}))\"",
            "the interface that the configuration names does not exist",
        )),
        unrecovered(serial_line(
            "Timed out waiting for device",
            STATUS + r"Timed out waiting for device (?:/sys/subsystem/net/devices/|sys-subsystem-net-devices-)"
            r"(?P<culprit>e(?:th0|n\w{1,12}))\b",
            "systemd waited in vain for the interface",
        )),
        unrecovered(serial_line(
            "while getting interface flags",
            r"(?P<culprit>e(?:th0|n\w{1,12})): ERROR while getting interface flags: No such device",
            "the interface that the configuration names does not exist",
        )),
    ),
    covers=("I12", "N09", "N24"),
    variants=(Variant("nic-not-present", "The interface that the guest's configuration names does not exist"),),
    remedies=(LOG_IN, LOOK, _UNDO_UDEV, RESET_NIC, _OFFLINE),
    links=(LINUX_NETWORK, RESET),
    sources=("cannot-connect-linux-network.md, error 1", "initscripts: ifup-eth"),
)  # fmt: skip

MAC_MISMATCH = KnownCause(
    code="I03",
    slug="nic-mac-mismatch",
    title="The interface's configuration names another MAC address",
    scenario=Scenario.NETWORK_DOWN,
    means="ifcfg-eth0 has a line HWADDR= with the MAC address of an interface that is gone: the VM was made from "
    "another one's disk, or its network interface was replaced. The scripts refuse to configure the new one.",
    looks_like=("Bringing up interface eth0:  Device eth0 has different MAC address than expected, ignoring.",),
    not_to_confuse=(
        "I04: udev gave the new interface another name.",
        "I09: cloud-init, not ifcfg, holds the old address.",
    ),
    signs=(from_boot(),),
    covers=("I12", "N09", "N24"),
    remedies=(
        LOG_IN,
        Remedy(
            "take the line out and start the network",
            "sed -i.bak '/^HWADDR=/d' /etc/sysconfig/network-scripts/ifcfg-eth0 && service network restart",
            effect="the interface is configured whatever its MAC address",
            undo="mv /etc/sysconfig/network-scripts/ifcfg-eth0.bak /etc/sysconfig/network-scripts/ifcfg-eth0",
        ),
        RESET_NIC,
        _OFFLINE,
    ),
    links=(LINUX_NETWORK,),
    sources=("cannot-connect-linux-network.md, error 2", "initscripts: ifup-eth"),
)

RENAMED = KnownCause(
    code="I04",
    slug="interface-renamed",
    title="The interface came up under another name",
    scenario=Scenario.NETWORK_DOWN,
    means="A rule of udev (70-persistent-net.rules) keeps the name eth0 for a MAC address that is gone, so the new "
    "interface became eth1. The configuration is for eth0, and nobody configures eth1. It happens when a disk gets "
    "another network interface: a copy, a move, a resize of an old image.",
    looks_like=(
        "ci-info: eth1  : 0 .               .               00:0d:3a:10:6a:53",
        "cloud-init-nonet gave up waiting for a network device.",
        "udevd[410]: renamed network interface eth0 to eth1",
    ),
    not_to_confuse=(
        "A second interface eth1 beside a working eth0.",
        "I06: the same on SUSE, with its own words.",
        "I10: the name was taken by the accelerated interface's other face.",
    ),
    signs=(
        from_boot(),
        guest_shows(_named_otherwise, "network"),
        only_when(_network_down, unrecovered(serial_line(
            "renamed network interface",
            r"\budev\w{0,8}(?:\[\d{1,7}\])?: renamed network interface eth0(?:-eth\d{1,2})? to "
            r"(?P<culprit>eth[1-9]\d?)\b",
            "udev gave the interface another name",
        ))),
    ),
    covers=("I07", "N09", "N24"),
    variants=(Variant("no-network-device", "No network device appeared that the guest's configuration names"),),
    remedies=(LOG_IN, _UNDO_UDEV, RESET_NIC, _OFFLINE),
    links=(LINUX_NETWORK,),
    sources=("cannot-connect-linux-network.md, Ubuntu error 1", "EC2RL udevpersistentnet"),
)  # fmt: skip

SUSE_MISSING = KnownCause(
    code="I06",
    slug="nic-not-found",
    title="SUSE waits for eth0, which has another name",
    scenario=Scenario.NETWORK_DOWN,
    means="SUSE's network scripts wait for eth0 as a mandatory device. A rule in /etc/udev/rules.d keeps that name "
    "for a MAC address that is gone, so the interface is called eth1 or higher and has no configuration.",
    looks_like=(
        "Waiting for mandatory devices: eth0",
        "eth4 No configuration found for eth4",
        "eth0 No interface found",
    ),
    not_to_confuse=("I04: the same elsewhere.", "«Waiting for mandatory devices» that ends: the interface came late."),
    signs=(
        from_boot(),
        unrecovered(serial_line(
            "Waiting for mandatory devices",
            r"(?:^|\s)Waiting for mandatory devices: {0,4}(?P<culprit>eth0)\b",
            "the network scripts wait for an interface that is not there",
        )),
        unrecovered(serial_line(
            "no-device", r"(?:^|\s)(?P<culprit>eth0) +no-device\s*$", "wicked finds no such interface"
        )),
    ),
    covers=("I12", "N09", "N24"),
    remedies=(LOG_IN, _UNDO_UDEV, RESET_NIC, _OFFLINE),
    links=(LINUX_NETWORK,),
    sources=("cannot-connect-linux-network.md, SUSE", "SUSE sysconfig: /etc/init.d/network"),
)  # fmt: skip

DRIVER_MISSING = KnownCause(
    code="I08",
    slug="netvsc-driver-missing",
    title="The driver of Azure's network interface did not load",
    scenario=Scenario.NETWORK_DOWN,
    means="hv_netvsc, the kernel's driver for Azure's network interface, is disabled by a file in /etc/modprobe.d or "
    "is not part of the kernel or initramfs that was booted. The guest comes up without any interface.",
    looks_like=(
        "stages.py[WARNING]: Failed to rename devices: [nic not present] Cannot rename mac=00:0d:3a:… to eth0, not "
        "available.",
        "azure.py[WARNING]: Interface not found for DHCP",
        "[FAILED] Failed to start LSB: Bring up/down networking.",
    ),
    not_to_confuse=(
        "I09: the same lines, and the kernel loaded the driver: the MAC address changed.",
        "B13: drivers of the disk are missing: the boot stops in the initramfs.",
        "«Interface not found for DHCP» once, before the interface is there.",
    ),
    signs=(only_when(_driver_not_seen, from_boot()),),
    covers=("I02", "I12", "N09", "N24"),
    remedies=(
        LOG_IN,
        Remedy(
            "find what disables it",
            "grep -rn hv_netvsc /etc/modprobe.d /usr/lib/modprobe.d; modprobe hv_netvsc; ip -br link",
            effect="loads the driver now, if it is there",
            undo="modprobe -r hv_netvsc",
        ),
        Remedy(
            "comment the line out, then make the initramfs anew",
            "if command -v dracut >/dev/null; then dracut -f; else update-initramfs -u; fi",
            effect="the driver is loaded at the next boot",
            risk="keep a copy of the old initramfs",
        ),
        _OFFLINE,
    ),
    links=(_DRIVERS,),
    sources=("linux-hyperv-issue.md, scenario 1", "cloud-init net: apply_renames"),
)

REPLACED = KnownCause(
    code="I09",
    slug="nic-replaced",
    title="The network interface was replaced and cloud-init holds the old MAC address",
    scenario=Scenario.NETWORK_DOWN,
    means="cloud-init is told not to configure the network anew (apply_network_config: false) and keeps the MAC "
    "address of an interface that was replaced. It looks for that one, does not find it, and leaves the new one alone.",
    looks_like=(
        "hv_vmbus: registering driver hv_netvsc (the driver is there)",
        "Failed to rename devices: [nic not present] Cannot rename mac=00:0d:3a:… to eth0, not available.",
    ),
    not_to_confuse=("I08: the driver is missing.", "I03: ifcfg-eth0 names the old MAC address."),
    signs=(
        only_when(_driver_loaded, unrecovered(serial_line(
            "nic not present",
            r"\[nic not present\] Cannot rename mac=(?P<culprit>[\w:]{17})",
            "cloud-init looks for a MAC address that is gone, though the driver is loaded",
        ))),
        only_when(_driver_loaded, unrecovered(serial_line(
            "nterface not found for DHCP",
            r"azure\.py\[\w{1,10}\]: Interface not found for DHCP",
            "cloud-init finds no interface, though the driver is loaded",
        ))),
    ),
    covers=("I08", "I12", "N09", "N24"),
    remedies=(
        LOG_IN,
        Remedy(
            "let cloud-init forget the old interface and restart",
            "mv /var/lib/cloud/instance/obj.pkl /root/obj.pkl.old && reboot",
            effect="cloud-init reads the new interface at the next boot",
            downtime="1-3 min",
            undo="mv /root/obj.pkl.old /var/lib/cloud/instance/obj.pkl",
        ),
        Remedy(
            "or let it configure the network again: apply_network_config: true",
            "grep -rn apply_network_config /etc/cloud",
            effect="shows where it is set",
        ),
        _OFFLINE,
    ),
    links=(_DRIVERS,),
    sources=("linux-hyperv-issue.md, scenario 2",),
)  # fmt: skip

RENAME_RACE = KnownCause(
    code="I10",
    slug="rename-race",
    title="Both faces of an accelerated interface fought for the name eth0",
    scenario=Scenario.NETWORK_DOWN,
    means="With accelerated networking the guest sees each interface twice: the synthetic one (hv_netvsc) and the "
    "virtual function (mlx5, mana), with the same MAC address. A rule or configuration that names by MAC address "
    "alone matches both; they race for eth0, and one is left as rename3 or gets the other's configuration.",
    looks_like=(
        "systemd-udevd[878]: Error changing net interface name 'enP44943s1' to 'eth0': File exists",
        "systemd-udevd[311]: eth1: Failed to rename network interface 3 from 'eth1' to 'eth0': File exists",
        "ip -br link: rename3",
    ),
    not_to_confuse=(
        "«renamed from eth1» and «Data path switched to VF: enP…»: how it should be.",
        "I04: the name is kept for a MAC address that is gone.",
        "The message and then an address on eth0: it went well all the same.",
    ),
    signs=(
        unrecovered(serial_line(
            "File exists",
            r"(?:[Ee]rror changing net interface name|(?:[Cc]ould not|[Ff]ailed to) rename (?:network )?interface)"
            r" .{0,80}?to '(?P<culprit>eth\d{1,2})'(?:: | failed: ).{0,20}File exists",
            "the name was taken by the interface's other face",
        )),
        unrecovered(serial_line(
            "Error renaming mac=",
            r"\[busy(?:-target)?\] Error renaming mac=[\w:]{17} from \S{1,16} to (?P<culprit>[\w-]{1,16})",
            "cloud-init could not give the interface its name",
        )),
        guest_shows(_left_half_renamed, "network"),
    ),
    covers=("I07", "N09", "N24"),
    remedies=(
        LOG_IN,
        Remedy(
            "let the configuration match the driver hv_netvsc as well, and update cloud-init",
            "grep -rn -iE 'hwaddr|macaddress|ATTR.address' /etc/netplan /etc/sysconfig/network-scripts "
            "/etc/udev/rules.d",
            effect="shows what names by MAC address alone",
        ),
        Remedy(
            "restart: the race often ends the other way",
            "az vm restart {vm}",
            where=Where.AZ,
            risk="unsaved work in the guest is lost",
            downtime="1-3 min",
        ),
    ),
    links=("azure/virtual-network/accelerated-networking-overview", LINUX_NETWORK),
    sources=("cloud-init PR#539", "cloud-init#4768", "vyos-1x PR#5338", "systemd udev: rename"),
)  # fmt: skip
