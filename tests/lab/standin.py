"""A stand-in in this process with a guest that lives in memory."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from lab import namespaces
from lab.arm import certificates, identity
from lab.arm.cloud import Cloud
from lab.arm.server import Server
from lab.arm.vm import LabVm
from lab.guests.base import LabError, MinuteSample, RunCommandResult, StatusUpload

UPLOAD: dict[str, Any] = {
    "version": "1.1",
    "timestampUTC": "2026-01-02T03:04:05Z",
    "aggregateStatus": {
        "guestAgentStatus": {
            "version": "2.7.3.0",
            "status": "Ready",
            "formattedMessage": {"lang": "en-US", "message": "Guest Agent is running"},
        },
        "handlerAggregateStatus": [
            {
                "handlerName": "Microsoft.CPlat.Core.RunCommandLinux",
                "handlerVersion": "1.0.3",
                "status": "Ready",
                "code": 0,
                "formattedMessage": {"lang": "en-US", "message": "Plugin enabled"},
            }
        ],
    },
    "guestOSInfo": {"computerName": "fake", "osName": "debian", "osVersion": "12.12", "version": "2.7.3.0"},
}


@dataclass
class FakeGuest:
    """Does what it is told at once; ``answers`` decides what a run command gets, None is silence."""

    name: str = "vm1"
    public_address: str = "127.0.30.4"
    private_address: str = "10.0.0.4"
    ssh_port: int = 22
    power: str = "running"
    silent_for: float | None = 1.0
    answers: RunCommandResult | None = field(
        default_factory=lambda: RunCommandResult(True, 0, "Enable succeeded: \n[stdout]\nhello\n\n[stderr]\n")
    )
    #: the handler starts scripts although no answer comes yet
    takes_up: bool = False
    log: bytes = b"\x1b[0mDebian GNU/Linux 12 fake ttyS0\r\n\r\nfake login: "
    screen: bytes | None = b"BM a screen"
    scripts: list[list[str]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    lines: list[socket.socket] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def power_state(self) -> str:
        return self.power

    def _step(self, name: str, power: str) -> None:
        self.gate.wait(10)
        self.steps.append(name)
        self.power = power

    def start(self) -> None:
        self._step("start", "running")

    def restart(self) -> None:
        self._step("restart", "running")

    def power_off(self) -> None:
        self._step("power_off", "stopped")

    def deallocate(self) -> None:
        self._step("deallocate", "deallocated")

    def give_address(self, address: str) -> None:
        self._step(f"address {address}", self.power)
        self.private_address = address

    def serial_log(self) -> bytes:
        return self.log

    def screenshot(self) -> bytes | None:
        return self.screen

    def status_upload(self) -> StatusUpload | None:
        return None if self.silent_for is None else StatusUpload(UPLOAD, time.time() - self.silent_for)

    def submit_run_command(self, script: Sequence[str], parameters: Sequence[tuple[str, str]], timeout: float) -> int:
        self.scripts.append(list(script))
        return len(self.scripts)

    def run_command_started(self, sequence: int) -> bool:
        return self.answers is not None or self.takes_up

    def run_command_result(self, sequence: int) -> RunCommandResult | None:
        return self.answers

    def minute_samples(self, since: float, until: float) -> list[MinuteSample]:
        first = int(since // 60) * 60
        starts = range(first, int(until // 60) * 60, 60)
        return [
            MinuteSample(start, None, None, None, None, None)
            if start % 600 == 0
            else MinuteSample(start, 2.5, 1000.0, 500.0, 0.0, 4096.0)
            for start in starts
        ]

    def shell(self, command: str, timeout: float = 60) -> tuple[int, str]:
        raise LabError("a fake guest has no side door")

    def open_console(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.lines.append(theirs)
        return ours

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class StandIn:
    """A running stand-in and a client that is logged in."""

    cloud: Cloud
    guest: FakeGuest
    ca: Path
    server: Server

    @property
    def vm(self) -> LabVm:
        return self.cloud.vms[0]

    @property
    def vm_path(self) -> str:
        return self.vm.id(self.cloud.subscription)

    def call(
        self, method: str, path: str, body: Any = None, *, version: str | None = "2024-07-01", token: str | None = None
    ) -> requests.Response:
        """One request, without any retry."""
        url = path if path.startswith("https://") else self.cloud.base_url + path
        if version and "api-version=" not in url:
            url += ("&" if "?" in url else "?") + f"api-version={version}"
        bearer = identity.token(self.cloud, "https://management.azure.com/") if token is None else token
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return requests.request(method, url, headers=headers, json=body, verify=str(self.ca), timeout=30)

    def get(self, path: str, **more: Any) -> Any:
        """The JSON of a GET that succeeds."""
        answer = self.call("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def finish(self, accepted: requests.Response) -> dict[str, Any]:
        """The last body of an operation."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            body: dict[str, Any] = self.call("GET", accepted.headers["Azure-AsyncOperation"]).json()
            if body["status"] != "InProgress":
                return body
            time.sleep(0.05)
        raise AssertionError(f"not finished: {json.dumps(body)}")


@contextmanager
def standing(folder: Path, names: Sequence[str] = ("vm1",)) -> Iterator[StandIn]:
    """A stand-in with one fake guest per name."""
    guests = [FakeGuest(name, f"127.0.30.{4 + index}") for index, name in enumerate(names)]
    cloud = Cloud(vms=[LabVm(guest) for guest in guests])
    ca, context = certificates.make(folder)
    server = Server(cloud, context, [namespaces.listen(0)])
    try:
        yield StandIn(cloud, guests[0], ca, server)
    finally:
        server.stop()
