"""Which way into the guest, decided from the outside evidence. Pure.

At most one probe is answered per diagnosis. An answer brought by hand comes first: then nobody else is asked. SSH is
preferred where the user gave it, because it needs no agent. Run Command is sent only to an agent that reports Ready
while nothing contradicts that, unless the user insists. The managed one has a handler of its own and is sent where the
action is taken by another script; it comes second because it creates a resource. What was left hanging in the agent's
queue is never joined by a second one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from azext_vmagent.facts.console import asks_root_password
from azext_vmagent.facts.host_metrics import NetworkTrend
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.port import PortOutcome, way_is_open
from azext_vmagent.facts.reading import (
    MANAGED_RUN_COMMAND,
    PASTE,
    RUN_COMMAND,
    SERIAL_CONSOLE,
    SERIAL_LOG,
    SSH,
    Facts,
)
from azext_vmagent.facts.run_command_obstacles import BUSY, WEDGED, in_transition
from azext_vmagent.facts.serial_log import Outlook, SerialState
from azext_vmagent.model import Answer, State

ALWAYS, NEVER, AUTO, MANAGED = "always", "never", "auto", "managed"
#: managed run commands came with it (azure-compute-docs, run-command-managed.md)
LEAST_AGENT_FOR_MANAGED = (2, 4, 0, 2)
#: a healthy agent uploads its status every few seconds; how late the instance view shows it is not published
JUST_REPORTED = timedelta(minutes=2)


@dataclass(frozen=True)
class Wish:
    """What the user said about channels."""

    run_command: str = AUTO
    ssh_user: str | None = None
    ssh_host: str | None = None
    ssh_port: int | None = None
    ssh_key: str | None = None
    ssh_config: str | None = None
    #: the probe's answer, brought by hand: then no other way in is used
    pasted: str | None = None
    serial_console: str = AUTO
    console_user: str | None = None
    console_password: str = field(default="", repr=False)


def order(wish: Wish) -> tuple[str, ...]:
    """The channels in the order in which they are considered; each says why it is used or not."""
    if wish.pasted is not None:
        return (PASTE, SSH, RUN_COMMAND, SERIAL_CONSOLE)
    if wish.run_command == MANAGED:
        agents: tuple[str, ...] = (SSH, MANAGED_RUN_COMMAND)
    else:
        agent = (RUN_COMMAND, MANAGED_RUN_COMMAND)
        agents = (*agent, SSH) if wish.run_command == ALWAYS else (SSH, *agent)
    if wish.serial_console == ALWAYS and wish.console_user:
        return (SERIAL_CONSOLE, *agents)
    return (*agents, SERIAL_CONSOLE)


def considered(channel: str, facts: Facts, wish: Wish, tried: Mapping[str, Answer]) -> bool:
    """Whether this channel is worth a word at all: the managed run command only where the action is taken."""
    if channel != MANAGED_RUN_COMMAND or wish.run_command == MANAGED:
        return True
    action = tried.get(RUN_COMMAND)
    if wish.run_command == NEVER or action is None or action.state is State.OK:
        return False
    held = in_transition(facts.vm.extensions) if facts.vm is not None else None
    return action.cause == BUSY or (held is not None and held.code == WEDGED)


def refusal(channel: str, facts: Facts, wish: Wish, address: str | None, tried: Mapping[str, Answer]) -> str | None:
    """Why this channel is not used, in one line, or None when it is. ``tried`` holds the channels before it."""
    if channel == PASTE:
        return None
    if wish.pasted is not None:
        return "not needed: the guest's answer was pasted"
    nowhere = why_not_inside(facts)
    if nowhere:
        return nowhere
    if channel == SSH:
        reason = why_not_ssh(facts, wish, address)
    elif channel == SERIAL_CONSOLE:
        reason = why_not_serial_console(facts, wish)
    else:
        reason = why_not_managed(facts, wish) if channel == MANAGED_RUN_COMMAND else why_not_run_command(facts, wish)
    if reason is None and any(answer.state is State.OK for answer in tried.values()):
        return "not needed: the guest has answered"
    if (
        reason is None
        and channel in (RUN_COMMAND, MANAGED_RUN_COMMAND)
        and wish.run_command != ALWAYS
        and _timed_out(tried.get(SSH))
    ):
        return "not sent: the guest did not answer through SSH"
    if reason is None and channel == MANAGED_RUN_COMMAND and _timed_out(tried.get(RUN_COMMAND)):
        return "not sent: a run command hangs already"
    return reason


def why(channel: str, wish: Wish) -> str:
    """Why this channel and no other is used now, in one line."""
    if channel == SSH:
        return "you gave a login; it needs no agent"
    if channel == RUN_COMMAND:
        return "you insist" if wish.run_command == ALWAYS else "the agent reports Ready and nothing contradicts it"
    if channel == MANAGED_RUN_COMMAND:
        return "you want it" if wish.run_command == MANAGED else "the agent is Ready, and the action is taken"
    if channel == SERIAL_CONSOLE:
        return "you gave a login; it needs neither agent nor network"
    return "the guest's answer was brought by hand"


def _timed_out(answer: Answer | None) -> bool:
    return answer is not None and answer.state is State.TIMED_OUT


def why_not_inside(facts: Facts) -> str | None:
    """The reason why no channel can or need work at all, or None."""
    vm = facts.vm
    if vm is None:
        return None
    if vm.power and not vm.running:
        return f"the VM is {vm.power}"
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
    why = _why_no_agent(facts)
    if why is not None:
        return why
    held = in_transition(vm.extensions) if vm is not None else None
    if held is not None:
        return f"not sent: {held.told(_vm_arguments(facts))}"
    if vm is not None and vm.provisioning in ("creating", "deleting"):
        return f"not sent: the VM is {vm.provisioning}"
    return None  # an «updating» VM is asked: a busy one refuses at once (409) and says by what, nothing is queued


def why_not_managed(facts: Facts, wish: Wish) -> str | None:
    """The reason why the managed run command is not sent, or None when it is; insisting does not help here.

    A busy action beside a Ready agent may be a long script, or an agent that died under it before the platform noticed:
    only one that has just reported is sent another one.
    """
    vm = facts.vm
    if vm is not None and vm.allow_extension_operations is False:
        return "the VM forbids extension operations (osProfile.allowExtensionOperations)"
    why = _why_no_agent(facts)
    if why is not None or vm is None:
        return why
    if not vm.location:
        return "not sent: the VM's location is not known"
    version = tuple(int(part) for part in re.findall(r"\d+", vm.agent_version)[:4])
    if version and version < LEAST_AGENT_FOR_MANAGED:
        return f"not sent: agent {vm.agent_version} is older than 2.4.0.2, which it takes"
    held = in_transition(vm.extensions)
    if held is not None and held.code != WEDGED:
        return f"not sent: {held.told(_vm_arguments(facts))}"
    if wish.run_command != MANAGED and (vm.agent_time is None or facts.asked_at - vm.agent_time > JUST_REPORTED):
        return "not sent: the agent has not just reported, it may have died under the script that is executing"
    return None


def _why_no_agent(facts: Facts) -> str | None:
    vm = facts.vm
    if vm is None:
        return "not sent: whether the agent is Ready is not known"
    if vm.agent is not AgentStatus.READY:
        return "not sent: a silent agent never answers it (it would hang for 20-90 min)"
    doubt = contradiction(facts)
    return f"not sent: the agent is said to be Ready, but {doubt}" if doubt else None


def _vm_arguments(facts: Facts) -> str:
    return f"-g {shlex.quote(facts.target.resource_group)} -n {shlex.quote(facts.target.name)}"


def why_not_serial_console(facts: Facts, wish: Wish) -> str | None:
    """The reason why nobody logs in at the serial console, or None when somebody does."""
    return why_no_console(facts, wish) or (None if wish.console_user else "no --console-user given")


def why_no_console(facts: Facts, wish: Wish) -> str | None:
    """The reason why nothing is typed at the serial console, or None. A key is pressed at a login prompt only."""
    if wish.serial_console == NEVER:
        return "not wanted (--serial-console never)"
    if facts.vm is not None and facts.vm.windows:
        return "a Windows console (SAC) is not typed at"
    if facts.vm is not None and facts.vm.boot_diagnostics is False:
        return "boot diagnostics are off, without which there is no serial console"
    serial = facts.serial
    if serial is not None and serial.outlook is Outlook.NOT_BOOTED and not at_maintenance(facts, wish):
        return f"no key pressed: the newest boot ends in {serial.state.value}, not at a login prompt{_root_only(facts)}"
    return None


def at_maintenance(facts: Facts, wish: Wish) -> bool:
    """Whether root, with a password, is to log in where the boot stopped: only where nothing but that is asked for."""
    return wish.console_user == "root" and wish.console_password != "" and maintenance_prompt(facts)


def maintenance_prompt(facts: Facts) -> bool:
    """The console ends where a boot that stopped asks for root's password."""
    seen = facts.answers.get(SERIAL_LOG)
    if facts.serial is None or facts.serial.outlook is not Outlook.NOT_BOOTED or seen is None:
        return False
    return isinstance(seen.value, bytes) and asks_root_password(seen.value)


def _root_only(facts: Facts) -> str:
    return "; root can log in there, with --console-user root" if maintenance_prompt(facts) else ""


def look_at_console(facts: Facts, wish: Wish, would_tell: bool) -> bool:
    """Whether Enter is pressed once at the console without logging in. A login that was tried has looked already."""
    if why_no_console(facts, wish) or why_not_inside(facts) or wish.pasted is not None or facts.console is not None:
        return False
    if wish.console_user and facts.state(SERIAL_CONSOLE) is not State.NOT_ASKED:
        return False
    at_prompt = facts.serial is not None and facts.serial.state is SerialState.LOGIN_PROMPT
    return at_prompt and facts.guest is None and (would_tell or wish.serial_console == ALWAYS)


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
