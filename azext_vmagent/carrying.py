"""Carries one script into the guest, through the way that looked inside. One branch for each way that can.

Nothing is decided about the repair here: the script is whole, and what comes back is the guest's own record.
"""

from __future__ import annotations

from collections.abc import Callable

from azext_vmagent.channels.choice import Wish
from azext_vmagent.evidence.asking import Said, ask_all
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, RUN_COMMAND, SERIAL_CONSOLE, SSH, Facts
from azext_vmagent.flow import (
    CHANNEL_RESERVE_SECONDS,
    LOG_OUT_SECONDS,
    Azure,
    Diagnosis,
    console_login_of,
    login_of,
)
from azext_vmagent.model import Answer
from azext_vmagent.repair.outcome import TOOK
from azext_vmagent.repair.record import parse_record

#: the ways that lead through the agent itself
THROUGH_AGENT = (RUN_COMMAND, MANAGED_RUN_COMMAND)
#: until the agent has fetched a script, and until Azure shows what it said; deleting the resource of a managed one
ON_THE_WAY_SECONDS = 90.0
#: logging in at a console, becoming root and sending some 20 kB in lines of 900, beside what the script takes
CONSOLE_SECONDS = 90.0
#: what each way takes beside the script's own time; SSH next to nothing
_ON_TOP = {
    RUN_COMMAND: ON_THE_WAY_SECONDS,
    MANAGED_RUN_COMMAND: ON_THE_WAY_SECONDS,
    SERIAL_CONSOLE: CONSOLE_SECONDS,
}
#: Azure's handler takes 256 KiB of base64 (Azure/run-command-handler-linux, maxScriptSize)
MOST_BYTES = 256 * 1024 * 3 // 4

_WINDOWS = "nothing is carried into a Windows guest in this version: print it, and paste it there: --print-script"
_NO_LOGIN = (
    "a change in the guest needs a login: add --ssh-user USER or --console-user USER, or print it: --print-script"
)
_TOO_LARGE = f"the repair is larger than the {MOST_BYTES // 1024} KiB that a run command takes: add --ssh-user USER"
_CUTS_ITSELF_OFF = (
    "what is taken back may stop the agent or cut it off, and with it the run command that would wait for the answer: "
    "add --ssh-user USER, or print it: --undo --print-script"
)


def why_not(facts: Facts, wish: Wish, script: str = "", undoing: bool = False) -> str | None:
    """Why this cannot be carried into this guest with this login, and what to add; None when it can."""
    if facts.windows:
        return _WINDOWS
    if facts.stopped is not None and wish.console_user:
        return None
    if facts.guest_channel in THROUGH_AGENT:
        if undoing:
            return _CUTS_ITSELF_OFF
        return _TOO_LARGE if len(script) > MOST_BYTES else None
    login = {SSH: wish.ssh_user, SERIAL_CONSOLE: wish.console_user}.get(facts.guest_channel or "")
    return None if login else _NO_LOGIN


def carry(azure: Azure, before: Diagnosis, script: str, deadline: Deadline) -> Answer:
    """Run the script as root in the guest; ``value`` is what it printed. Never raises for what the way does.

    The deadline is the script's own time; what the way takes comes on top.
    """
    channel = _channel(before.facts)
    deadline = Deadline(deadline.at + _ON_TOP.get(channel, 0.0))
    listening = Deadline(deadline.at + CHANNEL_RESERVE_SECONDS)
    return next(iter(ask_all({channel: _way(azure, before, channel, script, deadline)}, listening)))


def _channel(facts: Facts) -> str:
    if facts.stopped is not None:
        return SERIAL_CONSOLE
    return facts.guest_channel if facts.guest_channel in _ON_TOP else SSH


def _way(azure: Azure, before: Diagnosis, channel: str, script: str, deadline: Deadline) -> Callable[[], Said]:
    facts = before.facts
    if channel == RUN_COMMAND:
        return lambda: azure.run_command(facts.target, script, deadline)
    if channel == MANAGED_RUN_COMMAND:
        location = facts.vm.location if facts.vm is not None else ""
        return lambda: azure.managed_run_command(facts.target, location, script, deadline)
    if channel == SERIAL_CONSOLE:
        user, log, insist = console_login_of(facts, before.wish)
        earlier = Deadline(deadline.at - LOG_OUT_SECONDS)
        if facts.stopped is not None:
            return lambda: azure.maintenance_shell(facts.target, log, user, script, earlier, goes_on=_took)
        return lambda: azure.serial_console(facts.target, log, user, script, earlier, insist, steady=True)
    login = login_of(facts, before.wish)
    return lambda: azure.ssh(login, script, deadline)


def _took(answer: str) -> bool:
    """A boot goes on only after what it waited for is gone, by the guest's own record."""
    return parse_record(answer).result in TOOK
