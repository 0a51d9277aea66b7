"""The VM and its instance view: complete, silent, bare and odd."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from azext_vmagent.facts.instance_view import AgentStatus, VmFacts, parse_vm

NIC = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/"


def vm(**properties: Any) -> dict[str, Any]:
    return {"name": "web-03", "location": "japaneast", "properties": properties}


def silent_agent(message: str) -> dict[str, Any]:
    """As the platform shows a silent agent (domain: armcompute examples, azure-powershell #4168, WALinuxAgent #652)."""
    status = {
        "code": "ProvisioningState/Unavailable",
        "level": "Warning",
        "displayStatus": "Not Ready",
        "message": message,
    }
    return {"vmAgentVersion": "Unknown", "statuses": [status | {"time": "2026-11-24T09:25:00+00:00"}]}


FULL = vm(
    vmId="0a1b",
    timeCreated="2026-11-20T01:02:03.1234567+00:00",
    provisioningState="Succeeded",
    priority="Spot",
    hardwareProfile={"vmSize": "Standard_D2s_v5"},
    securityProfile={
        "securityType": "TrustedLaunch",
        "proxyAgentSettings": {"enabled": True, "wireServer": {"mode": "Enforce"}},
    },
    storageProfile={
        "imageReference": {"publisher": "RedHat", "offer": "RHEL", "sku": "86-gen2", "version": "latest"},
        "osDisk": {"osType": "Linux", "managedDisk": {"id": "/disks/os"}, "diffDiskSettings": {"option": "Local"}},
    },
    osProfile={
        "computerName": "web-03",
        "adminUsername": "ops",
        "allowExtensionOperations": True,
        "linuxConfiguration": {"provisionVMAgent": True},
    },
    networkProfile={
        "networkInterfaces": [
            {"id": NIC + "second", "properties": {"primary": False}},
            {"id": NIC + "first", "properties": {"primary": True}},
        ]
    },
    diagnosticsProfile={"bootDiagnostics": {"enabled": True}},
    instanceView={
        "hyperVGeneration": "V2",
        "osName": "redhat",
        "osVersion": "8.6",
        "vmHealth": {"status": {"code": "HealthState/healthy"}},
        "vmAgent": {
            "vmAgentVersion": "2.7.3.0",
            "statuses": [
                {
                    "code": "ProvisioningState/succeeded",
                    "displayStatus": "Ready",
                    "message": "Guest Agent is running",
                    "time": "2026-11-24T09:24:55Z",
                }
            ],
        },
        "extensions": [
            {
                "name": "RunCommandLinux",
                "type": "Microsoft.CPlat.Core.RunCommandLinux",
                "typeHandlerVersion": "1.0.5",
                "statuses": [{"code": "ProvisioningState/transitioning", "message": "Installing"}],
            },
            {"name": "ama", "statuses": [{"code": "ProvisioningState/failed/1"}]},
        ],
        "statuses": [{"code": "ProvisioningState/succeeded"}, {"code": "PowerState/running"}],
    },
)


def test_a_complete_answer() -> None:
    facts = parse_vm(FULL)
    assert facts.running
    assert (facts.agent, facts.agent_version) == (AgentStatus.READY, "2.7.3.0")
    assert facts.agent_time == datetime(2026, 11, 24, 9, 24, 55, tzinfo=timezone.utc)
    assert facts.time_created == datetime(2026, 11, 20, 1, 2, 3, 123456, tzinfo=timezone.utc)
    assert facts.image == "RedHat:RHEL:86-gen2:latest"
    assert facts.nic_ids == (NIC + "first", NIC + "second")
    assert facts.ephemeral_os_disk
    assert facts.spot
    assert (facts.boot_diagnostics, facts.boot_diagnostics_managed) == (True, True)
    assert (facts.provision_vm_agent, facts.allow_extension_operations) == (True, True)
    assert facts.proxy_agent_wire_server_mode == "Enforce"
    assert facts.vm_health == "healthy"
    assert facts.transitioning_extensions == ("RunCommandLinux",)
    assert [extension.state for extension in facts.extensions] == ["transitioning", "failed"]


@pytest.mark.parametrize(
    "message",
    ["VM status blob is found but not yet populated.", "VM Agent is unresponsive.", "VM status blob not found.", ""],
)
def test_a_silent_agent_is_not_ready_whatever_the_message(message: str) -> None:
    facts = parse_vm(vm(instanceView={"vmAgent": silent_agent(message)}))
    assert facts.agent is AgentStatus.NOT_READY
    assert facts.agent_message == message
    assert facts.agent_version == "Unknown"


def test_the_code_tells_where_the_words_are_unknown() -> None:
    status = {"code": "ProvisioningState/Unavailable", "displayStatus": "準備ができていません"}
    assert parse_vm(vm(instanceView={"vmAgent": {"statuses": [status]}})).agent is AgentStatus.NOT_READY


@pytest.mark.parametrize("view", [{}, {"vmAgent": None}, {"vmAgent": {"statuses": []}}])
def test_no_agent_status_is_absent(view: dict[str, Any]) -> None:
    assert parse_vm(vm(instanceView=view)).agent is AgentStatus.ABSENT


def test_a_failed_provisioning_keeps_its_code() -> None:
    statuses = [
        {"code": "ProvisioningState/failed/VMExtensionProvisioningError", "message": "m"},
        {"code": "PowerState/stopped"},
    ]
    facts = parse_vm(vm(instanceView={"statuses": statuses}))
    assert (facts.power, facts.provisioning) == ("stopped", "failed")
    assert (facts.provisioning_code, facts.provisioning_message) == ("VMExtensionProvisioningError", "m")


def test_a_specialised_disk_has_no_os_profile() -> None:
    facts = parse_vm(vm(storageProfile={"osDisk": {"osType": "Linux"}}))
    assert (facts.provision_vm_agent, facts.allow_extension_operations) == (None, None)
    assert facts.image == ""


def test_boot_diagnostics_absent_is_off_and_a_storage_account_is_not_managed() -> None:
    assert parse_vm(vm(vmId="x")).boot_diagnostics is False
    own = vm(
        diagnosticsProfile={"bootDiagnostics": {"enabled": True, "storageUri": "https://acc.blob.core.windows.net/"}}
    )
    assert parse_vm(own).boot_diagnostics_managed is False


def test_windows_flags() -> None:
    facts = parse_vm(
        vm(osProfile={"windowsConfiguration": {"provisionVMAgent": False}, "allowExtensionOperations": False})
    )
    assert (facts.provision_vm_agent, facts.allow_extension_operations) == (False, False)


@pytest.mark.parametrize("odd", [None, [], "vm", 7, {}, {"properties": []}])
def test_an_answer_that_is_no_vm_says_nothing(odd: Any) -> None:
    assert parse_vm(odd) == VmFacts()


@pytest.mark.parametrize("odd", [None, 3, "x", [], [None], {"statuses": 4}, {"statuses": [None, {"code": 5}]}])
def test_odd_parts_are_not_said(odd: Any) -> None:
    keys = ("instanceView", "osProfile", "storageProfile", "networkProfile", "diagnosticsProfile", "securityProfile")
    facts = parse_vm({"name": 4, "location": [], "zones": "1", "plan": 3, "properties": dict.fromkeys(keys, odd)})
    assert facts == VmFacts(boot_diagnostics=False)
    parse_vm(vm(instanceView=dict.fromkeys(("vmAgent", "extensions", "statuses", "vmHealth", "bootDiagnostics"), odd)))


def test_an_older_model_has_one_proxy_agent_mode_for_all_endpoints():
    facts = parse_vm(vm(securityProfile={"proxyAgentSettings": {"enabled": True, "mode": "Enforce"}}))
    assert (facts.proxy_agent_enabled, facts.proxy_agent_wire_server_mode) == (True, "Enforce")
    own = {"enabled": True, "mode": "Enforce", "wireServer": {"mode": "Audit"}}
    assert parse_vm(vm(securityProfile={"proxyAgentSettings": own})).proxy_agent_wire_server_mode == "Audit"
