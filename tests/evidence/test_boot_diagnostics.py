"""Why boot diagnostics gave nothing: the cause is told from Azure's words, for the catalogue to name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import requests

from azext_vmagent.evidence.asking import ask
from azext_vmagent.evidence.boot_diagnostics import BootDiagnostics
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.evidence.serial_log import serial_log
from azext_vmagent.facts.azure_refusals import diagnostics_refusal
from azext_vmagent.model import Answer, State, Target
from tests.azure_double import http_error

TARGET = Target("s", "rg", "web-03")


def asked(error: Exception | None = None) -> Answer:
    def boot_diagnostics(*_arguments):
        if error:
            raise error
        return {"serialConsoleLogBlobUri": "https://storage.invalid/log"}

    return ask("serial log", lambda: serial_log(BootDiagnostics(boot_diagnostics), TARGET, Deadline.after(5)))


REFUSED = {
    "right": (403, "AuthorizationFailed", "does not have authorization to perform action 'X/read' over scope", "P14"),
    "lock": (409, "ScopeLocked", "The scope '/x' cannot perform write operation", "P15"),
    "policy": (403, "RequestDisallowedByPolicy", "Resource 'x' was disallowed by policy.", "P15"),
    "off": (400, "InvalidParameter", "Boot diagnostics is not enabled on this VM.", "P12"),
    "namespace": (409, "Conflict", "not yet supported for hierarchical namespace accounts", "P13"),
    "kind of account": (400, "StorageAccountTypeNotSupported", "Use a standard account", "P13"),
    "account gone": (
        404, "ResourceNotFound", "The Resource 'Microsoft.Storage/storageAccounts/diag1' under resource group 'rg' was "
        "not found", "P13",
    ),
    "something else": (500, "Oops", "something broke", None),
}  # fmt: skip


@pytest.mark.parametrize(("status", "code", "message", "cause"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_names_its_cause_and_keeps_azure_s_words(status, code, message, cause):
    answer = asked(http_error(status, code, message))
    assert answer.cause == cause
    assert answer.state is (State.DENIED if status == 403 else State.FAILED)
    assert message[:20] in answer.detail


@pytest.mark.parametrize(("status", "cause"), [(403, "P13"), (401, "P13"), (404, None)])
def test_a_storage_that_refuses_the_read_is_not_a_log_that_is_not_there(monkeypatch, status, cause):
    class Response(SimpleNamespace):
        def __enter__(self):
            return self

        def __exit__(self, *_arguments):
            return None

    monkeypatch.setattr(requests, "get", lambda *_a, **_k: Response(status_code=status))
    assert asked().cause == cause


@pytest.mark.parametrize("said", ["The Resource 'Microsoft.Compute/virtualMachines/x' was not found", "", "Forbidden"])
def test_words_about_something_else_are_no_cause(said):
    assert diagnostics_refusal(said) is None
