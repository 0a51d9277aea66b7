"""A look at one TCP port that waits for the server's greeting: a connection alone proves little.

Load balancers, tunnels and user-space forwards accept connections for guests that are long dead.
"""

from __future__ import annotations

import errno
import socket
import time

from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.port import PortFacts, PortOutcome

CONNECT_SECONDS = 5.0
#: OpenSSH greets at once; a loaded guest may need a while
GREETING_SECONDS = 6.0
SSH_PORT = 22
RDP_PORT = 3389
#: X.224 connection request with an RDP negotiation request (MS-RDPBCGR 2.2.1.1): an RDP server speaks only when asked
_RDP_HELLO = bytes.fromhex("030000130ee000000000000100080003000000")


def probe_port(address: str, port: int, deadline: Deadline, *, rdp: bool = False) -> PortFacts:
    """Connect, listen for the greeting, hang up. Raises nothing."""
    started = time.monotonic()
    greeting, outcome = _look(address, port, deadline, rdp)
    return PortFacts(address, port, outcome, greeting, time.monotonic() - started)


def _look(address: str, port: int, deadline: Deadline, rdp: bool) -> tuple[str, PortOutcome]:
    try:
        peer = socket.create_connection((address, port), max(0.1, deadline.at_most(CONNECT_SECONDS).remaining()))
    except UnicodeError:  # a name that cannot be written in DNS
        return "", PortOutcome.UNRESOLVED
    except OSError as exc:
        return "", _connect_outcome(exc)
    with peer:
        try:
            peer.settimeout(max(0.1, deadline.at_most(GREETING_SECONDS).remaining()))
            if rdp:
                peer.sendall(_RDP_HELLO)
            return _greeting(peer.recv(255), rdp)
        except TimeoutError:
            return "", PortOutcome.SILENT
        except OSError:
            return "", PortOutcome.CLOSED


def _greeting(data: bytes, rdp: bool) -> tuple[str, PortOutcome]:
    if not data:
        return "", PortOutcome.CLOSED
    if rdp:
        return ("RDP", PortOutcome.GREETING) if data[:1] == b"\x03" else ("", PortOutcome.SILENT)
    line = data.split(b"\n", 1)[0].decode("ascii", "replace")
    return "".join(c for c in line if c.isprintable())[:80], PortOutcome.GREETING


def _connect_outcome(exc: OSError) -> PortOutcome:
    if isinstance(exc, TimeoutError) or exc.errno == errno.ETIMEDOUT:
        return PortOutcome.TIMED_OUT
    if isinstance(exc, ConnectionRefusedError):
        return PortOutcome.REFUSED
    if isinstance(exc, ConnectionResetError):  # a reset may overtake the end of connect()
        return PortOutcome.CLOSED
    if isinstance(exc, socket.gaierror):
        return PortOutcome.UNRESOLVED
    return PortOutcome.NO_ROUTE
