"""Run Command: the action (one at a time, hangs when the agent is silent) and the managed resources.

Both put a goal state before the guest and wait for what its agent reports. Nothing here looks at whether the agent is
Ready: as on Azure, the request is accepted, and a silent agent leaves it ``InProgress`` until the platform gives up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from lab.arm.cloud import Cloud
from lab.arm.compute import accepted, settle, vm_of
from lab.arm.errors import ArmError, concurrent_request, not_allowed
from lab.arm.exchange import SUBSCRIPTION, VM, Request, Response, Route
from lab.arm.operations import EXTENSIONS, RUN_COMMAND, Operation
from lab.arm.vm import LabVm
from lab.guests.base import RunCommandResult

_COMMANDS = {
    "RunShellScript": "Executes a Linux shell script",
    "ifconfig": "Get the configuration of all network interfaces.",
}
_SCRIPTS = {"ifconfig": ["ifconfig"]}
_POLL = 0.2
_MAXIMUM = 5400.0

Told = TypeVar("Told")


def invoke(cloud: Cloud, request: Request) -> Response:
    """POST runCommand."""
    vm = vm_of(cloud, request)
    body = request.json()
    command = next((name for name in _COMMANDS if name.lower() == str(body.get("commandId", "")).lower()), None)
    if command is None:
        raise ArmError(404, "NotFound", "The entity was not found in this Azure location.")
    check_can_run(cloud, vm)
    refuse_beside_another(cloud, vm)
    script = [str(line) for line in body.get("script") or _SCRIPTS.get(command, [])]
    parameters = _parameters(body.get("parameters"))

    def work(operation: Operation) -> dict[str, Any]:
        result = run(cloud, operation, script, parameters, _MAXIMUM)
        return {"value": [_status(result)]}

    return accepted(cloud, cloud.operations.begin(vm, RUN_COMMAND, work))


def check_can_run(cloud: Cloud, vm: LabVm) -> None:
    """Refuse, with Azure's words, what Azure refuses up front."""
    power = vm.guest.power_state()
    if power in ("deallocated", "deallocating"):
        raise not_allowed("The operation requires the VM to be running (or set to run).")
    if power not in ("running", "starting"):
        raise not_allowed("Cannot modify extensions in the VM when the VM is not running.")
    if not (vm.allow_extension_operations and vm.provision_vm_agent):
        raise not_allowed(
            "This operation cannot be performed when extension operations are disallowed. To allow, please ensure "
            "VM Agent is installed on the VM and the osProfile.allowExtensionOperations property is true."
        )
    if any(operation.action not in EXTENSIONS for operation in cloud.operations.running(vm)):
        raise concurrent_request()


def refuse_beside_another(cloud: Cloud, vm: LabVm) -> None:
    """The action's own handler runs one script at a time; the managed ones have another."""
    running = any(operation.action == RUN_COMMAND for operation in cloud.operations.running(vm))
    if running or cloud.settings.run_command_channel != "free":
        message = (
            "Run command extension execution is in progress. Please wait for completion before invoking a run command."
        )
        raise ArmError(409, "Conflict", message)


def run(
    cloud: Cloud, operation: Operation, script: list[str], parameters: list[tuple[str, str]], timeout: float
) -> RunCommandResult:
    """Through the guest's agent; VMAgentStatusCommunicationError when nothing comes back for too long."""
    guest = operation.vm.guest
    sequence = guest.submit_run_command(script, parameters, timeout)
    result = wait_for(cloud, operation, lambda: guest.run_command_result(sequence))
    settle(cloud, operation)
    return result


def wait_for(cloud: Cloud, operation: Operation, look: Callable[[], Told | None]) -> Told:
    """What the agent tells in the end, while the operation lasts and the platform has patience."""
    give_up = operation.started + cloud.settings.run_command_limit
    while not operation.over and time.time() < give_up:
        told = look()
        if told is not None:
            return told
        time.sleep(_POLL)
    raise agent_silent(operation.vm)


def agent_silent(vm: LabVm) -> ArmError:
    """How Azure ends an extension operation that no agent took up."""
    return ArmError(
        409,
        "VMAgentStatusCommunicationError",
        f"VM '{vm.name}' has not reported status for VM agent or extensions. Verify that the OS is up and healthy, "
        "the VM has a running VM agent, and that it can establish outbound connections to Azure storage. Please "
        "refer to https://aka.ms/vmextensionlinuxtroubleshoot for additional VM agent troubleshooting information.",
    )


def _status(result: RunCommandResult) -> dict[str, Any]:
    if result.succeeded:
        head = {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Provisioning succeeded"}
    else:
        code = f"ProvisioningState/failed/{result.code}"
        head = {"code": code, "level": "Error", "displayStatus": "Provisioning failed"}
    return {**head, "message": result.message, "time": None}


def _parameters(given: Any) -> list[tuple[str, str]]:
    return [(str(one.get("name", "")), str(one.get("value", ""))) for one in given or []]


def list_commands(cloud: Cloud, request: Request) -> Response:
    """The built-in commands of a location."""
    return Response(body={"value": [_command(cloud, name) for name in _COMMANDS]})


def show_command(cloud: Cloud, request: Request) -> Response:
    """One built-in command."""
    asked = request.parameters["command"]
    for name in _COMMANDS:
        if name.lower() == asked.lower():
            return Response(body={**_command(cloud, name), "script": _SCRIPTS.get(name, []), "parameters": []})
    raise ArmError(404, "NotFound", "The entity was not found in this Azure location.")


def _command(cloud: Cloud, name: str) -> dict[str, Any]:
    return {
        "$schema": "http://schema.management.azure.com/schemas/2016-11-17/runcommands.json",
        "id": name,
        "osType": "Linux",
        "label": _COMMANDS[name],
        "description": _COMMANDS[name],
    }


_LOCATION = SUBSCRIPTION + "/providers/Microsoft.Compute/locations/{location}/runCommands"

ROUTES = (
    Route("POST", VM + "/runCommand", invoke),
    Route("GET", _LOCATION, list_commands),
    Route("GET", _LOCATION + "/{command}", show_command),
)
