"""The VM GET with ``$expand=instanceView``, as typed facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from azext_vmagent.facts.arm_values import child, flag, items, moment, text


class AgentStatus(str, Enum):
    """The platform's word on the agent; ABSENT when the instance view has no ``vmAgent`` status at all."""

    READY = "Ready"
    NOT_READY = "Not Ready"
    UNKNOWN = "Unknown"
    ABSENT = "absent"


@dataclass(frozen=True)
class ExtensionFacts:
    """One extension. ``state`` is from its ``ProvisioningState/<state>``, in lower case; "" when none was reported."""

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
    def windows(self) -> bool:
        """Windows, by the OS disk's word; False also when it says nothing."""
        return self.os_type.lower() == "windows"

    @property
    def running(self) -> bool:
        """Whether the platform says that the VM runs."""
        return self.power == "running"

    @property
    def transitioning_extensions(self) -> tuple[str, ...]:
        """The names of the extensions that are still being worked on."""
        return tuple(extension.name for extension in self.extensions if extension.transitioning)

    @property
    def failing_extensions(self) -> tuple[ExtensionFacts, ...]:
        """Those that have failed or are still being worked on."""
        return tuple(extension for extension in self.extensions if extension.state in ("failed", "transitioning"))


def parse_vm(vm: Any) -> VmFacts:
    """Facts from the answer of ``GET virtualMachines/{name}?$expand=instanceView``. Never raises on odd or missing
    parts.

    >>> vm = {"name": "web-03", "properties": {"instanceView": {
    ...     "vmAgent": {"vmAgentVersion": "2.7.3.0", "statuses": [{
    ...         "code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Ready",
    ...         "message": "Guest Agent is running", "time": "2023-08-11T09:13:01+00:00"}]},
    ...     "statuses": [{"code": "ProvisioningState/succeeded"}, {"code": "PowerState/running"}]}}}
    >>> facts = parse_vm(vm)
    >>> facts.power, facts.agent.value, facts.agent_version
    ('running', 'Ready', '2.7.3.0')
    """
    properties = child(vm, "properties")
    view = child(properties, "instanceView")
    os_profile = child(properties, "osProfile")
    os_disk = child(properties, "storageProfile", "osDisk")
    agent_status = next(items(view, "vmAgent", "statuses"), {})
    provisioning, code, message = _provisioning(view, text(properties, "provisioningState"))
    enabled = flag(properties, "diagnosticsProfile", "bootDiagnostics", "enabled")
    storage_uri = text(properties, "diagnosticsProfile", "bootDiagnostics", "storageUri")
    return VmFacts(
        name=text(vm, "name"),
        location=text(vm, "location"),
        size=text(properties, "hardwareProfile", "vmSize"),
        zones=_texts(child(vm, "zones")),
        vm_id=text(properties, "vmId"),
        power=_state(view, "PowerState/").lower(),
        provisioning=provisioning,
        provisioning_code=code,
        provisioning_message=message,
        agent=_agent(text(agent_status, "displayStatus"), text(agent_status, "code")),
        agent_status_text=text(agent_status, "displayStatus"),
        agent_version=text(view, "vmAgent", "vmAgentVersion"),
        agent_message=text(agent_status, "message"),
        agent_time=moment(agent_status, "time"),
        os_type=text(os_disk, "osType"),
        os_name=text(view, "osName"),
        os_version=text(view, "osVersion"),
        computer_name=text(view, "computerName") or text(os_profile, "computerName"),
        image=_image(child(properties, "storageProfile", "imageReference")),
        plan=_joined(child(vm, "plan"), "publisher", "product", "name"),
        security_type=text(properties, "securityProfile", "securityType"),
        hyperv_generation=text(view, "hyperVGeneration"),
        os_disk_id=text(os_disk, "managedDisk", "id"),
        os_disk_encrypted=flag(os_disk, "encryptionSettings", "enabled"),
        ephemeral_os_disk=text(os_disk, "diffDiskSettings", "option").lower() == "local",
        spot=text(properties, "priority").lower() in {"spot", "low"},
        boot_diagnostics=False if isinstance(properties, dict) and enabled is None else enabled,
        boot_diagnostics_managed=not storage_uri if enabled else None,
        boot_diagnostics_error=_boot_diagnostics_error(view),
        provision_vm_agent=_provision_vm_agent(os_profile),
        allow_extension_operations=flag(os_profile, "allowExtensionOperations"),
        proxy_agent_enabled=flag(properties, "securityProfile", "proxyAgentSettings", "enabled"),
        proxy_agent_wire_server_mode=_proxy_agent_mode(child(properties, "securityProfile", "proxyAgentSettings")),
        time_created=moment(properties, "timeCreated"),
        extensions=tuple(_extension(extension) for extension in items(view, "extensions")),
        vm_health=_last_word(text(view, "vmHealth", "status", "code")),
        maintenance_message=text(view, "maintenanceRedeployStatus", "lastOperationMessage"),
        nic_ids=_nic_ids(properties),
        admin_username=text(os_profile, "adminUsername"),
    )


