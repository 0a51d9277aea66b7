"""The Wire Server, 168.63.129.16:80: versions, goal state and its documents, health, telemetry, and the blobs.

Paths and headers: WALinuxAgent's protocol/wire.py. In Azure the blobs have hosts of their own; the guest of the
laboratory has no other route, so they are served here under ``/blob``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.platform import goal_state
from lab.platform.artifacts import artifact
from lab.platform.http_service import Request, Response

if TYPE_CHECKING:
    from lab.platform.fabric import Fabric

PORT = 80
_CONFIG_TYPE = re.compile(r"comp=config&type=(\w+)")


def answer(fabric: Fabric, request: Request) -> Response:
    """Answer one request of the guest."""
    if request.path.startswith("/blob/"):
        return _blob(fabric, request)
    query = request.target.partition("?")[2].lower()
    if query.startswith("comp=versions"):
        return Response(body=goal_state.versions().encode())
    if request.path.startswith("/machine"):
        return _machine(fabric, request, query)
    return Response(404)


def _machine(fabric: Fabric, request: Request, query: str) -> Response:
    state = fabric.goal_state
    if query.startswith("comp=goalstate"):
        return Response(body=goal_state.goal_state(state).encode())
    if query.startswith(("comp=health", "comp=telemetrydata")):
        return Response(200)
    if query.startswith("comp=roleproperties"):
        return Response(202)
    wanted = _CONFIG_TYPE.search(request.target)
    documents = {
        "hostingEnvironmentConfig": lambda: goal_state.hosting_environment_config(state),
        "sharedConfig": lambda: goal_state.shared_config(state, fabric.private_address),
        "extensionsConfig": lambda: goal_state.extensions_config(state),
    }
    if wanted and wanted.group(1) in documents:
        return Response(body=documents[wanted.group(1)]().encode())
    return Response(404)


def _blob(fabric: Fabric, request: Request) -> Response:
    if request.method == "PUT" and "/$system/" in request.path:
        fabric.status_blob.put(request.target, {k.lower(): v for k, v in request.headers.items()}, request.body)
        return Response(201)
    return artifact(request.path) or Response(404)
