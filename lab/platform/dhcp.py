"""One lease for one guest, with the options by which Azure's guests find the Wire Server (245, and routes in 121)."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from lab.namespaces import within
from lab.platform.goal_state import WIRE_SERVER
from lab.platform.http_service import Journal
from lab.platform.imds import ADDRESS as METADATA_ADDRESS

SERVER_PORT, CLIENT_PORT = 67, 68
_SO_BINDTODEVICE = 25
_COOKIE = b"\x63\x82\x53\x63"
_OPTIONS_AT = 240
_DISCOVER, _OFFER, _REQUEST, _ACK = 1, 2, 3, 5
_PAD, _END = 0, 255


def reply(packet: bytes, address: str, gateway: str) -> bytes | None:
    """The answer to a client's packet: an offer, an acknowledgement, or None when there is nothing to say."""
    if len(packet) < _OPTIONS_AT or packet[0] != 1:
        return None
    kind = parse_options(packet).get(53, b"\0")[0]
    if kind not in (_DISCOVER, _REQUEST):
        return None
    answer_kind = _OFFER if kind == _DISCOVER else _ACK
    header = struct.pack("!BBBB", 2, 1, 6, 0) + packet[4:8] + b"\0\0\x80\0" + bytes(4)
    header += IPv4Address(address).packed + IPv4Address(gateway).packed + bytes(4) + packet[28:44] + bytes(192)
    return (header + _COOKIE + _lease(answer_kind, gateway)).ljust(300, b"\0")


def broadcast_socket(namespace: str, device: str) -> socket.socket:
    """The server's UDP socket: it hears and sends broadcasts on one interface of a namespace."""

    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, device.encode() + b"\0")
        made.bind(("", SERVER_PORT))
        return made

    return within(namespace, make)


def parse_options(packet: bytes) -> dict[int, bytes]:
    """The options of a DHCP packet by number."""
    options: dict[int, bytes] = {}
    at = _OPTIONS_AT
    while at + 1 < len(packet) and packet[at] != _END:
        if packet[at] == _PAD:
            at += 1
            continue
        length = packet[at + 1]
        options[packet[at]] = packet[at + 2 : at + 2 + length]
        at += 2 + length
    return options


class DhcpService:
    """Answers on one socket, in a thread of this process, until it is closed."""

    def __init__(self, listener: socket.socket, address: Callable[[], str], gateway: str, journal: Journal) -> None:
        self._listener, self._address, self._gateway, self._journal = listener, address, gateway, journal
        self._closed = False
        self._listener.settimeout(0.5)
        self._thread = threading.Thread(target=self._serve, name="dhcp", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._closed = True
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._closed:
            with contextlib.suppress(TimeoutError):
                self._answer(self._listener.recv(2048))

    def _answer(self, packet: bytes) -> None:
        address = self._address()
        answer = reply(packet, address, self._gateway)
        if answer is None:
            return
        with contextlib.suppress(OSError):  # the interface may go while the lab is shut down
            self._listener.sendto(answer, ("255.255.255.255", CLIENT_PORT))
        kind = "offer" if parse_options(answer)[53] == bytes([_OFFER]) else "ack"
        self._journal({"server": "dhcp", "method": kind, "path": address, "status": 0, "time": time.time()})


def _lease(kind: int, gateway: str) -> bytes:
    router, wire_server = IPv4Address(gateway).packed, IPv4Address(WIRE_SERVER).packed
    metadata = IPv4Address(METADATA_ADDRESS).packed
    options = {
        53: bytes([kind]),
        54: router,
        51: b"\xff\xff\xff\xff",
        1: IPv4Address("255.255.255.0").packed,
        3: router,
        6: wire_server,
        15: b"internal.cloudapp.net",
        121: b"\0" + router + b"\x20" + wire_server + router + b"\x20" + metadata + router,
        245: wire_server,
    }
    return b"".join(bytes([number, len(value)]) + value for number, value in options.items()) + bytes([_END])
