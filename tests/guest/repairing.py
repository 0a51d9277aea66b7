"""A guest to repair: a network of its own, and a mount namespace of its own for its record, its units and its tools."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from azext_vmagent.facts.guest import GuestFacts, parse_probe
from azext_vmagent.guest import probe_script, repair_program
from azext_vmagent.repair.record import RepairRecord, parse_record
from azext_vmagent.repair.script import plan_id, repair_script, resume_script, undo_script, wrapped
from tests.guest.namespace import NamespaceGuest, namespace_guest

BASE = "/var/lib/azure-vmagent"
_SETUP = """
mount --make-rprivate /
mount -t tmpfs lib /var/lib
mount -t tmpfs run /run
mkdir -p /run/tools
echo up
exec sleep 600
"""


@dataclass(frozen=True)
class Act:
    kind: str
    arguments: tuple[str, ...] = ()


def act(kind: str, *arguments: str) -> Act:
    return Act(kind, arguments)


class RepairGuest:
    """Commands run as root in the guest; ``/run/tools`` comes first on the PATH, for tools that the guest shall have."""

    def __init__(self, network: NamespaceGuest, network_pid: int, pid: int) -> None:
        self.network = network
        self._enter = ["nsenter", "-t", str(network_pid), "-n", "nsenter", "-t", str(pid), "-m"]
        self.path = "/run/tools:/usr/sbin:/usr/bin:/sbin:/bin"

    def run(self, shell: str, text: str, **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._enter, *shell.split()], input=text, capture_output=True, text=True, check=False, timeout=60,
            env={"PATH": self.path}, **more,
        )  # fmt: skip

    def sh(self, script: str) -> str:
        ran = self.run("sh -e", script)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def start(self, text: str, shell: str = "dash") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*self._enter, *shell.split()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={"PATH": self.path},
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(text)
        process.stdin.close()
        process.stdin = None
        return process

    def tool(self, name: str, script: str) -> None:
        """A program of the guest, by its sh text."""
        self.sh(
            f"cat >/run/tools/{name} <<'END_OF_TOOL'\n#!/bin/sh\n{script}\nEND_OF_TOOL\nchmod 755 /run/tools/{name}"
        )

    def send(self, text: str, shell: str = "dash") -> RepairRecord:
        ran = self.run(shell, text)
        assert len(ran.stdout.encode()) <= 4096
        assert ran.stderr == "", ran.stderr
        record = parse_record(ran.stdout)
        assert record.whole, ran.stdout
        assert (ran.returncode == 0) == (record.result.value in ("applied", "nothing-to-do", "undone")), ran.stdout
        return record

    def repair(self, *actions: Act, shell: str = "dash", watchdog: int = 60) -> RepairRecord:
        return self.send(repair_script(actions, watchdog), shell)

    def undo(self, shell: str = "dash") -> RepairRecord:
        return self.send(undo_script(), shell)

    def resume(self, shell: str = "dash") -> RepairRecord:
        return self.send(resume_script(), shell)

    def killed(self, actions: Sequence[Act], at: str, watchdog: int = 60) -> None:
        """Send the actions, the program being killed as it is about to write this word, or (``+``) has written it."""
        self.killed_while(repair_script(actions, watchdog), at)

    def killed_while(self, script: str, at: str) -> None:
        """The same for any script."""
        test = f'[ "$*" != {shlex.quote(at.strip("+"))} ] || {{ : >/run/killed; kill -9 $$; }}\n'
        write = 'printf \'%s\\n\' "$*" >>"$dir/state"\n'
        program = repair_program()
        line = 'mark() { printf \'%s\\n\' "$*" >>"$dir/state"; }\n'
        assert line in program
        program = program.replace(line, "mark() {\n" + (write + test if at.endswith("+") else test + write) + "}\n")
        plan = script.partition("<<'END_OF_VMAGENT_PLAN'\n")[2].partition("\nEND_OF_VMAGENT_PLAN")[0]
        ran = self.run("dash", wrapped(program, plan.split("\n")))
        assert self.sh("rm /run/killed && echo yes") == "yes\n", ran

    def look(self) -> GuestFacts:
        """What the probe says of the guest."""
        facts = parse_probe(self.run("dash", probe_script()).stdout)
        assert facts.complete
        return facts

    def state(self, actions: Sequence[Act], attempt: str = "") -> list[str]:
        return self.sh(f"cat {BASE}/repairs/{plan_id(actions)}{attempt}/state").split("\n")[:-1]

    def rules(self) -> str:
        """All rules and routes, without counters and handles."""
        listing = "iptables-save; nft list ruleset; ip -4 route show table all; ip -4 rule"
        if Path("/usr/sbin/iptables-legacy-save").exists():
            listing += "; ! grep -q . /proc/net/ip_tables_names || iptables-legacy-save"
        return self.sh(f"({listing}) | sed '/^#/d; s/^\\(:[^[]*\\)\\[.*/\\1/; s/packets [0-9]* bytes [0-9]*//'")

    def blocked(self) -> frozenset[int]:
        return self.network.blocked()

    def wait_for(self, script: str, seconds: float = 10) -> None:
        """Until the script succeeds in the guest."""
        end = time.monotonic() + seconds
        while self.run("sh -e", script).returncode:
            assert time.monotonic() < end, script
            time.sleep(0.1)


@contextmanager
def repair_guest() -> Iterator[RepairGuest]:
    with namespace_guest() as network:
        network_pid = int(network._enter[2])
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-ec", _SETUP], stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]}
        )
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "up\n"
            yield RepairGuest(network, network_pid, process.pid)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


if sys.platform != "linux":
    raise RuntimeError("a guest of namespaces wants Linux")
