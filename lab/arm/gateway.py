"""What ARM does before a resource provider sees a request: login, api-version, throttling, scope; and its headers."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import replace

from lab.arm import (
    boot_diagnostics,
    compute,
    guards,
    health,
    identity,
    insights,
    managed_run_command,
    network,
    network_change,
    run_command,
    serial_console,
    subscriptions,
)
from lab.arm.cloud import Cloud
from lab.arm.errors import ArmError, action_of, denied, invalid_api_version, missing_api_version, subscription_not_found
from lab.arm.exchange import Request, Response, Route
from lab.arm.times import moment

ROUTES: tuple[Route, ...] = (
    *identity.ROUTES,
    *subscriptions.ROUTES,
    *compute.ROUTES,
    *run_command.ROUTES,
    *managed_run_command.ROUTES,
    *boot_diagnostics.ROUTES,
    *network.ROUTES,
    *network_change.ROUTES,
    *guards.ROUTES,
    *insights.ROUTES,
    *health.ROUTES,
    *serial_console.ROUTES,
)
_API_VERSION = re.compile(r"\d{4}-\d\d-\d\d(-preview|-privatepreview)?")


def answer(cloud: Cloud, request: Request, routes: Iterable[Route] = ROUTES, *, deny: bool = False) -> Response:
    """The answer to a request; ``deny`` refuses it as if the caller had no right to it."""
    try:
        response = _answer(cloud, request, routes, deny)
    except ArmError as error:
        response = Response(error.status, error.body(), error.headers)
    return replace(response, headers={**_correlation(cloud, request), **response.headers})


def _answer(cloud: Cloud, request: Request, routes: Iterable[Route], deny: bool) -> Response:
    matches = [(route, found) for route in routes if (found := route.match(request.path)) is not None]
    chosen = next(((route, found) for route, found in matches if route.method == request.method), None)
    if chosen is not None and chosen[0].open:
        if deny:
            raise denied(cloud.object_id, *action_of(request.method, request.path))
        return chosen[0].handler(cloud, replace(request, parameters=chosen[1]))
    identity.authenticate(cloud, request.headers.get("authorization"))
    limits = cloud.throttle.headers(request.method, request.path)
    _check_api_version(request)
    if deny:
        raise denied(cloud.object_id, *action_of(request.method, request.path))
    if chosen is None:
        raise _no_such_route(request, bool(matches))
    route, parameters = chosen
    _check_scope(cloud, parameters)
    request = replace(request, parameters=parameters)
    guards.check(cloud, request)
    response = route.handler(cloud, request)
    return replace(response, headers={**limits, **response.headers})


def _check_api_version(request: Request) -> None:
    version = request.query.get("api-version")
    if not version:
        raise missing_api_version()
    if not _API_VERSION.fullmatch(version):
        raise invalid_api_version(version)


def _check_scope(cloud: Cloud, parameters: dict[str, str]) -> None:
    subscription = parameters.get("subscription")
    if subscription is not None and subscription.lower() != cloud.subscription:
        raise subscription_not_found(subscription)
    if "group" in parameters:
        cloud.group(parameters["group"])


def _no_such_route(request: Request, other_method: bool) -> ArmError:
    if other_method:
        message = f"The requested resource does not support http method '{request.method}'."
        return ArmError(405, "MethodNotAllowed", message)
    message = f"The stand-in has nothing at '{request.path}'."
    return ArmError(404, "InvalidResourceType", message)


def _correlation(cloud: Cloud, request: Request) -> dict[str, str]:
    unique = str(uuid.uuid4())
    headers = {
        "Cache-Control": "no-cache",
        "Pragma": "no-cache",
        "Expires": "-1",
        "x-ms-request-id": unique,
        "x-ms-correlation-request-id": request.headers.get("x-ms-correlation-request-id", unique),
        "x-ms-routing-request-id": f"{cloud.location.upper()}:{moment(time.time()):%Y%m%dT%H%M%SZ}:{unique}",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("x-ms-return-client-request-id", "").lower() == "true":
        headers["x-ms-client-request-id"] = request.headers.get("x-ms-client-request-id", "")
    return headers
