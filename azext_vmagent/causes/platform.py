"""Not the guest's fault, or not a fault at all."""

from __future__ import annotations

from azext_vmagent.model import Cause

VM_STOPPED = Cause("P01", "vm-not-running", "The VM does not run", "No agent can report from a VM that is off.")
JUST_CREATED = Cause(
    "P02", "just-created", "The VM was created minutes ago", "The agent reports a few minutes after the first boot."
)
NO_AGENT = Cause(
    "P04",
    "no-agent-by-design",
    "The VM was created without an agent",
    "osProfile says provisionVMAgent=false: Azure shows «Not Ready» and no extension can run.",
)
WIRE_SERVER_FAILS = Cause(
    "P11",
    "wire-server-host-side",
    "The Wire Server does not answer, and nothing in the guest blocks it",
    "The agent runs, rules and routes let root through, the host's side stays silent.",
)
HOST_EVENT = Cause("P17", "platform-event", "The platform reports a problem of its own", "")
NOT_NOTICED = Cause(
    "P18",
    "platform-lags",
    "The agent works, Azure still shows the old status",
    "The platform takes minutes to notice either way.",
)
EXTENSION_FAILS = Cause("P10", "extension-not-converged", "The agent is Ready, an extension is not", "")
HOST_PLUGIN_BLOCKED = Cause(
    "N21",
    "host-plugin-blocked",
    "Only tcp/32526 of the Wire Server is out of reach",
    "The agent falls back to direct uploads; extensions may hang.",
)
