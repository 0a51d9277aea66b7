"""Scenario 3: the guest runs and its network interface does not."""

from __future__ import annotations

from azext_vmagent.causes.access import az_vm, vm_arguments
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Cause, NextStep

LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/reset-network-interface-azure-linux-vm"

NIC_DOWN = Cause(
    "I01",
    "network-interface-down",
    "The guest's network interface is down",
    "Taken down, left without an address, or with a static address that does not fit; only a look inside tells which.",
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
        NextStep(
            "reset the network interface",
            az_vm("repair reset-nic", facts),
            effect="a new configuration of the NIC, which undoes a static address set in the guest",
            risk="two restarts; the private address changes for a moment",
            downtime="5-10 min",
            link=LINK,
        ),
    )
