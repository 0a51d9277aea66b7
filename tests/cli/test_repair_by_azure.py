"""What Azure itself does, asked for through the real `az` on a recorded guest that nobody can log in to."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.laboratory import ROOT, Laboratory, recorded_laboratory

pytestmark = [pytest.mark.az, pytest.mark.xdist_group("Azure's own repairs")]

REPAIR = ("vm", "agent-diagnose", "-g", "lab", "-n", "nic-down", "--repair", "--yes", "--no-wait", "-o", "json")


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with recorded_laboratory(tmp_path_factory.mktemp("lab"), "nic-down") as made:
        yield made


@pytest.fixture
def lab(standing: Laboratory) -> Iterator[Laboratory]:
    standing.lab("journal", "--clear")
    yield standing
    standing.lab("set", "locks=", "policies=", "latency=none")


def changes(lab: Laboratory) -> list[str]:
    """What was sent to change something, refused or not: the method and the last word of the path."""
    sent = [r for r in lab.requests() if r["method"] in ("POST", "PUT")]
    words = [(r["method"], r["path"].partition("?")[0].rsplit("/", 1)[-1]) for r in sent]
    return [f"{method} {end}" for method, end in words if end in ("restart", "redeploy", "nic-down-nic")]


def test_what_was_not_named_is_shown_and_not_done(lab: Laboratory) -> None:
    call = lab.az(*REPAIR)
    repair = call.document()["repair"]
    assert [action["kind"] for action in repair["plan"]["actions"]] == ["restart"], repair["plan"]["refusal"]
    assert repair["plan"]["permissions"] == ["restart"]
    assert repair["applied"] is None
    assert "--allow restart" in call.stderr
    assert changes(lab) == []


def test_a_restart_that_was_named_is_sent_once(lab: Laboratory) -> None:
    call = lab.az(*REPAIR, "--allow", "restart")
    assert call.document()["repair"]["applied"]["result"] == "applied"
    assert changes(lab) == ["POST restart"]


def test_the_interface_gets_another_address_and_its_own_back(lab: Laboratory) -> None:
    call = lab.az(*REPAIR, "--allow", "reset-nic")
    assert call.document()["repair"]["applied"]["result"] == "applied"
    assert changes(lab) == ["PUT nic-down-nic"] * 3
    assert lab.status("nic-down")["privateAddress"] == "10.0.0.4"


@pytest.mark.parametrize(
    ("setting", "allow", "why"),
    [
        ("locks=freeze", "restart", "a lock forbids it: «freeze» (ReadOnly) on the resource group lab"),
        ("policies=fixed networks", "reset-nic", "a policy forbids it: «fixed networks»"),
    ],
)
def test_what_forbids_it_is_named(lab: Laboratory, setting: str, allow: str, why: str) -> None:
    lab.lab("set", setting)
    call = lab.az(*REPAIR, "--allow", allow)
    assert call.document()["repair"]["applied"]["result"] == "refused"
    assert why in " ".join(call.stderr.split())
    assert "Traceback" not in call.stderr


def test_ctrl_c_says_what_goes_on_at_azure(lab: Laboratory) -> None:
    lab.lab("set", "latency=azure")  # a restart takes 25 s then
    with subprocess.Popen(
        [sys.executable, "-m", "lab", "az", *REPAIR, "--allow", "restart"],
        cwd=ROOT, env=lab.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        end = time.monotonic() + 60
        while changes(lab) == [] and time.monotonic() < end:
            time.sleep(0.3)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert out == ""
    assert re.search(
        r"^interrupted: Azure goes on with the restart.*az vm wait -g lab -n nic-down --updated", err, re.M
    )
    assert "Traceback" not in err
    assert changes(lab) == ["POST restart"]
