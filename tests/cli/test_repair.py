"""A repair as the real `az` gives it on recorded guests: plans, refusals, consent and exit codes; nothing is changed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.laboratory import ROOT, Laboratory, guest_round_trips, recorded_laboratory, ssh_login

pytestmark = [pytest.mark.az, pytest.mark.xdist_group("Cloud Shell's port")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    names = ("agent-stopped", "wire-server-firewalld", "healthy")
    with recorded_laboratory(tmp_path_factory.mktemp("lab"), *names) as made:
        yield made


def diagnose(lab: Laboratory, *arguments: str):
    return lab.az("vm", "agent-diagnose", "-g", "lab", *arguments)


@pytest.mark.parametrize(
    ("more", "outcome", "code", "named"),
    [
        (["--repair", "--dry-run"], "planned", 0, 21),
        (["--repair"], "needs-consent", 1, 25),
        (["--repair", "--yes"], "not-repaired", 1, 27),  # a recorded guest answers no repair
        (["--undo"], "needs-consent", 1, 25),
    ],
)
def test_how_it_ended_is_in_the_object_and_in_the_exit_code(lab, more, outcome, code, named):
    login = ["-n", "agent-stopped", *ssh_login(lab, "agent-stopped"), *more, "--no-wait"]
    call = diagnose(lab, *login, "--query", "repair.outcome", "-o", "tsv")
    assert (call.stdout, call.code) == (f"{outcome}\n", code)
    assert diagnose(lab, *login, "--exit-code", "-o", "none").code == named


def test_what_is_not_known_well_enough_is_refused_and_what_is_well_left_alone(lab):
    asked = ["--repair", "--yes", "--query", "repair.[outcome, plan.refusal.code]", "-o", "tsv", "--only-show-errors"]
    assert diagnose(lab, "-n", "agent-stopped", *asked).stdout.split() == ["refused", "uncertain"]
    well = diagnose(lab, "-n", "healthy", *asked)
    assert (well.stdout.split(), well.code) == (["nothing-to-do", "healthy"], 0)


def test_several_show_one_plan_and_wait_for_yes(lab):
    login = ssh_login(lab, "agent-stopped")
    lab.lab("journal", "--clear")
    call = diagnose(lab, "-n", "agent-stopped", "healthy", "gone", *login, "--repair", "-o", "json")
    rows = json.loads(call.stdout)
    assert [row["vm"]["name"] for row in rows] == ["agent-stopped", "healthy", "gone"]
    assert [(row.get("repair") or {}).get("outcome") for row in rows] == ["needs-consent", "nothing-to-do", None]
    assert call.code == 1
    assert "Plan for 1 of 3 virtual machines, one after another" in call.stderr
    assert "several VMs need --yes" in call.stderr
    assert rows[0]["repair"]["next"] in call.stderr
    assert len(guest_round_trips(lab.requests())) <= 2  # the looks inside, and nothing else


def test_the_report_offers_the_repair_with_the_login_that_looked_inside(lab):
    login = ssh_login(lab, "wire-server-firewalld")
    found = lab.diagnose("wire-server-firewalld", *login)
    steps = [step["command"] for step in found["verdict"]["nextSteps"]]
    assert steps[0] == f"az vm agent-diagnose -g lab -n wire-server-firewalld {' '.join(login)} --repair"
    assert not any("--repair" in (step["command"] or "") for step in lab.diagnose("healthy")["verdict"]["nextSteps"])


@pytest.mark.parametrize("typed", [b"\n", b"\x04", b"n\n"])
def test_at_a_terminal_all_but_a_yes_is_a_no_and_the_object_stays_clean(lab, typed):
    """stdin and stderr are a terminal and stdout is a file, as in ``az … -o json > FILE``."""
    login = ["vm", "agent-diagnose", "-g", "lab", "-n", "agent-stopped", *ssh_login(lab, "agent-stopped")]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "lab", "az", *login, "--repair", "-o", "json"],
        cwd=ROOT, env={**lab.environment, "NO_COLOR": "1"}, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        while b"(y/N): " not in shown:
            shown += os.read(ours, 65536)
        os.write(ours, typed)
        out = process.communicate(timeout=60)[0]
    os.close(ours)
    told = json.loads(out)["repair"]
    assert (told["outcome"], told["why"], told["applied"]) == ("needs-consent", "not confirmed", None)
    assert process.returncode == 1
