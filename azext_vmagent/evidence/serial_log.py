"""Boot diagnostics: the serial log's bytes through the SAS URI that ``retrieveBootDiagnosticsData`` gives."""

from __future__ import annotations

from typing import Any

from azext_vmagent.evidence.asking import Said, SourceFailed, failure
from azext_vmagent.evidence.compute import Compute
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.azure_refusals import STORAGE_UNREADABLE, diagnostics_refusal
from azext_vmagent.model import State, Target

#: Azure keeps about 1 MB; anything far beyond that is not a serial log
LIMIT_BYTES = 8 * 1024 * 1024


def serial_log(compute: Compute, target: Target, deadline: Deadline) -> Said:
    """(line for people, the log's bytes). Raises SourceFailed, azure.core and requests errors."""
    uris = _addresses(compute, target, deadline)
    uri = uris.get("serialConsoleLogBlobUri")
    if not isinstance(uri, str) or not uri:
        raise SourceFailed(State.FAILED, "Azure gave no address for the serial log")
    data = _download(uri, deadline)
    return f"{len(data.rstrip(bytes(1))) // 1024} KiB", data


def _addresses(compute: Compute, target: Target, deadline: Deadline) -> dict[str, Any]:
    """The addresses of log and screenshot; a refusal with the cause that its words tell."""
    try:
        return compute.boot_diagnostics(target, deadline)
    except Exception as exc:
        failed = failure(exc)
        failed.cause = diagnostics_refusal(failed.detail) or failed.cause
        raise failed from exc


def _download(uri: str, deadline: Deadline) -> bytes:
    import requests

    seconds = max(1.0, deadline.remaining())
    with requests.get(uri, timeout=(min(10.0, seconds), seconds), stream=True) as response:
        if response.status_code == 404:
            raise SourceFailed(State.FAILED, "there is no serial log (the VM may never have started)", status=404)
        if response.status_code in (401, 403):
            raise SourceFailed(
                State.DENIED,
                f"the boot diagnostics storage refused the read ({response.status_code}): its firewall, or an old link",
                status=response.status_code,
                cause=STORAGE_UNREADABLE,
            )
        if response.status_code != 200:
            raise SourceFailed(State.FAILED, f"the serial log's blob answered {response.status_code}")
        data = b""
        for piece in response.iter_content(256 * 1024):
            data = (data + piece)[-LIMIT_BYTES:]
            if deadline.remaining() == 0:
                raise SourceFailed(State.TIMED_OUT, "the serial log was still coming when the time was over")
    return data
