"""`az vm agent-explain` from the real `az`, without a login, a network or a virtual machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.laboratory import EXTENSIONS, Call

pytestmark = [pytest.mark.az]


@pytest.fixture
def az(tmp_path: Path):
    """Run az with nobody logged in and with a proxy that is not there."""
    assert EXTENSIONS.exists(), "the extension is not installed; make extension does it"
    environment = {
        **os.environ,
        "AZURE_CONFIG_DIR": str(tmp_path),
        "AZURE_EXTENSION_DIR": str(EXTENSIONS),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "PYTHONSAFEPATH": "1",
    }

    def run(*arguments: str) -> Call:
        command = [sys.executable, "-m", "azure.cli", "vm", "agent-explain", *arguments]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        return Call(done.returncode, done.stdout, done.stderr, 0.0)

    return run


def test_one_cause_is_explained_offline(az):
    found = az("-c", "agent-stopped", "-o", "json").document()
    assert (found["code"], found["scenario"]) == ("L01", "agent-stopped")
    assert found["remedies"][0]["command"] == "systemctl start waagent"


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
