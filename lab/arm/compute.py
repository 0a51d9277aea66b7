"""Microsoft.Compute: VMs, their instance views, lists, power operations, and the operations' own addresses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from lab import latency
from lab.arm.cloud import Cloud
from lab.arm.errors import ArmError, no_room, not_allowed
from lab.arm.exchange import GROUP, SUBSCRIPTION, VM, VMS, Request, Response, Route
from lab.arm.instance_view import RUN_COMMAND_EXTENSION
from lab.arm.operations import DELETE_EXTENSION, Operation
from lab.arm.vm import LabVm, change
from lab.guests.base import Guest


def vm_of(cloud: Cloud, request: Request) -> LabVm:
    """The VM that a request's path names."""
    return cloud.vm(request.parameters["group"], request.parameters["vm"])


def show(cloud: Cloud, request: Request) -> Response:
    """GET of a VM, with ``$expand=instanceView`` when asked."""
    vm = vm_of(cloud, request)
    document = cloud.describe(vm)
    expand = [part.strip().lower() for part in request.query.get("$expand", "").split(",") if part.strip()]
    unknown = [part for part in expand if part not in ("instanceview", "userdata", "resiliencyview")]
    if unknown:
        raise ArmError(400, "BadRequest", f"The expand query option '{unknown[0]}' is not supported.")
    if "instanceview" in expand:
        document["properties"]["instanceView"] = cloud.instance_view(vm)
    return Response(body=document)


def show_instance_view(cloud: Cloud, request: Request) -> Response:
    """The bare instance view."""
    return Response(body=cloud.instance_view(vm_of(cloud, request)))


def list_vms(cloud: Cloud, request: Request) -> Response:
    """VMs of a group or of the subscription, in pages. ``statusOnly`` adds power states, never the agent's."""
    query = request.query
    if "instanceview" in query.get("$expand", "").lower() and "$filter" not in query:
        message = "The expand query option 'instanceView' needs a filter on 'virtualMachineScaleSet/id'."
        raise ArmError(400, "BadRequest", message)
    group = request.parameters.get("group", "").lower()
    found = [vm for vm in cloud.vms if not group or vm.group.lower() == group]
    if "virtualmachinescaleset/id" in query.get("$filter", "").lower():
        found = []
    status_only = query.get("statusonly", "").lower() == "true"
    start = _skip(query.get("$skiptoken", "0"))
    end = start + cloud.settings.page_size
    body: dict[str, Any] = {"value": [_listed(cloud, vm, status_only) for vm in found[start:end]]}
    if end < len(found):
        more = urlencode({**query, "$skiptoken": str(end)})
        body["nextLink"] = f"{cloud.base_url}{request.path}?{more}"
    return Response(body=body)


def _skip(value: str) -> int:
    if not value.isdigit():
        raise ArmError(400, "InvalidParameter", "The skipToken is not valid.")
    return int(value)


def _listed(cloud: Cloud, vm: LabVm, status_only: bool) -> dict[str, Any]:
    document = cloud.describe(vm)
    if status_only:
        statuses = cloud.instance_view(vm)["statuses"]
        document["properties"] = {
            "vmId": vm.vm_id,
            "provisioningState": document["properties"]["provisioningState"],
            "instanceView": {"statuses": statuses},
        }
    return document


def update(cloud: Cloud, request: Request) -> Response:
    """PATCH, and PUT of a VM that exists."""
    vm = vm_of(cloud, request)
    change(vm, request.json())
    return Response(body=cloud.describe(vm))


def list_extensions(cloud: Cloud, request: Request) -> Response:
    """No extension was ever deployed through ARM here."""
    vm_of(cloud, request)
    return Response(body={"value": []})


def delete_extension(cloud: Cloud, request: Request) -> Response:
    """DELETE: the one that Run Command left hanging goes, and the channel is free; there are no others."""
    vm = vm_of(cloud, request)
    if request.parameters["extension"].lower() != RUN_COMMAND_EXTENSION.lower():
        return Response(204)

    def work(operation: Operation) -> None:
        settle(cloud, operation)
        cloud.settings.run_command_channel = "free"

    return accepted(cloud, cloud.operations.begin(vm, DELETE_EXTENSION, work))


