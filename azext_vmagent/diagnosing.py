"""Runs diagnoses for az: one, where a missing VM is an error; or several at once, where it is a row."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

from azext_vmagent.channels.choice import Wish
from azext_vmagent.console import Console
from azext_vmagent.evidence.asking import SourceFailed, failure
from azext_vmagent.evidence.azure import LiveAzure, live_azure
from azext_vmagent.flow import diagnose
from azext_vmagent.model import State, Target
from azext_vmagent.report.document import document, error_document

if TYPE_CHECKING:
    from azure.cli.core import AzCli

#: VMs asked at the same time; reads refill at 25 a second in a subscription, and one diagnosis makes six
AT_ONCE = 8


def diagnose_one(cli_ctx: AzCli, target: Target, wish: Wish, timeout: float, console: Console) -> dict[str, Any]:
    """The document of one VM. Raises ResourceNotFoundError, ForbiddenError, AuthenticationError with advice."""
    azure = live_azure(cli_ctx, target.subscription)
    try:
        found = diagnose(azure, target, wish, timeout, console.step)
    except SourceFailed as exc:
        raise _az_error(exc, target) from exc
    console.show(found)
    return document(found)


def diagnose_all(
    cli_ctx: AzCli, targets: list[Target], wish: Wish, timeout: float, console: Console
) -> list[dict[str, Any]]:
    """The documents of several VMs in the order given; one that cannot be asked is a row with its error."""
    clients = {subscription: live_azure(cli_ctx, subscription) for subscription in {t.subscription for t in targets}}
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(targets)):
        waiting.put(index)
    rows: dict[int, dict[str, Any]] = {}
    done: queue.SimpleQueue[int] = queue.SimpleQueue()

    def work() -> None:
        while True:
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                return
            rows[index] = _row(clients[targets[index].subscription], targets[index], wish, timeout, console)
            done.put(index)

    for _ in range(min(AT_ONCE, len(targets))):
        threading.Thread(target=work, daemon=True).start()
    for _ in targets:
        done.get()
    return [rows[index] for index in range(len(targets))]


def _row(azure: LiveAzure, target: Target, wish: Wish, timeout: float, console: Console) -> dict[str, Any]:
    try:
        found = diagnose(azure, target, wish, timeout, lambda answer: console.step(answer, target.name))
    except Exception as exc:  # pylint: disable=broad-except  # one VM's failure is its row, never the end of the others
        failed = failure(exc)
        console.show_error(target.name, failed.detail)
        return error_document(target, _code(failed), failed.detail)
    console.show_one_of_many(found)
    return document(found)


def _code(failed: SourceFailed) -> str:
    return "NotFound" if failed.status == 404 else "Forbidden" if failed.state is State.DENIED else "Failed"


def _az_error(failed: SourceFailed, target: Target) -> Any:
    from azure.cli.core.azclierror import AuthenticationError, ForbiddenError, ResourceNotFoundError

    if failed.status == 404:
        return ResourceNotFoundError(
            f"There is no virtual machine '{target.name}' in resource group '{target.resource_group}'. {failed.detail}",
            ["See what is there: az vm list -o table", "Another subscription? az account set --subscription NAME"],
        )
    if failed.status == 401:
        return AuthenticationError(f"Azure does not accept the login: {failed.detail}", ["az login"])
    action = failed.missing_action or "Microsoft.Compute/virtualMachines/read"
    return ForbiddenError(
        f"You may not read the virtual machine '{target.name}': {failed.detail}",
        [f"Ask for a role with the right {action}, such as Reader, on the virtual machine or its resource group."],
    )
