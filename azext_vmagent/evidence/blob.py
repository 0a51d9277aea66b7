"""A blob of boot diagnostics, through the SAS address that Azure gave for it."""

from __future__ import annotations

from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.azure_refusals import STORAGE_UNREADABLE
from azext_vmagent.model import State

_PIECE = 256 * 1024


def download(uri: str, what: str, limit: int, deadline: Deadline, newest: bool = False) -> bytes:
    """The blob's bytes. One longer than ``limit`` is refused; with ``newest`` the last bytes of it are taken.

    Raises SourceFailed and requests' errors.
    """
    import requests

    seconds = max(1.0, deadline.remaining())
    with requests.get(uri, timeout=(min(10.0, seconds), seconds), stream=True) as response:
        if response.status_code == 404:
            raise SourceFailed(State.FAILED, f"there is no {what} (the VM may never have started)", status=404)
        if response.status_code in (401, 403):
            raise SourceFailed(
                State.DENIED,
                f"the boot diagnostics storage refused the read ({response.status_code}): its firewall, or an old link",
                status=response.status_code,
                cause=STORAGE_UNREADABLE,
            )
        if response.status_code != 200:
            raise SourceFailed(State.FAILED, f"the {what}'s blob answered {response.status_code}")
        data = bytearray()
        for piece in response.iter_content(_PIECE):
            data += piece
            if len(data) > limit and not newest:
                raise SourceFailed(State.GARBLED, f"the {what} is larger than {limit >> 20} MiB")
            if len(data) > limit + _PIECE:
                del data[:-limit]
            if deadline.remaining() == 0:
                raise SourceFailed(State.TIMED_OUT, f"the {what} was still coming when the time was over")
    return bytes(data[-limit:])
