"""A status blob is put together from whatever the agent sends, and only whole documents count."""

from __future__ import annotations

import base64
import json
from typing import Any

from lab.platform.goal_state import RUN_COMMAND_HANDLER
from lab.platform.status_upload import StatusBlob, run_command_reports


def document(sequence: int = 0, status: str = "success", code: int = 0) -> dict[str, Any]:
    report = {"status": status, "code": code, "formattedMessage": {"lang": "en", "message": "Enable succeeded: "}}
    settings = {"sequenceNumber": sequence, "settingsStatus": {"status": report}}
    handler = {"handlerName": RUN_COMMAND_HANDLER, "status": "Ready", "runtimeSettingsStatus": settings}
    agent = {"status": "Ready", "version": "2.7.3.0"}
    return {"aggregateStatus": {"guestAgentStatus": agent, "handlerAggregateStatus": [handler]}}


def wrapped(target: str, headers: dict[str, str], content: bytes) -> bytes:
    listed = [{"headerName": name, "headerValue": value} for name, value in headers.items()]
    body = {"requestUri": target, "headers": listed, "content": base64.b64encode(content).decode()}
    return json.dumps(body).encode()


def test_a_block_blob_through_the_plugin() -> None:
    blob = StatusBlob()
    content = json.dumps(document()).encode()
    blob.put_through_plugin(wrapped("http://blob/lab.status", {"x-ms-blob-type": "BlockBlob"}, content))
    assert blob.last is not None
    assert blob.last.document == document()


def test_a_page_blob_counts_when_its_last_page_is_there() -> None:
    content = json.dumps(document()).encode().ljust(1024, b"\0")
    blob = StatusBlob()
    create = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": "1024"}
    blob.put("http://blob/lab.status", create, b"")
    blob.put("http://blob/lab.status?comp=page", {"x-ms-range": "bytes=0-511"}, content[:512])
    assert blob.last is None
    blob.put("http://blob/lab.status?comp=page", {"x-ms-range": "bytes=512-1023"}, content[512:])
    assert blob.last is not None
    assert blob.last.document == document()


def test_garbage_does_not_replace_the_last_document() -> None:
    blob = StatusBlob()
    blob.put("http://blob/lab.status", {"x-ms-blob-type": "BlockBlob"}, json.dumps(document()).encode())
    blob.put("http://blob/lab.status", {"x-ms-blob-type": "BlockBlob"}, b"\xff{")
    assert blob.last is not None
    assert blob.last.document == document()


def test_forgetting_leaves_no_upload() -> None:
    blob = StatusBlob()
    blob.put("http://blob/lab.status", {"x-ms-blob-type": "BlockBlob"}, json.dumps(document()).encode())
    blob.forget()
    assert blob.last is None


def test_only_a_final_report_is_a_run_commands_result() -> None:
    assert run_command_reports(document(status="transitioning")) == {}
    failed = run_command_reports(document(3, "error", 7))
    assert (failed[3].succeeded, failed[3].code) == (False, 7)


def test_an_older_run_commands_report_stays_known() -> None:
    blob = StatusBlob()
    for sequence in (0, 1):
        content = json.dumps(document(sequence)).encode()
        blob.put("http://blob/lab.status", {"x-ms-blob-type": "BlockBlob"}, content)
    assert blob.report_of(0) is not None
    assert blob.report_of(1) is not None
    assert blob.report_of(2) is None
