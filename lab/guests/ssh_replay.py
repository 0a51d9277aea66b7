"""A real SSH server that answers exec requests with what a real guest answered.

The OpenSSH client is its judge. It greets as the recorded server did, lets in only the laboratory's key for the
recorded users, and takes the command together with its standard input as the script to look up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lab.guests.recording import Answer
from lab.guests.tcp_port import bind_port, stop_listening

USERS = ("root", "azureuser")
NOT_RECORDED = "recorded guest: nothing recorded for this script"
#: a client that never ends its standard input is taken at its command alone
STDIN_SECONDS = 15
#: the request's own reply must be on the wire before the first byte of output
REPLY_FIRST_SECONDS = 0.05


@dataclass(frozen=True)
class Keys:
    """Files of the laboratory: the private key clients use, and this guest's host key."""

    client: Path
    host: Path

    @classmethod
    def under(cls, state: Path, name: str) -> Keys:
        """Return the keys in the laboratory's state folder, made when they are missing."""
        keys = cls(state / "ssh" / "id", state / "ssh" / f"host-{name}")
        keys.client.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (keys.client, keys.host):
            if not path.exists():
                write_key(path)
        return keys

    def authorised(self) -> str:
        """Return the base64 of the one public key that is let in."""
        return self.client.with_suffix(".pub").read_text().split()[1]


def write_key(path: Path) -> None:
    """A new key pair in OpenSSH's form, the public half in ``path``.pub; a machine without OpenSSH can make it too."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(private)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    path.with_name(f"{path.name}.pub").write_bytes(public + b"\n")


class ReplayServer:
    """Serves ``lookup(user, script)`` on ``address:wanted`` (``port`` says where in the end)."""

    def __init__(
        self,
        address: str,
        wanted: int,
        *,
        greeting: str,
        keys: Keys,
        lookup: Callable[[str, str], Answer | None],
        longest_answer: float,
    ) -> None:
        self._greeting = greeting
        self._keys = keys
        self._lookup = lookup
        self._longest_answer = longest_answer
        self._host_key = paramiko.Ed25519Key(filename=str(keys.host))
        self._transports: list[paramiko.Transport] = []
        self._listener = bind_port(address, wanted)
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, name=f"ssh-{address}", daemon=True).start()

    def close(self) -> None:
        """Stop listening and cut the sessions, as a machine that goes away does."""
        stop_listening(self._listener)
        for transport in self._transports:
            transport.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.local_version = self._greeting
            transport.add_server_key(self._host_key)
            self._transports = [*(t for t in self._transports if t.is_active()), transport]
            with suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(event=threading.Event(), server=_Session(self._keys.authorised(), self._answer))

    def _answer(self, user: str, command: str, channel: paramiko.Channel) -> None:
        with suppress(OSError, EOFError):
            script = command + "\n" + _standard_input(channel)
            answer = self._lookup(user, script) or Answer(match="", exit=127, stderr=NOT_RECORDED + "\n")
            time.sleep(max(REPLY_FIRST_SECONDS, min(answer.seconds, self._longest_answer)))
            channel.sendall(answer.stdout.encode("utf-8", "surrogateescape"))
            channel.sendall_stderr(answer.stderr.encode("utf-8", "surrogateescape"))
            channel.send_exit_status(answer.exit)
        channel.close()


class _Session(paramiko.ServerInterface):  # type: ignore[misc]
    """One client's requests: the laboratory's key, exec, nothing else."""

    def __init__(self, authorised: str, answer: Callable[[str, str, paramiko.Channel], None]) -> None:
        self._authorised = authorised
        self._answer = answer
        self._user = ""

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if username in USERS and key.get_base64() == self._authorised:
            self._user = username
            return int(paramiko.AUTH_SUCCESSFUL)
        return int(paramiko.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_UNKNOWN_CHANNEL_TYPE)

    def check_channel_env_request(self, channel: paramiko.Channel, name: bytes, value: bytes) -> bool:
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        arguments = (self._user, command.decode("utf-8", "replace"), channel)
        threading.Thread(target=self._answer, args=arguments, daemon=True).start()
        return True


def _standard_input(channel: paramiko.Channel) -> str:
    received = bytearray()
    channel.settimeout(STDIN_SECONDS)
    with suppress(TimeoutError):
        while chunk := channel.recv(65536):
            received += chunk
    channel.settimeout(None)
    return received.decode("utf-8", "replace")
