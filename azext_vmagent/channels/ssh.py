"""SSH: the user's own OpenSSH client, with their keys, agent, known hosts, jump hosts and configuration.

Nothing is asked (BatchMode) and nothing is accepted on the user's behalf: an unknown host key is a result that says so.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from azext_vmagent.channels.open_requests import OpenRequest, OpenRequests
from azext_vmagent.evidence.asking import NotAsked, Said, SourceFailed, one_line
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.run_command import is_powershell
from azext_vmagent.facts.ssh_words import NO_CLIENT, Login, is_refusal, ssh_failure
from azext_vmagent.model import State

CONNECT_SECONDS = 10
#: connecting, a slow sudo and the probe's 8 s; a guest that hangs after the login leaves time for the other ways in
PATIENCE_SECONDS = 45.0
#: larger than any answer of the probe by far; what comes beyond is not read into memory
LIMIT_BYTES = 64 * 1024
_LONGEST_REFUSAL = 2000

#: root runs the script as it comes on stdin; everyone else through sudo, which must not ask
_REMOTE = "sh -c 'if [ \"$(id -u)\" = 0 ]; then exec sh -s; else exec sudo -n sh -s; fi'"
#: OpenSSH for Windows hands a command to cmd or to PowerShell, whichever is set: a coded one reads the same to both,
#: and ``-Command -`` would stop at the first incomplete line. What comes on stdin is $input, line by line
_READ_STDIN = "& ([scriptblock]::Create([string]::Join([string][char]10, @($input))))"
_CODED = base64.b64encode(_READ_STDIN.encode("utf-16-le")).decode()
_REMOTE_POWERSHELL = f"powershell -NoProfile -NonInteractive -EncodedCommand {_CODED}"


@dataclass(frozen=True)
class SshLogin:
    """How to log in. ``host`` is an address or an alias of the user's SSH configuration, or of ``config``."""

    host: str
    user: str
    port: int | None = None
    key: str | None = None
    config: str | None = None

    @property
    def shown(self) -> str:
        """user@host:port for people."""
        return f"{self.user}@{self.host}" + (f":{self.port}" if self.port else "")


def ssh_command(login: SshLogin, client: str, deadline: Deadline, remote: str = _REMOTE) -> list[str]:
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
    command = [client, "-T"] + (["-F", login.config] if login.config else [])
    command += [part for option in options for part in ("-o", option)]
    if login.port:
        command += ["-p", str(login.port)]
    if login.key:
        command += ["-i", login.key]
        command += [part for file in _certificates(login.key) for part in ("-o", f"CertificateFile={_quoted(file)}")]
    return [*command, "-l", login.user, "--", login.host, remote]


def _certificates(key: str) -> list[str]:
    """Those that ``az ssh cert`` and ``az ssh config`` write beside a key; ssh itself finds only ``KEY-cert.pub``."""
    return [file for file in (f"{key}-aadcert.pub", f"{key}.pub-aadcert.pub") if Path(file).is_file()]


def _quoted(path: str) -> str:
    """A path as a value of ``-o``, which is read like a line of the configuration: blanks end it, % expands."""
    return '"' + path.replace("%", "%%") + '"'


def run(login: SshLogin, script: str, deadline: Deadline, requests: OpenRequests) -> Said:
    """Run a script as root in the guest; (line for people, its stdout). Raises SourceFailed, NotAsked."""
    client = shutil.which("ssh")
    if client is None:
        raise NotAsked(NO_CLIENT)
    remote = _REMOTE_POWERSHELL if is_powershell(script) else _REMOTE
    code, out, err = _call(ssh_command(login, client, deadline, remote), script.encode(), deadline, requests)
    if deadline.remaining() == 0:
        raise SourceFailed(State.TIMED_OUT, f"{login.shown} did not finish in time")
    if out and code != 255 and not _turned_away(out):
        return _rights(login, remote), out
    raise _failure(login, code, err, out)


def _rights(login: SshLogin, remote: str) -> str:
    if remote == _REMOTE_POWERSHELL:
        return "logged in; the probe says with which rights"
    return "root" if login.user == "root" else "root through sudo"


def _turned_away(out: str) -> bool:
    """Whether this is what a shell says that turns logins away: the probe says more, and says its name."""
    return len(out) < _LONGEST_REFUSAL and "vmagent-probe" not in out and is_refusal(out)


def _call(command: list[str], stdin: bytes, deadline: Deadline, requests: OpenRequests) -> tuple[int, str, str]:
    """(exit code, stdout, stderr), both cut at LIMIT_BYTES: a hostile guest may write without end."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
            start_new_session=True,  # without a terminal: a jump host's client, which knows no BatchMode, cannot ask
        ) as process,
        requests.held(OpenRequest(lambda: "", lambda _: _killed(process))),
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


def _killed(process: subprocess.Popen[bytes]) -> str:
    process.kill()
    return ""


def _failure(login: SshLogin, code: int, stderr: str, stdout: str) -> SourceFailed:
    found = ssh_failure(Login(login.host, login.shown, by_hand(login), login.port or 22), stderr, stdout, code)
    said = one_line(found.said or stderr or stdout, 160)
    return SourceFailed(found.state, f"{found.step}: {found.words}" + (f" («{said}»)" if said else ""))


def by_hand(login: SshLogin) -> str:
    """The command that a person would type for the same login."""
    parts = ["ssh"] + (["-F", login.config] if login.config else []) + ["-l", login.user]
    parts += ["-p", str(login.port)] if login.port else []
    parts += ["-i", login.key] if login.key else []
    return shlex.join([*parts, login.host])
