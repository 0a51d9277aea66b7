"""The product's real clients against a stand-in in this process, without az: what is sent is what a user's az sends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from azure.core.pipeline import policies
from azure.core.pipeline.transport import RequestsTransport
from azure.mgmt.compute import ComputeManagementClient

from azext_vmagent.evidence.arm import ArmClient
from azext_vmagent.evidence.azure import LiveAzure
from azext_vmagent.evidence.compute import API_VERSION, Compute
from azext_vmagent.model import Target
from lab import namespaces
from lab.arm import certificates, identity
from lab.arm.cloud import Cloud
from lab.arm.server import Server
from lab.arm.vm import LabVm
from lab.guests.loopback import LoopbackNetwork
from lab.guests.recorded import RecordedGuest

Login = Callable[[], LiveAzure]

RECORDINGS = Path(__file__).parent.parent / "lab" / "recordings"


class _Credential:
    """A token of the stand-in's."""

    def __init__(self, cloud: Cloud) -> None:
        self._token = identity.token(cloud, "https://management.azure.com/")

    def get_token(self, *_scopes: str, **_: Any) -> Any:
        return SimpleNamespace(token=self._token, expires_on=time.time() + 3600)


class _Compute(Compute):
    """The client as az makes it, but for az."""

    def __init__(self, cloud: Cloud, ca: str) -> None:
        client = ComputeManagementClient(
            _Credential(cloud), cloud.subscription, base_url=cloud.base_url, api_version=API_VERSION,
            credential_scopes=["x"], transport=RequestsTransport(connection_verify=ca),
        )  # fmt: skip
        self._machines: Any = client.virtual_machines


def _arm(cloud: Cloud, ca: str) -> ArmClient:
    credential = _Credential(cloud)
    return ArmClient(
        credential, cloud.subscription, cloud.base_url,
        transport=RequestsTransport(connection_verify=ca),
        user_agent_policy=policies.UserAgentPolicy(),
        logging_policy=policies.NetworkTraceLoggingPolicy(),
        http_logging_policy=policies.HttpLoggingPolicy(),
        custom_hook_policy=policies.CustomHookPolicy(),
        authentication_policy=policies.BearerTokenCredentialPolicy(credential, "x"),
    )  # fmt: skip


@contextmanager
def recorded(folder: Path, name: str) -> Iterator[tuple[Cloud, Login, Target]]:
    """A recorded guest behind a stand-in, and what makes the clients of a user who is logged in, new for each call."""
    network = LoopbackNetwork()
    guest = RecordedGuest(name, RECORDINGS / name, network.address(0), folder)
    cloud = Cloud(vms=[LabVm(guest, **guest.vm_overrides)])
    ca, context = certificates.make(folder)
    server = Server(cloud, context, [namespaces.listen(0)])
    before = os.environ.get("REQUESTS_CA_BUNDLE")
    os.environ["REQUESTS_CA_BUNDLE"] = str(ca)  # as the user of a cloud with a certificate of its own sets it
    try:

        def login() -> LiveAzure:
            return LiveAzure(lambda: _Compute(cloud, str(ca)), _arm(cloud, str(ca)), lambda: "token", folder)

        yield cloud, login, Target(cloud.subscription, "lab", name)
    finally:
        os.environ.pop("REQUESTS_CA_BUNDLE")
        os.environ.update({"REQUESTS_CA_BUNDLE": before} if before else {})
        server.stop()
        guest.close()
        network.close()
