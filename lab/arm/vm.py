"""A VM as ARM describes it: what was asked for at its creation, beside the guest that is its inside."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.arm.times import arm_time
from lab.guests.base import Guest

_NAMESPACE = uuid.UUID("6f1f0d4e-7d1a-4a55-9c39-5f6b7f0c9a11")


@dataclass
class LabVm:
    """A VM of the laboratory. A fault may change the fields from ``time_created`` on; healing puts them back."""

    guest: Guest
    group: str = "lab"
    location: str = "japaneast"
    size: str = "Standard_B2s"
    time_created: float = field(default_factory=lambda: time.time() - 30 * 86400)
    provision_vm_agent: bool = True
    allow_extension_operations: bool = True
    boot_diagnostics: bool = True
    has_os_profile: bool = True
    ephemeral_os_disk: bool = False
    public: bool = True
    #: how the private address is given
    allocation: str = "Dynamic"
    tags: dict[str, str] = field(default_factory=dict)
    #: the fault that was injected last, for `status` only: nothing ARM answers depends on it
    active_fault: str | None = None
    fault_at: float | None = None
    healthy_since: float = field(default_factory=time.time)
    #: managed run commands by lower-case name
    run_commands: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: error code of the last operation, when it failed
    failure: str | None = None
    changed_at: float = field(default_factory=time.time)

    @property
    def name(self) -> str:
        """The VM's name."""
        return self.guest.name

    @property
    def vm_id(self) -> str:
        """The unique id, the same in every run."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.group}/{self.name}"))

    def id(self, subscription: str) -> str:
        """The ARM resource id."""
        return (
            f"/subscriptions/{subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.Compute/virtualMachines/{self.name}"
        )

    @property
    def os_disk(self) -> str:
        """Name of the OS disk."""
        return f"{self.name}_OsDisk_1_{self.vm_id.replace('-', '')}"


def describe(vm: LabVm, subscription: str, provisioning_state: str) -> dict[str, Any]:
    """The VM resource as GET answers it, without the instance view."""
    providers = f"/subscriptions/{subscription}/resourceGroups/{vm.group}/providers"
    properties: dict[str, Any] = {
        "hardwareProfile": {"vmSize": vm.size},
        "provisioningState": provisioning_state,
        "vmId": vm.vm_id,
        "storageProfile": _storage_profile(vm, providers),
        "networkProfile": {
            "networkInterfaces": [
                {
                    "id": f"{providers}/Microsoft.Network/networkInterfaces/{vm.name}-nic",
                    "properties": {"primary": True, "deleteOption": "Detach"},
                }
            ]
        },
        "timeCreated": arm_time(vm.time_created),
    }
    if vm.has_os_profile:
        properties["osProfile"] = _os_profile(vm)
    if vm.boot_diagnostics:
        properties["diagnosticsProfile"] = {"bootDiagnostics": {"enabled": True}}
    else:
        properties["diagnosticsProfile"] = {"bootDiagnostics": {"enabled": False}}
    return {
        "name": vm.name,
        "id": vm.id(subscription),
        "type": "Microsoft.Compute/virtualMachines",
        "location": vm.location,
        "tags": dict(vm.tags),
        "properties": properties,
    }


def change(vm: LabVm, body: Mapping[str, Any]) -> None:
    """What PATCH and PUT may change: tags, boot diagnostics, extension operations, size."""
    properties = body.get("properties") or {}
    if isinstance(body.get("tags"), dict):
        vm.tags = {str(key): str(value) for key, value in body["tags"].items()}
    diagnostics = (properties.get("diagnosticsProfile") or {}).get("bootDiagnostics")
    if diagnostics is not None:
        vm.boot_diagnostics = bool(diagnostics.get("enabled"))
    allow = (properties.get("osProfile") or {}).get("allowExtensionOperations")
    if allow is not None:
        vm.allow_extension_operations = bool(allow)
    size = (properties.get("hardwareProfile") or {}).get("vmSize")
    if size:
        vm.size = str(size)


def _os_profile(vm: LabVm) -> dict[str, Any]:
    return {
        "computerName": vm.name,
        "adminUsername": "azureuser",
        "linuxConfiguration": {
            "disablePasswordAuthentication": True,
            "ssh": {
                "publicKeys": [{"path": "/home/azureuser/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAA lab"}]
            },
            "provisionVMAgent": vm.provision_vm_agent,
            "patchSettings": {"patchMode": "ImageDefault", "assessmentMode": "ImageDefault"},
        },
        "secrets": [],
        "allowExtensionOperations": vm.allow_extension_operations,
        "requireGuestProvisionSignal": True,
    }


def _storage_profile(vm: LabVm, providers: str) -> dict[str, Any]:
    os_disk: dict[str, Any] = {
        "osType": "Linux",
        "name": vm.os_disk,
        "createOption": "FromImage",
        "caching": "ReadOnly" if vm.ephemeral_os_disk else "ReadWrite",
        "managedDisk": {
            "storageAccountType": "Standard_LRS" if vm.ephemeral_os_disk else "Premium_LRS",
            "id": f"{providers}/Microsoft.Compute/disks/{vm.os_disk}",
        },
        "deleteOption": "Delete" if vm.ephemeral_os_disk else "Detach",
        "diskSizeGB": 30,
    }
    if vm.ephemeral_os_disk:
        os_disk["diffDiskSettings"] = {"option": "Local", "placement": "CacheDisk"}
    image = {
        "publisher": "Debian",
        "offer": "debian-12",
        "sku": "12-gen2",
        "version": "latest",
        "exactVersion": "0.20240901.1857",
    }
    return {"imageReference": image, "osDisk": os_disk, "dataDisks": [], "diskControllerType": "SCSI"}
