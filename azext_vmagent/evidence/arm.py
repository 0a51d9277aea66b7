"""Azure Resource Manager, as one client for everything that is not Microsoft.Compute.

Built on azure-core's pipeline with az's own credential, headers and proxies, as the management SDKs are; no SDK for
monitor, network or resource health is needed for one GET each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import State

if TYPE_CHECKING:
    from azure.cli.core import AzCli

#: one retry: Azure's transient 5xx and 429 usually pass at once, and the budget is a person's patience
RETRIES = 1
_GOOD = (200, 201, 202, 204)


class ArmClient:
    """Calls of the cloud's resource manager. Made by az's ``get_mgmt_service_client`` like an SDK client."""

    def __init__(self, credential: Any, subscription_id: str, base_url: str, **kwargs: Any) -> None:
        """Assemble the pipeline from the policies that az passes."""
        from azure.core.configuration import Configuration
        from azure.core.pipeline import policies
        from azure.mgmt.core import ARMPipelineClient

        config: Configuration[Any, Any] = Configuration(**kwargs)
        config.user_agent_policy = kwargs["user_agent_policy"]
        config.headers_policy = policies.HeadersPolicy(**kwargs)
        config.proxy_policy = policies.ProxyPolicy(**kwargs)
        config.logging_policy = kwargs["logging_policy"]
        config.http_logging_policy = kwargs["http_logging_policy"]
        config.custom_hook_policy = kwargs["custom_hook_policy"]
        config.redirect_policy = policies.RedirectPolicy(**kwargs)
        config.retry_policy = policies.RetryPolicy(**kwargs)
        config.authentication_policy = kwargs["authentication_policy"]
        self.credential = credential
        self.subscription_id = subscription_id
        self._client = ARMPipelineClient(base_url=base_url, config=config, **kwargs)

    def get(self, path: str, params: dict[str, str], deadline: Deadline) -> dict[str, Any]:
        """GET an absolute path or URL; the JSON object.

        Raises azure.core errors, and SourceFailed(GARBLED) when the answer is no JSON object.
        """
        return json_object(self._response("GET", path, params, deadline).json())

    def post(self, path: str, params: dict[str, str], deadline: Deadline) -> dict[str, Any]:
        """POST without a body; the JSON object. Not tried again. Raises as ``get`` does."""
        return json_object(self._response("POST", path, params, deadline).json())

    def send(
        self, method: str, path: str, params: dict[str, str], deadline: Deadline, body: dict[str, Any] | None = None
    ) -> tuple[dict[str, str], int]:
        """POST, PUT or DELETE; (headers with names in lower case, status) of the acceptance, which nobody waits beyond.

        Not tried again: what was sent twice would be done twice. Raises azure.core errors.
        """
        response = self._response(method, path, params, deadline, body)
        return {name.lower(): value for name, value in response.headers.items()}, response.status_code

    def _response(
        self, method: str, path: str, params: dict[str, str], deadline: Deadline, body: dict[str, Any] | None = None
    ) -> Any:
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest
        from azure.mgmt.core.exceptions import ARMErrorFormat

        request = HttpRequest(method, self._client.format_url(path), params=params, json=body)
        settings = waits(deadline) if method == "GET" else waits(deadline) | {"retry_total": 0}
        response = self._client.send_request(request, **settings)
        if response.status_code not in (_GOOD if method != "GET" else (200,)):
            raise HttpResponseError(response=response, error_format=ARMErrorFormat)
        return response


def json_object(document: Any) -> dict[str, Any]:
    """The document if it is a JSON object, else SourceFailed(GARBLED)."""
    if not isinstance(document, dict):
        raise SourceFailed(State.GARBLED, f"the answer is {type(document).__name__}, not an object")
    return document


def waits(deadline: Deadline) -> dict[str, Any]:
    """Keyword arguments that hold one call of an azure-core pipeline inside the deadline."""
    seconds = max(1.0, deadline.remaining())
    return {
        "connection_timeout": min(10.0, seconds),
        "read_timeout": seconds,
        "timeout": seconds,
        "retry_total": RETRIES,
        "retry_backoff_factor": 0.4,
    }


def arm_client(cli_ctx: AzCli, subscription: str) -> ArmClient:
    """The client for the cloud and login that az has now. Raises what az raises when nobody is logged in."""
    from azure.cli.core.commands.client_factory import get_mgmt_service_client

    client: ArmClient = get_mgmt_service_client(cli_ctx, ArmClient, subscription_id=subscription)
    return client
