"""Boot diagnostics with managed storage: SAS addresses that expire, and the blobs behind them.

The blobs live on the stand-in itself. As on Azure, a SAS address takes no bearer token with it, the signature and the
expiry are checked, and the serial log is a page blob: its length is a multiple of 512, filled up with NULs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
import uuid
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from lab.arm.cloud import Cloud
from lab.arm.compute import vm_of
from lab.arm.errors import ArmError
from lab.arm.exchange import VM, Request, Response, Route
from lab.arm.times import moment, parse, zulu
from lab.arm.vm import LabVm

_PAGE = 512
_SERVICE_VERSION = "2018-03-28"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_NO_BLOB_WHEN = ("stopped", "stopping", "deallocated", "deallocating")


def retrieve(cloud: Cloud, request: Request) -> Response:
    """POST retrieveBootDiagnosticsData."""
    vm = vm_of(cloud, request)
    if not vm.boot_diagnostics:
        raise ArmError(400, "InvalidParameter", "Boot diagnostics is not enabled on this VM.")
    minutes = request.query.get("sasuriexpirationtimeinminutes", "120")
    if not minutes.isdigit() or not 1 <= int(minutes) <= 1440:
        message = "The value of parameter sasUriExpirationTimeInMinutes is invalid. It must be between 1 and 1440."
        raise ArmError(400, "InvalidParameter", message)
    expires = time.time() + int(minutes) * 60
    return Response(
        body={
            "consoleScreenshotBlobUri": signed(cloud, f"{_folder(vm)}.screenshot.bmp", expires),
            "serialConsoleLogBlobUri": signed(cloud, f"{_folder(vm)}.serialconsole.log", expires),
        }
    )


def _folder(vm: LabVm) -> str:
    short = re.sub(r"[^a-z0-9]", "", vm.name.lower())[:9]
    return f"/bootdiagnostics-{short}-{vm.vm_id}/{vm.name}.{vm.vm_id}"


def _signature(cloud: Cloud, path: str, expiry: str) -> str:
    text = "\n".join((path, expiry, "r", _SERVICE_VERSION))
    return base64.b64encode(hmac.new(cloud.key, text.encode(), hashlib.sha256).digest()).decode()


def signed(cloud: Cloud, path: str, expires: float) -> str:
    """The address of a blob that works until ``expires``."""
    expiry = zulu(expires)
    query = {"sv": _SERVICE_VERSION, "sr": "b", "sig": _signature(cloud, path, expiry), "se": expiry, "sp": "r"}
    return f"{cloud.base_url}{path}?{urlencode(query)}"


def _storage_error(status: int, code: str, message: str, detail: str = "") -> Response:
    extra = f"<AuthenticationErrorDetail>{escape(detail)}</AuthenticationErrorDetail>" if detail else ""
    text = f"{escape(message)}\nRequestId:{uuid.uuid4()}\nTime:{zulu(time.time())}"
    head = '\ufeff<?xml version="1.0" encoding="utf-8"?>'
    body = f"{head}<Error><Code>{code}</Code><Message>{text}</Message>{extra}</Error>"
    return Response(status, body.encode(), {"x-ms-error-code": code}, "application/xml")


def _refusal(cloud: Cloud, request: Request) -> Response | None:
    message = (
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
        "including the signature."
    )
    if "authorization" in request.headers:
        detail = "A SAS address and an Authorization header exclude each other."
        return _storage_error(403, "AuthenticationFailed", message, detail)
    if "sig" not in request.query:
        return _storage_error(404, "ResourceNotFound", "The specified resource does not exist.")
    expiry = request.query.get("se", "")
    if not hmac.compare_digest(request.query["sig"], _signature(cloud, request.path, expiry)):
        return _storage_error(403, "AuthenticationFailed", message, "Signature did not match.")
    if parse(expiry) <= time.time():
        now = f"{moment(time.time()):%a, %d %b %Y %H:%M:%S GMT}"
        detail = f"Signed expiry time [{expiry}] must be after signed start time and now [{now}]"
        return _storage_error(403, "AuthenticationFailed", message, detail)
    return None


def serve_blob(cloud: Cloud, request: Request) -> Response:
    """GET or HEAD of a blob."""
    refusal = _refusal(cloud, request)
    if refusal is not None:
        return refusal
    for vm in cloud.vms:
        blob = _blob(vm, request.path) if vm.guest.power_state() not in _NO_BLOB_WHEN else None
        if blob is not None:
            return _content(blob, request.headers.get("range", ""))
    return _storage_error(404, "BlobNotFound", "The specified blob does not exist.")


def _blob(vm: LabVm, path: str) -> bytes | None:
    """The VM's blob of that path; None for one that another VM has, or that this guest has not."""
    if path == f"{_folder(vm)}.serialconsole.log":
        return padded(vm.guest.serial_log())
    return vm.guest.screenshot() if path == f"{_folder(vm)}.screenshot.bmp" else None


def padded(log: bytes) -> bytes:
    """A page blob's content."""
    return log + b"\0" * (-len(log) % _PAGE)


def _content(blob: bytes, asked: str) -> Response:
    headers = {"Accept-Ranges": "bytes", "x-ms-blob-type": "PageBlob", "x-ms-version": _SERVICE_VERSION}
    found = _RANGE.fullmatch(asked.strip())
    if not found:  # blob storage ignores suffix ranges
        return Response(200, blob, headers, "application/octet-stream")
    start, end = int(found[1]), min(int(found[2] or len(blob) - 1), len(blob) - 1)
    if start >= len(blob) or end < start:
        return _storage_error(
            416, "InvalidRange", "The range specified is invalid for the current size of the resource."
        )
    headers["Content-Range"] = f"bytes {start}-{end}/{len(blob)}"
    return Response(206, blob[start : end + 1], headers, "application/octet-stream")


ROUTES = (
    Route("POST", VM + "/retrieveBootDiagnosticsData", retrieve),
    Route("GET", "/bootdiagnostics-{container}/{blob}", serve_blob, open=True),
    Route("HEAD", "/bootdiagnostics-{container}/{blob}", serve_blob, open=True),
)