def _redeploy(guest: Guest) -> None:
    guest.deallocate()
    guest.start()


def _reapply(_: Guest) -> None:
    return None


_POWER: dict[str, Callable[[Guest], None]] = {
    "start": lambda guest: guest.start(),
    "restart": lambda guest: guest.restart(),
    "powerOff": lambda guest: guest.power_off(),
    "deallocate": lambda guest: guest.deallocate(),
    "redeploy": _redeploy,
    "reapply": _reapply,
}


def _needs_room(cloud: Cloud, vm: LabVm, action: str) -> None:
    """Fail as Azure does where no machine is free; a VM that was to be redeployed has left its old one by then."""
    if cloud.settings.capacity == "none" and (action == "redeploy" or (action == "start" and _is_off(vm))):
        if action == "redeploy":
            vm.guest.deallocate()
        raise no_room(vm.size, vm.location)


def _is_off(vm: LabVm) -> bool:
    return vm.guest.power_state() == "deallocated"


def _power_route(action: str) -> Route:
    def handler(cloud: Cloud, request: Request) -> Response:
        vm = vm_of(cloud, request)
        if action in ("restart", "redeploy") and _is_off(vm):
            raise not_allowed(
                f"Operation '{action}' is not allowed on VM '{vm.name}' since the VM is either deallocated "
                "or marked to be deallocated."
            )

        def work(operation: Operation) -> None:
            _needs_room(cloud, vm, action)
            _POWER[action](vm.guest)
            settle(cloud, operation)

        return accepted(cloud, cloud.operations.begin(vm, action, work))

    handler.__doc__ = f"POST {action}."
    return Route("POST", f"{VM}/{action}", handler)


def settle(cloud: Cloud, operation: Operation) -> None:
    """Let an operation take as long as the platform's latency says it does at least."""
    until = operation.started + latency.of_operation(cloud.settings.latency, operation.action)
    while not operation.over and (left := until - time.time()) > 0:
        time.sleep(min(left, 0.5))


def operation_headers(cloud: Cloud, operation: Operation) -> dict[str, str]:
    """The two addresses at which an operation can be followed."""
    base = (
        f"{cloud.base_url}/subscriptions/{cloud.subscription}/providers/Microsoft.Compute"
        f"/locations/{operation.vm.location}/operations/{operation.name}"
    )
    version = "api-version=2024-11-01"
    return {
        "Azure-AsyncOperation": f"{base}?{version}",
        "Location": f"{base}?monitor=true&{version}",
        "Retry-After": str(latency.retry_after(cloud.settings.latency)),
    }


def accepted(cloud: Cloud, operation: Operation) -> Response:
    """202 with nothing in it but the addresses."""
    return Response(202, headers=operation_headers(cloud, operation))


def show_operation(cloud: Cloud, request: Request) -> Response:
    """Both addresses of an operation: its state, and (``monitor=true``) its result."""
    operation = cloud.operations.get(request.parameters["operation"])
    if operation is None:
        raise ArmError(404, "NotFound", "The entity was not found in this Azure location.")
    headers = {} if operation.over else {"Retry-After": str(latency.retry_after(cloud.settings.latency))}
    if request.query.get("monitor", "").lower() != "true":
        return Response(body=operation.document(), headers=headers)
    if not operation.over:
        return Response(202, headers={**headers, "Location": f"{cloud.base_url}{request.target}"})
    if operation.error is not None:
        raise operation.error
    return Response(200, operation.output)


ROUTES = (
    Route("GET", SUBSCRIPTION + VMS, list_vms),
    Route("GET", GROUP + VMS, list_vms),
    Route("GET", VM, show),
    Route("PATCH", VM, update),
    Route("PUT", VM, update),
    Route("GET", VM + "/instanceView", show_instance_view),
    Route("GET", VM + "/extensions", list_extensions),
    Route("DELETE", VM + "/extensions/{extension}", delete_extension),
    *(_power_route(action) for action in _POWER),
    Route(
        "GET",
        SUBSCRIPTION + "/providers/Microsoft.Compute/locations/{location}/operations/{operation}",
        show_operation,
    ),
)
