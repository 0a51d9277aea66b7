"""Every answer about a VM is one that the public SDK reads, whichever release is installed (34.1, 39)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.arm import identity
from tests.lab.standin import StandIn

compute = pytest.importorskip("azure.mgmt.compute")


class Credential:
    """Gives the token that the stand-in wants."""

    def __init__(self, standin: StandIn) -> None:
        self._standin = standin

    def get_token(self, *_: str, **__: Any) -> Any:
        from azure.core.credentials import AccessToken

        return AccessToken(identity.token(self._standin.cloud, "x"), 2**31)


@pytest.fixture
def client(standin: StandIn) -> Iterator[Any]:
    with compute.ComputeManagementClient(
        Credential(standin),
        standin.cloud.subscription,
        base_url=standin.cloud.base_url,
        connection_verify=str(standin.ca),
        credential_scopes=["https://management.azure.com/.default"],
        polling_interval=0.1,
    ) as one:
        yield one


def test_vm_and_instance_view(client: Any) -> None:
    vm = client.virtual_machines.get("lab", "vm1", expand="instanceView")
    assert vm.os_profile.linux_configuration.provision_vm_agent is True
    assert vm.diagnostics_profile.boot_diagnostics.enabled is True
    assert vm.time_created.year >= 2023
    assert vm.instance_view.vm_agent.statuses[0].display_status == "Ready"
    view = client.virtual_machines.instance_view("lab", "vm1")
    assert view.statuses[1].code == "PowerState/running"
    assert view.vm_agent.extension_handlers[0].type == "Microsoft.CPlat.Core.RunCommandLinux"


def test_lists(client: Any) -> None:
    assert [vm.name for vm in client.virtual_machines.list_all(status_only="true")] == ["vm1"]
    assert [vm.name for vm in client.virtual_machines.list("lab")] == ["vm1"]


def test_run_command(client: Any) -> None:
    poller = client.virtual_machines.begin_run_command(
        "lab", "vm1", {"commandId": "RunShellScript", "script": ["echo hello"]}
    )
    assert "hello" in poller.result(20).value[0].message


def test_power_and_boot_diagnostics(client: Any, standin: StandIn) -> None:
    for name in ("restart", "power_off", "start", "redeploy", "reapply", "deallocate"):
        getattr(client.virtual_machines, f"begin_{name}")("lab", "vm1").result(20)
    assert standin.guest.steps == ["restart", "power_off", "start", "deallocate", "start", "deallocate"]
    data = client.virtual_machines.retrieve_boot_diagnostics_data("lab", "vm1")
    assert data.serial_console_log_blob_uri.startswith(standin.cloud.base_url)


def test_errors(client: Any) -> None:
    from azure.core.exceptions import ResourceNotFoundError

    with pytest.raises(ResourceNotFoundError) as raised:
        client.virtual_machines.get("lab", "nope")
    assert raised.value.error.code == "ResourceNotFound"
