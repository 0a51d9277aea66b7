"""The network interface's reset from outside: its private address is changed and changed back, each with a restart.

What ``az vm repair reset-nic`` does (Microsoft Learn, «Reset network interface for Azure Linux VM»): a new address
makes Azure configure the interface anew, which undoes a static address and a change that was not made permanent. The
old address is taken as a fixed one first and only then made dynamic again, so that the VM does not get another one
(that this last change restarts nothing is unverified on Azure). Pure: what is sent, and the commands that finish a
reset that was broken off.
"""

from __future__ import annotations

import copy
import ipaddress
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from azext_vmagent.facts.arm_values import child, items, text

STATIC, DYNAMIC = "Static", "Dynamic"


@dataclass(frozen=True)
class Configuration:
    """The one configuration of the one interface, as it was before."""

    nic_id: str
    name: str
    address: str
    method: str
    subnet_id: str

    @property
    def network_id(self) -> str:
        """The virtual network that the subnet is in."""
        return self.subnet_id.partition("/subnets/")[0]


def why_not(nics: int, configurations: int | None) -> str | None:
    """Why this VM's interface cannot be reset; None when it can, or when it is not known how it is configured.

    >>> why_not(2, 1)
    'the VM has 2 network interfaces: which of them is at fault is not known'
    """
    if nics > 1:
        return f"the VM has {nics} network interfaces: which of them is at fault is not known"
    if configurations is not None and configurations != 1:
        return f"the network interface has {configurations} configurations: changing one would not reset it"
    return None


def configuration(nic: Any) -> Configuration | str:
    """The interface's only configuration; or, in a sentence, why it cannot be reset. Never raises on odd input."""
    found = list(items(nic, "properties", "ipConfigurations"))
    why = why_not(1, len(found))
    if why is not None:
        return why
    properties = child(found[0], "properties")
    seen = Configuration(
        nic_id=text(nic, "id"),
        name=text(found[0], "name"),
        address=text(properties, "privateIPAddress"),
        method=text(properties, "privateIPAllocationMethod"),
        subnet_id=text(properties, "subnet", "id"),
    )
    if text(properties, "privateIPAddressVersion") not in ("", "IPv4"):
        return "the network interface's configuration is not for IPv4"
    if not all((seen.nic_id, seen.name, seen.address, seen.method, "/subnets/" in seen.subnet_id)):
        return "Azure does not say which address and which subnet the network interface has"
    return seen


def free_address(available: Any, old: str) -> str | None:
    """An address that Azure calls free, from its answer to the question for the old one; None where there is none."""
    offered = child(available, "availableIPAddresses")
    for address in offered if isinstance(offered, list) else []:
        if isinstance(address, str) and address != old and _is_address(address):
            return address
    return None


def _is_address(found: str) -> bool:
    try:
        return ipaddress.ip_address(found).version == 4
    except ValueError:
        return False


def with_address(nic: dict[str, Any], address: str, method: str) -> dict[str, Any]:
    """The interface's document with another address; all else as Azure has just told it."""
    changed = copy.deepcopy(nic)
    properties = changed["properties"]["ipConfigurations"][0]["properties"]
    properties["privateIPAddress"], properties["privateIPAllocationMethod"] = address, method
    return changed


def finishing(seen: Configuration, address_is_back: bool = False) -> tuple[str, ...]:
    """The commands that end a reset which was broken off: the old address, then the old way of getting it."""
    group, name = _group_and_name(seen.nic_id)
    update = f"az network nic ip-config update -g {group} --nic-name {name} -n {shlex.quote(seen.name)}"
    commands = [] if address_is_back else [f"{update} --private-ip-address {shlex.quote(seen.address)}"]
    if seen.method.lower() != STATIC.lower():
        commands.append(f"{update} --set privateIpAllocationMethod={DYNAMIC}")
    return tuple(commands)


def joined(commands: Iterable[str]) -> str:
    """The commands as one line for a shell."""
    return " && ".join(commands)


def _group_and_name(resource_id: str) -> tuple[str, str]:
    parts = resource_id.split("/")
    lower = [part.lower() for part in parts]
    at = lower.index("resourcegroups") + 1 if "resourcegroups" in lower else 0
    return shlex.quote(parts[at] if 0 < at < len(parts) else ""), shlex.quote(parts[-1])
