"""What stands before every request once a caller is known: rights, locks and policies.

The texts are Azure's. A read-only lock forbids whatever is not a read, a POST among them (Microsoft Learn, «Lock your
Azure resources»); that it lets the addresses of boot diagnostics through is unverified on Azure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase

from lab.arm.cloud import Cloud
from lab.arm.errors import ArmError, action_of, denied
from lab.arm.exchange import GROUP, Request, Response, Route

_READING_POSTS = ("/retrievebootdiagnosticsdata",)
#: whoever has any role sees the subscription that it is for
_FREE = ("Microsoft.Resources/subscriptions/read",)
_LOCKS = "/providers/Microsoft.Authorization/locks"


def allowed(cloud: Cloud, action: str) -> bool:
    """Whether the caller's role holds the action: its names may hold ``*``, and no case matters."""
    names = (name.strip().lower() for name in cloud.settings.rights.split(","))
    return any(fnmatchcase(action.lower(), name) for name in names)


def check(cloud: Cloud, request: Request) -> None:
    """Raise what Azure answers to a caller without the right, on a locked resource, or against a policy."""
    action, scope = action_of(request.method, request.path)
    if action not in _FREE and not allowed(cloud, action):
        raise denied(cloud.object_id, action, scope)
    if request.method not in ("GET", "HEAD") and not request.path.lower().endswith(_READING_POSTS):
        _check_locks(cloud, request, scope)
    if request.method in ("PUT", "PATCH"):
        _check_policies(cloud, request)


def linked(cloud: Cloud, request: Request, needed: Mapping[str, str]) -> None:
    """Raise what Azure answers to a caller who may not use what the resource leads to; ``needed``: right by id."""
    for resource, action in needed.items():
        if not allowed(cloud, action):
            own, scope = action_of(request.method, request.path)
            message = (
                f"The client '{cloud.object_id}' with object id '{cloud.object_id}' has permission to perform action "
                f"'{own}' on scope '{scope}'; however, it does not have permission to perform action(s) '{action}' on "
                f"the linked scope(s) '{resource}' (respectively) or the linked scope(s) are invalid."
            )
            raise ArmError(403, "LinkedAuthorizationFailed", message)


def _names(setting: str) -> list[str]:
    return [name.strip() for name in setting.split(",") if name.strip()]


def _check_locks(cloud: Cloud, request: Request, scope: str) -> None:
    if _names(cloud.settings.locks) and "group" in request.parameters:
        locked = _group_id(cloud, request)
        verb = "delete" if request.method == "DELETE" else "write"
        message = (
            f"The scope '{scope}' cannot perform {verb} operation because following scope(s) are locked: '{locked}'. "
            "Please remove the lock and try again."
        )
        raise ArmError(409, "ScopeLocked", message)


def _check_policies(cloud: Cloud, request: Request) -> None:
    names = _names(cloud.settings.policies)
    if names:
        base = f"/subscriptions/{cloud.subscription}/providers/Microsoft.Authorization"
        found = [
            {
                "policyAssignment": {"name": name, "id": f"{base}/policyAssignments/{name}"},
                "policyDefinition": {"name": f"{name} (definition)", "id": f"{base}/policyDefinitions/{name}"},
            }
            for name in names
        ]
        resource = request.path.rstrip("/").rpartition("/")[2]
        identifiers = json.dumps(found, separators=(",", ":"))
        message = f"Resource '{resource}' was disallowed by policy. Policy identifiers: '{identifiers}'."
        raise ArmError(403, "RequestDisallowedByPolicy", message)


def _group_id(cloud: Cloud, request: Request) -> str:
    return f"/subscriptions/{cloud.subscription}/resourceGroups/{cloud.group(request.parameters['group'])}"


def list_locks(cloud: Cloud, request: Request) -> Response:
    """The locks of a resource group; all there are stand on it."""
    group = _group_id(cloud, request)
    value = [
        {
            "id": f"{group}{_LOCKS}/{name}",
            "type": "Microsoft.Authorization/locks",
            "name": name,
            "properties": {"level": "ReadOnly"},
        }
        for name in _names(cloud.settings.locks)
    ]
    return Response(body={"value": value})


ROUTES = (Route("GET", GROUP + _LOCKS, list_locks),)
