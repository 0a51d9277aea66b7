"""Drives a laboratory the way a person does, through ``python -m lab``, with the extension installed from its wheel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.control import ask
from lab.home import Home

ROOT = Path(__file__).parent.parent
RECORDINGS = ROOT / "lab" / "recordings"
EXTENSIONS = ROOT / "build" / "extensions"


@dataclass
class Call:
    """What one `az` call gave."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    def document(self) -> Any:
        """The object on stdout; a call that printed none, or anything besides it, fails the test with all it said.

        A repair that did not come about ends with 1, and its object says so.
        """
        assert self.code == 0 or (self.code == 1 and self.stdout), self
        found = json.loads(self.stdout)
        repairs = [row.get("repair") for row in (found if isinstance(found, list) else [found])]
        assert self.code == 0 or any(repairs), self
        return found


class Laboratory:
    """One laboratory in a state folder of its own."""

    def __init__(self, state: Path) -> None:
        self._home = Home(state)
        self._answer = state.parent / f"{state.name}-ssh-answer"
        self.environment = {
            **os.environ,
            "VMAGENT_LAB_HOME": str(state),
            "VMAGENT_LAB_EXTENSIONS": str(EXTENSIONS),
            "VMAGENT_LAB_SSH_ANSWER": str(self._answer),
        }

    def lab(self, *arguments: str) -> str:
        done = self._run(arguments)
        assert done.code == 0, done
        return done.stdout

    def az(self, *arguments: str, login: str | None = None) -> Call:
        return self._run(["az", *(["--login", login] if login else []), *arguments])

    def diagnose(self, name: str, *arguments: str) -> dict[str, Any]:
        """The document of one VM; a traceback of the command fails the test, one that it quotes stands indented."""
        call = self.az("vm", "agent-diagnose", "-g", "lab", "-n", name, "-o", "json", *arguments)
        assert not re.search(r"^(\S+: )?Traceback", call.stderr, re.MULTILINE), call.stderr
        document: dict[str, Any] = call.document()
        return document

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """vm1 with this fault, healed again whatever happens."""
        self.lab("fault", name)
        try:
            yield
        finally:
            self.lab("heal")

    def inside(self, *arguments: str) -> dict[str, Any]:
        """The document of a diagnosis of vm1 through SSH, whose probe must have kept to its size and time.

        The bound of the time is the probe's own, read from its last line: the machine may be slow, the probe may not.
        """
        self._answer.unlink(missing_ok=True)
        document = self.diagnose("vm1", "--ssh-user", "azureuser", *arguments)
        answer = self._answer.read_bytes() if self._answer.exists() else b""
        assert len(answer) <= 4096, f"the probe's answer has {len(answer)} bytes"
        last = answer.decode("ascii").splitlines()[-1:] or [""]
        if answer:
            assert last[0].startswith("end "), last
            assert float(last[0].split()[1]) <= 8, last
        document["answerBytes"] = len(answer)
        return document

    def in_guest(self, command: str, seconds: float = 60) -> str:
        """What a command printed that ran as root through the side door; its exit code is not looked at."""
        _code, output = ask(self._home.control, "shell", command=command, timeout=seconds)
        return str(output)

    def status(self, name: str = "vm1") -> dict[str, Any]:
        seen = ask(self._home.control, "status")
        found: dict[str, Any] = next(vm for vm in seen["vms"] if vm["name"] == name)
        return found

    def wait_for_agent(self, wanted: str, seconds: float = 180) -> None:
        """Until the stand-in computes that status from what the agent uploads."""
        end = time.monotonic() + seconds
        while self.status()["agent"] != wanted:
            assert time.monotonic() < end, f"the agent did not become {wanted}: {self.status()}"
            time.sleep(0.5)

    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lab("journal").splitlines()]

    def _run(self, arguments: Any) -> Call:
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "lab", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Call(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


@contextmanager
def laboratory(state: Path, *arguments: str) -> Iterator[Laboratory]:
    """One that is up, and taken down again whatever happens."""
    made = Laboratory(state)
    made.lab("up", *arguments)
    try:
        yield made
    finally:
        made.lab("down")


@contextmanager
def recorded_laboratory(state: Path, *names: str) -> Iterator[Laboratory]:
    """One with these recordings as its VMs, for the real az with the installed wheel."""
    assert EXTENSIONS.exists(), "the extension is not installed; make extension does it"
    vms = (part for name in names for part in ("--vm", f"{name}={RECORDINGS / name}"))
    with laboratory(state, "--guest", "recorded", *vms) as made:
        yield made


def ssh_login(lab: Laboratory, name: str) -> list[str]:
    """The options that lead into a recorded guest."""
    return ["--ssh-user", "azureuser", "--ssh-port", str(lab.status(name)["sshPort"])]


def offered(document: dict[str, Any]) -> str:
    """The commands that a diagnosis offers as next steps, one a line; the repair may stand before what is done by hand."""
    return "\n".join(step["command"] or "" for step in document["verdict"]["nextSteps"][:2])


def run_commands(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The requests that would have run something in the guest."""
    return [r for r in requests if r["method"] in ("POST", "PUT") and "/runcommand" in r["path"].lower()]


def guest_round_trips(requests: list[dict[str, Any]]) -> list[str]:
    """Each time that something was run in a guest, whichever way."""
    through_ssh = ["ssh" for r in requests if r.get("server") == "ssh"]
    through_agent = [
        "managed" if r["method"] == "PUT" else "action" for r in run_commands(requests) if r["status"] < 300
    ]
    return through_ssh + through_agent


def arm_calls(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The calls to ARM itself, without tokens and blobs."""
    return [r for r in requests if r["path"].startswith("/subscriptions/")]


def cause(document: dict[str, Any]) -> dict[str, Any]:
    """The cause that the verdict names; empty when it names none."""
    return document["verdict"]["cause"] or {}


def scenario(document: dict[str, Any]) -> str:
    found: str = document["verdict"]["scenario"]
    return found


def said(document: dict[str, Any]) -> str:
    """All that the verdict's evidence says, for looking for a phrase."""
    verdict = document["verdict"]
    lines = verdict["because"] + verdict["ruledOut"] + verdict["notChecked"]
    return "\n".join(f"{line['what']} {line['excerpt'] or ''}" for line in lines)
