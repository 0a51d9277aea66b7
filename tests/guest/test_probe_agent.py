"""What the probe makes of the agent's program, unit and disks, in a mount namespace: nothing of the host's is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from azext_vmagent.facts.guest import DropInLine, GuestFacts, parse_probe
from azext_vmagent.guest import probe_script

pytestmark = [
    pytest.mark.this_machine,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("unshare") is None, reason="NOT TRIED: needs root and unshare"
    ),
]

GOOD = "import sys\nassert sys.argv[1:] == ['-version'], sys.argv\nprint('WALinuxAgent-2.7.3.0 running on debian 12')\n"


class Guest:
    """A guest whose ``systemctl`` is a stub that shows one unit, and whose agent is a file of the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "waagent"
        self.start = f"{self.program} -daemon"
        self.unit = ["LoadState=loaded", "ActiveState=failed", "SubState=failed", "ConditionResult=yes"]
        self.more = ""
        self.status = ""

    def agent(self, text: str, first: str = "#!/usr/bin/env python3", mode: int = 0o755) -> None:
        self.program.write_text(f"{first}\n{text}")
        self.program.chmod(mode)

    def probe(self, shell: str = "dash") -> GuestFacts:
        tools = self.folder / "tools"
        tools.mkdir()
        shown = "\n".join(["Id=walinuxagent.service", *self.unit])
        (tools / "systemctl").write_text(
            f"#!/bin/sh\ncase \"$*\" in\n*ExecStart*) echo 'ExecStart={{ path=x ; argv[]={self.start} ; ignore_errors=no ;' ;;\n"
            f"show*) cat <<'X'\n{shown}\nX\n;;\nstatus*) cat <<'X'\n{self.status}\nX\n;;\n*) exit 3 ;;\nesac\n"
        )
        (tools / "systemctl").chmod(0o755)
        before = f"""
            mount -t tmpfs run /run
            mkdir -p /run/systemd/system
            PATH={tools}:{os.environ["PATH"]}
            export PATH
            {self.more}
        """
        started = time.monotonic()
        ran = subprocess.run(
            ["unshare", "-m", "-n", "-p", "-f", "--mount-proc", "sh", "-ec", f"{before}\nexec {shell}"],
            input=probe_script(), capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        assert time.monotonic() - started <= 8
        assert len(ran.stdout) <= 4096
        facts = parse_probe(ran.stdout)
        assert facts.complete, ran.stdout
        return facts


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox ash"])
def test_a_program_that_comes_up_tells_its_version(guest: Guest, shell: str) -> None:
    guest.agent(GOOD)
    program = guest.probe(shell).program
    assert (program.state, program.interpreter_state, program.version) == ("ok", "ok", "2.7.3.0")
    assert program.path == str(guest.program)
    assert program.interpreter.endswith("/python3")


def test_nothing_is_compiled_beside_the_agent(guest: Guest) -> None:
    (guest.folder / "azurelinuxagent.py").write_text("")
    guest.agent(f"import azurelinuxagent\n{GOOD}")
    assert guest.probe().program.interpreter_state == "ok"
    assert not (guest.folder / "__pycache__").exists()


def test_the_interpreter_of_the_units_command_counts(guest: Guest) -> None:
    python = shutil.which("python3")
    guest.agent(GOOD, "#!/nowhere/python", 0o644)
    guest.start = f"{python} -u {guest.program} -daemon"
    program = guest.probe().program
    assert (program.state, program.interpreter, program.interpreter_state) == ("ok", python, "ok")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import azurelinuxagent_that_is_not_there\n", "No module named 'azurelinuxagent_that_is_not_there'"),
        ("raise NameError(\"name 'distro' is not defined\")\n", "name 'distro' is not defined"),
        ("import sys\nsys.exit(3)\n", "exit status 3"),
        ("def broken(:\n", "SyntaxError"),
    ],
)
def test_a_program_that_fails_tells_why(guest: Guest, text: str, error: str) -> None:
    guest.agent(text)
    program = guest.probe().program
    assert program.interpreter_state == "failed"
    assert error in program.error


def test_an_interpreter_that_cannot_start_is_told_apart_from_a_program_that_fails(guest: Guest) -> None:
    python = guest.folder / "python3"
    python.write_text("#!/bin/sh\necho 'error while loading shared libraries: libz.so.1' >&2\nexit 127\n")
    python.chmod(0o755)
    guest.agent(GOOD, f"#!{python}")
    program = guest.probe().program
    assert (program.interpreter, program.interpreter_state) == (str(python), "broken")
    assert "libz.so.1" in program.error


