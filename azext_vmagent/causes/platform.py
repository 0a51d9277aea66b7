"""Not the guest's fault, or not a fault at all."""

from __future__ import annotations

from azext_vmagent.causes.catalogue import platform, platform_faults, wire_server_agent

YOUNG = platform.YOUNG

VM_STOPPED = platform.VM_NOT_RUNNING.named("No agent can report from a VM that is off.")
JUST_CREATED = platform.JUST_CREATED.named("The agent reports a few minutes after the first boot.")
NO_AGENT = platform.NO_AGENT.named(
    "osProfile says provisionVMAgent=false: Azure shows «Not Ready» and no extension can run."
)
WIRE_SERVER_FAILS = platform_faults.WIRE_SERVER_FAILS.named(
    "The agent runs, rules and routes let root through, the host's side stays silent."
)
HOST_EVENT = platform_faults.PLATFORM_EVENT.named()
NOT_NOTICED = platform.PLATFORM_LAGS.named("The platform takes minutes to notice either way.")
EXTENSION_FAILS = platform_faults.EXTENSION_NOT_CONVERGED.named()
HOST_PLUGIN_BLOCKED = wire_server_agent.HOST_PLUGIN_SILENT.named(
    "The agent falls back to direct uploads; extensions may hang."
)
