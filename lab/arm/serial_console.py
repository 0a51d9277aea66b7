"""Microsoft.SerialConsole: the switch of the subscription, the connect call, and the websocket behind its answer.

What is known of the protocol is what `az serial-console` (Azure/azure-cli-extensions, src/serial-console) does with it:
the first message that the server sends is the cue for the client to send its ARM token as a text message, newer
versions may send it as soon as the socket is open, the oldest put it into the query; everything after that is terminal
text both ways. A second user takes the session over (Microsoft Learn, serial console, «Concurrent usage»); nobody is
logged out by that. Unverified: the words of every refusal, the close codes, and what the first message says.
"""

from __future__ import annotations

import codecs
import contextlib
import select
import socket
import time
from typing import Any

from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from lab.arm import identity
from lab.arm.cloud import Cloud
from lab.arm.compute import vm_of
from lab.arm.consoles import Session
from lab.arm.errors import ArmError
from lab.arm.exchange import SUBSCRIPTION, VM, Request, Response, Route
from lab.arm.vm import LabVm
from lab.guests.base import LabError

CLIENT = "/client"
_SERVICE = SUBSCRIPTION + "/providers/Microsoft.SerialConsole/consoleServices/default"
_TICK = 0.05
_TOKEN_SECONDS = 10.0
_FIRST_MESSAGE = "\r\n"
_POLICY_VIOLATION = 1008
_NORMAL = 1000
_REFUSED = "Another user is connected to the serial console of this virtual machine."


# -- Azure Resource Manager --------------------------------------------------------------------------------------------


def show_service(cloud: Cloud, _: Request) -> Response:
    """GET of the subscription's switch."""
    return Response(
        body={
            "id": f"/subscriptions/{cloud.subscription}/providers/Microsoft.SerialConsole/consoleServices/default",
            "name": "default",
            "type": "Microsoft.SerialConsole/consoleServices",
            "properties": {"disabled": cloud.consoles.disabled},
        }
    )


def enable(cloud: Cloud, _: Request) -> Response:
    """POST enableConsole."""
    cloud.consoles.disabled = False
    return Response(body={"disabled": False})


def disable(cloud: Cloud, _: Request) -> Response:
    """POST disableConsole."""
    cloud.consoles.disabled = True
    return Response(body={"disabled": True})


def connect(cloud: Cloud, request: Request) -> Response:
    """POST serialPorts/0/connect: where the websocket is."""
    vm = vm_of(cloud, request)
    if request.parameters["port"] != "0":
        raise ArmError(404, "ResourceNotFound", f"Serial port '{request.parameters['port']}' was not found.")
    _check(cloud, vm)
    return Response(body={"connectionString": f"wss{cloud.base_url[len('https') :]}/console/{vm.vm_id}{CLIENT}"})


def _check(cloud: Cloud, vm: LabVm) -> None:
    """The conditions, in the words of `az serial-console`, which asks for them beforehand."""
    if cloud.consoles.disabled:
        raise ArmError(403, "SerialConsoleDisabled", "Azure Serial Console is not enabled for this subscription.")
    if not vm.boot_diagnostics:
        raise ArmError(400, "BootDiagnosticsDisabled", "Azure Serial Console requires boot diagnostics to be enabled.")
    if vm.guest.power_state() not in ("running", "starting"):
        raise ArmError(409, "VMNotRunning", "Azure Serial Console requires a virtual machine to be running.")


def admin_command(cloud: Cloud, request: Request) -> Response:
    """POST adminCommand: only while a session is connected, as the client's order of calls suggests."""
    identity.authenticate(cloud, request.headers.get("authorization"))
    vm = _vm_with(cloud, request.parameters["console"])
    session = cloud.consoles.of(vm.name) if vm else None
    if vm is None or session is None or session.line is None:
        raise ArmError(404, "NotFound", "There is no session at this console.")
    command = request.parameters["command"].lower()
    guest: Any = vm.guest
    try:
        if command == "reset":
            guest.restart()
        elif command == "nmi":
            guest.machine.execute("inject-nmi")
        elif command == "sysrq":
            keys = (request.json().get("commandParameters") or {}).get("SysRqCommand", "")
            if not str(keys).isalnum():
                raise ArmError(400, "BadRequest", "The SysRq command must consist of letters and digits.")
            for key in str(keys):
                guest.machine.execute("chardev-send-break", id="console")
                session.line.sendall(key.encode())
        else:
            raise ArmError(404, "NotFound", f"There is no command '{command}'.")
    except (AttributeError, LabError) as error:
        raise ArmError(409, "Conflict", f"This guest cannot do that: {error}") from error
    return Response(body={})


ROUTES = (
    Route("GET", _SERVICE, show_service),
    Route("POST", _SERVICE + "/enableConsole", enable),
    Route("POST", _SERVICE + "/disableConsole", disable),
    Route("POST", VM + "/providers/Microsoft.SerialConsole/serialPorts/{port}/connect", connect),
    Route("POST", "/console/{console}/adminCommand/{command}", admin_command, open=True),
)


# -- the websocket -----------------------------------------------------------------------------------------------------


def is_handshake(request: Request) -> bool:
    """Whether a request wants to become a websocket."""
    return request.headers.get("upgrade", "").lower() == "websocket"


