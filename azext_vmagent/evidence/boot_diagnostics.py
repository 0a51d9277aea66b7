"""Where the blobs of boot diagnostics are: one question to Azure for the serial log and the screenshot."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from azext_vmagent.evidence.asking import SourceFailed, failure
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.azure_refusals import diagnostics_refusal
from azext_vmagent.model import State, Target

SERIAL_LOG = "serialConsoleLogBlobUri"
SCREENSHOT = "consoleScreenshotBlobUri"


class BootDiagnostics:
    """``retrieveBootDiagnosticsData``, asked once for each VM; who comes second gets the same answer or failure.

    A refusal bears the cause that its words tell.
    """

    def __init__(self, ask: Callable[[Target, Deadline], dict[str, Any]]) -> None:
        """``ask`` is the call; when it fails, both sources fail."""
        self._ask = ask
        self._answers: dict[str, Future[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def uri(self, target: Target, name: str, what: str, deadline: Deadline) -> str:
        """The SAS address of one of the two blobs; it is a secret. Raises SourceFailed alone."""
        with self._lock:
            first = target.id not in self._answers
            answer = self._answers.setdefault(target.id, Future())
        if first:
            try:
                answer.set_result(self._ask(target, deadline))
            except Exception as exc:  # pylint: disable=broad-except  # whoever waits for the answer gets it
                failed = failure(exc)
                failed.cause = diagnostics_refusal(failed.detail) or failed.cause
                answer.set_exception(failed)
        try:
            uri = answer.result(timeout=deadline.remaining()).get(name)
        except FutureTimeout:
            raise SourceFailed(State.TIMED_OUT, "no answer in time") from None
        if not isinstance(uri, str) or not uri:
            raise SourceFailed(State.FAILED, f"Azure gave no address for the {what}")
        return uri
