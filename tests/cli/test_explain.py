"""`az vm agent-explain` from the real `az`, without a login, a network or a virtual machine."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.laboratory import EXTENSIONS, Call

pytestmark = [pytest.mark.az]


COMMAND = [sys.executable, "-m", "azure.cli", "vm", "agent-explain"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nobody is logged in, and the way out leads to a proxy that is not there."""
    assert EXTENSIONS.exists(), "the extension is not installed; make extension does it"
    return {
        **os.environ,
        "AZURE_CONFIG_DIR": str(tmp_path),
        "AZURE_EXTENSION_DIR": str(EXTENSIONS),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_COLOR": "1",
        "PYTHONSAFEPATH": "1",
    }


@pytest.fixture
def az(environment: dict[str, str], tmp_path: Path) -> Callable[..., Call]:
    def run(*arguments: str) -> Call:
        done = subprocess.run(
            [*COMMAND, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return Call(done.returncode, done.stdout, done.stderr, 0.0)

    return run


def test_one_cause_is_explained_offline(az):
    found = az("-c", "agent-stopped", "-o", "json").document()
    assert (found["code"], found["scenario"]) == ("L01", "agent-stopped")
    assert found["remedies"][0]["command"] == "systemctl start waagent"


def test_a_person_at_a_terminal_reads_text_and_no_object(environment: dict[str, str], tmp_path: Path):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "-c", "L01"], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=theirs,
        stderr=subprocess.DEVNULL,
    ):  # fmt: skip
        os.close(theirs)
        shown = b""
        while data := _read(ours):
            shown += data
    os.close(ours)
    text = shown.decode()
    assert text.strip().startswith("L01  The agent's service is stopped")
    assert "systemctl start waagent" in text
    assert "schemaVersion" not in text


def _read(terminal: int) -> bytes:
    """What is there next; nothing when the other side is closed."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def test_all_causes_are_a_table_within_its_width(az):
    lines = az("-o", "table").stdout.splitlines()
    assert lines[0].split() == ["Code", "Slug", "Os", "Scenario", "Found", "Title"]
    assert max(len(line) for line in lines) <= 100


def test_a_list_can_be_narrowed_and_queried(az):
    codes = az("--scenario", "1", "--os", "linux", "--query", "[].code", "-o", "tsv").stdout.split()
    assert "L01" in codes
    assert not [code for code in codes if code.startswith("W")]


def test_an_unknown_name_says_what_is_near(az):
    call = az("-c", "agent-stoped")
    assert call.code == 1
    assert "L01 (agent-stopped)" in call.stderr
    assert "az vm agent-explain" in call.stderr
    assert "Traceback" not in call.stderr


def test_help_names_every_option_with_an_example(az):
    said = az("--help").stdout
    assert all(option in said for option in ("--cause -c", "--scenario", "--os"))
    assert "az vm agent-explain -c N01" in said
    assert json.loads(az("-c", "L01").stdout)["slug"] == "agent-stopped"
