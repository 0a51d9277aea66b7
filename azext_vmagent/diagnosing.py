"""Runs diagnoses for az: one, where a missing VM is an error; or several at once, where it is a row."""

from __future__ import annotations

import queue
import threading
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from azext_vmagent.carrying import why_not
from azext_vmagent.channels.choice import Wish
from azext_vmagent.console import Console
from azext_vmagent.evidence.asking import SourceFailed, failure
from azext_vmagent.evidence.azure import LiveAzure, live_azure
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.flow import Diagnosis, diagnose
from azext_vmagent.model import State, Target
from azext_vmagent.putting_all_right import Turn, put_all_right
from azext_vmagent.putting_right import put_right
from azext_vmagent.repair.consent import RepairWish
from azext_vmagent.repair.model import AZURE
from azext_vmagent.repair.offer import offered
from azext_vmagent.repair.plan import plan
from azext_vmagent.repair.scripts import script_for, undo_for
from azext_vmagent.report.document import document, error_document
from azext_vmagent.report.redaction import safe

if TYPE_CHECKING:
    from azure.cli.core import AzCli
    from knack.util import CLIError

#: VMs asked at the same time; reads refill at 25 a second in a subscription, and one diagnosis makes six
AT_ONCE = 8
#: with less than this nothing could be said of a VM
LEAST_SECONDS = 2.0


def diagnose_one(
    cli_ctx: AzCli, target: Target, wish: Wish, timeout: float, console: Console, repair: RepairWish | None = None
) -> dict[str, Any]:
    """The document of one VM. Raises ResourceNotFoundError, ForbiddenError, AuthenticationError with advice."""
    azure = live_azure(cli_ctx, target.subscription)
    found = _diagnosed(azure, target, wish, timeout, console)
    if repair is not None:
        return _put_right(azure, found, repair, timeout, console)
    found = _with_the_repair(found)
    console.show(found)
    return document(found)


def _with_the_repair(found: Diagnosis) -> Diagnosis:
    """The repair among the next steps, where a login is at hand that carries it."""
    return offered(found, plan(found)) if why_not(found.facts, found.wish) is None else found


def _put_right(
    azure: LiveAzure, found: Diagnosis, repair: RepairWish, timeout: float, console: Console
) -> dict[str, Any]:
    try:
        return put_right(azure, found, repair, timeout, console)
    except KeyboardInterrupt:
        console.show_interrupted(azure.requests.withdrawn())
        raise
    except SourceFailed as exc:
        raise _az_error(exc, found.facts.target) from exc


def _diagnosed(azure: LiveAzure, target: Target, wish: Wish, timeout: float, console: Console) -> Diagnosis:
    try:
        return diagnose(azure, target, wish, timeout, console.step)
    except KeyboardInterrupt:
        console.show_interrupted(azure.requests.withdrawn())
        raise
    except SourceFailed as exc:
        raise _az_error(exc, target) from exc


def script_to_paste(
    cli_ctx: AzCli, target: Target, wish: Wish, timeout: float, console: Console, undoing: bool = False
) -> str:
    """The repair as one script, or what takes the last one back.

    Raises InvalidArgumentValueError where there is nothing that a script may do.
    """
    from azure.cli.core.azclierror import InvalidArgumentValueError

    found = _diagnosed(live_azure(cli_ctx, target.subscription), target, wish, timeout, console)
    if undoing:
        return undo_for(found.facts)
    planned = plan(found, by_hand=True)
    if planned.refusal is not None or planned.channel == AZURE:
        why = planned.refusal.why if planned.refusal else "what helps is done by Azure, not in the guest"
        advice = [step.command or step.action for step in found.verdict.next_steps[:2]]
        raise InvalidArgumentValueError(f"There is no script for this: {safe(why)}.", advice)
    return script_for(found.facts, planned)


def diagnose_all(
    cli_ctx: AzCli,
    targets: list[Target],
    wish: Wish,
    timeout: float,
    console: Console,
    repair: RepairWish | None = None,
) -> list[dict[str, Any]]:
    """The documents of several VMs in the order given; one that cannot be asked is a row with its error."""
    deadline = Deadline.after(timeout)
    clients = {subscription: _client(cli_ctx, subscription) for subscription in {t.subscription for t in targets}}
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(targets)):
        waiting.put(index)
    rows: queue.SimpleQueue[tuple[int, Turn]] = queue.SimpleQueue()

    def work() -> None:
        while True:
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                return
            client = clients[targets[index].subscription]
            rows.put((index, _turn(client, targets[index], wish, deadline, console, repair is not None)))

    for _ in range(min(AT_ONCE, len(targets))):
        threading.Thread(target=work, daemon=True).start()
    try:
        turns = [turn for _, turn in sorted((rows.get() for _ in targets), key=itemgetter(0))]
        return put_all_right(turns, repair, timeout, console) if repair is not None else [turn.row() for turn in turns]
    except KeyboardInterrupt:
        for client in clients.values():
            console.show_interrupted(client.requests.withdrawn() if isinstance(client, LiveAzure) else [])
        raise


def _client(cli_ctx: AzCli, subscription: str) -> LiveAzure | CLIError:
    """The client of one subscription, or the error of one that this login does not know: its VMs' rows say so."""
    from knack.util import CLIError

    try:
        return live_azure(cli_ctx, subscription)
    except CLIError as exc:
        return exc


def _turn(
    azure: LiveAzure | CLIError, target: Target, wish: Wish, deadline: Deadline, console: Console, planning: bool
) -> Turn:
    """One VM's diagnosis, or the row with its error; ``planning``: a repair was asked for as well."""
    try:
        client = _usable(azure)
        found = diagnose(client, target, wish, _left(deadline), lambda answer: console.step(answer, target.name))
        if not planning:
            found = _with_the_repair(found)
        console.show_one_of_many(found, planning)
        return Turn(target, client, found)
    except Exception as exc:  # pylint: disable=broad-except  # one VM's failure is its row, never the end of the others
        failed = failure(exc)
        console.show_error(target.name, failed.detail)
        return Turn(target, error=error_document(target, _code(failed), failed.detail))


def _usable(azure: LiveAzure | CLIError) -> LiveAzure:
    if isinstance(azure, LiveAzure):
        return azure
    raise SourceFailed(State.DENIED, str(azure))


def _left(deadline: Deadline) -> float:
    seconds = deadline.remaining()
    if seconds < LEAST_SECONDS:
        raise SourceFailed(State.TIMED_OUT, "not asked: the time of the whole command was over")
    return seconds


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
