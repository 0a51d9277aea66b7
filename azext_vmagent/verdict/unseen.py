"""What was not checked, and what it would take. A gap that is not named would look like a clean bill."""

from __future__ import annotations

from azext_vmagent.facts.port import way_is_open
from azext_vmagent.facts.reading import (
    GUEST_CHANNELS,
    HOST_METRICS,
    INSTANCE_VIEW,
    MANAGED_RUN_COMMAND,
    NETWORK,
    PASTE,
    PORT,
    RESOURCE_HEALTH,
    RUN_COMMAND,
    SCREENSHOT,
    SERIAL_CONSOLE,
    SERIAL_LOG,
    SSH,
    Facts,
)
from azext_vmagent.model import Answer, Reason, State

_RIGHTS = {
    SERIAL_LOG: "Microsoft.Compute/virtualMachines/retrieveBootDiagnosticsData/action",
    SCREENSHOT: "Microsoft.Compute/virtualMachines/retrieveBootDiagnosticsData/action",
    HOST_METRICS: "Microsoft.Insights/metrics/read",
    RESOURCE_HEALTH: "Microsoft.ResourceHealth/availabilityStatuses/read",
    NETWORK: "Microsoft.Network/networkInterfaces/read",
    RUN_COMMAND: "Microsoft.Compute/virtualMachines/runCommand/action",
    SERIAL_CONSOLE: "Microsoft.SerialConsole/serialPorts/connect/action",
    MANAGED_RUN_COMMAND: "Microsoft.Compute/virtualMachines/runCommands/write",
}
_ORDER = (
    INSTANCE_VIEW,
    SERIAL_LOG,
    SCREENSHOT,
    HOST_METRICS,
    RESOURCE_HEALTH,
    NETWORK,
    PORT,
    RUN_COMMAND,
    MANAGED_RUN_COMMAND,
    SSH,
    SERIAL_CONSOLE,
    PASTE,
)


def not_checked(facts: Facts) -> tuple[Reason, ...]:
    """One line for every source that gave nothing; what looked inside makes the other channel no gap."""
    lines = []
    for source in _ORDER:
        answer = facts.answers.get(source)
        if answer is None or answer.state is State.OK:
            continue
        if source in GUEST_CHANNELS and facts.guest is not None and answer.state is State.NOT_ASKED:
            continue
        if source == SCREENSHOT and answer.detail == facts.detail(SERIAL_LOG):
            continue
        lines.append(Reason(_line(answer), source))
    port, network = facts.port, facts.network
    if port is not None and port.outcome.value == "timed-out" and not way_is_open(port, network):
        known = network is not None and port.address == network.public_address
        why = network.path_reason if known and network else f"the way from here to {port.address} is not known"
        lines.append(Reason(f"whether the time-out of port {port.port} means anything: {why}", PORT))
    return tuple(lines)


def _line(answer: Answer) -> str:
    if answer.state is State.DENIED:
        at_the_guest = answer.source == SERIAL_CONSOLE and answer.value is not None
        action = None if at_the_guest else answer.missing_action or _RIGHTS.get(answer.source)
        return answer.detail + (f"; it takes the right {action}" if action and action not in answer.detail else "")
    return answer.detail
