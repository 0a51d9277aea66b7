"""A real guest: Debian 12 under QEMU with the real Azure Linux agent, and the platform around it."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lab.guests.base import LabError, MinuteSample, RunCommandResult, StatusUpload
from lab.guests.real import metrics, network, qemu, snapshot
from lab.guests.real.door import Door
from lab.guests.real.image import Image, appearing_whole, ensure_image, locked
from lab.guests.real.metrics import Sampler, Usage
from lab.guests.real.network import Network
from lab.guests.real.qemu import Machine
from lab.guests.real.snapshot import Snapshot
from lab.guests.real.unix_socket import connect
from lab.guests.real.waiting import until
from lab.platform.fabric import Fabric
from lab.platform.http_service import Journal

#: Azure gives a guest some minutes to shut down; ours needs seconds or never will
_SHUT_DOWN_SECONDS = 25
_SERIAL_LOG_LIMIT = 1024 * 1024
_BOOT_SECONDS = 240


def _no_journal(entry: dict[str, Any]) -> None:
    """Forget the entry."""


class RealGuest:
    """One VM. The first ``start`` makes it, restored from the snapshot of a Ready guest (made then, if there is none).

    Clients of the laboratory reach it from inside ``namespace`` only. ``state`` is a folder of its own; ``cache`` is
    shared by all laboratories.
    """

    public_address = network.PUBLIC_ADDRESS
    ssh_port = 22
    ssh_users = ("root", "azureuser")

    def __init__(
        self, name: str, state: Path, cache: Path, *, journal: Journal = _no_journal, use_snapshot: bool = True
    ) -> None:
        self.name = name
        self.private_address = network.PRIVATE_ADDRESS
        self._state = state.resolve()
        self._cache = cache.resolve()
        self._use_snapshot = use_snapshot
        self.namespace = f"lab-{name}-{hashlib.sha256(str(self._state).encode()).hexdigest()[:6]}"
        self.fabric = Fabric(name, self.private_address, network.GATEWAY, journal)
        self._network = Network(self.namespace)
        self._door = Door(self._state / "door.sock")
        self._power_lock = threading.RLock()
        self._transition: str | None = None
        self._off_state = "deallocated"
        self._image: Image | None = None
        self._machine: Machine | None = None
        self._sampler: Sampler | None = None

    @property
    def ssh_key(self) -> Path:
        """Private key of ``ssh_users``."""
        return self._required_image().ssh_key

    @property
    def console(self) -> Path:
        """Unix socket of the serial console, for typing; what it prints is in ``serial_log``."""
        return self._state / "console.sock"

    @property
    def machine(self) -> Machine:
        """The hardware, for faults that happen to it."""
        if self._machine is None:
            raise LabError("the VM was never started")
        return self._machine

    def power_state(self) -> str:
        """See ``Guest``. A guest that shuts itself down is «stopped», as in Azure: its hardware stays allocated."""
        if self._transition:
            return self._transition
        if self._machine is not None and self._machine.running:
            return "running"
        return self._off_state

    def start(self) -> None:
        """See ``Guest``."""
        with self._power("starting"):
            if self._machine is None:
                self._create()
            elif not self._machine.running:
                self._machine.start()
            self._off_state = "stopped"

    def restart(self) -> None:
        """See ``Guest``. What the guest has written is on its disk first, as when Azure asks a guest to reboot."""
        with self._power("running"):
            if not self.machine.running:
                self.start()
                return
            with contextlib.suppress(LabError):
                self._door.run("sync", 5)
            self.machine.execute("system_reset")
            self.machine.execute("cont")

    def power_off(self) -> None:
        """See ``Guest``."""
        with self._power("stopping"):
            self.machine.shut_down(_SHUT_DOWN_SECONDS)
            self._off_state = "stopped"

    def deallocate(self) -> None:
        """See ``Guest``."""
        with self._power("deallocating"):
            self.machine.shut_down(_SHUT_DOWN_SECONDS)
            self._off_state = "deallocated"

    def give_address(self, address: str) -> None:
        """See ``Guest``. A guest that keeps the old one is not heard any more."""
        self.private_address = self.fabric.private_address = address
        self._network.lead_to(address)

    def serial_log(self) -> bytes:
        """See ``Guest``. A restored guest's log begins with the boot that its snapshot was made of."""
        try:
            with (self._state / "serial.log").open("rb") as log:
                log.seek(max(0, log.seek(0, 2) - _SERIAL_LOG_LIMIT))
                return log.read()
        except FileNotFoundError:
            return b""

    def screenshot(self) -> bytes | None:
        """See ``Guest``: this machine has no graphics card."""
        return None

    def status_upload(self) -> StatusUpload | None:
        """See ``Guest``."""
        return self.fabric.last_upload

    def submit_run_command(self, script: Sequence[str], parameters: Sequence[tuple[str, str]], timeout: float) -> int:
        """See ``Guest``."""
        return self.fabric.submit_run_command(script, parameters, timeout)

    def run_command_started(self, sequence: int) -> bool:
        """See ``Guest``."""
        return self.fabric.run_command_started(sequence)

    def run_command_result(self, sequence: int) -> RunCommandResult | None:
        """See ``Guest``."""
        return self.fabric.run_command_result(sequence)

    def minute_samples(self, since: float, until: float) -> list[MinuteSample]:
        """See ``Guest``, and ``metrics`` on the minutes before a restored guest's start."""
        return self._sampler.samples(since, until) if self._sampler else []

    def open_console(self) -> socket.socket:
        """See ``Guest``. QEMU writes ``serial_log`` whether or not somebody is connected."""
        return connect(self.console, 5)

    def shell(self, command: str, timeout: float = 60) -> tuple[int, str]:
        """See ``Guest``."""
        return self._door.run(command, timeout)

    def wait_for_upload(self, after: float, seconds: float) -> bool:
        """Whether the agent uploads a status that is newer than ``after`` within the given time."""

        def newer() -> bool:
            last = self.status_upload()
            return last is not None and last.received > after

        return until(newer, seconds, 0.2)

    def forget_past(self) -> None:
        """Have no uploads, no console output and no metrics from before now, as a VM that has just been made."""
        self.fabric.status_blob.forget()
        (self._state / "serial.log").write_bytes(b"")
        if self._sampler:
            self._sampler.forget()

    def renew(self) -> None:
        """Become the saved Ready guest again, in seconds: disk, memory, console, metrics and goal state as at first."""
        with self._power("running"):
            saved = self._ready_snapshot(self._required_image()) if self._use_snapshot else None
            if saved is None or self._sampler is None:
                raise LabError("there is no saved guest to go back to")
            self._sampler.close()
            self._door.close()
            self.machine.stop()
            self.give_address(network.PRIVATE_ADDRESS)
            self.fabric.forget()
            snapshot.restore(saved, self.machine, self._door)
            self._begin_metrics(self.machine, saved.idle)

    def close(self) -> None:
        """See ``Guest``."""
        with self._power_lock:
            if self._sampler:
                self._sampler.close()
            self._door.close()
            if self._machine:
                self._machine.stop()
            self.fabric.close()
            self._network.close()

    @contextlib.contextmanager
    def _power(self, transition: str) -> Iterator[None]:
        with self._power_lock:
            self._transition = transition
            try:
                yield
            finally:
                self._transition = None

    def _required_image(self) -> Image:
        if self._image is None:
            self._image = ensure_image(self._cache)
        return self._image

    def _create(self) -> None:
        self._state.mkdir(parents=True, exist_ok=True)
        image = self._required_image()
        saved = self._ready_snapshot(image) if self._use_snapshot else None
        machine = Machine(self._state, self.namespace, image)
        machine.end_left_over()
        try:
            self._network.open()
            self.fabric.open(self.namespace, network.TAP)
            idle = saved.idle if saved and self._restored(saved, machine) else []
            if not machine.running:
                self._boot_cold(machine, image)
        except BaseException:
            machine.stop()
            self.fabric.close()
            self._network.close()
            raise
        self._machine = machine
        self._begin_metrics(machine, idle)

    def _begin_metrics(self, machine: Machine, idle: list[Usage]) -> None:
        self._sampler = Sampler(lambda: metrics.read(machine))
        self._sampler.start(idle)

    def _restored(self, saved: Snapshot, machine: Machine) -> bool:
        try:
            snapshot.restore(saved, machine, self._door)
        except LabError as error:
            machine.stop()
            print(f"The saved guest cannot be restored ({error}); booting it instead.", file=sys.stderr)
            return False
        return True

    def _boot_cold(self, machine: Machine, image: Image) -> None:
        (self._state / "serial.log").unlink(missing_ok=True)
        qemu.create_overlay(self._state / "disk.qcow2", image.disk)
        machine.start()

    def _ready_snapshot(self, image: Image) -> Snapshot | None:
        folder = snapshot.snapshot_folder(self._cache, image)
        with locked(self._cache, "ready"):
            if not folder.exists():
                try:
                    self._make_snapshot(folder, image)
                except LabError as error:
                    print(f"No snapshot of a ready guest could be made ({error}); booting instead.", file=sys.stderr)
                    return None
        return Snapshot(folder)

    def _make_snapshot(self, folder: Path, image: Image) -> None:
        with appearing_whole(folder) as unfinished:
            state = unfinished / "state"
            source = RealGuest("snapshot", state, self._cache, use_snapshot=False)
            try:
                source.start()
                if not source.wait_for_upload(0, _BOOT_SECONDS):
                    raise LabError(f"its agent did not report within {_BOOT_SECONDS} s")
                snapshot.save(source.machine, source._door, image, unfinished)
            finally:
                source.close()
            shutil.rmtree(state)
