"""The OpenSSH client as a user of the laboratory has it set up: the guests' keys and known hosts.

OpenSSH takes its folder from the password database and not from ``$HOME``, and the user's own must not be touched; so
an ``ssh`` that names a configuration of ours comes first on the path of whoever works in the laboratory.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

#: what a guest answers can be kept byte for byte, to see what the product got; ssh's own exit code stays
_WRAPPER = """#!/bin/sh
[ -n "$VMAGENT_LAB_SSH_ANSWER" ] || exec {ssh} -F {config} "$@"
{{ {ssh} -F {config} "$@"; echo $? >"$VMAGENT_LAB_SSH_ANSWER.code"; }} | tee "$VMAGENT_LAB_SSH_ANSWER"
exit "$(cat "$VMAGENT_LAB_SSH_ANSWER.code")"
"""


def prepare(folder: Path, guests: Sequence[tuple[str, str]]) -> Path:
    """Write configuration and wrapper for ``guests`` (address, private key file); the folder to put on the path.

    Without a client here the folder stays empty, and the product finds none either.
    """
    real = shutil.which("ssh")
    binaries = folder / "bin"
    binaries.mkdir(parents=True, exist_ok=True)
    if real is None:
        return binaries
    config = folder / "ssh_config"
    config.write_text("".join(_host(folder, address, key) for address, key in guests))
    wrapper = binaries / "ssh"
    if Path(real) != wrapper:
        wrapper.write_text(_WRAPPER.format(ssh=shlex.quote(real), config=shlex.quote(str(config))))
        wrapper.chmod(0o755)
    return binaries


def _host(folder: Path, address: str, key: str) -> str:
    """A guest's key is made with the laboratory, so the first one seen is the right one."""
    return (
        f"Host {address}\n  IdentityFile {key}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n  StrictHostKeyChecking accept-new\n"
    )
