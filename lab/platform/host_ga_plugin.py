"""The HostGAPlugin, 168.63.129.16:32526: the agent's way to storage when the guest has none.

Paths and headers: WALinuxAgent's protocol/hostplugin.py. ``/vmSettings`` answers 404, which an agent takes for a host
without fast track, and then reads extension settings from the Wire Server.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.platform.artifacts import artifact
from lab.platform.http_service import JSON, Request, Response

if TYPE_CHECKING:
    from lab.platform.fabric import Fabric

PORT = 32526
_VERSIONS = ["2015-09-01", "2015-12-01", "2016-02-01"]


def answer(fabric: Fabric, request: Request) -> Response:
    """Answer one request of the guest."""
    if request.path == "/versions":
        return Response(body=json.dumps(_VERSIONS).encode(), content_type=JSON)
    if request.path in ("/health", "/vmAgentLog"):
        return Response(200)
    if request.path == "/extensionArtifact":
        return artifact(request.headers.get("x-ms-artifact-location", "")) or Response(404)
    if request.path == "/status" and request.method == "PUT":
        try:
            fabric.status_blob.put_through_plugin(request.body)
        except (ValueError, KeyError):
            return Response(400)
        return Response(200)
    return Response(404)
