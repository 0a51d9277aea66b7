"""The instance view follows from uploads, their age and the power state, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.arm.instance_view import SILENT_MESSAGE, Observed, instance_view
from lab.guests.base import StatusUpload
from tests.lab.standin import UPLOAD

NOW = 1_700_000_000.0
READY = Observed("running", StatusUpload(UPLOAD, NOW - 6), NOW, 30, disks=("os",))


def test_fresh_upload_is_ready() -> None:
    view = instance_view(READY)
    assert view["computerName"] == "fake"
    assert view["osName"] == "debian"
    agent = view["vmAgent"]
    assert agent["vmAgentVersion"] == "2.7.3.0"
    assert agent["statuses"] == [
        {
            "code": "ProvisioningState/succeeded",
            "level": "Info",
            "displayStatus": "Ready",
            "message": "Guest Agent is running",
            "time": "2026-01-02T03:04:05+00:00",
        }
    ]
    assert agent["extensionHandlers"][0]["typeHandlerVersion"] == "1.0.3"
    assert view["statuses"][1] == {"code": "PowerState/running", "level": "Info", "displayStatus": "VM running"}


@pytest.mark.parametrize("upload", [None, StatusUpload(UPLOAD, NOW - 31)])
def test_silence_looks_as_on_azure(upload: StatusUpload | None) -> None:
    view = instance_view(replace(READY, upload=upload))
    assert view["vmAgent"] == {
        "vmAgentVersion": "Unknown",
        "statuses": [
            {
                "code": "ProvisioningState/Unavailable",
                "level": "Warning",
                "displayStatus": "Not Ready",
                "message": SILENT_MESSAGE,
                "time": "2023-11-14T22:13:20+00:00",
            }
        ],
    }
    assert not {"computerName", "osName", "osVersion"} & set(view)


def test_a_slow_platform_still_says_ready() -> None:
    slow = replace(READY, upload=StatusUpload(UPLOAD, NOW - 600), not_ready_after=900)
    assert instance_view(slow)["vmAgent"]["statuses"][0]["displayStatus"] == "Ready"


@pytest.mark.parametrize("power", ["deallocating", "deallocated"])
def test_a_deallocated_vm_has_no_agent_status(power: str) -> None:
    assert "vmAgent" not in instance_view(replace(READY, power=power))


def test_what_is_going_on_shows() -> None:
    updating = instance_view(replace(READY, provisioning="updating"))["statuses"][0]
    assert (updating["code"], updating["displayStatus"]) == ("ProvisioningState/updating", "Updating")
    failed = instance_view(replace(READY, provisioning="failed/VMAgentStatusCommunicationError"))["statuses"][0]
    assert failed["level"] == "Error"
    assert failed["displayStatus"] == "Provisioning failed"
