"""SSH: the user's own OpenSSH client, with their keys, agent, known hosts, jump hosts and configuration.

Nothing is asked (BatchMode) and nothing is accepted on the user's behalf: an unknown host key is a result that says so.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass

from azext_vmagent.evidence.asking import NotAsked, Said, SourceFailed, one_line
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import State

CONNECT_SECONDS = 10
#: larger than any answer of the probe by far; what comes beyond is not read into memory
LIMIT_BYTES = 64 * 1024

#: root runs the script as it comes on stdin; everyone else through sudo, which must not ask
_REMOTE = "sh -c 'if [ \"$(id -u)\" = 0 ]; then exec sh -s; else exec sudo -n sh -s; fi'"

_SUDO = re.compile(r"^sudo: |is not in the sudoers file|sudo: not found", re.MULTILINE)
_FAILURES = (
    (
        re.compile(r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|No \w+ host key is known"),
        State.DENIED,
    ),
    (re.compile(r"Permission denied [(]|Too many authentication failures|no such identity|Load key"), State.DENIED),
    (re.compile(r"timed out", re.IGNORECASE), State.TIMED_OUT),
)


@dataclass(frozen=True)
class SshLogin:
    """How to log in. ``host`` is an address or an alias of the user's SSH configuration."""

    host: str
    user: str
    port: int | None = None
    key: str | None = None

    @property
    def shown(self) -> str:
        """user@host:port for people."""
        return f"{self.user}@{self.host}" + (f":{self.port}" if self.port else "")


def ssh_command(login: SshLogin, client: str, deadline: Deadline) -> list[str]:
    """The OpenSSH call as an argument list; user and host are data, never options."""
    connect = max(1, min(CONNECT_SECONDS, int(deadline.remaining())))
    options = [
        "BatchMode=yes",
        f"ConnectTimeout={connect}",
        "LogLevel=ERROR",
        "RequestTTY=no",
        "ForwardAgent=no",
        "ClearAllForwardings=yes",
    ]
    command = [client, "-T"] + [part for option in options for part in ("-o", option)]
    if login.port:
        command += ["-p", str(login.port)]
    if login.key:
        command += ["-i", login.key]
    return [*command, "-l", login.user, "--", login.host, _REMOTE]


def run(login: SshLogin, script: str, deadline: Deadline) -> Said:
    """Run a script as root in the guest; (line for people, its stdout). Raises SourceFailed, NotAsked."""
    client = shutil.which("ssh")
    if client is None:
        raise NotAsked("no ssh client on this machine")
    code, out, err = _call(ssh_command(login, client, deadline), script.encode(), deadline)
    if deadline.remaining() == 0:
        raise SourceFailed(State.TIMED_OUT, f"{login.shown} did not finish in time")
    if out and code != 255:
        return ("root" if login.user == "root" else "root through sudo"), out
    raise _failure(login, code, err)


def _call(command: list[str], stdin: bytes, deadline: Deadline) -> tuple[int, str, str]:
    """(exit code, stdout, stderr), both cut at LIMIT_BYTES: a hostile guest may write without end."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        over = threading.Timer(max(1.0, deadline.remaining()), process.kill)
        over.daemon = True
        over.start()
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # type: ignore[union-attr]
                pipe.write(stdin)
            out = process.stdout.read(LIMIT_BYTES)  # type: ignore[union-attr]
            if len(out) == LIMIT_BYTES:
                process.kill()
            code = process.wait()
        finally:
            process.kill()
            over.cancel()
        errors.seek(0)
        return code, out.decode("utf-8", "replace"), errors.read(LIMIT_BYTES).decode("utf-8", "replace")


def _failure(login: SshLogin, code: int, stderr: str) -> SourceFailed:
    said = one_line(stderr, 160) or f"ssh ended with {code}"
    if _SUDO.search(stderr):
        return SourceFailed(State.DENIED, f"logged in as {login.shown}, but sudo would ask for a password: {said}")
    for pattern, state in _FAILURES:
        if pattern.search(stderr):
            return SourceFailed(state, said if login.host in said else f"{login.shown}: {said}")
    return SourceFailed(State.FAILED, f"{login.shown}: {said}")
