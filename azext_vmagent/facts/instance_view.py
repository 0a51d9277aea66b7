"""The VM GET with ``$expand=instanceView``, as typed facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class AgentStatus(str, Enum):
    """The platform's word on the agent; ABSENT when the instance view has no ``vmAgent`` status at all."""

    READY = "Ready"
    NOT_READY = "Not Ready"
    UNKNOWN = "Unknown"
    ABSENT = "absent"


@dataclass(frozen=True)
class ExtensionFacts:
    """One extension. ``state`` is the last word of ``ProvisioningState/<state>`` in lower case, or "" when none was
    reported."""

    name: str
    type: str
    version: str
    state: str
    message: str

    @property
    def transitioning(self) -> bool:
        """Whether it is still being worked on, which closes Run Command for others."""
        return self.state in {"transitioning", "updating", "creating", "deleting"}


@dataclass(frozen=True)
class VmFacts:
    """What the VM model and its instance view say. Empty text means «not said»; None means «not said» for the rest.

    ``power`` is the last word of ``PowerState/<word>``; ``provisioning`` likewise (``failed`` also for
    ``failed/<code>``, which is then in ``provisioning_code``). ``agent_time`` of a Not Ready agent is the time of the
    question, never of the last report. ``provision_vm_agent`` and ``allow_extension_operations`` are None when the VM
    has no osProfile (specialised disk). ``nic_ids``: primary first.
    """

    name: str = ""
    location: str = ""
    size: str = ""
    zones: tuple[str, ...] = ()
    vm_id: str = ""
    power: str = ""
    provisioning: str = ""
    provisioning_code: str = ""
    provisioning_message: str = ""
    agent: AgentStatus = AgentStatus.ABSENT
    agent_status_text: str = ""
    agent_version: str = ""
    agent_message: str = ""
    agent_time: datetime | None = None
    os_type: str = ""
    os_name: str = ""
    os_version: str = ""
    computer_name: str = ""
    image: str = ""
    plan: str = ""
    security_type: str = ""
    hyperv_generation: str = ""
    os_disk_id: str = ""
    os_disk_encrypted: bool | None = None
    ephemeral_os_disk: bool = False
    spot: bool = False
    boot_diagnostics: bool | None = None
    boot_diagnostics_managed: bool | None = None
    boot_diagnostics_error: str = ""
    provision_vm_agent: bool | None = None
    allow_extension_operations: bool | None = None
    proxy_agent_enabled: bool | None = None
    proxy_agent_wire_server_mode: str = ""
    time_created: datetime | None = None
    extensions: tuple[ExtensionFacts, ...] = ()
    vm_health: str = ""
    maintenance_message: str = ""
    nic_ids: tuple[str, ...] = ()
    admin_username: str = ""

    @property
    def running(self) -> bool:
        """Whether the platform says that the VM runs."""
        return self.power == "running"

    @property
    def transitioning_extensions(self) -> tuple[str, ...]:
        """The names of the extensions that are still being worked on."""
        return tuple(extension.name for extension in self.extensions if extension.transitioning)
