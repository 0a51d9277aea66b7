"""Microsoft.Network: one NIC, public address and security group per VM, and one virtual network per group.

A plain GET shows what a resource refers to as ids only; ``$expand`` puts the resources themselves in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.arm.cloud import Cloud
from lab.arm.errors import resource_not_found
from lab.arm.exchange import GROUP, SUBSCRIPTION, Request, Response, Route
from lab.arm.vm import LabVm

_PROVIDER = "/providers/Microsoft.Network"


@dataclass(frozen=True)
class Rule:
    """A security rule, as far as rules differ here."""

    name: str
    priority: int
    direction: str
    access: str
    source: str = "*"
    destination: str = "*"
    protocol: str = "*"
    port: str = "*"


_DEFAULT_RULES = (
    Rule("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    Rule("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer"),
    Rule("DenyAllInBound", 65500, "Inbound", "Deny"),
    Rule("AllowVnetOutBound", 65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    Rule("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "Internet"),
    Rule("DenyAllOutBound", 65500, "Outbound", "Deny"),
)


def _id(cloud: Cloud, group: str, kind: str, name: str) -> str:
    return f"/subscriptions/{cloud.subscription}/resourceGroups/{group}{_PROVIDER}/{kind}/{name}"


def _resource(cloud: Cloud, group: str, kind: str, name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "id": _id(cloud, group, kind, name),
        "etag": 'W/"00000000-0000-0000-0000-000000000000"',
        "type": f"Microsoft.Network/{kind}",
        "location": cloud.location,
        "properties": {"provisioningState": "Succeeded", **properties},
    }


def nic(cloud: Cloud, vm: LabVm, expand: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A VM's network interface."""
    name = f"{vm.name}-nic"
    network_id = _id(cloud, vm.group, "virtualNetworks", f"{vm.group}-vnet")
    configuration: dict[str, Any] = {
        "provisioningState": "Succeeded",
        "privateIPAddress": vm.guest.private_address,
        "privateIPAllocationMethod": vm.allocation,
        "subnet": {"id": f"{network_id}/subnets/default"},
        "primary": True,
        "privateIPAddressVersion": "IPv4",
    }
    if "ipconfigurations/subnet" in expand:
        configuration["subnet"] = _subnet(cloud, vm.group)
    if vm.public:
        address = public_address(cloud, vm)
        expanded = "ipconfigurations/publicipaddress" in expand
        configuration["publicIPAddress"] = address if expanded else {"id": address["id"]}
    group = security_group(cloud, vm)
    return _resource(
        cloud,
        vm.group,
        "networkInterfaces",
        name,
        {
            "ipConfigurations": [
                {
                    "name": "ipconfig1",
                    "id": f"{_id(cloud, vm.group, 'networkInterfaces', name)}/ipConfigurations/ipconfig1",
                    "type": "Microsoft.Network/networkInterfaces/ipConfigurations",
                    "properties": configuration,
                }
            ],
            "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
            "macAddress": "00-0D-3A-00-00-04",
            "enableAcceleratedNetworking": False,
            "enableIPForwarding": False,
            "networkSecurityGroup": group if "networksecuritygroup" in expand else {"id": group["id"]},
            "primary": True,
            "virtualMachine": {"id": vm.id(cloud.subscription)},
            "hostedWorkloads": [],
            "tapConfigurations": [],
            "nicType": "Standard",
        },
    )


