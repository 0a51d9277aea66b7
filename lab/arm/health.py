"""Microsoft.ResourceHealth: the platform's own view of a VM. It follows the machine's power, never the agent."""

from __future__ import annotations

import time
from typing import Any

from lab.arm.cloud import Cloud
from lab.arm.compute import vm_of
from lab.arm.exchange import VM, Request, Response, Route
from lab.arm.times import arm_time
from lab.arm.vm import LabVm

_STOPPED = {
    "availabilityState": "Unavailable",
    "title": "Stopped by user or process",
    "summary": "This virtual machine is stopping as requested by an authorized user or process",
    "reasonType": "Customer Initiated",
    "context": "Customer Initiated",
}
_DEALLOCATED = {
    **_STOPPED,
    "title": "Stopped and deallocated",
    "summary": "This virtual machine is stopped and deallocated as requested by an authorized user or process",
}
_AVAILABLE = {
    "availabilityState": "Available",
    "title": "Available",
    "summary": "There aren't any known Azure platform problems affecting this virtual machine.",
    "reasonType": "",
}
_BY_POWER = {
    "deallocated": _DEALLOCATED,
    "deallocating": _DEALLOCATED,
    "stopped": _STOPPED,
    "stopping": _STOPPED,
}


def _status(cloud: Cloud, vm: LabVm) -> dict[str, Any]:
    return {
        "id": f"{vm.id(cloud.subscription)}/providers/Microsoft.ResourceHealth/availabilityStatuses/current",
        "name": "current",
        "type": "Microsoft.ResourceHealth/AvailabilityStatuses",
        "location": vm.location,
        "properties": {
            **_BY_POWER.get(vm.guest.power_state(), _AVAILABLE),
            "occuredTime": arm_time(vm.changed_at),
            "reasonChronicity": "Persistent",
            "reportedTime": arm_time(time.time()),
        },
    }


def show_current(cloud: Cloud, request: Request) -> Response:
    """GET availabilityStatuses/current."""
    return Response(body=_status(cloud, vm_of(cloud, request)))


def list_statuses(cloud: Cloud, request: Request) -> Response:
    """GET availabilityStatuses: the current one only."""
    return Response(body={"value": [_status(cloud, vm_of(cloud, request))]})


_STATUSES = VM + "/providers/Microsoft.ResourceHealth/availabilityStatuses"

ROUTES = (
    Route("GET", _STATUSES, list_statuses),
    Route("GET", _STATUSES + "/current", show_current),
)
