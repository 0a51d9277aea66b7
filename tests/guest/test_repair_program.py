"""The repair program as a text: readable by every shell, safe to paste, and not run when a byte was lost."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

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


# -- other rules -------------------------------------------------------------------------------------------------------

WIRE = "168.63.129.16"
SAVED = f"""\
*security
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
-A OUTPUT -d {WIRE}/32 -p tcp -m tcp --dport 53 -j ACCEPT
-A OUTPUT -d {WIRE}/32 -p tcp -m owner --uid-owner 0 -j ACCEPT
-A OUTPUT -d {WIRE}/32 -p tcp -m conntrack --ctstate INVALID,NEW -j DROP
COMMIT
"""
LISTED = f"""\
table ip security {{
\tchain OUTPUT {{
\t\ttype filter hook output priority 150; policy accept;
\t\tip daddr {WIRE} tcp dport 53 counter packets 0 bytes 0 accept
\t\tmeta l4proto tcp ip daddr {WIRE} skuid 0 counter packets 0 bytes 0 accept
\t\tmeta l4proto tcp ip daddr {WIRE} ct state invalid,new counter packets 0 bytes 0 drop
\t}}
}}
"""
OWN_TABLE = f"""\
table ip walinuxagent {{
\tchain output {{
\t\ttype filter hook output priority filter; policy accept;
\t\tip daddr {WIRE} tcp dport != 53 skuid != 0 ct state invalid,new counter packets 0 bytes 0 drop
\t}}
}}
"""
PASSED_THROUGH = f"ipv4 -t security -I OUTPUT -d {WIRE} -p tcp --destination-port 53 -j ACCEPT\n"
THEIRS = "*filter\n:OUTPUT ACCEPT\n-A OUTPUT -d 192.0.2.9/32 -j DROP\nCOMMIT\n"


def others_are_the_same(folder: Path, name: str, before: str, after: str) -> bool:
    for part, text in (("before", before), ("after", after)):
        (folder / part).mkdir(exist_ok=True)
        (folder / part / f"{name}.list").write_text(text)
    tried = f'{repair_program()}\ndir={folder}; panicked=no; others "$dir/after" 0 0'
    return subprocess.run(["sh"], input=tried, text=True, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "agents"),
    [("iptables-save", SAVED), ("nft", LISTED), ("nft", OWN_TABLE), ("firewalld-get-all-passthroughs", PASSED_THROUGH)],
)
def test_the_rules_that_the_agent_sets_meanwhile_are_no_change(tmp_path: Path, name: str, agents: str) -> None:
    assert others_are_the_same(tmp_path, name, THEIRS, agents + THEIRS)
    assert others_are_the_same(tmp_path, name, THEIRS + agents, THEIRS)
    assert not others_are_the_same(tmp_path, name, THEIRS, agents)


@pytest.mark.parametrize(
    ("name", "agents", "more"),
    [
        ("iptables-save", SAVED, f"-A OUTPUT -d {WIRE}/32 -p tcp -m owner --uid-owner 0 -j DROP\n"),
        ("iptables-save", SAVED, "-A OUTPUT -d 192.0.2.7/32 -p tcp -m conntrack --ctstate INVALID,NEW -j DROP\n"),
        ("nft", LISTED, f"\t\tip daddr {WIRE} counter packets 0 bytes 0 drop\n"),
    ],
)
def test_a_rule_of_somebody_elses_beside_them_is_one(tmp_path: Path, name: str, agents: str, more: str) -> None:
    lines = agents.splitlines(keepends=True)
    with_more = "".join([*lines[:4], more, *lines[4:]])
    assert not others_are_the_same(tmp_path, name, with_more, agents)
    assert others_are_the_same(tmp_path, name, with_more, with_more)