def public_address(cloud: Cloud, vm: LabVm, _: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A VM's public address: the loopback address at which the laboratory offers the guest's ports."""
    nic_id = _id(cloud, vm.group, "networkInterfaces", f"{vm.name}-nic")
    resource = _resource(
        cloud,
        vm.group,
        "publicIPAddresses",
        f"{vm.name}-ip",
        {
            "ipAddress": vm.guest.public_address,
            "publicIPAddressVersion": "IPv4",
            "publicIPAllocationMethod": "Static",
            "idleTimeoutInMinutes": 4,
            "ipTags": [],
            "ipConfiguration": {"id": f"{nic_id}/ipConfigurations/ipconfig1"},
        },
    )
    return {**resource, "sku": {"name": "Standard", "tier": "Regional"}}


def security_group(cloud: Cloud, vm: LabVm, _: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A VM's network security group: SSH from anywhere, beside the default rules."""
    name = f"{vm.name}-nsg"
    own = _id(cloud, vm.group, "networkSecurityGroups", name)
    ssh = Rule("SSH", 300, "Inbound", "Allow", protocol="Tcp", port=str(vm.guest.ssh_port))
    return _resource(
        cloud,
        vm.group,
        "networkSecurityGroups",
        name,
        {
            "securityRules": [_rule(own, "securityRules", ssh)],
            "defaultSecurityRules": [_rule(own, "defaultSecurityRules", rule) for rule in _DEFAULT_RULES],
            "networkInterfaces": [{"id": _id(cloud, vm.group, "networkInterfaces", f"{vm.name}-nic")}],
        },
    )


def _rule(group: str, kind: str, rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "id": f"{group}/{kind}/{rule.name}",
        "type": f"Microsoft.Network/networkSecurityGroups/{kind}",
        "properties": {
            "provisioningState": "Succeeded",
            "protocol": rule.protocol,
            "sourcePortRange": "*",
            "destinationPortRange": rule.port,
            "sourceAddressPrefix": rule.source,
            "destinationAddressPrefix": rule.destination,
            "access": rule.access,
            "priority": rule.priority,
            "direction": rule.direction,
            "sourcePortRanges": [],
            "destinationPortRanges": [],
            "sourceAddressPrefixes": [],
            "destinationAddressPrefixes": [],
        },
    }


def virtual_network(cloud: Cloud, vm: LabVm, _: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The virtual network of a VM's group."""
    return _resource(
        cloud,
        vm.group,
        "virtualNetworks",
        f"{vm.group}-vnet",
        {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": [_subnet(cloud, vm.group)]},
    )


def _subnet(cloud: Cloud, group: str) -> dict[str, Any]:
    network = _id(cloud, group, "virtualNetworks", f"{group}-vnet")
    return {
        "name": "default",
        "id": f"{network}/subnets/default",
        "type": "Microsoft.Network/virtualNetworks/subnets",
        "properties": {"provisioningState": "Succeeded", "addressPrefix": "10.0.0.0/24"},
    }


Build = Callable[[Cloud, LabVm, frozenset[str]], dict[str, Any]]


def _expand(request: Request) -> frozenset[str]:
    return frozenset(part.strip().lower() for part in request.query.get("$expand", "").split(",") if part.strip())


def _of_kind(cloud: Cloud, request: Request, build: Build) -> list[dict[str, Any]]:
    group = request.parameters.get("group", "").lower()
    vms = [
        vm
        for vm in cloud.vms
        if (not group or vm.group.lower() == group) and (vm.public or build is not public_address)
    ]
    return list({one["id"]: one for one in (build(cloud, vm, _expand(request)) for vm in vms)}.values())


def _routes(kind: str, build: Build) -> tuple[Route, ...]:
    def list_all(cloud: Cloud, request: Request) -> Response:
        return Response(body={"value": _of_kind(cloud, request, build)})

    def show(cloud: Cloud, request: Request) -> Response:
        name = request.parameters["name"]
        for resource in _of_kind(cloud, request, build):
            if resource["name"].lower() == name.lower():
                return Response(body=resource)
        raise resource_not_found(f"Microsoft.Network/{kind}", name, request.parameters["group"])

    return (
        Route("GET", f"{SUBSCRIPTION}{_PROVIDER}/{kind}", list_all),
        Route("GET", f"{GROUP}{_PROVIDER}/{kind}", list_all),
        Route("GET", f"{GROUP}{_PROVIDER}/{kind}/{{name}}", show),
    )


def show_subnet(cloud: Cloud, request: Request) -> Response:
    """The one subnet."""
    group, network, name = (request.parameters[key] for key in ("group", "network", "name"))
    known = cloud.group(group)
    if network.lower() != f"{known}-vnet".lower() or name.lower() != "default":
        raise resource_not_found("Microsoft.Network/virtualNetworks", f"{network}/subnets/{name}", group)
    return Response(body=_subnet(cloud, known))


ROUTES = (
    *_routes("networkInterfaces", nic),
    *_routes("publicIPAddresses", public_address),
    *_routes("networkSecurityGroups", security_group),
    *_routes("virtualNetworks", virtual_network),
    Route("GET", f"{GROUP}{_PROVIDER}/virtualNetworks/{{network}}/subnets/{{name}}", show_subnet),
)
