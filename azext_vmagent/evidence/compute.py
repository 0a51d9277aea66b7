"""The only module that touches azure-mgmt-compute.

azure-cli still ships 34.1 and is about to drop it (azure-cli-extensions#9773); the extension vendors a newer one that
then takes over. So: imported lazily, the api-version always given, no model of a versioned module, answers read as the
JSON that came and not as models, request bodies sent as bytes. Works with 34.1 and 39.0.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azext_vmagent.evidence.arm import json_object, waits
from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.run_command import command_id
from azext_vmagent.model import State, Target

if TYPE_CHECKING:
    from azure.cli.core import AzCli

API_VERSION = "2024-11-01"


@dataclass(frozen=True)
class Operation:
    """An accepted run command: where its outcome will be told."""

    status_url: str
    retry_after: float


class Compute:
    """Virtual machine calls for one subscription."""

    def __init__(self, cli_ctx: AzCli, subscription: str) -> None:
        """Make az's client for the newest SDK at hand."""
        from azure.cli.core.commands.client_factory import get_mgmt_service_client
        from azure.mgmt.compute import ComputeManagementClient

        self._machines: Any = get_mgmt_service_client(
            cli_ctx, ComputeManagementClient, subscription_id=subscription, api_version=API_VERSION
        ).virtual_machines

    def virtual_machine(self, target: Target, deadline: Deadline) -> dict[str, Any]:
        """The VM's model with its instance view. Raises azure.core errors, ResourceNotFoundError among them."""
        return json_object(
            self._machines.get(
                target.resource_group, target.name, expand="instanceView", cls=_as_received, **waits(deadline)
            )
        )

    def boot_diagnostics(self, target: Target, deadline: Deadline) -> dict[str, Any]:
        """SAS URIs of screenshot and serial log, for managed and own storage alike."""
        return json_object(
            self._machines.retrieve_boot_diagnostics_data(
                target.resource_group, target.name, cls=_as_received, **waits(deadline)
            )
        )

    def start_run_command(self, target: Target, script: str, deadline: Deadline) -> Operation:
        """POST the run command action and return as soon as Azure has accepted it (202).

        Raises azure.core errors: HttpResponseError 409 when another one runs or the VM does not.
        """
        body = json.dumps({"commandId": command_id(script), "script": script.splitlines()}).encode()
        settings = waits(deadline) | {"retry_total": 0}
        headers: dict[str, str] = {}
        self._machines.begin_run_command(
            target.resource_group,
            target.name,
            io.BytesIO(body),
            content_type="application/json",
            polling=False,
            raw_response_hook=lambda response: headers.update(response.http_response.headers),
            **settings,
        )
        found = {name.lower(): value for name, value in headers.items()}
        url = found.get("azure-asyncoperation") or found.get("location")
        if not url:
            raise SourceFailed(State.GARBLED, "Azure accepted the run command but did not say where to ask for it")
        return Operation(url, _seconds(found.get("retry-after")))


def _as_received(response: Any, _deserialized: Any, _headers: Any) -> Any:
    return response.http_response.json()


def _seconds(text: str | None) -> float:
    return float(text) if text and text.isdigit() else 0.0
