"""The repair program as a text: readable by every shell, safe to paste, and not run when a byte was lost."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from azext_vmagent.guest import repair_program
from azext_vmagent.repair.script import repair_script, undo_script
from tests.guest.repairing import act
from tests.guest.test_paste_script import terminal

pytestmark = pytest.mark.this_machine
SCRIPT = repair_script([act("remove-disable-file")])


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="NOT TRIED: no shellcheck on this machine")
@pytest.mark.parametrize("text", [repair_program(), SCRIPT, undo_script()], ids=["program", "script", "undo"])
def test_shellcheck_is_silent(text: str) -> None:
    ran = subprocess.run(
        ["shellcheck", "-s", "sh", "-e", "SC2016", "-"], input=text, text=True, capture_output=True, check=False
    )
    assert ran.stdout == ""


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox ash"])
def test_every_shell_can_read_it(shell: str) -> None:
    if shutil.which(shell.partition(" ")[0]) is None:
        pytest.skip(f"NOT TRIED: no {shell} on this machine")
    ran = subprocess.run([*shell.split(), "-n"], input=repair_program(), text=True, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("change", [("umask 077", "umask 777"), ("action", "acton"), ("\\0162", "\\0163")])
def test_a_script_that_was_damaged_is_not_run(change: tuple[str, str]) -> None:
    damaged = SCRIPT.replace(*change)
    assert damaged != SCRIPT
    ran = subprocess.run(["sh"], input=damaged, text=True, capture_output=True, check=False)
    assert ran.stdout == (
        "vmagent: the script was damaged on the way (it lost or gained bytes): nothing was run, send it again\n"
    )


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_script_that_was_cut_is_not_run(part: float) -> None:
    ran = subprocess.run(["sh"], input=SCRIPT[: int(len(SCRIPT) * part)], text=True, capture_output=True, check=False)
    assert "vmagent-repair 1" not in ran.stdout


def test_pasted_damaged_at_a_terminal_the_shell_lives_on() -> None:
    with terminal(["dash", "-i"]) as screen:
        screen.paste(SCRIPT.replace("umask 077", "umask 777"))
        screen.until(b"nothing was run, send it again\r")
        screen.paste("echo st''ill here\n")
        screen.until(b"still here")
