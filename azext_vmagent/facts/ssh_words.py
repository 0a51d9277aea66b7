"""What an OpenSSH client, the server or the guest's shell said when no answer came: which step failed, and what next.

Pure. Steps in their order: name, reach, jump host, handshake, host key, login, shell, sudo. The texts are OpenSSH's,
sudo's and shadow's own; what is not recognised stays as it was said.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from azext_vmagent.model import State

NO_CLIENT = "no ssh client on this machine"


@dataclass(frozen=True)
class Login:
    """What the sentences are filled with: who logs in where, and the command that a person would type."""

    host: str
    shown: str
    by_hand: str
    port: int = 22

    @property
    def is_tunnel(self) -> bool:
        """The near end of a tunnel: its key is another machine's."""
        return self.host in ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class SshFailure:
    """``step`` that failed, how that counts, and what to do, in one sentence; ``said`` is the line that tells it."""

    step: str
    state: State
    words: str
    said: str = ""


Words = Callable[[Login, re.Match[str]], str]

_CLOSED_EARLY = re.compile(r"kex_exchange_identification|UNKNOWN port 65535|banner exchange: Connection to UNKNOWN")
_CONNECT_TO = re.compile(r"connect to host (?P<host>\S+) port")
_ADDRESS = re.compile(r"[0-9.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*")
_FORWARDED = re.compile(r"(?:channel \d+: )?open failed: (?P<why>.*)|stdio forwarding failed")


def ssh_failure(login: Login, stderr: str, stdout: str, exit_code: int) -> SshFailure:
    """Which step failed. ``stdout`` is what came instead of an answer: a shell that turns logins away prints there."""
    found = _match(login, stderr, _CONNECTING if exit_code == 255 else ()) or _match(
        login, f"{stderr}\n{stdout}", _LOGGED_IN
    )
    if found is None and exit_code != 255:
        said = "it said nothing" if not (stdout + stderr).strip() else ""
        return SshFailure(
            "shell", State.FAILED, f"{login.shown} was let in and ended with {exit_code}; {said}".rstrip("; ")
        )
    forwarded = _FORWARDED.search(stderr)
    if forwarded:
        why = forwarded["why"] or "it does not forward"
        words = f"the jump host let you in, but does not reach {login.host} from there ({why})"
        return SshFailure("jump host", State.FAILED, words, _line(stderr, forwarded))
    if found is not None and found.step in _BEFORE_THE_TARGET and _was_a_jump_host(login, stderr, found.said):
        words = f"a jump host of your SSH configuration fails, not {login.host} ({found.step}): {found.words}"
        return SshFailure("jump host", State.FAILED, words, found.said)
    return found or SshFailure("ssh", State.FAILED, f"{login.shown}: ssh ended with {exit_code}")


def _was_a_jump_host(login: Login, stderr: str, said: str) -> bool:
    """The client lost its proxy as well, or names another host than the address that it was given.

    The first line is missing now and then: the client may end before it notices.
    """
    named = _CONNECT_TO.search(said)
    another = named is not None and _ADDRESS.fullmatch(login.host) is not None and named["host"] != login.host
    return another or _CLOSED_EARLY.search(stderr.replace(said, "")) is not None


def is_refusal(stdout: str) -> bool:
    """Whether this is what stands in place of a shell.

    >>> is_refusal("This account is currently not available.\\n"), is_refusal("hello\\n")
    (True, False)
    """
    return any(step == _SHELL and re.search(pattern, stdout, re.IGNORECASE) for pattern, step, _, _ in _LOGGED_IN)


def _match(login: Login, text: str, rules: tuple[tuple[str, str, State, Words], ...]) -> SshFailure | None:
    for pattern, step, state, words in rules:
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            return SshFailure(step, state, words(login, found), _line(text, found))
    return None


def _line(text: str, found: re.Match[str]) -> str:
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    return text[start : end if end >= 0 else len(text)].strip()


def _plain(words: str) -> Words:
    return lambda login, _: words.format(login=login.shown, host=login.host, by_hand=login.by_hand, port=login.port)


def _unknown_key(login: Login, _: re.Match[str]) -> str:
    if login.is_tunnel:
        return (
            f"the key behind the tunnel {login.host}:{login.port} is not known here; connect once by hand: "
            f"{login.by_hand} (a HostKeyAlias of its own in your SSH configuration keeps tunnels to several VMs apart)"
        )
    return (
        f"the key of {login.host} is not known here; connect once by hand and compare the fingerprint: {login.by_hand} "
        f"(ssh-keyscan -p {login.port} {login.host} would trust whoever answers now)"
    )


def _changed_key(login: Login, _: re.Match[str]) -> str:
    if login.is_tunnel:
        return (
            f"the key behind {login.host}:{login.port} is not the one known for this tunnel: another VM was there "
            "before? Give this one a HostKeyAlias of its own in your SSH configuration"
        )
    name = login.host if login.port == 22 else f"[{login.host}]:{login.port}"
    return (
        f"the key of {login.host} is not the one known here: reinstalled, another VM at this address, or somebody in "
        f"between. Compare the fingerprint; ssh-keygen -R '{name}' forgets the old one"
    )


def _offered(login: Login, found: re.Match[str]) -> str:
    methods = found["methods"]
    more = "" if "publickey" in methods else "; keys are not among them, so nothing can be done without asking you"
    return (
        f"none of your keys lets {login.shown} in; the server offers {methods}{more}. --ssh-key names another key; a "
        f"certificate of az ssh cert ends after an hour. {login.by_hand} -v shows what is tried"
    )


