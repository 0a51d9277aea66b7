"""What the stand-in ARM may ask of a guest, whichever kind it is.

Everything ARM says about a VM is computed from these answers: the agent's last upload and its age, the console's bytes,
the counters of the guest's process and its network card. No scenario sets them.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class StatusUpload:
    """The last status blob that the agent uploaded: its JSON document and when it came (epoch seconds)."""

    document: dict[str, Any]
    received: float


@dataclass(frozen=True)
class MinuteSample:
    """One whole minute of host metrics. ``start`` is epoch seconds on a minute; None = no sample (VM not running)."""

    start: float
    cpu_percent: float | None
    network_in_bytes: float | None
    network_out_bytes: float | None
    disk_read_bytes: float | None
    disk_write_bytes: float | None


@dataclass(frozen=True)
class RunCommandResult:
    """What the run command handler reported. ``message`` is its formattedMessage, streams included."""

    succeeded: bool
    code: int
    message: str


class Guest(Protocol):
    """One virtual machine's inside and hardware."""

    name: str
    #: loopback address at which a client of the laboratory finds the guest's ports (its «public» address)
    public_address: str
    private_address: str
    #: port on which SSH is reachable at ``public_address`` (22 unless the machine forbids it)
    ssh_port: int

    def power_state(self) -> str:
        """running | starting | stopping | stopped | deallocating | deallocated."""

    def start(self) -> None:
        """Power on; returns once the guest runs (not once it has booted)."""

    def restart(self) -> None:
        """Hard reset."""

    def power_off(self) -> None:
        """Stop and keep the hardware."""

    def deallocate(self) -> None:
        """Stop and give the hardware back; the disk stays."""

    def give_address(self, address: str) -> None:
        """Let Azure's side of the interface have another private address; the guest learns it from its next lease."""

    def serial_log(self) -> bytes:
        """The console's bytes as boot diagnostics would serve them (the newest megabyte), escapes and NULs included."""

    def screenshot(self) -> bytes | None:
        """The screen as boot diagnostics would serve it, a BMP; None for a guest without a graphics card."""

    def status_upload(self) -> StatusUpload | None:
        """The agent's last upload since the VM was created, or None."""

    def submit_run_command(self, script: Sequence[str], parameters: Sequence[tuple[str, str]], timeout: float) -> int:
        """Put a run command into the goal state; returns its sequence number."""

    def run_command_started(self, sequence: int) -> bool:
        """Whether the handler has reported anything for that sequence number."""

    def run_command_result(self, sequence: int) -> RunCommandResult | None:
        """The handler's final report for that sequence number, or None while there is none."""

    def minute_samples(self, since: float, until: float) -> list[MinuteSample]:
        """Whole minutes that are over, oldest first."""

    def shell(self, command: str, timeout: float = 60) -> tuple[int, str]:
        """Run a command as root through the side door; (exit code, output). Recorded guests raise LabError."""

    def open_console(self) -> socket.socket:
        """A connection to the serial console, for one client at a time. LabError or OSError when there is none."""

    def close(self) -> None:
        """Everything gone: processes, interfaces, forwards."""


class LabError(Exception):
    """Something in the laboratory could not be done; the message says what and what to do."""
