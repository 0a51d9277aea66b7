"""What people and scripts get from the real `az` with the installed wheel, on recorded guests."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.laboratory import (
    EXTENSIONS,
    ROOT,
    Laboratory,
    arm_calls,
    recorded_laboratory,
    run_commands,
    said,
    scenario,
    ssh_login,
)

pytestmark = [pytest.mark.az, pytest.mark.xdist_group("Cloud Shell's port")]

VMS = (
    "healthy",
    "agent-stopped",
    "wire-server-firewalld",
    "nic-down",
    "fstab-emergency",
    "deallocated",
    "no-agent",
    "just-created",
)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with recorded_laboratory(tmp_path_factory.mktemp("lab"), *VMS) as made:
        yield made


@pytest.fixture
def lab(standing: Laboratory) -> Iterator[Laboratory]:
    standing.lab("journal", "--clear")
    yield standing
    standing.lab("inject", "--clear")


@pytest.mark.parametrize(
    ("name", "expected", "code"),
    [
        ("agent-stopped", "agent-stopped", "L01"),
        ("wire-server-firewalld", "wire-server-blocked", "N01"),
        ("nic-down", "network-down", "I01"),
        ("fstab-emergency", "os-not-running", "B01"),
        ("healthy", "healthy", None),
        ("deallocated", "vm-not-running", "P01"),
        ("no-agent", "no-agent-expected", "P04"),
        ("just-created", "provisioning", "P02"),
    ],
)
def test_every_recorded_guest_gets_its_verdict(lab: Laboratory, name: str, expected: str, code: str | None) -> None:
    login = [] if name == "just-created" else ssh_login(lab, name)  # inside, its agent is seen not to run yet
    found = lab.diagnose(name, *login)
    assert scenario(found) == expected
    assert (found["verdict"]["cause"] or {}).get("code") == code


@pytest.mark.parametrize("name", ["agent-stopped", "wire-server-firewalld"])
def test_without_a_look_inside_one_or_two_is_said_and_what_would_settle_it(lab: Laboratory, name: str) -> None:
    found = lab.diagnose(name)
    assert found["verdict"]["candidates"] == ["agent-stopped", "wire-server-blocked"]
    assert "--ssh-user" in found["verdict"]["nextSteps"][0]["command"]
    assert run_commands(lab.requests()) == []


@pytest.mark.parametrize("name", ["agent-stopped", "nic-down", "fstab-emergency"])
def test_at_most_six_arm_calls_without_a_probe(lab: Laboratory, name: str) -> None:
    lab.diagnose(name)
    calls = arm_calls(lab.requests())
    assert 4 <= len(calls) <= 6, [call["path"] for call in calls]


SOURCES = {
    "instance view": r"GET /virtualMachines/agent-stopped\?",
    "serial log": r"retrieveBootDiagnosticsData",
    "host metrics": r"Microsoft\.Insights/metrics",
    "resource health": r"availabilityStatuses",
    "network interface": r"networkInterfaces",
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", ["500", "503", "429:1", "reset", "garbled", "slow:60"])
def test_one_failing_source_costs_its_evidence_and_nothing_else(lab: Laboratory, source: str, kind: str) -> None:
    lab.lab("inject", f"{kind}@{SOURCES[source]}")
    found = lab.diagnose("agent-stopped", "--timeout", "6")
    assert scenario(found) == "uncertain"
    assert "agent-stopped" in found["verdict"]["candidates"]
    assert found["verdict"]["nextSteps"]
    assert found["timings"]["total"] <= 7
    channel = next(c for c in found["channels"] if c["name"] == source)
    assert channel["status"] != "ok"
    assert any(line["channel"] in (source, "port") for line in found["verdict"]["notChecked"])


@pytest.mark.parametrize("source", [s for s in SOURCES if s != "instance view"])
def test_a_denied_source_names_the_right_that_it_takes(lab: Laboratory, source: str) -> None:
    lab.lab("inject", f"denied@{SOURCES[source]}")
    found = lab.diagnose("agent-stopped")
    line = next(line for line in found["verdict"]["notChecked"] if line["channel"] == source)
    assert "Microsoft." in line["what"]
    assert "/read" in line["what"] or "/action" in line["what"]


def test_a_denied_virtual_machine_is_an_error_that_says_which_right_is_missing(lab: Laboratory) -> None:
    lab.lab("inject", f"denied@{SOURCES['instance view']}")
    call = lab.az("vm", "agent-diagnose", "-g", "lab", "-n", "agent-stopped")
    assert (call.code, call.stdout) == (1, "")
    assert "Microsoft.Compute/virtualMachines/read" in call.stderr
    assert "Traceback" not in call.stderr


def test_a_virtual_machine_that_does_not_exist_ends_with_three(lab: Laboratory) -> None:
    call = lab.az("vm", "agent-diagnose", "-g", "lab", "-n", "gone")
    assert (call.code, call.stdout) == (3, "")
    assert "az vm list" in call.stderr


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ([], "--resource-group"),
        (["-g", "lab", "-n", "healthy", "--ids", "x"], "--ids"),
        (["--ids", "/subscriptions/x"], "az vm list"),
        (["-g", "lab", "-n", "healthy", "--timeout", "1"], "seconds"),
        (["-g", "lab", "-n", "healthy", "--ssh-user=-oProxyCommand=x"], "plain name"),
        (["-g", "lab", "-n", "healthy", "--ssh-user", "me", "--ssh-key", "/nonexistent"], "private key"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_advice(
    lab: Laboratory, arguments: list[str], advice: str
) -> None:
    call = lab.az("vm", "agent-diagnose", *arguments)
    assert call.code in (1, 2)
    assert advice in call.stderr
    assert "Traceback" not in call.stderr
    # what an earlier test gave up waiting for may be answered, and written down, only now
    assert [one for one in arm_calls(lab.requests()) if "/healthy" in one["path"]] == []


def test_three_machines_in_one_call_logged_in_the_cloud_shell_way(lab: Laboratory) -> None:
    lab.lab("inject", r"denied@GET /virtualMachines/healthy(\?|$)")
    first = lab.az("vm", "show", "-g", "lab", "-n", "agent-stopped", "--query", "id", "-o", "tsv", login="cloud-shell")
    base = first.stdout.strip()
    ids = [base, base.replace("agent-stopped", "gone"), base.replace("agent-stopped", "healthy")]
    rows = lab.az("vm", "agent-diagnose", "--ids", *ids, "-o", "json", login="cloud-shell").document()
    assert [row["vm"]["name"] for row in rows] == ["agent-stopped", "gone", "healthy"]
    assert scenario(rows[0]) == "uncertain"
    assert [row["error"]["code"] for row in rows[1:]] == ["NotFound", "Forbidden"]
    table = lab.az("vm", "agent-diagnose", "--ids", *ids, "-o", "table", login="cloud-shell").stdout.splitlines()
    assert table[0].split() == ["Name", "Agent", "Since", "Scenario", "Cause", "Confidence", "Next"]
    assert max(len(line) for line in table) <= 100
    assert [line.split()[0] for line in table[2:]] == ["agent-stopped", "gone", "healthy"]


def test_a_subscription_that_this_login_does_not_know_is_a_row_too(lab: Laboratory) -> None:
    base = lab.az("vm", "show", "-g", "lab", "-n", "deallocated", "--query", "id", "-o", "tsv").stdout.strip()
    foreign = "/subscriptions/00000000-0000-0000-0000-000000000001/" + base.split("/", 3)[3]
    rows = lab.az("vm", "agent-diagnose", "--ids", foreign, base, "-o", "json").document()
    assert rows[0]["error"]["code"] == "Forbidden"
    assert scenario(rows[1]) == "vm-not-running"


def test_the_time_of_several_machines_is_the_time_of_the_command(lab: Laboratory) -> None:
    lab.lab("inject", "slow:60@virtualMachines")
    base = lab.az("account", "show", "--query", "id", "-o", "tsv").stdout.strip()
    prefix = f"/subscriptions/{base}/resourceGroups/lab/providers/Microsoft.Compute/virtualMachines/"
    call = lab.az(
        "vm", "agent-diagnose", "--ids", *(f"{prefix}vm{n}" for n in range(20)), "--timeout", "6", "-o", "json"
    )
    assert len(call.document()) == 20
    assert call.seconds < 14


def test_a_script_gets_the_object_and_nothing_else(lab: Laboratory) -> None:
    call = lab.az(
        "vm", "agent-diagnose", "-g", "lab", "-n", "fstab-emergency", "--query", "verdict.scenario", "-o", "tsv"
    )
    assert call.stdout == "os-not-running\n"
    assert "Scenario 4" in call.stderr
    quiet = lab.az("vm", "agent-diagnose", "-g", "lab", "-n", "fstab-emergency", "--only-show-errors")
    assert json.loads(quiet.stdout)["schemaVersion"] == "1"
    assert quiet.stderr == ""


@pytest.mark.parametrize(
    ("name", "code"), [("fstab-emergency", 14), ("agent-stopped", 10), ("deallocated", 16), ("gone", 3)]
)
def test_the_exit_code_names_the_verdict_when_asked(lab: Laboratory, name: str, code: int) -> None:
    call = lab.az("vm", "agent-diagnose", "-g", "lab", "-n", name, "--exit-code", "-o", "none")
    assert (call.code, call.stdout) == (code, "")


def test_a_terminal_gets_the_report_and_no_json(lab: Laboratory) -> None:
    shown = on_a_terminal(lab, "vm", "agent-diagnose", "-g", "lab", "-n", "fstab-emergency")
    assert "Scenario 4" in shown
    assert "/data" in shown
    assert "do now" in shown
    assert "schemaVersion" not in shown


def test_ctrl_c_is_clean(lab: Laboratory) -> None:
    lab.lab("inject", "slow:60@virtualMachines")
    with subprocess.Popen(
        [sys.executable, "-m", "lab", "az", "vm", "agent-diagnose", "-g", "lab", "-n", "healthy", "-o", "json"],
        cwd=ROOT, env=lab.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        time.sleep(6)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        out, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 5
    assert (process.returncode, out) == (1, "")
    assert "Traceback" not in err


def test_guest_text_never_reaches_a_terminal_raw(lab: Laboratory) -> None:
    found = lab.diagnose("fstab-emergency")
    assert not [c for c in json.dumps(found, ensure_ascii=False) if not c.isprintable()]


def test_nobody_logged_in_is_an_error_with_advice(lab: Laboratory, tmp_path: Any) -> None:
    environment = {
        **os.environ,
        "AZURE_CONFIG_DIR": str(tmp_path),
        "AZURE_EXTENSION_DIR": str(EXTENSIONS),
        "PYTHONSAFEPATH": "1",
    }
    command = [sys.executable, "-m", "azure.cli", "vm", "agent-diagnose", "-g", "lab", "-n", "x"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "az login" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_evidence_is_the_article_s_own_sequence_of_questions(lab: Laboratory) -> None:
    found = lab.diagnose("wire-server-firewalld", *ssh_login(lab, "wire-server-firewalld"))
    evidence = said(found)
    assert "tcp/80 to 168.63.129.16 times out from root" in evidence
    assert "-d 168.63.129.16/32 -j DROP" in evidence
    assert "active (running)" in evidence


def on_a_terminal(lab: Laboratory, *arguments: str) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "lab", "az", *arguments],
        cwd=ROOT, env={**lab.environment, "NO_COLOR": "1"}, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data
        process.wait()
    os.close(ours)
    return shown.decode()
