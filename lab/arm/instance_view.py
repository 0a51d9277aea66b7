"""The instance view, computed: never set by a scenario.

The agent only ever uploads that it is Ready; «Not Ready» is the platform's conclusion from silence. So the view
follows from the last upload, its age and the machine's power state. A silent agent looks as on Azure: no since-when
(``time`` is the time of the question), version ``Unknown``, no extension handlers, no computer or OS names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.arm.times import parse, status_time
from lab.guests.base import StatusUpload

SILENT_MESSAGE = "VM status blob is found but not yet populated."

RUN_COMMAND_EXTENSION = "RunCommandLinux"
_POWER_WITHOUT_AGENT = ("deallocating", "deallocated")


@dataclass(frozen=True)
class Observed:
    """Everything the view is computed from. ``provisioning`` is the part after ``ProvisioningState/``."""

    power: str
    upload: StatusUpload | None
    now: float
    not_ready_after: float
    provisioning: str = "succeeded"
    provisioned_at: float = 0.0
    disks: tuple[str, ...] = ()
    boot_diagnostics: bool = True
    #: the run command extension is in progress since then, whatever became of its script
    run_command_since: float | None = None


def instance_view(observed: Observed) -> dict[str, Any]:
    """The ``properties.instanceView`` of a VM."""
    view: dict[str, Any] = {}
    if observed.power not in _POWER_WITHOUT_AGENT:
        if is_silent(observed):
            view["vmAgent"] = _silent_agent(observed.now)
        elif observed.upload is not None:
            view.update(_guest_names(observed.upload.document))
            view["vmAgent"] = _reported_agent(observed.upload)
    if observed.run_command_since is not None:
        view["extensions"] = [_run_command_extension(observed.run_command_since)]
    view["hyperVGeneration"] = "V2"
    view["disks"] = [{"name": name, "statuses": [_provisioning(observed)]} for name in observed.disks]
    if observed.boot_diagnostics:
        view["bootDiagnostics"] = {}
    view["statuses"] = [_provisioning(observed), _power(observed.power)]
    return view


def _run_command_extension(since: float) -> dict[str, Any]:
    status = {
        "code": "ProvisioningState/transitioning",
        "level": "Info",
        "displayStatus": "Transitioning",
        "message": "Enabling",
        "time": status_time(since),
    }
    kind = "Microsoft.CPlat.Core.RunCommandLinux"
    return {"name": RUN_COMMAND_EXTENSION, "type": kind, "typeHandlerVersion": "1.0.5", "statuses": [status]}


def is_silent(observed: Observed) -> bool:
    """Whether the platform has lost the agent: nothing was ever uploaded, or the last upload is too old."""
    upload = observed.upload
    return upload is None or observed.now - upload.received > observed.not_ready_after


def _silent_agent(now: float) -> dict[str, Any]:
    status = {
        "code": "ProvisioningState/Unavailable",
        "level": "Warning",
        "displayStatus": "Not Ready",
        "message": SILENT_MESSAGE,
        "time": status_time(now),
    }
    return {"vmAgentVersion": "Unknown", "statuses": [status]}


def _reported_agent(upload: StatusUpload) -> dict[str, Any]:
    aggregate = upload.document.get("aggregateStatus") or {}
    agent = aggregate.get("guestAgentStatus") or {}
    ready = agent.get("status") == "Ready"
    status = {
        "code": "ProvisioningState/succeeded" if ready else "ProvisioningState/Unavailable",
        "level": "Info" if ready else "Warning",
        "displayStatus": "Ready" if ready else "Not Ready",
        "message": _message(agent) or "Guest Agent is running",
        "time": _uploaded_at(upload),
    }
    return {
        "vmAgentVersion": agent.get("version", "Unknown"),
        "extensionHandlers": [_handler(entry) for entry in aggregate.get("handlerAggregateStatus") or []],
        "statuses": [status],
    }


def _uploaded_at(upload: StatusUpload) -> str:
    try:
        return status_time(parse(upload.document["timestampUTC"]))
    except (KeyError, ValueError, TypeError, AttributeError):
        return status_time(upload.received)


def _handler(entry: Mapping[str, Any]) -> dict[str, Any]:
    ready = entry.get("status") == "Ready"
    status = {
        "code": "ProvisioningState/succeeded" if ready else f"ProvisioningState/failed/{entry.get('code', 1)}",
        "level": "Info" if ready else "Error",
        "displayStatus": "Ready" if ready else "Not Ready",
        "message": _message(entry),
    }
    return {
        "type": entry.get("handlerName"),
        "typeHandlerVersion": entry.get("handlerVersion"),
        "status": {key: value for key, value in status.items() if value is not None},
    }


def _message(entry: Mapping[str, Any]) -> str | None:
    message = (entry.get("formattedMessage") or {}).get("message") or entry.get("message")
    return str(message) if message else None


def _guest_names(document: Mapping[str, Any]) -> dict[str, Any]:
    names = document.get("guestOSInfo") or (document.get("aggregateStatus") or {}).get("guestOSInfo") or {}
    return {key: names[key] for key in ("computerName", "osName", "osVersion") if names.get(key)}


def _provisioning(observed: Observed) -> dict[str, Any]:
    failed = observed.provisioning.startswith("failed")
    return {
        "code": f"ProvisioningState/{observed.provisioning}",
        "level": "Error" if failed else "Info",
        "displayStatus": "Updating"
        if observed.provisioning == "updating"
        else f"Provisioning {observed.provisioning.partition('/')[0]}",
        "time": status_time(observed.provisioned_at),
    }


def _power(power: str) -> dict[str, Any]:
    return {"code": f"PowerState/{power}", "level": "Info", "displayStatus": f"VM {power}"}
