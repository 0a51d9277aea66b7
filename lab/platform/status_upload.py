"""The status blob: block and page blobs put together into the JSON document that the agent uploaded.

The agent PUTs it through the HostGAPlugin (the blob's own request wrapped in JSON) and, when that fails, straight to
the blob's address; WALinuxAgent's protocol/{hostplugin,wire}.py.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from lab.guests.base import RunCommandResult, StatusUpload
from lab.platform.goal_state import RUN_COMMAND_HANDLER

_FINAL = ("success", "error", "warning")


class StatusBlob:
    """The one blob of this VM and the last document in it."""

    def __init__(self) -> None:
        self._pages = bytearray()
        self._lock = threading.Lock()
        self._last: StatusUpload | None = None
        self._reports: dict[int, RunCommandResult] = {}
        self._begun: set[int] = set()

    @property
    def last(self) -> StatusUpload | None:
        """The newest whole document, or None before the first."""
        return self._last

    def report_of(self, sequence: int) -> RunCommandResult | None:
        """The run command handler's final report for a sequence number, also when newer ones replaced it."""
        return self._reports.get(sequence)

    def has_begun(self, sequence: int) -> bool:
        """Whether the run command handler has reported anything for a sequence number, final or not."""
        return sequence in self._begun

    def forget(self) -> None:
        """Be as empty as a new VM's blob."""
        with self._lock:
            self._last = None

    def put_through_plugin(self, body: bytes) -> None:
        """A HostGAPlugin ``PUT /status``: blob request, headers and content in one JSON document."""
        wrapped = json.loads(body)
        headers = {item["headerName"].lower(): item["headerValue"] for item in wrapped["headers"]}
        content = base64.b64decode(wrapped.get("content") or "")
        self.put(wrapped["requestUri"], headers, content)

    def put(self, target: str, headers: Mapping[str, str], content: bytes) -> None:
        """One request to blob storage: a block blob, a page blob's creation, or one of its pages."""
        with self._lock:
            if "comp=page" in target:
                self._put_page(headers["x-ms-range"], content)
            elif headers.get("x-ms-blob-type") == "PageBlob":
                self._pages = bytearray(int(headers.get("x-ms-blob-content-length", 0)))
            else:
                self._accept(content)

    def _put_page(self, byte_range: str, content: bytes) -> None:
        first, last = (int(number) for number in byte_range.partition("=")[2].split("-"))
        self._pages[first : last + 1] = content
        if last + 1 >= len(self._pages):
            self._accept(bytes(self._pages))

    def _accept(self, content: bytes) -> None:
        try:
            document = json.loads(content.decode("utf-8", "replace").strip(" \0"))
        except ValueError:
            return
        self._last = StatusUpload(document, time.time())
        self._reports.update(run_command_reports(document))
        self._begun.update(sequence for sequence, _ in _run_command_statuses(document))


def _run_command_statuses(document: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for handler in document.get("aggregateStatus", {}).get("handlerAggregateStatus") or []:
        settings = handler.get("runtimeSettingsStatus") or {}
        status = (settings.get("settingsStatus") or {}).get("status") or {}
        if handler.get("handlerName") == RUN_COMMAND_HANDLER and "sequenceNumber" in settings and status:
            yield int(settings["sequenceNumber"]), status


def run_command_reports(document: Mapping[str, Any]) -> dict[int, RunCommandResult]:
    """The final reports of the run command handler in a status document, by sequence number."""
    reports = {}
    for sequence, status in _run_command_statuses(document):
        if status.get("status") in _FINAL:
            message = (status.get("formattedMessage") or {}).get("message") or ""
            succeeded = status["status"] != "error"
            reports[sequence] = RunCommandResult(succeeded, int(status.get("code") or 0), message)
    return reports
