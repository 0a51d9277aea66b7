"""The look at a port against real sockets on loopback: only what a server says of itself is a greeting."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.evidence.port import probe_port
from azext_vmagent.facts.port import PortFacts, PortOutcome

HERE = "127.0.0.1"
RDP_REPLY = bytes.fromhex("030000130ed000001234000209080000000000")


@contextlib.contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve one connection at a time on a free port."""
    listener = socket.create_server((HERE, 0))

    def work() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with peer:
                    serve(peer)

    threading.Thread(target=work, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def look(port: int, *, seconds: float = 3.0, rdp: bool = False) -> PortFacts:
    return probe_port(HERE, port, Deadline.after(seconds), rdp=rdp)


def silent(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        peer.settimeout(2)
        peer.recv(1)


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_an_ssh_server_greets():
    with server(lambda peer: peer.sendall(b"SSH-2.0-OpenSSH_8.0\r\n")) as port:
        found = look(port)
    assert (found.outcome, found.greeting, found.port) == (PortOutcome.GREETING, "SSH-2.0-OpenSSH_8.0", port)


def test_a_late_greeting_is_waited_for():
    def late(peer: socket.socket) -> None:
        time.sleep(0.3)
        peer.sendall(b"SSH-2.0-x\r\n")

    with server(late) as port:
        assert look(port).outcome is PortOutcome.GREETING


def test_a_hostile_greeting_cannot_touch_the_terminal():
    with server(lambda peer: peer.sendall(b"\x1b[2J\x07SSH" + b"x" * 200 + b"\nmore")) as port:
        found = look(port)
    assert found.greeting.isprintable()
    assert len(found.greeting) <= 80


def test_a_port_nobody_listens_on_is_refused():
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]
    assert look(port).outcome is PortOutcome.REFUSED


def test_a_server_that_says_nothing_is_silent_when_the_time_is_over():
    with server(silent) as port:
        started = time.monotonic()
        found = look(port, seconds=0.3)
    assert found.outcome is PortOutcome.SILENT
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("serve", [lambda peer: None, reset], ids=["closes", "resets"])
def test_a_connection_that_ends_without_a_word_is_closed(serve):
    with server(serve) as port:
        assert look(port).outcome is PortOutcome.CLOSED


def test_a_port_that_swallows_connections_times_out():
    """A listener whose queue is full drops further attempts, as a firewall would."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HERE, 0), backlog=0))
        port = listener.getsockname()[1]
        for _ in range(8):
            peer = stack.enter_context(socket.socket())
            peer.setblocking(False)
            peer.connect_ex((HERE, port))
        started = time.monotonic()
        found = look(port, seconds=0.4)
    assert found.outcome is PortOutcome.TIMED_OUT
    assert 0.3 < time.monotonic() - started < 1.5


def test_an_rdp_server_speaks_only_when_asked():
    def rdp(peer: socket.socket) -> None:
        if peer.recv(255)[:1] == b"\x03":
            peer.sendall(RDP_REPLY)

    with server(rdp) as port:
        found = look(port, rdp=True)
    assert (found.outcome, found.greeting) == (PortOutcome.GREETING, "RDP")


def test_something_else_on_the_rdp_port_is_no_rdp_server():
    with server(lambda peer: peer.sendall(b"HTTP/1.1 400\r\n")) as port:
        assert look(port, rdp=True).outcome is not PortOutcome.GREETING


def test_a_name_that_does_not_resolve_says_so(monkeypatch):
    def unresolved(*_args: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    assert probe_port("web.example", 9, Deadline.after(1)).outcome is PortOutcome.UNRESOLVED


@pytest.mark.parametrize("name", ["a" * 70 + ".example", "two..dots.example", "\u00e9" * 70])
def test_a_name_that_cannot_be_one_does_not_resolve(name):
    assert probe_port(name, 9, Deadline.after(1)).outcome is PortOutcome.UNRESOLVED
