"""Asks one source, whatever happens: an ``Answer`` comes back, never an exception and never later than the deadline.

Sources run in daemon threads: a call that does not come back is left behind, and the interpreter does not wait for it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.azure_refusals import missing_action, refusal
from azext_vmagent.model import Answer, State

#: what a source returns: the line for people and the value
Said = tuple[str, Any]

#: levels of ``details`` that are read; Azure nests two or three
_DEEPEST = 8


class NotAsked(Exception):
    """A source decided not to ask; the message says why."""


class SourceFailed(Exception):
    """A source failed in a way that it can name. ``state`` tells which."""

    def __init__(
        self,
        state: State,
        detail: str,
        missing_action: str | None = None,
        status: int | None = None,
        cause: str | None = None,
        value: Any = None,
    ) -> None:
        """Keep the state, the line for people, the right that the caller lacks, the HTTP status, the cause's code.

        ``value`` is what was seen all the same.
        """
        super().__init__(detail)
        self.state, self.detail, self.missing_action, self.status = state, detail, missing_action, status
        self.cause, self.value = cause, value


def one_line(text: object, limit: int = 200) -> str:
    """Text fit for one line of a terminal: printable, blanks folded, bounded."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def failure(exc: Exception) -> SourceFailed:
    """Name a failure of Azure's client libraries, of requests or of the network.

    Raises nothing. The tree below azure-core's errors: ClientAuthenticationError and HTTP 401/403 are DENIED, time-outs
    of the socket are TIMED_OUT, answers that do not decode are GARBLED, everything else FAILED.
    """
    from azure.cli.core.azclierror import AuthenticationError
    from azure.core import exceptions as azure
    from requests import exceptions as http

    if isinstance(exc, SourceFailed):
        return exc
    if isinstance(exc, NotAsked):
        return SourceFailed(State.NOT_ASKED, one_line(exc))
    if isinstance(exc, azure.DecodeError | ValueError):
        return SourceFailed(State.GARBLED, f"the answer could not be read: {one_line(exc, 120)}")
    if isinstance(exc, azure.ServiceResponseTimeoutError | azure.ServiceRequestTimeoutError | http.Timeout):
        return SourceFailed(State.TIMED_OUT, "no answer in time")
    if isinstance(exc, AuthenticationError | azure.ClientAuthenticationError) and not getattr(exc, "status_code", None):
        return SourceFailed(State.DENIED, f"the login is not accepted: {one_line(exc)}", status=401)
    if isinstance(exc, azure.HttpResponseError):
        return _http_failure(exc)
    if isinstance(exc, azure.ServiceRequestError | azure.ServiceResponseError | http.RequestException | OSError):
        return SourceFailed(State.FAILED, f"the connection failed: {one_line(exc, 120)}")
    return SourceFailed(State.FAILED, f"{type(exc).__name__}: {one_line(exc, 120)}")


def _http_failure(exc: Any) -> SourceFailed:
    status = getattr(exc, "status_code", None)
    code, text = innermost(getattr(exc, "error", None))
    text = text or str(exc.message)
    code, message = code or "HTTP error", one_line(text)
    if status in (401, 403):
        action = missing_action(text)
        return SourceFailed(State.DENIED, f"{code} ({status}): {message}", action, status, refusal(code, action))
    if status == 429:
        return SourceFailed(State.FAILED, "Azure throttles this call (429)", status=status)
    return SourceFailed(State.FAILED, f"{code} ({status}): {message}", status=status, cause=refusal(code))


def innermost(error: Any) -> tuple[str, str]:
    """(code, message) of ARM's error, or of the first of its ``details`` at the bottom: «normally, the most inner level
    of error message is the root failure». Takes the JSON object or azure-core's; empty where there is neither.

    >>> innermost({"code": "Conflict", "message": "x", "details": [{"code": "VMAgentStatusCommunicationError"}]})
    ('VMAgentStatusCommunicationError', '')
    """

    def part(name: str) -> Any:
        return error.get(name) if isinstance(error, dict) else getattr(error, name, None)

    code, message = "", ""
    for _ in range(_DEEPEST):
        if not (part("code") or part("message")):
            break
        code, message = str(part("code") or ""), str(part("message") or "")
        details = part("details")
        if not isinstance(details, list) or not details:
            break
        error = details[0]
    return code, message


def ask(source: str, call: Callable[[], Said]) -> Answer:
    """Call one source and turn whatever happens into its answer."""
    started = time.monotonic()
    try:
        detail, value = call()
        return Answer(source, State.OK, detail, value, time.monotonic() - started)
    except Exception as exc:  # pylint: disable=broad-except  # the one place where every failure becomes a result
        failed = failure(exc)
        seconds = time.monotonic() - started if failed.state is not State.NOT_ASKED else None
        return Answer(
            source,
            failed.state,
            failed.detail,
            failed.value,
            seconds,
            failed.missing_action,
            failed.status,
            failed.cause,
        )


def ask_all(sources: Mapping[str, Callable[[], Said]], deadline: Deadline) -> Iterator[Answer]:
    """Ask all at once; answers come as they arrive, and at the deadline a TIMED_OUT for each that is still missing."""
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    started = time.monotonic()
    for name, call in sources.items():
        threading.Thread(target=lambda n=name, c=call: answers.put(ask(n, c)), daemon=True).start()
    missing = dict.fromkeys(sources)
    while missing:
        try:
            answer = answers.get(timeout=deadline.remaining())
        except queue.Empty:
            break
        missing.pop(answer.source)
        yield answer
    for name in missing:
        seconds = time.monotonic() - started
        yield Answer(name, State.TIMED_OUT, f"no answer within {seconds:.0f} s", None, seconds)
