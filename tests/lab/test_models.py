"""Every answer about a VM is one that the public SDK reads, whichever release is installed (34.1, 39)."""

from __future__ import annotations

import time
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


def test_an_asynchronous_managed_run_command(client: Any, standin: StandIn) -> None:
    """Provisioned as soon as the script starts; its outcome comes later; gone when it is deleted."""
    answers, standin.guest.answers, standin.guest.takes_up = standin.guest.answers, None, True
    commands = client.virtual_machine_run_commands
    body = {"location": "japaneast", "properties": {"source": {"script": "echo hello"}, "asyncExecution": True}}
    made = commands.begin_create_or_update("lab", "vm1", "look", body).result(20)
    assert (made.async_execution, made.provisioning_state) == (True, "Succeeded")
    assert made.instance_view is None
    view = commands.get_by_virtual_machine("lab", "vm1", "look", expand="instanceView").instance_view
    assert (view.execution_state, view.output) == ("Running", "")
    standin.guest.answers = answers
    end = time.monotonic() + 10
    while view.execution_state == "Running" and time.monotonic() < end:
        view = commands.get_by_virtual_machine("lab", "vm1", "look", expand="instanceView").instance_view
    assert (view.execution_state, view.output, view.exit_code) == ("Succeeded", "hello\n", 0)
    commands.begin_delete("lab", "vm1", "look").result(20)
    assert list(commands.list_by_virtual_machine("lab", "vm1")) == []


def test_a_wedged_run_command_extension(client: Any, standin: StandIn) -> None:
    standin.cloud.settings.change("run_command_channel", "wedged")
    (extension,) = client.virtual_machines.instance_view("lab", "vm1").extensions
    assert extension.statuses[0].code == "ProvisioningState/transitioning"
    client.virtual_machine_extensions.begin_delete("lab", "vm1", extension.name).result(20)
    assert client.virtual_machines.instance_view("lab", "vm1").extensions is None


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
