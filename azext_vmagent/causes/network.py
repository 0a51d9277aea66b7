"""Scenario 3: the guest runs and its network interface does not."""

from __future__ import annotations

import shlex

from azext_vmagent.causes.access import az_vm, in_guest, vm_arguments
from azext_vmagent.causes.catalogue.network_device import MISSING
from azext_vmagent.causes.catalogue.network_interface import DOWN, NO_ADDRESS, NO_ROUTES, STATIC_ADDRESS
from azext_vmagent.causes.catalogue.wire_server_path import ROUTE
from azext_vmagent.causes.cures import by_hand, interface_cure, renewal
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import GuestFacts, Interface
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Cause, NextStep

LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/reset-network-interface-azure-linux-vm"

NIC_DOWN = DOWN.named(
    "The interface was taken down, is without an address, has a static address or gateway that does not fit, or a"
    " firewall in the guest drops everything: only a look inside tells which.",
    title="The guest's network is down",
)
_DEAD_NEIGHBOUR = ("FAILED", "INCOMPLETE")


def inside_cause(guest: GuestFacts, given_address: str | None) -> Cause | None:
    """What is wrong with the interface that leads to the Wire Server, or None. ``given_address`` is Azure's for it.

    The primary interface alone counts: others may be down or without an address for good reasons.
    """
    azures = guest.azure_interfaces
    if "network" in guest.missing:  # what was not listed in time may be there
        taken_down = [one for one in azures[:1] if one.admin_up is False]
        return _interface_cause(taken_down[0], guest, None) if taken_down else None
    if not azures:
        if guest.default_routes is None:
            return None
        return MISSING.named("Only lo is there.")
    return _interface_cause(azures[0], guest, given_address) or _route_cause(azures[0], guest)


def _interface_cause(primary: Interface, guest: GuestFacts, given_address: str | None) -> Cause | None:
    name = primary.name
    if primary.admin_up is False:
        title = f"The guest's network interface {name} is down"
        return DOWN.named("Somebody or something took it down.", name, title=title)
    if primary.carrier in ("DOWN", "LOWERLAYERDOWN"):
        title = f"The guest's network interface {name} has no carrier"
        return DOWN.named("It is up, its link is not.", name, title=title)
    elsewhere = guest.route.kind == "unicast" and guest.route.device != name  # a bond over it has the address
    if not primary.addresses and not elsewhere:
        clients = ", ".join(guest.dhcp_clients or ())
        detail = f"{clients} runs and has set none." if clients else ""
        if guest.dhcp_clients == ():
            detail = "No DHCP client runs."
        title = f"The guest's network interface {name} has no IPv4 address"
        return NO_ADDRESS.named(detail, name, title=title)
    held = {address.partition("/")[0] for one in guest.interfaces for address in one.addresses}
    if primary.addresses and given_address and given_address not in held:
        return STATIC_ADDRESS.named(
            f"Azure gave {given_address}: what is sent to it, or back to the guest, never arrives.",
            f"{name} {primary.addresses[0]}",
            title=f"The guest's network interface {name} has an address that Azure did not give it",
        )
    return None


def _route_cause(primary: Interface, guest: GuestFacts) -> Cause | None:
    gateway = guest.route.gateway
    if gateway and guest.neighbours.get(gateway) in _DEAD_NEIGHBOUR:
        lines = [line for line in guest.default_routes or () if f"via {gateway} " in f"{line} "]
        return ROUTE.named(
            f"The kernel's word on it: {guest.neighbours[gateway]}.",
            (lines[0] if lines else guest.route.text).strip(),
            "gateway-wrong",
            f"The guest's gateway {gateway} does not answer",
        )
    if guest.route.kind == "none" and not guest.default_routes:
        return NO_ROUTES.named(
            "There is no default route, and none to the Wire Server.",
            primary.name,
            title="The guest has an address and no route out",
        )
    return None


def inside_remedies(cause: Cause, facts: Facts, wish: Wish) -> tuple[NextStep, ...]:
    """What to do about a cause of this module, in the guest first."""
    guest = facts.guest or GuestFacts()
    name = next((one.name for one in guest.azure_interfaces), "eth0")
    quoted = shlex.quote(name)
    renew = by_hand((renewal(name, guest),))
    command = by_hand(interface_cure(cause, guest)) or {
        DOWN.code: f"ip link set {quoted} up && {renew}",
        STATIC_ADDRESS.code: f"ip -4 addr flush dev {quoted} && {renew}",
        NO_ADDRESS.code: renew,
        NO_ROUTES.code: renew,
        ROUTE.code: f"ip -4 route flush default; {renew}",
    }.get(cause.code)
    step = NextStep(
        "in the guest, as root: let the interface be what Azure's DHCP says",
        command and in_guest(facts, wish, command),
        effect="address, routes and gateway as Azure gave them, until the next reboot; then what the guest's own"
        " configuration says",
        risk="a session through this interface may break",
        downtime="none",
        link=LINK,
    )
    return ((step,) if command else ()) + remedies(facts)[1:]


def reset_step(facts: Facts, link: str = LINK) -> NextStep:
    """Reset the NIC from outside (``az vm repair reset-nic``): needs neither agent nor network."""
    return NextStep(
        "reset the network interface",
        az_vm("repair reset-nic", facts),
        effect="a new configuration of the NIC, which undoes a static address set in the guest",
        risk="two restarts; the private address changes for a moment",
        downtime="5-10 min",
        link=link,
    )


def remedies(facts: Facts) -> tuple[NextStep, ...]:
    """The console changes least; a restart undoes what was not made permanent."""
    return (
        NextStep(
            "bring the interface up on the serial console (log in, then: ip link set eth0 up; dhclient eth0)",
            f"az serial-console connect {vm_arguments(facts)}",
            effect="no restart; needs a user with a password",
            risk="none known",
            downtime="none",
            link="https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/serial-console-linux",
        ),
        NextStep(
            "restart the VM: undoes a change that was not made permanent (ifconfig eth0 down)",
            az_vm("restart", facts),
            effect="the guest boots again",
            risk="unsaved work in the guest is lost",
            downtime="1-3 min",
        ),
        *([] if facts.vm is not None and facts.vm.ephemeral_os_disk else [reset_step(facts)]),
    )
