"""The state of the stand-in: one tenant, one subscription, its resource groups, its VMs and what happens to them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from lab.arm import errors
from lab.arm.consoles import Consoles
from lab.arm.instance_view import Observed, instance_view
from lab.arm.operations import Operations
from lab.arm.settings import Settings
from lab.arm.throttling import Throttle
from lab.arm.vm import LabVm, describe
from lab.injection import Injections
from lab.journal import Journal

SUBSCRIPTION = "5a2b1c9e-1ab0-4c1e-9d53-0e7f5a11ab01"
TENANT = "0b7e3a52-6c0f-4f0f-8d7e-2f6a11ab0001"
OBJECT_ID = "c9d0e1f2-3a4b-4c5d-8e6f-7a8b11ab0002"


@dataclass
class Cloud:
    """Everything a request can be answered from."""

    subscription: str = SUBSCRIPTION
    tenant: str = TENANT
    object_id: str = OBJECT_ID
    location: str = "japaneast"
    settings: Settings = field(default_factory=Settings)
    vms: list[LabVm] = field(default_factory=list)
    operations: Operations = field(default_factory=Operations)
    injections: Injections = field(default_factory=Injections)
    journal: Journal = field(default_factory=Journal)
    throttle: Throttle = field(default_factory=Throttle)
    consoles: Consoles = field(default_factory=Consoles)
    #: where clients reach it: ``https://127.0.0.1:PORT``; known once it listens
    base_url: str = ""
    #: signs tokens and SAS addresses
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    #: the shared secret of the App Service style token endpoint
    identity_header: str = field(default_factory=lambda: secrets.token_hex(16))
    #: resource groups that exist although no VM is in them
    empty_groups: list[str] = field(default_factory=list)

    def groups(self) -> list[str]:
        """Names of the resource groups."""
        return list(dict.fromkeys([*(vm.group for vm in self.vms), *self.empty_groups]))

    def group(self, name: str) -> str:
        """The group as it is spelled, or 404."""
        for known in self.groups():
            if known.lower() == name.lower():
                return known
        raise errors.group_not_found(name)

    def vm(self, group: str, name: str) -> LabVm:
        """The VM, or 404."""
        for vm in self.vms:
            if vm.group.lower() == group.lower() and vm.name.lower() == name.lower():
                return vm
        raise errors.resource_not_found("Microsoft.Compute/virtualMachines", name, self.group(group))

    def observed(self, vm: LabVm) -> Observed:
        """What the platform sees of a VM now."""
        channel = self.settings.run_command_channel
        if self.operations.running(vm) or channel != "free":
            provisioning = "updating"
        elif vm.failure:
            provisioning = f"failed/{vm.failure}"
        else:
            provisioning = "succeeded"
        return Observed(
            power=vm.guest.power_state(),
            upload=vm.guest.status_upload(),
            now=time.time(),
            not_ready_after=self.settings.not_ready_after,
            provisioning=provisioning,
            provisioned_at=vm.changed_at,
            disks=(vm.os_disk,),
            boot_diagnostics=vm.boot_diagnostics,
            run_command_since=vm.changed_at if channel == "wedged" else None,
        )

    def instance_view(self, vm: LabVm) -> dict[str, Any]:
        """The computed instance view."""
        return instance_view(self.observed(vm))

    def describe(self, vm: LabVm) -> dict[str, Any]:
        """The VM resource without its instance view."""
        state = self.observed(vm).provisioning.partition("/")[0].capitalize()
        return describe(vm, self.subscription, state)
