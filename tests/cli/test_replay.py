"""`az vm agent-replay` from the real `az`, without a login or a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.laboratory import EXTENSIONS, Call

pytestmark = [pytest.mark.az]
PANIC = (
    b"[    0.000000] Linux version 6.1.0\r\n"
    b"[    1.900000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"
)


@pytest.fixture
def az(tmp_path: Path):
    """Run az with nobody logged in and with a proxy that is not there."""
    assert EXTENSIONS.exists(), "the extension is not installed; make extension does it"
    environment = {
        **os.environ,
        "AZURE_CONFIG_DIR": str(tmp_path / "az"),
        "AZURE_EXTENSION_DIR": str(EXTENSIONS),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "PYTHONSAFEPATH": "1",
    }

    def run(*arguments: str, stdin: bytes = b"") -> Call:
        command = [sys.executable, "-m", "azure.cli", "vm", "agent-replay", *arguments]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, input=stdin, check=False)
        return Call(done.returncode, done.stdout.decode(), done.stderr.decode(), 0.0)

    return run


def test_a_saved_log_gives_the_object_and_the_exit_code(az, tmp_path):
    (tmp_path / "serial.log").write_bytes(PANIC)
    call = az("--serial-log", "serial.log", "-o", "tsv", "--query", "serialLog.outlook", "--exit-code")
    assert (call.code, call.stdout) == (14, "not_booted\n")
    assert "Scenario 4" in call.stderr


def test_standard_input_is_read(az):
    found = az("--serial-log", "-", "-o", "json", stdin=PANIC).document()
    assert (found["verdict"]["number"], found["vm"]["name"]) == (4, None)
    assert found["verdict"]["cause"]["code"] == "B07"


def test_no_file_says_what_to_give(az):
    call = az("-o", "json")
    assert call.code != 0
    assert call.stdout == ""
    assert "az vm agent-replay --serial-log serial.log" in call.stderr
    assert "Traceback" not in call.stderr
