"""Managed run commands: ``runCommands/*`` as resources with an instance view of their own.

``asyncExecution``: provisioning is complete as soon as the script starts, its outcome appears in the instance view
later. Deleting is an extension operation: it ends a script that runs, and a silent agent leaves it in progress. In a
real guest of the laboratory one handler serves both kinds, one script after the other; on Azure they are two.
"""

from __future__ import annotations

import copy
import re
import threading
import time
from typing import Any

from lab import latency
from lab.arm.cloud import Cloud
from lab.arm.compute import accepted, operation_headers, settle, vm_of
from lab.arm.errors import ArmError
from lab.arm.exchange import VM, Request, Response, Route
from lab.arm.instance_view import is_silent
from lab.arm.operations import DELETE_MANAGED, MANAGED, Operation
from lab.arm.run_command import agent_silent, check_can_run, run, wait_for
from lab.arm.times import arm_time
from lab.arm.vm import LabVm
from lab.guests.base import RunCommandResult

_MOST = 25
_TAIL = 4096
_POLL = 0.2
_STREAMS = re.compile(r"\[stdout\]\n(?P<output>.*)\n\[stderr\]\n(?P<error>.*)", re.DOTALL)


def put(cloud: Cloud, request: Request) -> Response:
    """PUT: store it and run its script."""
    vm = vm_of(cloud, request)
    name = request.parameters["command"]
    check_can_run(cloud, vm)
    known = name.lower() in vm.run_commands
    if not known and len(vm.run_commands) >= _MOST:
        raise ArmError(409, "OperationNotAllowed", f"The maximum number of run commands on a VM is {_MOST}.")
    body = request.json()
    return _store_and_run(cloud, vm, name, body, 200 if known else 201)


def patch(cloud: Cloud, request: Request) -> Response:
    """PATCH: the given properties replace the stored ones, and the script runs again."""
    vm = vm_of(cloud, request)
    stored = _stored(vm, request)
    check_can_run(cloud, vm)
    body = request.json()
    merged = {**stored["properties"], **(body.get("properties") or {})}
    return _store_and_run(cloud, vm, stored["name"], {**stored, **body, "properties": merged}, 200)


def show(cloud: Cloud, request: Request) -> Response:
    """GET, with ``$expand=instanceView`` when asked."""
    stored = _stored(vm_of(cloud, request), request)
    return Response(body=_public(stored, "instanceview" in request.query.get("$expand", "").lower()))


def list_all(cloud: Cloud, request: Request) -> Response:
    """Those of a VM."""
    expand = "instanceview" in request.query.get("$expand", "").lower()
    return Response(body={"value": [_public(one, expand) for one in vm_of(cloud, request).run_commands.values()]})


def delete(cloud: Cloud, request: Request) -> Response:
    """DELETE: an extension operation like any other: it takes an agent that reports."""
    vm = vm_of(cloud, request)
    name = request.parameters["command"].lower()
    if name not in vm.run_commands:
        return Response(204)

    def work(operation: Operation) -> None:
        give_up = operation.started + cloud.settings.run_command_limit
        while is_silent(cloud.observed(vm)) and not operation.over:
            if time.time() > give_up:
                raise agent_silent(vm)
            time.sleep(_POLL)
        settle(cloud, operation)
        vm.run_commands.pop(name, None)

    return accepted(cloud, cloud.operations.begin(vm, DELETE_MANAGED, work))


def _stored(vm: LabVm, request: Request) -> dict[str, Any]:
    name = request.parameters["command"]
    stored = vm.run_commands.get(name.lower())
    if stored is None:
        raise ArmError(404, "NotFound", f"The entity name '{name}' was not found in this Azure location.")
    return stored


