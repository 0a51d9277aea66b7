"""Tenants, subscriptions, locations, resource groups, resources and providers, as far as `az` asks for them."""

from __future__ import annotations

from typing import Any

from lab.arm.cloud import Cloud
from lab.arm.errors import ArmError
from lab.arm.exchange import GROUP, SUBSCRIPTION, Request, Response, Route

_TYPES = {
    "Microsoft.Compute": ("virtualMachines", "disks", "locations/operations", "locations/runCommands"),
    "Microsoft.Network": ("networkInterfaces", "publicIPAddresses", "networkSecurityGroups", "virtualNetworks"),
    "Microsoft.Insights": ("metrics", "metricDefinitions"),
    "Microsoft.ResourceHealth": ("availabilityStatuses",),
}
_API_VERSIONS = ["2026-04-01", "2025-05-01", "2024-11-01", "2024-07-01", "2023-11-01"]


def list_tenants(cloud: Cloud, _: Request) -> Response:
    """GET /tenants."""
    tenant = {
        "id": f"/tenants/{cloud.tenant}",
        "tenantId": cloud.tenant,
        "countryCode": "JP",
        "displayName": "vmagent laboratory",
        "domains": ["example.onmicrosoft.com"],
        "tenantCategory": "Home",
    }
    return Response(body={"value": [tenant]})


def _subscription(cloud: Cloud) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{cloud.subscription}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": cloud.subscription,
        "tenantId": cloud.tenant,
        "displayName": "vmagent laboratory",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def list_subscriptions(cloud: Cloud, _: Request) -> Response:
    """GET /subscriptions."""
    return Response(body={"value": [_subscription(cloud)], "count": {"type": "Total", "value": 1}})


def show_subscription(cloud: Cloud, _: Request) -> Response:
    """GET of the one subscription."""
    return Response(body=_subscription(cloud))


def list_locations(cloud: Cloud, _: Request) -> Response:
    """The one region there is."""
    location = {
        "id": f"/subscriptions/{cloud.subscription}/locations/{cloud.location}",
        "name": cloud.location,
        "type": "Region",
        "displayName": "Japan East",
        "regionalDisplayName": "(Asia Pacific) Japan East",
        "metadata": {"regionType": "Physical", "regionCategory": "Recommended", "geography": "Japan"},
    }
    return Response(body={"value": [location]})


def _group(cloud: Cloud, name: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{cloud.subscription}/resourceGroups/{name}",
        "name": name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": cloud.location,
        "properties": {"provisioningState": "Succeeded"},
    }


def list_groups(cloud: Cloud, _: Request) -> Response:
    """The resource groups."""
    return Response(body={"value": [_group(cloud, name) for name in cloud.groups()]})


def show_group(cloud: Cloud, request: Request) -> Response:
    """One resource group."""
    return Response(body=_group(cloud, cloud.group(request.parameters["group"])))


def head_group(cloud: Cloud, request: Request) -> Response:
    """Whether a group exists (`az group exists`)."""
    cloud.group(request.parameters["group"])
    return Response(204)


def list_resources(cloud: Cloud, request: Request) -> Response:
    """The VMs as generic resources, of the group or of the subscription."""
    group = request.parameters.get("group", "").lower()
    value = [
        {key: item for key, item in cloud.describe(vm).items() if key != "properties"}
        for vm in cloud.vms
        if not group or vm.group.lower() == group
    ]
    return Response(body={"value": value})


def _provider(cloud: Cloud, namespace: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{cloud.subscription}/providers/{namespace}",
        "namespace": namespace,
        "registrationPolicy": "RegistrationRequired",
        "registrationState": "Registered",
        "resourceTypes": [
            {"resourceType": kind, "locations": ["Japan East"], "apiVersions": _API_VERSIONS, "capabilities": "None"}
            for kind in _TYPES[namespace]
        ],
    }


def list_providers(cloud: Cloud, _: Request) -> Response:
    """The resource providers of the stand-in."""
    return Response(body={"value": [_provider(cloud, namespace) for namespace in _TYPES]})


def show_provider(cloud: Cloud, request: Request) -> Response:
    """One resource provider."""
    asked = request.parameters["namespace"]
    for namespace in _TYPES:
        if namespace.lower() == asked.lower():
            return Response(body=_provider(cloud, namespace))
    raise ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{asked}' is invalid.")


ROUTES = (
    Route("GET", "/tenants", list_tenants),
    Route("GET", "/subscriptions", list_subscriptions),
    Route("GET", SUBSCRIPTION, show_subscription),
    Route("GET", SUBSCRIPTION + "/locations", list_locations),
    Route("GET", SUBSCRIPTION + "/resourceGroups", list_groups),
    Route("GET", GROUP, show_group),
    Route("HEAD", GROUP, head_group),
    Route("GET", SUBSCRIPTION + "/resources", list_resources),
    Route("GET", GROUP + "/resources", list_resources),
    Route("GET", SUBSCRIPTION + "/providers", list_providers),
    Route("GET", SUBSCRIPTION + "/providers/{namespace}", show_provider),
)