def test_a_program_that_hangs_is_late_and_gone(guest: Guest) -> None:
    guest.agent("import time\ntime.sleep(60)\n")
    facts = guest.probe()
    assert "agent's program" in facts.missing
    running = subprocess.run(["pgrep", "-f", str(guest.program)], capture_output=True, text=True, check=False)
    assert running.stdout == ""


@pytest.mark.parametrize(
    ("first", "mode", "state", "interpreter_state"),
    [
        ("#!/usr/bin/python3.6", 0o755, "ok", "missing"),
        ("#!/usr/bin/env python3", 0o644, "not-executable", "ok"),
        ("#!/bin/sh", 0o755, "ok", "unknown"),
        ("", 0o755, "ok", "unknown"),
    ],
)
def test_what_the_first_line_and_the_mode_say(
    guest: Guest, first: str, mode: int, state: str, interpreter_state: str
) -> None:
    guest.agent(GOOD, first, mode)
    program = guest.probe().program
    assert (program.state, program.interpreter_state) == (state, interpreter_state)


def test_a_program_that_is_not_there(guest: Guest) -> None:
    assert guest.probe().program.state == "missing"


@pytest.mark.parametrize("start", ["/bin/sh -c reboot", "/usr/bin/python3 /opt/other.py -daemon", "", "* ? ["])
def test_only_the_agent_itself_is_ever_started(guest: Guest, start: str) -> None:
    guest.agent("open('/dev/null')\nraise SystemExit('started')\n")
    guest.start = start
    assert guest.probe().program.interpreter_state in ("", "unknown")


def test_a_unit_that_starts_another_script_does_not_make_the_agents_missing(guest: Guest) -> None:
    guest.start = "/usr/bin/python3 -m azurelinuxagent.agent -daemon"
    program = guest.probe().program
    assert (program.path, program.state) == ("azurelinuxagent.agent", "other")


def test_drop_ins_condition_and_freezer(guest: Guest) -> None:
    drop_in = guest.folder / "waagent.service.d" / "90.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\n# IPAddressDeny=any\n IPAddressDeny=168.63.129.16\nNice=5\n"
                       "Environment=http_proxy=http://ops:secret@10.0.0.9\n")  # fmt: skip
    guest.unit += [f"DropInPaths={drop_in}", "FreezerState=frozen", "IPAddressDeny=168.63.129.16/32"]
    guest.unit[3] = "ConditionResult=no"
    guest.unit += ["", "Id=system.slice", "LoadState=loaded", "ActiveState=active", "IPAddressDeny=10.0.0.0/8"]
    guest.unit += ["", "Id=azure-proxy-agent.service", "LoadState=loaded", "ActiveState=active"]
    guest.status = "  Condition: start condition failed at Tue\n   └─ ConditionPathExists=/etc/wanted was not met"
    facts = guest.probe()
    service = facts.service
    assert service.drop_in_lines == (
        DropInLine(str(drop_in), "IPAddressDeny=168.63.129.16"),
        DropInLine(str(drop_in), "Environment=http_proxy=http://***@10.0.0.9"),
    )
    assert (service.unit, service.frozen, service.condition_met) == ("walinuxagent.service", True, False)
    assert service.unmet_condition == "ConditionPathExists=/etc/wanted"
    assert (service.ip_address_deny, service.slice_deny) == ("168.63.129.16/32", {"system.slice": "10.0.0.0/8"})
    assert facts.proxy_agent == "active"


#: a file system of its own for the agent's folder
MOUNT = "mount -t tmpfs lib /var/lib; mkdir /var/lib/waagent; mount -t tmpfs -o {} state /var/lib/waagent\n"


@pytest.mark.parametrize(
    ("options", "then", "expected"),
    [
        ("size=64k", "dd if=/dev/zero of=/var/lib/waagent/x 2>/dev/null || :", (True, False, False, False)),
        ("nr_inodes=9", "(cd /var/lib/waagent; touch 1 2 3 4 5 6 7 8 9 2>/dev/null || :)",
         (False, True, False, False)),
        ("ro", "", (False, False, True, False)),
        ("noexec", "", (False, False, False, True)),
        ("size=64m", "", (False, False, False, False)),
    ],
)  # fmt: skip
def test_disks(guest: Guest, options: str, then: str, expected: tuple[bool, bool, bool, bool]) -> None:
    guest.more = MOUNT.format(options) + then
    facts = guest.probe()
    [disk] = [disk for disk in facts.agent_disks() if disk.mount == "/var/lib/waagent"]
    assert (disk.full, disk.out_of_inodes, disk.read_only, disk.no_exec) == expected
