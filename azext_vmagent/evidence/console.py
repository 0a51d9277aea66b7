"""Opens the VM's serial console: one ARM call for the address, then the websocket behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from azext_vmagent.channels.console_line import Line, attach
from azext_vmagent.evidence.arm import ArmClient
from azext_vmagent.evidence.asking import SourceFailed, failure
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import State, Target

if TYPE_CHECKING:
    from azure.cli.core import AzCli

API_VERSION = "2024-07-01"
ACTION = "Microsoft.SerialConsole/serialPorts/connect/action"

#: the conditions that `az serial-console` checks; the words in which the service itself refuses are not published
_CONDITIONS = (
    (
        ("not enabled for this subscription", "disabled for this subscription", "serialconsoledisabled"),
        "the serial console is switched off for this subscription (az serial-console enable switches it on)",
    ),
    (
        ("boot diagnostics", "bootdiagnostics"),
        "boot diagnostics are off, without which there is no serial console (az vm boot-diagnostics enable)",
    ),
    (("to be running", "not running", "vmnotrunning", "deallocated"), "the VM does not run, so it has no console"),
)


def open_line(arm: ArmClient, token: Callable[[], str], target: Target, deadline: Deadline) -> Line:
    """A line to the guest's console; the caller hangs up. Raises SourceFailed in words of its own.

    Whoever is connected to the console in that moment is disconnected by Azure, but not logged out (Microsoft Learn,
    serial console, «Concurrent usage»).
    """
    return attach(_address(arm, target, deadline), token(), deadline)


def _address(arm: ArmClient, target: Target, deadline: Deadline) -> str:
    path = f"{target.id}/providers/Microsoft.SerialConsole/serialPorts/0/connect"
    try:
        answer = arm.post(path, {"api-version": API_VERSION}, deadline)
    except Exception as exc:
        raise _refused(failure(exc)) from exc
    address: Any = answer.get("connectionString")
    if not isinstance(address, str):
        raise SourceFailed(State.GARBLED, "Azure's answer does not say where the console is")
    return address


def _refused(failed: SourceFailed) -> SourceFailed:
    said = failed.detail.lower()
    for words, meaning in _CONDITIONS:
        if any(word in said for word in words):
            return SourceFailed(State.FAILED, meaning, status=failed.status)
    if failed.state is State.DENIED and failed.status == 403:
        action = failed.missing_action or ACTION
        return SourceFailed(State.DENIED, "no right to connect to the serial console (403)", action, failed.status)
    return failed


def arm_token(cli_ctx: AzCli, subscription: str) -> str:
    """az's own access token for the resource manager, as `az serial-console` sends it."""
    from azure.cli.core._profile import Profile

    credentials, _, _ = Profile(cli_ctx=cli_ctx).get_raw_token(subscription=subscription)
    return str(credentials[1])
