"""What cloud-init saw of the network when it ran, as data: its ``ci-info`` tables on the console.

Three generations of rows, each also behind ``cloud-init[800]: `` (cloud-init, cloudinit/netinfo.py)::

    ci-info: |  eth0  | True | 10.0.0.4 | 255.255.255.0 | global | 00:0d:3a:00:00:04 |
    ci-info: |  eth0  | True | 10.0.0.4 | 255.255.255.0 | 00:0d:3a:00:00:04 |
    ci-info: eth0  : 1 10.0.0.4        255.255.255.0   00:0d:3a:00:00:04
    ci-info: |   0   |     0.0.0.0     | 10.0.0.1  |     0.0.0.0     |    eth0   |   UG  |
    ci-info: route-0: 0.0.0.0         10.0.0.1        0.0.0.0         eth0   UG
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from azext_vmagent.facts.console_text import Console, printable
from azext_vmagent.facts.serial_boots import Boot

_NEW_TABLES = re.compile(r"ci-info: \+* ?Net device info")
_OLD_ROUTE = re.compile(r"ci-info: route-\d{1,4}: +(\S{1,45}) +(\S{1,45}) +(\S{1,45}) +(\S{1,16}) +(\S{1,12})")
_OLD_DEVICE = re.compile(r"ci-info: ([\w.-]{1,16}) *: ([01]) +(\S{1,45}) +(\S{1,45}) +(\S{1,20})")
_ROW_LIMIT = 64


@dataclass(frozen=True)
class CiInterface:
    """One row of the device table: an interface and one of its addresses; None for what cloud-init shows as «.»."""

    line: int
    name: str
    up: bool
    address: str | None
    mask: str | None
    scope: str | None
    mac: str | None


@dataclass(frozen=True)
class CiRoute:
    """One row of a route table; ``mask`` is None for IPv6, where the destination holds its length."""

    line: int
    destination: str
    gateway: str
    mask: str | None
    interface: str
    flags: str

    @property
    def is_default(self) -> bool:
        """Whether it leads to everywhere."""
        return self.destination in ("0.0.0.0", "::/0", "default")


@dataclass(frozen=True)
class CiInfo:
    """The newest tables of a boot. A row that another writer's line tore apart is missing: absence proves nothing."""

    interfaces: tuple[CiInterface, ...]
    routes: tuple[CiRoute, ...]


def read_ci_info(console: Console, boot: Boot) -> CiInfo | None:
    """The newest of cloud-init's tables in a boot, None without any."""
    interfaces: list[CiInterface] = []
    routes: list[CiRoute] = []
    for index in sorted(console.segments_with("ci-info:", boot.first, boot.end)):
        segment, number = console.segments[index], console.numbers[index]
        if _NEW_TABLES.search(segment):
            interfaces, routes = [], []
        elif (interface := _interface(segment, number)) and len(interfaces) < _ROW_LIMIT:
            interfaces.append(interface)
        elif (route := _route(segment, number)) and len(routes) < _ROW_LIMIT:
            routes.append(route)
    return CiInfo(tuple(interfaces), tuple(routes)) if interfaces or routes else None


def _cells(segment: str) -> list[str]:
    """The cells of a whole row."""
    row = segment.partition("ci-info: ")[2].strip()
    return [printable(cell, 64) for cell in row[1:-1].split("|")] if len(row) > 1 and row[0] == row[-1] == "|" else []


def _known(cells: Iterable[str]) -> list[str | None]:
    return [None if cell in (".", "") else cell for cell in cells]


def _interface(segment: str, number: int) -> CiInterface | None:
    cells = _cells(segment)
    if len(cells) in (5, 6) and cells[1] in ("True", "False"):
        name, up, address, mask, *scope, mac = cells
        return CiInterface(number, name.rstrip(":"), up == "True", *_known((address, mask, *(scope or ["."]), mac)))
    old = _OLD_DEVICE.search(segment)
    if not old:
        return None
    return CiInterface(number, old[1], old[2] == "1", *_known((old[3], old[4], ".", old[5])))


def _route(segment: str, number: int) -> CiRoute | None:
    cells = _cells(segment)
    if cells and cells[0].isdigit() and len(cells) in (5, 6):
        _, destination, gateway, *mask, interface, flags = cells
        return CiRoute(number, destination, gateway, mask[0] if mask else None, interface, flags)
    old = _OLD_ROUTE.search(segment)
    return CiRoute(number, *old.groups()) if old else None