def _proxy_agent_mode(settings: Any) -> str:
    """The Wire Server's own mode; older models have one mode for all endpoints of the host."""
    return text(settings, "wireServer", "mode") or text(settings, "mode")


def _state(view: Any, prefix: str) -> str:
    """The rest of the code of the first status that begins with ``prefix``."""
    codes = (text(status, "code") for status in items(view, "statuses"))
    return next((code[len(prefix) :] for code in codes if code.lower().startswith(prefix.lower())), "")


def _provisioning(view: Any, model_state: str) -> tuple[str, str, str]:
    """State, error code and message of the VM's provisioning: ``ProvisioningState/failed/<code>`` carries both."""
    state, _, code = _state(view, "ProvisioningState/").partition("/")
    messages = (
        text(status, "message")
        for status in items(view, "statuses")
        if text(status, "code").lower().startswith("provisioningstate/")
    )
    return (state or model_state).lower(), code, next(messages, "")


def _agent(display: str, code: str) -> AgentStatus:
    """The agent's status from the words the platform shows; the code decides where they are not known."""
    words = {"ready": AgentStatus.READY, "not ready": AgentStatus.NOT_READY, "unknown": AgentStatus.UNKNOWN}
    if display.lower() in words:
        return words[display.lower()]
    if code.lower() == "provisioningstate/unavailable":
        return AgentStatus.NOT_READY
    return AgentStatus.UNKNOWN if display or code else AgentStatus.ABSENT


def _last_word(code: str) -> str:
    return code.rsplit("/", 1)[-1].lower()


def _extension(extension: Any) -> ExtensionFacts:
    """One entry of ``instanceView.extensions``; its newest status is the first."""
    status = next(items(extension, "statuses"), {})
    parts = text(status, "code").split("/")
    return ExtensionFacts(
        name=text(extension, "name"),
        type=text(extension, "type"),
        version=text(extension, "typeHandlerVersion"),
        state=parts[1].lower() if len(parts) > 1 else "",
        message=text(status, "message"),
    )


def _provision_vm_agent(os_profile: Any) -> bool | None:
    linux = flag(os_profile, "linuxConfiguration", "provisionVMAgent")
    return linux if linux is not None else flag(os_profile, "windowsConfiguration", "provisionVMAgent")


def _boot_diagnostics_error(view: Any) -> str:
    """Why boot diagnostics could not be switched on: the status is there only after an error."""
    return text(view, "bootDiagnostics", "status", "message") or text(view, "bootDiagnostics", "status", "code")


def _image(reference: Any) -> str:
    """``publisher:offer:sku:version`` of a marketplace image, or the id of any other."""
    return _joined(reference, "publisher", "offer", "sku", "version") or next(
        (found for key in ("id", "sharedGalleryImageId", "communityGalleryImageId") if (found := text(reference, key))),
        "",
    )


def _joined(value: Any, *keys: str) -> str:
    parts = [text(value, key) for key in keys]
    return ":".join(parts) if any(parts) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _nic_ids(properties: Any) -> tuple[str, ...]:
    """Ids of the network interfaces, the primary one first; a single interface need not be marked as primary."""
    nics = [nic for nic in items(properties, "networkProfile", "networkInterfaces") if text(nic, "id")]
    nics.sort(key=lambda nic: flag(nic, "properties", "primary") is not True)
    return tuple(text(nic, "id") for nic in nics)
