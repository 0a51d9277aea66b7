"""``make demo``: what a user sees. Recorded guests, the real `az`, the extension installed from its wheel.

Every command runs on a pseudo terminal, so that what is shown is what a person gets, colours and all.
"""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RECORDINGS = Path(__file__).parent / "recordings"

#: without a client nobody can log in to a guest whose agent is silent, and what only a look inside tells stays open
_SSH = shutil.which("ssh") is not None

#: VM name, recording, what happened to it, the scenario that has to come out
STORIES = (
    ("web-01", "agent-stopped", "somebody stopped the agent", "agent-stopped" if _SSH else "uncertain"),
    (
        "web-02",
        "wire-server-firewalld",
        "a firewall rule drops 168.63.129.16",
        "wire-server-blocked" if _SSH else "uncertain",
    ),
    ("web-03", "nic-down", "the network interface was taken down", "network-down"),
    ("web-04", "fstab-emergency", "a bad line in /etc/fstab, then a reboot", "os-not-running"),
    ("web-05", "healthy", "nothing is wrong", "healthy"),
)

#: VM name, what is shown, whether somebody logs in, how it has to end
PLANS = (
    ("web-01", "what would start the agent again", True, "planned" if _SSH else "refused"),
    ("web-02", "what would remove the rule, and nothing but it", True, "planned" if _SSH else "refused"),
    ("web-02", "without a look inside the repair refuses, and says what would settle it", False, "refused"),
)


def main() -> int:
    """Show every story and every plan, and check how each ends; the number of wrong ones."""
    with tempfile.TemporaryDirectory(prefix="vmagent-demo-") as folder:
        environment = {**os.environ, "VMAGENT_LAB_HOME": str(Path(folder) / "lab")}
        started = time.monotonic()
        with _laboratory(environment):
            wrong = sum(_tell(environment, *story) for story in STORIES)
            _together(environment)
            unexpected = sum(_plan(environment, *story) for story in PLANS)
        right, seconds = len(STORIES) - wrong, time.monotonic() - started
        print(f"\n{right} of {len(STORIES)} verdicts as expected, {len(PLANS) - unexpected} of {len(PLANS)} plans,")
        print(f"{seconds:.0f} s in all")
        if not _SSH:
            print(
                "\nThere is no ssh on this machine, so nobody looked inside: install openssh-client for the whole story"
            )
    return wrong + unexpected


@contextmanager
def _laboratory(environment: dict[str, str]) -> Iterator[None]:
    guests = [part for name, recording, *_ in STORIES for part in ("--vm", f"{name}={_RECORDINGS / recording}")]
    _say("A stand-in Azure with recorded guests; each was recorded from a real one with the real agent.")
    subprocess.run([*_lab(), "up", "--guest", "recorded", *guests], env=environment, check=True)
    try:
        yield
    finally:
        subprocess.run([*_lab(), "down"], env=environment, check=False)


def _tell(environment: dict[str, str], name: str, _recording: str, story: str, expected: str) -> int:
    _say(f"{name}: {story}")
    port = _ssh_port(environment, name)
    command = ["vm", "agent-diagnose", "-g", "lab", "-n", name, "--ssh-user", "azureuser", *port]
    print(f"$ az {shlex.join(command)}", flush=True)
    _on_a_terminal([*_lab(), "az", *command], environment)
    asked = [*_lab(), "az", *command, "--query", "verdict.scenario", "-o", "tsv", "--only-show-errors"]
    said = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False).stdout.strip()
    if said != expected:
        print(f"!! expected {expected}, got {said or 'nothing'}")
    return int(said != expected)


def _plan(environment: dict[str, str], name: str, story: str, login: bool, expected: str) -> int:
    """The repair's plan. To carry one out takes a guest that changes: the real one (``python -m lab up``)."""
    _say(f"{name}: {story} (shown only: a recorded guest cannot be changed)")
    inside = ["--ssh-user", "azureuser", *_ssh_port(environment, name)] if login else []
    command = ["vm", "agent-diagnose", "-g", "lab", "-n", name, *inside, "--repair", "--dry-run"]
    print(f"$ az {shlex.join(command)}", flush=True)
    asked = [*_lab(), "az", *command, "--query", "repair.outcome", "-o", "tsv"]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    shown = done.stderr.rstrip().splitlines()
    start = next((at for at, line in enumerate(shown) if line.startswith(("Plan (", "No repair"))), 0)
    print("\n".join(["", *shown[start:]]), flush=True)
    if done.stdout.strip() != expected:
        print(f"!! expected {expected}, got {done.stdout.strip() or 'nothing'}")
    return int(done.stdout.strip() != expected)


def _together(environment: dict[str, str]) -> None:
    _say("All at once, for a script")
    listed = [*_lab(), "az", "vm", "list", "-g", "lab", "--query", "[].id", "-o", "tsv"]
    ids = subprocess.run(listed, env=environment, capture_output=True, text=True, check=True).stdout.split()
    print('$ az vm agent-diagnose --ids $(az vm list -g lab --query "[].id" -o tsv) -o table', flush=True)
    command = [*_lab(), "az", "vm", "agent-diagnose", "--ids", *ids, "-o", "table", "--only-show-errors"]
    subprocess.run(command, env=environment, check=True)


def _ssh_port(environment: dict[str, str], name: str) -> list[str]:
    """Without root the recorded SSH server cannot have port 22."""
    seen = subprocess.run([*_lab(), "status", "--json"], env=environment, capture_output=True, text=True, check=True)
    port = next(vm["sshPort"] for vm in json.loads(seen.stdout)["vms"] if vm["name"] == name)
    return [] if port == 22 else ["--ssh-port", str(port)]


def _on_a_terminal(command: list[str], environment: dict[str, str]) -> None:
    """Run with a pseudo terminal as its streams and pass on what it writes."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                break
            if not data:
                break
            sys.stdout.buffer.write(data.replace(b"\r\n", b"\n"))
            sys.stdout.flush()
        process.wait()
    os.close(ours)


def _lab() -> list[str]:
    return [sys.executable, "-m", "lab"]


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
