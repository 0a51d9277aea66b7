"""Boot diagnostics: the serial log's bytes through the SAS URI that ``retrieveBootDiagnosticsData`` gives."""

from __future__ import annotations

from azext_vmagent.evidence.asking import Said
from azext_vmagent.evidence.blob import download
from azext_vmagent.evidence.boot_diagnostics import SERIAL_LOG, BootDiagnostics
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import Target

#: Azure keeps about 1 MB; anything far beyond that is not a serial log
LIMIT_BYTES = 8 * 1024 * 1024


def serial_log(diagnostics: BootDiagnostics, target: Target, deadline: Deadline) -> Said:
    """(line for people, the log's bytes). Raises SourceFailed and requests' errors."""
    uri = diagnostics.uri(target, SERIAL_LOG, "serial log", deadline)
    data = download(uri, "serial log", LIMIT_BYTES, deadline, newest=True)
    return f"{len(data.rstrip(bytes(1))) // 1024} KiB", data
