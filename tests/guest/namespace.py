"""A guest in a network namespace of its own, wired to one that holds a tiny Wire Server; never the host's firewall."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from azext_vmagent.facts.guest import GuestFacts, parse_probe
from azext_vmagent.guest import probe_script

WIRE = "168.63.129.16"
AGENT_RULES = f"""
iptables -w -t security -A OUTPUT -d {WIRE} -p tcp --destination-port 53 -j ACCEPT
iptables -w -t security -A OUTPUT -d {WIRE} -p tcp -m owner --uid-owner 0 -j ACCEPT
iptables -w -t security -A OUTPUT -d {WIRE} -p tcp -m conntrack --ctstate INVALID,NEW -j DROP
"""
_NEEDED = ("unshare", "nsenter", "ip", "nft", "iptables", "curl")
_PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
_SERVER = """
import http.server, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *arguments):
        pass
for port in (80, 32526):
    server = http.server.ThreadingHTTPServer(("168.63.129.16", port), Handler)
    threading.Thread(target=server.serve_forever).start()
print("ready", flush=True)
"""


def lacking() -> str:
    """What this machine lacks for these tests, empty when it has all."""
    missing = [tool for tool in _NEEDED if shutil.which(tool) is None]
    return ", ".join(["root"] * (os.geteuid() != 0) + missing)


class NamespaceGuest:
    """The guest: eth0 at 10.0.0.4, default route to the Wire Server's namespace."""

    def __init__(self, pid: int) -> None:
        self._enter = ["nsenter", "-t", str(pid), "-n"]

    def sh(self, script: str) -> str:
        """Run as root in the guest; fails when the script does."""
        command = [*self._enter, "sh", "-ec", script]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=_PATH).stdout

    def answer(self, shell: str, before: str = "") -> str:
        """The probe's text. ``before`` runs first, in a mount namespace of its own."""
        command = [*self._enter, "unshare", "-m", "-p", "-f", "--mount-proc", "sh", "-ec", f"{before}\nexec {shell}"]
        started = time.monotonic()
        ran = subprocess.run(
            command, input=probe_script(), check=True, capture_output=True, text=True, timeout=30, env=_PATH
        )
        assert time.monotonic() - started <= 8
        assert len(ran.stdout.encode()) <= 4096
        assert ran.stderr == ""
        return ran.stdout

    def listing(self, before: str = "") -> str:
        """What the probe's jobs say about rules and routes, without the waiting for the whole probe.

        ``before`` runs first, in a mount namespace of its own.
        """
        jobs = probe_script().rpartition("\nmain")[0]
        jobs += '\ndir=$(mktemp -d); netfilter; network; shaping; rm -r "$dir"\n'
        command = [*self._enter, "unshare", "-m", "-p", "-f", "--mount-proc", "sh", "-ec", f"{before}\nexec sh"]
        return subprocess.run(command, input=jobs, check=True, capture_output=True, text=True, env=_PATH).stdout

    def blocked(self) -> frozenset[int]:
        """The ports on which the Wire Server does not answer root."""
        ask = "curl -q -s --noproxy '*' -m 0.8 -o /dev/null http://168.63.129.16:%s/ || echo %s"
        return frozenset(int(port) for port in self.sh("\n".join(ask % (p, p) for p in (80, 32526))).split())

    def probe(self, shell: str = "dash", before: str = "") -> GuestFacts:
        """The facts, from an answer that must be whole."""
        text = self.answer(shell, before)
        facts = parse_probe(text)
        assert facts.complete, text
        return facts


@contextmanager
def namespace_guest() -> Iterator[NamespaceGuest]:
    """A fresh guest; all its processes and namespaces are gone afterwards."""
    with ExitStack() as stack:
        inside, outside = stack.enter_context(_namespace()), stack.enter_context(_namespace())
        there, here = f"nsenter -t {outside} -n", f"nsenter -t {inside} -n"
        setup = f"""
            {there} ip link add wire0 type veth peer name eth0 netns {inside}
            {there} ip addr add 10.0.0.1/24 dev wire0
            {there} ip addr add {WIRE}/32 dev lo
            {there} ip link set lo up
            {there} ip link set wire0 up
            {here} ip link set lo up
            {here} ip link set eth0 up
            {here} ip addr add 10.0.0.4/24 dev eth0
            {here} ip route add default via 10.0.0.1
        """
        subprocess.run(["sh", "-ec", setup], check=True, env=_PATH)
        stack.enter_context(_running([*there.split(), sys.executable, "-c", _SERVER]))
        yield NamespaceGuest(inside)


@contextmanager
def _namespace() -> Iterator[int]:
    with _running(["unshare", "-n", "sh", "-c", "echo up; exec sleep 600"]) as pid:
        yield pid


@contextmanager
def _running(command: list[str]) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
