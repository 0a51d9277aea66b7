"""Instance metadata, 169.254.169.254:80. Works without an agent; asked only with the header ``Metadata: true``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.platform.goal_state import ROLE_ID
from lab.platform.http_service import JSON, Request, Response

if TYPE_CHECKING:
    from lab.platform.fabric import Fabric

ADDRESS = "169.254.169.254"
PORT = 80


def answer(fabric: Fabric, request: Request) -> Response:
    """Answer one request of the guest."""
    if request.headers.get("Metadata", "").lower() != "true":
        return _json(400, {"error": "Bad request. Required metadata header not specified"})
    compute, network = _compute(fabric.name), _network(fabric.private_address)
    documents: dict[str, dict[str, object]] = {
        "/metadata/instance": {"compute": compute, "network": network},
        "/metadata/instance/compute": compute,
        "/metadata/instance/network": network,
    }
    if request.path not in documents:
        return _json(404, {"error": "Not found"})
    return _json(200, documents[request.path])


def _compute(name: str) -> dict[str, object]:
    return {
        "azEnvironment": "AzurePublicCloud",
        "location": "japaneast",
        "name": name,
        "offer": "debian-12",
        "osType": "Linux",
        "publisher": "Debian",
        "resourceGroupName": "lab",
        "sku": "12-gen2",
        "subscriptionId": "00000000-0000-0000-0000-000000000000",
        "vmId": ROLE_ID,
        "vmSize": "Standard_B2s",
    }


def _network(private_address: str) -> dict[str, object]:
    addresses = [{"privateIpAddress": private_address, "publicIpAddress": ""}]
    subnet = [{"address": "10.0.0.0", "prefix": "24"}]
    return {"interface": [{"ipv4": {"ipAddress": addresses, "subnet": subnet}, "macAddress": "000D3A000004"}]}


def _json(status: int, document: dict[str, object]) -> Response:
    return Response(status, json.dumps(document).encode(), JSON)