def _store_and_run(cloud: Cloud, vm: LabVm, name: str, body: dict[str, Any], status: int) -> Response:
    given = body.get("properties") or {}
    properties: dict[str, Any] = {
        "source": given.get("source") or {},
        "parameters": given.get("parameters") or [],
        "asyncExecution": bool(given.get("asyncExecution", False)),
        "timeoutInSeconds": int(given.get("timeoutInSeconds") or 0),
        "treatFailureAsDeploymentFailure": bool(given.get("treatFailureAsDeploymentFailure", False)),
        "provisioningState": "Creating" if status == 201 else "Updating",
        "instanceView": {"executionState": "Pending", "executionMessage": "", "exitCode": 0, "output": "", "error": ""},
    }
    stored = {
        "name": name,
        "id": f"{vm.id(cloud.subscription)}/runCommands/{name}",
        "type": "Microsoft.Compute/virtualMachines/runCommands",
        "location": body.get("location", vm.location),
        "tags": body.get("tags") or {},
        "properties": properties,
    }
    script = str(properties["source"].get("script") or "").splitlines()
    parameters = [(str(one["name"]), str(one.get("value", ""))) for one in properties["parameters"]]

    timeout = float(properties["timeoutInSeconds"] or 5400)
    view = properties["instanceView"]

    def work(operation: Operation) -> None:
        try:
            if properties["asyncExecution"]:
                _start(cloud, operation, view, script, parameters, timeout)
                properties["provisioningState"] = "Succeeded"
                return
            view.update(executionState="Running", startTime=arm_time(time.time()))
            result = run(cloud, operation, script, parameters, timeout)
        except ArmError:
            properties["provisioningState"] = "Failed"
            raise
        view.update(_execution(result), endTime=arm_time(time.time()))
        failed = properties["treatFailureAsDeploymentFailure"] and not result.succeeded
        properties["provisioningState"] = "Failed" if failed else "Succeeded"
        if failed:
            raise ArmError(409, "VMRunCommandFailed", f"Run command '{name}' failed with exit code {result.code}.")

    answer = copy.deepcopy(_public(stored, False))
    operation = cloud.operations.begin(vm, MANAGED, work)
    vm.run_commands[name.lower()] = stored
    headers = operation_headers(cloud, operation)
    del headers["Location"]  # the result of a PUT is the resource itself
    return Response(status, answer, headers=headers)


def _start(
    cloud: Cloud,
    operation: Operation,
    view: dict[str, Any],
    script: list[str],
    parameters: list[tuple[str, str]],
    timeout: float,
) -> None:
    """Return once the script has started; what becomes of it is written into the view later."""
    guest = operation.vm.guest
    sequence = guest.submit_run_command(script, parameters, timeout)
    wait_for(cloud, operation, lambda: guest.run_command_started(sequence) or None)
    view.update(executionState="Running", startTime=arm_time(time.time()))

    at_least = latency.of_operation(cloud.settings.latency, MANAGED)

    def follow() -> None:
        end = time.time() + timeout
        while time.time() < end:
            result = guest.run_command_result(sequence)
            if result is not None:
                time.sleep(max(0.0, operation.started + at_least - time.time()))
                view.update(_execution(result), endTime=arm_time(time.time()))
                return
            time.sleep(_POLL)
        view.update(executionState="TimedOut", endTime=arm_time(time.time()))

    threading.Thread(target=follow, daemon=True).start()


def _execution(result: RunCommandResult) -> dict[str, Any]:
    streams = _STREAMS.search(result.message)
    return {
        "executionState": "Succeeded" if result.succeeded else "Failed",
        "executionMessage": "Execution completed" if result.succeeded else "Command execution failed",
        "exitCode": result.code,
        "output": (streams["output"] if streams else result.message)[-_TAIL:],
        "error": (streams["error"] if streams else "")[-_TAIL:],
    }


def _public(stored: dict[str, Any], expand: bool) -> dict[str, Any]:
    properties = {key: value for key, value in stored["properties"].items() if expand or key != "instanceView"}
    return {**stored, "properties": properties}


_ALL = VM + "/runCommands"
_ONE = _ALL + "/{command}"

ROUTES = (
    Route("GET", _ALL, list_all),
    Route("GET", _ONE, show),
    Route("PUT", _ONE, put),
    Route("PATCH", _ONE, patch),
    Route("DELETE", _ONE, delete),
)
