"""ARM's error bodies: ``{"error": {"code", "message", "details"?}}`` with the texts that Azure uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ArmError(Exception):
    """An answer that is an error: raised anywhere below the gateway, written as ARM writes it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: list[dict[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = dict(headers or {})

    def error(self) -> dict[str, Any]:
        """The inner object, as an asynchronous operation shows it too."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details is not None:
            body["details"] = self.details
        return body

    def body(self) -> dict[str, Any]:
        """The body of the HTTP answer."""
        return {"error": self.error()}


class MonitorError(ArmError):
    """Azure Monitor's data plane answers without the ``error`` envelope."""

    def body(self) -> dict[str, Any]:
        """Code and message at the top."""
        return self.error()


def missing_api_version() -> ArmError:
    """No ``api-version`` in the query."""
    message = "The api-version query parameter (?api-version=) is required for all requests."
    return ArmError(400, "MissingApiVersionParameter", message)


def invalid_api_version(value: str) -> ArmError:
    """An ``api-version`` that is no version."""
    message = f"The api-version '{value}' is invalid. The supported versions are '2026-04-01,2024-11-01,2024-07-01'."
    return ArmError(400, "InvalidApiVersionParameter", message)


def unauthenticated(code: str, message: str, tenant: str) -> ArmError:
    """401 with the challenge from which clients learn the tenant."""
    challenge = (
        f'Bearer authorization_uri="https://login.microsoftonline.com/{tenant}", '
        f'error="invalid_token", error_description="{message}"'
    )
    return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})


def denied(client: str, action: str, scope: str) -> ArmError:
    """403: the caller lacks ``action`` over ``scope``."""
    message = (
        f"The client '{client}' with object id '{client}' does not have authorization to perform action '{action}' "
        f"over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh "
        "your credentials."
    )
    return ArmError(403, "AuthorizationFailed", message)


def subscription_not_found(subscription: str) -> ArmError:
    """The subscription does not exist, or the caller may not see it."""
    return ArmError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def group_not_found(group: str) -> ArmError:
    """No such resource group."""
    return ArmError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def resource_not_found(kind: str, name: str, group: str) -> ArmError:
    """No such resource in a group that exists."""
    message = (
        f"The Resource '{kind}/{name}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    return ArmError(404, "ResourceNotFound", message)


def concurrent_request() -> ArmError:
    """Another operation holds the VM."""
    message = (
        "The request failed due to conflict with a concurrent request. To resolve it, please refer to "
        "https://aka.ms/activitylog to get more details on the conflicting requests."
    )
    return ArmError(409, "Conflict", message)


def not_allowed(message: str) -> ArmError:
    """409 OperationNotAllowed."""
    return ArmError(409, "OperationNotAllowed", message)


def no_room(size: str, zone: str) -> ArmError:
    """An operation's error: there is no machine to put the VM on."""
    message = (
        f"Allocation failed. We do not have sufficient capacity for the requested VM size {size} in {zone}. Read more "
        "about improving likelihood of allocation success at https://aka.ms/allocation-guidance"
    )
    return ArmError(409, "AllocationFailed", message)


def too_many_requests(retry_after: float, message: str = "The number of requests has exceeded the limit.") -> ArmError:
    """429 with Retry-After."""
    return ArmError(429, "TooManyRequests", message, headers={"Retry-After": f"{retry_after:g}"})


_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}


def action_of(method: str, path: str) -> tuple[str, str]:
    """The RBAC action a request needs and the scope at which it is looked up.

    >>> action_of("POST", "/subscriptions/s/providers/Microsoft.Compute/virtualMachines/v/start")[0]
    'Microsoft.Compute/virtualMachines/start/action'
    """
    path = "/" + path.strip("/")
    verb = _VERBS.get(method, "action")
    head, marker, tail = path.rpartition("/providers/")
    if not marker:
        kind = "/resourceGroups" if "/resourcegroups" in path.lower() else ""
        return f"Microsoft.Resources/subscriptions{kind}/{verb}", path
    namespace, *segments = tail.split("/")
    if segments[-1:] == ["current"]:  # a resource's health is an action of its own in Azure's list of operations
        return "/".join([namespace, *segments, verb]), path
    named = segments[: len(segments) // 2 * 2]
    scope = "/".join([head + "/providers", namespace, *named]) if named else path
    return "/".join([namespace, *segments[::2], verb]), scope
