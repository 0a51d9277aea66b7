"""Which way into the guest, decided from the outside evidence. Pure.

At most one probe is answered per diagnosis. SSH is preferred where the user gave it, because it needs no agent; Run
Command is sent only to an agent that reports Ready while nothing contradicts that, unless the user insists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from azext_vmagent.facts.host_metrics import NetworkTrend
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.port import PortOutcome, way_is_open
from azext_vmagent.facts.reading import PASTE, RUN_COMMAND, SSH, Facts
from azext_vmagent.facts.serial_log import Outlook
from azext_vmagent.model import Answer, State

ALWAYS, NEVER, AUTO = "always", "never", "auto"


@dataclass(frozen=True)
class Wish:
    """What the user said about channels."""

    run_command: str = AUTO
    ssh_user: str | None = None
    ssh_host: str | None = None
    ssh_port: int | None = None
    ssh_key: str | None = None
    #: the probe's answer, brought by hand: then no other way in is used
    pasted: str | None = None


def order(wish: Wish) -> tuple[str, ...]:
    """The channels in the order in which they are considered; each says why it is used or not."""
    if wish.pasted is not None:
        return (PASTE, SSH, RUN_COMMAND)
    return (RUN_COMMAND, SSH) if wish.run_command == ALWAYS else (SSH, RUN_COMMAND)


def refusal(channel: str, facts: Facts, wish: Wish, address: str | None, tried: Mapping[str, Answer]) -> str | None:
    """Why this channel is not used, in one line, or None when it is. ``tried`` holds the channels before it."""
    if channel == PASTE:
        return None
    if wish.pasted is not None:
        return "not needed: the guest's answer was pasted"
    nowhere = why_not_inside(facts)
    if nowhere:
        return nowhere
    reason = why_not_ssh(facts, wish, address) if channel == SSH else why_not_run_command(facts, wish)
    if reason is None and any(answer.state is State.OK for answer in tried.values()):
        return "not needed: the guest has answered"
    if reason is None and channel == RUN_COMMAND and wish.run_command != ALWAYS and _timed_out(tried.get(SSH)):
        return "not sent: the guest did not answer through SSH"
    return reason


def _timed_out(answer: Answer | None) -> bool:
    return answer is not None and answer.state is State.TIMED_OUT


def why_not_inside(facts: Facts) -> str | None:
    """The reason why no channel can or need work at all, or None."""
    vm = facts.vm
    if vm is None:
        return None
    if vm.power and not vm.running:
        return f"the VM is {vm.power}"
    if vm.os_type.lower() == "windows":
        return "this version looks inside Linux guests only"
    return None


def why_not_ssh(facts: Facts, wish: Wish, address: str | None) -> str | None:
    """The reason why SSH is not tried, or None when it is."""
    if not wish.ssh_user:
        return "no --ssh-user given"
    if address is None:
        return "no address: the VM has no public one; --ssh-host names one that works from here"
    port = facts.port
    if port is not None and port.outcome is PortOutcome.REFUSED:
        return f"port {port.port} refuses connections"
    if port is not None and port.outcome is PortOutcome.TIMED_OUT and not wish.ssh_host:
        return f"port {port.port} times out"
    return None


def why_not_run_command(facts: Facts, wish: Wish) -> str | None:
    """The reason why Run Command is not sent, or None when it is."""
    vm = facts.vm
    if wish.run_command == NEVER:
        return "not wanted (--run-command never)"
    if vm is not None and vm.allow_extension_operations is False:
        return "the VM forbids extension operations (osProfile.allowExtensionOperations)"
    if wish.run_command == ALWAYS:
        return None
    if vm is None:
        return "not sent: whether the agent is Ready is not known"
    if vm.agent is not AgentStatus.READY:
        return "not sent: a silent agent never answers it (it would hang for 20-90 min)"
    if vm.transitioning_extensions:
        return f"not sent: extension {vm.transitioning_extensions[0]} is still in progress, the channel is busy"
    if vm.provisioning in ("updating", "creating", "deleting"):
        return f"not sent: another operation is in progress on the VM ({vm.provisioning})"
    doubt = contradiction(facts)
    return f"not sent: the agent is said to be Ready, but {doubt}" if doubt else None


def contradiction(facts: Facts) -> str | None:
    """What speaks against a Ready agent from outside the guest, or None. The platform's word lags by minutes.

    A refused port speaks against it only while no prompt is seen: many guests serve SSH elsewhere, or not at all.
    """
    port, serial, metrics, network = facts.port, facts.serial, facts.metrics, facts.network
    booted = serial is not None and serial.outlook is Outlook.HEALTHY
    if port is not None and port.outcome is PortOutcome.REFUSED and not booted:
        return f"port {port.port} refuses connections"
    if port is not None and port.outcome is PortOutcome.TIMED_OUT and way_is_open(port, network):
        return f"port {port.port} times out although {network.path_reason if network else ''}"
    if serial is not None and serial.outlook in (Outlook.NOT_BOOTED, Outlook.BOOTING, Outlook.NETWORK_DOWN):
        return f"the serial log's newest boot says {serial.state.value}"
    if metrics is not None and metrics.network in (NetworkTrend.FELL, NetworkTrend.FELL_JUST_NOW):
        return "the VM's network traffic has stopped"
    return None
