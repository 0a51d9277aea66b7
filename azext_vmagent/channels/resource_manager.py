"""What Azure itself does to a VM or to its network interface: sent once, then followed until Azure says how it ended.

A change is never sent twice: whoever does not get an answer does not know whether it was taken up. Nothing here decides
what is changed, and nobody can call a change back that Azure has accepted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from azext_vmagent.channels.open_requests import OpenRequest, OpenRequests
from azext_vmagent.evidence.arm import ArmClient
from azext_vmagent.evidence.asking import Said, SourceFailed, failure, innermost, one_line
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.azure_refusals import AzureSaid
from azext_vmagent.model import State

#: «Get Operation» refills 15 a minute for a resource
POLL_SECONDS = 5.0
#: a poll that hangs must not take the budget of those after it
ONE_POLL_SECONDS = 20.0
#: a person who waits is told that often that Azure is still at it
PROGRESS_SECONDS = 30.0
_OVER = ("Succeeded", "Failed", "Canceled")


@dataclass(frozen=True)
class Change:
    """One change. ``path`` is sent ``method`` and ``body``; ``resource`` is what it changes.

    ``goes_on`` says what to do about it when nobody waits for it any longer.
    """

    method: str
    path: str
    version: str
    resource: str
    goes_on: str
    body: dict[str, Any] | None = None


def carry_out(
    arm: ArmClient,
    change: Change,
    deadline: Deadline,
    requests: OpenRequests,
    progress: Callable[[float], None],
) -> Said:
    """Send it and wait until it is over; ``progress`` is told now and then for how many seconds it has been going on.

    Raises SourceFailed, with what Azure said in ``value`` (``AzureSaid``): ``sent`` tells whether it may be under way
    or done all the same. TIMED_OUT: Azure has not said how it ended.
    """
    with requests.held(OpenRequest(lambda: change.goes_on)):
        started = time.monotonic()
        try:
            headers, _ = arm.send(change.method, change.path, {"api-version": change.version}, deadline, change.body)
        except Exception as exc:
            raise _not_accepted(exc) from exc
        url = headers.get("azure-asyncoperation", "")
        told = started
        while True:
            wait = max(POLL_SECONDS, _seconds(headers.get("retry-after")))
            time.sleep(min(wait, deadline.remaining()))
            url, status, error = _look(arm, change, url, deadline)
            if status in _OVER:
                return _ended(status, error, time.monotonic() - started)
            if deadline.remaining() <= 0:
                words = f"Azure has not ended it after {time.monotonic() - started:.0f} s and goes on: {change.goes_on}"
                raise SourceFailed(State.TIMED_OUT, words, value=AzureSaid(sent=True))
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                progress(told - started)


def _not_accepted(exc: Exception) -> SourceFailed:
    """A refusal; or no answer at all, and then nobody knows whether Azure took it up."""
    failed = failure(exc)
    code, message = innermost(getattr(exc, "error", None))
    sent = failed.status is None or failed.status >= 500
    said = AzureSaid(code, message, failed.status, failed.missing_action, sent)
    return SourceFailed(failed.state, failed.detail, failed.missing_action, failed.status, failed.cause, said)


def _look(arm: ArmClient, change: Change, url: str, deadline: Deadline) -> tuple[str, str, Any]:
    """(where to look next, how far it is, the error): the operation's own word, or the resource's where that is shut.

    A look that fails is made again: a lost poll is not a lost change.
    """
    budget = Deadline.after(min(ONE_POLL_SECONDS, max(1.0, deadline.remaining())))
    try:
        if url:
            found = arm.get(url, {}, budget)
            return url, str(found.get("status")), found.get("error")
        found = arm.get(change.resource, {"api-version": change.version}, budget)
    except Exception as exc:  # pylint: disable=broad-except  # asked again until the budget ends
        return ("" if failure(exc).state is State.DENIED else url), "", None
    properties = found.get("properties")
    return "", str(properties.get("provisioningState") if isinstance(properties, dict) else ""), None


def _ended(status: str, error: Any, seconds: float) -> Said:
    if status == "Succeeded":
        return f"done by Azure in {seconds:.0f} s", None
    code, message = innermost(error)
    said = AzureSaid(code or status, message, sent=True)
    raise SourceFailed(State.FAILED, one_line(f"{said.code}: {message}" if message else said.code), value=said)


def _seconds(text: str | None) -> float:
    return float(text) if text and text.isdigit() else 0.0
