"""The laboratory's ssh: it can keep what the guest answered, byte for byte."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab import openssh


@pytest.fixture
def wrapper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    real = tmp_path / "real"
    real.mkdir()
    (real / "ssh").write_text("#!/bin/sh\ncat\nprintf 'no newline'\nexit 7\n")
    (real / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{real}{os.pathsep}{os.environ['PATH']}")
    return openssh.prepare(tmp_path / "made", []) / "ssh"


@pytest.mark.parametrize("keep", [False, True])
def test_answer_and_exit_code_come_through(wrapper: Path, tmp_path: Path, keep: bool) -> None:
    kept = tmp_path / "answer"
    environment = {**os.environ, **({"VMAGENT_LAB_SSH_ANSWER": str(kept)} if keep else {})}
    ran = subprocess.run([wrapper], input=b"a\n", capture_output=True, env=environment, check=False)
    assert (ran.returncode, ran.stdout) == (7, b"a\nno newline")
    assert (kept.read_bytes() == ran.stdout) if keep else not kept.exists()
