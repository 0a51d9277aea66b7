"""Microsoft.Network, what changes: a network interface's private address, and which addresses are free.

Another primary address of a VM that runs restarts it, and the guest learns the address from its next lease (Microsoft
Learn, «Reset network interface»: «This will invoke and wait for a VM restart»). That a mere change from Static to
Dynamic restarts nothing is taken from the same command's handling of dynamic addresses: unverified on Azure.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from lab import latency
from lab.arm.cloud import Cloud
from lab.arm.compute import settle, show_operation
from lab.arm.errors import ArmError, resource_not_found
from lab.arm.exchange import GROUP, SUBSCRIPTION, Request, Response, Route
from lab.arm.guards import linked
from lab.arm.network import nic
from lab.arm.operations import Operation
from lab.arm.vm import LabVm

NIC_UPDATE = "nicUpdate"
_PROVIDER = "/providers/Microsoft.Network"
_SUBNET = ipaddress.ip_network("10.0.0.0/24")
#: Azure keeps the first four addresses of a subnet and the last one
_FIRST_FREE, _MOST_NAMED = 4, 5


def put_nic(cloud: Cloud, request: Request) -> Response:
    """PUT of a VM's interface that exists. All else in it must be as it is: nothing else is changed here."""
    vm = _vm_of(cloud, request)
    asked = _only_configuration(request.json())
    linked(cloud, request, _joined(cloud, vm))
    method = str(asked.get("privateIPAllocationMethod") or "Dynamic")
    if method not in ("Static", "Dynamic"):
        raise ArmError(400, "InvalidRequestFormat", "Cannot parse the request.")
    address = vm.guest.private_address
    if method == "Static" or asked.get("privateIPAddress"):
        address = _usable(str(asked.get("privateIPAddress") or address))

    def work(operation: Operation) -> None:
        vm.allocation = method
        if address != vm.guest.private_address:
            vm.guest.give_address(address)
            if vm.guest.power_state() == "running":
                vm.guest.restart()
        settle(cloud, operation)

    operation = cloud.operations.begin(vm, NIC_UPDATE, work)
    body = nic(cloud, vm)
    body["properties"]["provisioningState"] = "Updating"
    base = f"{cloud.base_url}/subscriptions/{cloud.subscription}{_PROVIDER}/locations/{vm.location}/operations"
    headers = {
        "Azure-AsyncOperation": f"{base}/{operation.name}?api-version=2023-09-01",
        "Retry-After": str(latency.retry_after(cloud.settings.latency)),
    }
    return Response(200, body, headers)


def _vm_of(cloud: Cloud, request: Request) -> LabVm:
    group, name = request.parameters["group"], request.parameters["name"]
    for vm in cloud.vms:
        if vm.group.lower() == group.lower() and f"{vm.name}-nic".lower() == name.lower():
            return vm
    raise resource_not_found("Microsoft.Network/networkInterfaces", name, cloud.group(group))


def _only_configuration(body: dict[str, Any]) -> dict[str, Any]:
    configurations = (body.get("properties") or {}).get("ipConfigurations") or []
    if len(configurations) != 1 or not isinstance(configurations[0], dict):
        raise ArmError(400, "InvalidRequestFormat", "The stand-in changes one configuration of an interface only.")
    return dict(configurations[0].get("properties") or {})


def _usable(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError as error:
        raise ArmError(400, "InvalidIPAddressFormat", f"IP address {address} is not valid.") from error
    if found not in _SUBNET:
        message = f"Private static IP address {address} does not belong to the range of subnet prefix {_SUBNET}."
        raise ArmError(400, "PrivateIPAddressNotInSubnet", message)
    if found not in list(_SUBNET)[_FIRST_FREE:-1]:
        message = f"Private static IP address {address} falls within reserved IP range of subnet prefix {_SUBNET}."
        raise ArmError(400, "PrivateIPAddressInReservedRange", message)
    return address


def _joined(cloud: Cloud, vm: LabVm) -> dict[str, str]:
    """The right that it takes on each thing the interface leads to, by that thing's id."""
    properties = nic(cloud, vm)["properties"]
    configuration = properties["ipConfigurations"][0]["properties"]
    needed = {configuration["subnet"]["id"]: "Microsoft.Network/virtualNetworks/subnets/join/action"}
    if "publicIPAddress" in configuration:
        needed[configuration["publicIPAddress"]["id"]] = "Microsoft.Network/publicIPAddresses/join/action"
    needed[properties["networkSecurityGroup"]["id"]] = "Microsoft.Network/networkSecurityGroups/join/action"
    return needed


def check_address(cloud: Cloud, request: Request) -> Response:
    """GET CheckIPAddressAvailability: whether an address is free, and some that are when it is not."""
    group, network = cloud.group(request.parameters["group"]), request.parameters["network"]
    if network.lower() != f"{group}-vnet".lower():
        raise resource_not_found("Microsoft.Network/virtualNetworks", network, group)
    asked = request.query.get("ipaddress", "")
    taken = {vm.guest.private_address for vm in cloud.vms if vm.group == group}
    usable = [str(address) for address in list(_SUBNET)[_FIRST_FREE:-1]]
    free = [address for address in usable if address not in taken][: cloud.settings.free_addresses]
    if asked in free:
        return Response(body={"available": True})
    return Response(body={"available": False, "availableIPAddresses": free[:_MOST_NAMED]})


ROUTES = (
    Route("PUT", f"{GROUP}{_PROVIDER}/networkInterfaces/{{name}}", put_nic),
    Route("GET", f"{GROUP}{_PROVIDER}/virtualNetworks/{{network}}/CheckIPAddressAvailability", check_address),
    Route("GET", f"{SUBSCRIPTION}{_PROVIDER}/locations/{{location}}/operations/{{operation}}", show_operation),
)
