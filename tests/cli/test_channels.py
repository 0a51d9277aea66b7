"""The ways into the guest as people use them: the real `az`, recorded guests, one look inside and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.laboratory import (
    EXTENSIONS,
    RECORDINGS,
    ROOT,
    Laboratory,
    guest_round_trips,
    recorded_laboratory,
    run_commands,
    said,
    scenario,
    ssh_login,
)

pytestmark = [pytest.mark.az, pytest.mark.xdist_group("ways in")]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with recorded_laboratory(tmp_path_factory.mktemp("lab"), "healthy", "agent-stopped") as made:
        yield made


@pytest.fixture
def lab(standing: Laboratory) -> Iterator[Laboratory]:
    standing.lab("journal", "--clear")
    yield standing
    standing.lab("inject", "--clear")
    standing.lab("set", "run_command_channel=free")


def channel(found: dict[str, Any], name: str) -> dict[str, Any]:
    seen: dict[str, Any] = next(c for c in found["channels"] if c["name"] == name)
    return seen


# -- one round trip ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "expected"), [("ssh", ["ssh"]), ("auto", ["action"]), ("managed", ["managed"]), ("never", [])]
)
def test_one_diagnosis_is_one_round_trip_into_the_guest(lab: Laboratory, way: str, expected: list[str]) -> None:
    options = ssh_login(lab, "healthy") if way == "ssh" else ["--run-command", way]
    found = lab.diagnose("healthy", *options)
    assert scenario(found) == "healthy"
    assert guest_round_trips(lab.requests()) == expected


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_the_script_to_paste_needs_neither_login_nor_vm(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "AZURE_CONFIG_DIR": str(tmp_path),
        "AZURE_EXTENSION_DIR": str(EXTENSIONS),
        "PYTHONSAFEPATH": "1",
    }
    command = [sys.executable, "-m", "azure.cli", "vm", "agent-diagnose", "--print-probe"]
    printed = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed.startswith("# Paste all of this at once")
    answered = subprocess.run(["sh"], input=printed, capture_output=True, text=True, check=True, timeout=60).stdout
    assert answered.startswith("vmagent-probe 1")


def test_a_pasted_answer_is_fed_back(lab: Laboratory, tmp_path: Path) -> None:
    entries = json.loads((RECORDINGS / "agent-stopped" / "ssh.json").read_text())
    answer = next(entry["stdout"] for entry in entries if entry["stdout"].startswith("vmagent-probe"))
    file = tmp_path / "answer.txt"
    file.write_text(f"root@web:~# sh <<'X'\r\n{answer}root@web:~# ")
    found = lab.diagnose("agent-stopped", "--probe-output", str(file), *ssh_login(lab, "agent-stopped"))
    assert scenario(found) == "agent-stopped"
    assert found["verdict"]["because"][0]["channel"] == channel(found, "paste")["name"] == "paste"
    assert guest_round_trips(lab.requests()) == []
    assert found["verdict"]["confidence"] == "likely"
    assert "old by the guest's clock" in said(found)


@pytest.mark.parametrize("content", ["", "bash: sh: command not found\n"])
def test_what_is_no_answer_is_refused_before_anything_is_asked(lab: Laboratory, tmp_path: Path, content: str) -> None:
    file = tmp_path / "answer.txt"
    file.write_text(content)
    call = lab.az("vm", "agent-diagnose", "-g", "lab", "-n", "healthy", "--probe-output", str(file))
    assert call.code == 1
    assert "holds no answer of the probe" in call.stderr
    assert "--print-probe" in call.stderr
    assert lab.requests() == []


# -- Run Command that is closed ----------------------------------------------------------------------------------------


def test_a_busy_action_is_named_and_the_managed_one_looks_inside_and_is_gone(lab: Laboratory) -> None:
    lab.lab("set", "run_command_channel=busy")
    found = lab.diagnose("healthy")
    assert (scenario(found), found["verdict"]["confidence"]) == ("healthy", "certain")
    assert channel(found, "managed run command")["status"] == "ok"
    assert [cause["code"] for cause in found["verdict"]["otherCauses"]] == ["P07"]
    assert "another run command is executing" in channel(found, "run command")["detail"]
    assert [r["method"] for r in run_commands(lab.requests())] == ["POST", "PUT"]
    left = lab.az("vm", "run-command", "list", "-g", "lab", "--vm-name", "healthy", "-o", "json").document()
    assert left == []


def test_a_wedged_extension_is_named_with_what_clears_it(lab: Laboratory) -> None:
    lab.lab("set", "run_command_channel=wedged")
    found = lab.diagnose("healthy")
    assert "RunCommandLinux" in channel(found, "run command")["detail"]
    assert [r["method"] for r in run_commands(lab.requests())] == ["PUT"]
    lab.az("vm", "extension", "delete", "-g", "lab", "--vm-name", "healthy", "--name", "RunCommandLinux")
    assert channel(lab.diagnose("healthy"), "run command")["status"] == "ok"


def test_a_missing_right_is_named(lab: Laboratory) -> None:
    lab.lab("inject", r"denied@POST /runCommand(\?|$)")
    found = lab.diagnose("healthy")
    assert found["verdict"]["confidence"] == "weak"
    assert "Microsoft.Compute/virtualMachines/runCommand/action" in channel(found, "run command")["detail"]
    assert [cause["code"] for cause in found["verdict"]["otherCauses"]] == ["P14"]


@pytest.mark.parametrize(
    "options",
    [
        ["--run-command", "never", "--ssh-user", "nobody"],
        ["--run-command", "never", "--ssh-user", "azureuser", "--ssh-port", "1"],
        ["--run-command", "managed"],
        ["--run-command", "always", "--timeout", "8"],
    ],
    ids=["login refused", "no server", "managed", "a run command that hangs"],
)
def test_with_every_way_in_closed_it_is_uncertain_in_time_and_says_what_would_settle_it(
    lab: Laboratory, options: list[str]
) -> None:
    if options[-1] == "nobody":
        options = [*options, "--ssh-port", str(lab.status("agent-stopped")["sshPort"])]
    found = lab.diagnose("agent-stopped", *options)
    assert scenario(found) == "uncertain"
    assert "agent-stopped" in found["verdict"]["candidates"]
    assert found["verdict"]["nextSteps"][0]["command"]
    assert found["timings"]["total"] < 20
    if "always" in options:
        assert "az vm restart" in channel(found, "run command")["detail"]
        lab.az("vm", "restart", "-g", "lab", "-n", "agent-stopped")


def test_ctrl_c_says_what_it_leaves_behind(lab: Laboratory) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lab", "az", "vm", "agent-diagnose", "-g", "lab", "-n", "agent-stopped",
         "--run-command", "always", "-o", "json"],
        cwd=ROOT, env=lab.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        end = time.monotonic() + 30
        while not run_commands(lab.requests()) and time.monotonic() < end:
            time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        out, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 5
    assert (process.returncode, out) == (1, "")
    assert "interrupted: " in err
    assert "stays in the VM's queue" in err
    assert "Traceback" not in err
    lab.az("vm", "restart", "-g", "lab", "-n", "agent-stopped")