def serve(
    cloud: Cloud, request: Request, connection: socket.socket, cut_after: int | None, deny: bool
) -> tuple[int, str | None]:
    """Talk websocket on a connection until either side ends it; the handshake's HTTP status, and what was typed.

    ``cut_after`` so many bytes from the guest the connection is lost without a word; ``deny`` refuses the handshake.
    """
    peer = _Peer(connection)
    handshake = peer.handshake(request)
    segments = request.path.strip("/").split("/")
    vm = _vm_with(cloud, segments[1]) if len(segments) == 3 and request.path.endswith(CLIENT) else None
    if handshake is None or vm is None:
        peer.refuse(404, "There is no console here.\n")
        return 404, None
    if deny:
        peer.refuse(403, "Forbidden\n")
        return 403, None
    peer.accept(handshake)
    if not _authenticated(cloud, request, peer):
        peer.close(_POLICY_VIOLATION, "not authorized")
        return 101, None
    session = cloud.consoles.enter(vm.name, takes_over=cloud.settings.console_second == "takes-over")
    if session is None:
        peer.text(_REFUSED.encode() + b"\r\n")
        peer.close(_POLICY_VIOLATION, _REFUSED)
        return 101, None
    try:
        _bridge(session, vm, peer, cut_after)
    finally:
        cloud.consoles.leave(session)
    return 101, session.typed.decode("latin-1")


def _vm_with(cloud: Cloud, console: str) -> LabVm | None:
    return next((vm for vm in cloud.vms if vm.vm_id == console), None)


def _authenticated(cloud: Cloud, request: Request, peer: _Peer) -> bool:
    def good(token: str) -> bool:
        try:
            identity.authenticate(cloud, f"Bearer {token}")
        except (ArmError, ValueError):
            return False
        return True

    if "authorization" in request.query:
        return good(request.query["authorization"])
    if cloud.settings.console_cue == "first-message":
        peer.text(_FIRST_MESSAGE.encode())
    end = time.monotonic() + _TOKEN_SECONDS
    while time.monotonic() < end and peer.alive:
        for message in peer.received(_TICK):
            peer.token = message
            return good(message.decode("utf-8", "replace"))
    return False


def _bridge(session: Session, vm: LabVm, peer: _Peer, cut_after: int | None) -> None:
    """Carry terminal text both ways."""
    try:
        line = vm.guest.open_console()
    except (OSError, LabError) as error:
        peer.close(_POLICY_VIOLATION, f"no console: {error}"[:100])
        return
    session.line = line
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    printed = 0
    try:
        while peer.alive and not session.over.is_set():
            for message in peer.received(0):
                if message != peer.token:  # the newest client sends it twice
                    session.typed += message
                    line.sendall(message)
            ready, _, _ = select.select([line.fileno(), peer.fileno()], [], [], 0 if peer.pending() else _TICK)
            if line.fileno() in ready:
                data = line.recv(4096)
                if not data:
                    break
                printed += len(data)
                if cut_after is not None and printed > cut_after:
                    peer.cut()
                    return
                peer.text(decoder.decode(data).encode())
        peer.close(_NORMAL, "the session was taken over" if session.over.is_set() else "")
    except OSError:
        return  # one of the two went away
    finally:
        session.line = None
        line.close()


class _Peer:
    """The client's end, spoken to by the sans-I/O protocol of `websockets`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._protocol = ServerProtocol(max_size=2**20)
        self.token: bytes | None = None

    @property
    def alive(self) -> bool:
        """Whether messages can still be exchanged."""
        return self._protocol.state is State.OPEN

    def fileno(self) -> int:
        """For select."""
        return self._connection.fileno()

    def pending(self) -> bool:
        """Whether TLS holds bytes that select cannot see."""
        return bool(getattr(self._connection, "pending", int)())

    def handshake(self, request: Request) -> Handshake | None:
        """The request again, as the protocol reads it."""
        lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items())]
        self._protocol.receive_data("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return next((event for event in self._protocol.events_received() if isinstance(event, Handshake)), None)

    def accept(self, handshake: Handshake) -> None:
        """101."""
        self._protocol.send_response(self._protocol.accept(handshake))
        self._flush()

    def refuse(self, status: int, text: str) -> None:
        """Answer the handshake with an error."""
        self._protocol.send_response(self._protocol.reject(status, text))
        self._flush()

    def received(self, seconds: float) -> list[bytes]:
        """Payloads that came within that time."""
        if not self.pending() and not select.select([self], [], [], seconds)[0]:
            return []
        try:
            data = self._connection.recv(65536)
        except OSError:
            data = b""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        self._flush()
        frames = [event for event in self._protocol.events_received() if isinstance(event, Frame)]
        return [bytes(one.data) for one in frames if one.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)]

    def text(self, payload: bytes) -> None:
        """One text message."""
        self._protocol.send_text(payload)
        self._flush()

    def close(self, code: int, reason: str) -> None:
        """Say goodbye."""
        with contextlib.suppress(InvalidState):
            self._protocol.send_close(code, reason)
        self._flush()

    def cut(self) -> None:
        """Be gone without a word."""
        self._connection.shutdown(socket.SHUT_RDWR)

    def _flush(self) -> None:
        with contextlib.suppress(OSError):
            for data in self._protocol.data_to_send():
                if data:
                    self._connection.sendall(data)