_NAME, _REACH, _HANDSHAKE, _KEY, _LOGIN = "name", "reach", "handshake", "host key", "login"
_BEFORE_THE_TARGET = (_NAME, _REACH, _KEY, _LOGIN)
_CONNECTING = (
    (r"Bad configuration option|Can't open user config file|terminating, \d+ bad configuration", "configuration",
     State.FAILED, _plain("your SSH configuration cannot be used, {host} was not asked")),
    (r"Could not resolve hostname", _NAME, State.FAILED,
     _plain("{host} is no name that resolves here: --ssh-host takes an address, or a Host of your SSH configuration")),
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key for .* has changed", _KEY, State.DENIED, _changed_key),
    (r"Host key verification failed|No \w+ host key is known", _KEY, State.DENIED, _unknown_key),
    (r"Unable to negotiate with .*", _HANDSHAKE, State.FAILED,
     _plain("{host} is alive, but it and your client share no algorithm")),
    (r"Not allowed at this time|Exceeded MaxStartups", _HANDSHAKE, State.FAILED,
     _plain("{host} turns new connections away for now (MaxStartups or PerSourcePenalties): ask again in a minute")),
    (r"System is booting up|pam_nologin|System is going down", _LOGIN, State.DENIED,
     _plain("{host} lets nobody in while it boots or shuts down (/run/nologin): ask again in a minute")),
    (r"Permissions \d+ for .* are too open|bad permissions", _LOGIN, State.DENIED,
     _plain("the key file may be read by others, so the client does not use it: chmod 600 on it")),
    (r"Load key .*: |no such identity|invalid format|error in libcrypto|incorrect passphrase", _LOGIN, State.DENIED,
     _plain("the key file cannot be used as it is; one with a passphrase goes into ssh-agent first: ssh-add KEYFILE")),
    (r"Too many authentication failures", _LOGIN, State.DENIED,
     _plain("ssh-agent offered more keys than the server takes: --ssh-key KEYFILE offers the right one first")),
    (r"agent refused operation|signing failed", _LOGIN, State.DENIED,
     _plain("ssh-agent holds the key and does not sign with it: it may want a confirmation, or a touch")),
    (r"Permission denied \((?P<methods>[^)]*)\)", _LOGIN, State.DENIED, _offered),
    (r"password (has )?expired|Password change required", _LOGIN, State.DENIED,
     _plain("the password of {login} has expired, and the server wants a new one first: {by_hand}")),
    (r"timed out during banner exchange|banner exchange.*timed out", _REACH, State.TIMED_OUT,
     _plain("{host} takes the connection and says nothing: its network stack lives, its SSH server hangs")),
    (r"timed out", _REACH, State.TIMED_OUT,
     _plain("{host}:{port} does not answer: nothing of it came back, neither yes nor no")),
    (r"Connection refused", _REACH, State.FAILED,
     _plain("{host}:{port} refuses: a live network stack, and no SSH server on that port (--ssh-port)")),
    (r"No route to host|Network is unreachable|Permission denied", _REACH, State.FAILED,
     _plain("no way from here to {host}: a private address takes a VPN, a jump host or a tunnel (--ssh-host)")),
    (r"Connection reset|Connection closed|kex_exchange_identification", _HANDSHAKE, State.FAILED,
     _plain("{host} takes the connection and drops it before the handshake: its server is overloaded (MaxStartups), "
            "forbids this address, or a load balancer has nobody behind it")),
)  # fmt: skip
_SHELL, _SUDO = "shell", "sudo"
_LOGGED_IN = (
    (r"Please login as the user \"?(?P<user>[\w.-]+)\"? rather than", _SHELL, State.DENIED,
     lambda login, found: f"{login.shown} is only let in to be sent away: --ssh-user {found['user']}"),
    (r"account is currently not available|This account is disabled", _SHELL, State.DENIED,
     _plain("{login} was let in and has no shell (nologin): another --ssh-user")),
    (r"sftp connections only|PTY allocation request failed|forced command|no interactive|restricted to", _SHELL,
     State.DENIED, _plain("{login} was let in, but a forced command answers in place of a shell: another --ssh-user")),
    (r"is not recognized as an internal or external command|CommandNotFoundException", _SHELL, State.FAILED,
     _plain("{login} was let in, and the shell is Windows' own: the sh probe cannot run there")),
    (r"Password change required|password has expired", _LOGIN, State.DENIED,
     _plain("the password of {login} has expired, and the guest wants a new one first: {by_hand}")),
    (r"sudo: (command )?not found|sudo: No such file|exec: sudo", _SUDO, State.DENIED,
     _plain("logged in as {login}, but the guest has no sudo: --ssh-user root, if root may log in")),
    (r"must have a tty to run sudo", _SUDO, State.DENIED,
     _plain("logged in as {login}, but sudo wants a terminal (requiretty in sudoers)")),
    (r"is not in the sudoers file|not allowed to (run|execute)|may not run sudo", _SUDO, State.DENIED,
     _plain("logged in as {login}, but this user may not use sudo: another --ssh-user")),
    (r"sudo: .*(password|terminal) is required|sudo: no password|askpass", _SUDO, State.DENIED,
     _plain("logged in as {login}, but sudo would ask for a password: a user with NOPASSWD, root, or by hand with "
            "--print-probe")),
    (r"sudo: .*account|expired", _SUDO, State.DENIED,
     _plain("logged in as {login}, but sudo says that the account is locked or has expired")),
    (r"^sudo: ", _SUDO, State.DENIED, _plain("logged in as {login}, but sudo fails")),
)  # fmt: skip
