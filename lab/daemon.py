"""The laboratory's process: it holds the stand-in, the guests and the control socket until `down`.

Started by ``python -m lab up``; what it prints goes to ``daemon.log`` in the state folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, cast

from lab import faults, namespaces
from lab.arm import certificates
from lab.arm.cloud import Cloud
from lab.arm.instance_view import instance_view
from lab.arm.server import CLOUD_SHELL_PORT, Server
from lab.arm.settings import Settings
from lab.arm.vm import LabVm
from lab.control import Command, ControlServer
from lab.guests.base import Guest, LabError
from lab.guests.loopback import LoopbackNetwork
from lab.home import Home, cache
from lab.journal import Journal

FIRST = "vm1"
DEFAULT_RECORDING = Path(__file__).parent / "recordings" / "healthy"


class Daemon:
    """Everything that runs, and the commands that `python -m lab` may send."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self.home = home
        self.phase = "starting"
        self.error: str | None = None
        self.stopping = threading.Event()
        self.namespace: str | None = None
        self.cloud_shell = False
        self._guests: list[Guest] = []
        self._network = LoopbackNetwork()
        self.cloud = Cloud(settings=settings, journal=Journal(home.journal))
        self.ca, context = certificates.make(home.state)
        self.server = Server(self.cloud, context, [namespaces.listen(0)])
        self._port = int(self.cloud.base_url.rpartition(":")[2])
        proxy = namespaces.listen(0)
        self._proxy_port = int(proxy.getsockname()[1])
        self.server.serve_login_proxy(proxy)

    def commands(self) -> dict[str, Command]:
        """By the name they have on the control socket."""
        return {
            "status": self.status,
            "endpoints": self.endpoints,
            "fault": self.fault,
            "heal": self.heal,
            "faults": lambda: {name: faults.load(name).SUMMARY for name in faults.names()},
            "renew": self.renew,
            "shell": self.shell,
            "journal": self.cloud.journal.entries,
            "clear_journal": self.cloud.journal.clear,
            "inject": self.inject,
            "set": self.change_setting,
            "record": self.record,
            "down": self.stopping.set,
        }

    def start(self, real: bool, recorded: list[tuple[str, Path]]) -> None:
        """Make the guests; errors are kept for whoever waits in `up`."""
        try:
            if real:
                self._add(self._real_guest())
            for index, (name, recording) in enumerate(recorded):
                self._add(self._recorded_guest(name, recording, self._network.address(index)))
            self.phase = "up"
        except Exception as error:
            self.phase, self.error = "failed", f"{type(error).__name__}: {error}"
            raise

    def _add(self, guest: Guest) -> None:
        overrides: dict[str, Any] = getattr(guest, "vm_overrides", {})  # what a recording says of the VM's model
        self.cloud.vms.append(LabVm(guest, **overrides))

    def _real_guest(self) -> Guest:
        from lab.guests.real import RealGuest

        folder = self.home.guest(FIRST)
        folder.mkdir(parents=True, exist_ok=True)
        guest: Guest = RealGuest(FIRST, folder, cache(), journal=self.cloud.journal.add_platform)
        self._guests.append(guest)
        guest.start()
        self.namespace = getattr(guest, "namespace", None)
        if self.namespace is not None:
            self.server.also(namespaces.listen(self._port, self.namespace))
            self.server.serve_login_proxy(namespaces.listen(self._proxy_port, self.namespace))
        return guest

    def _recorded_guest(self, name: str, recording: Path, address: str) -> Guest:
        from lab.guests.recorded import RecordedGuest

        def make() -> Guest:
            return RecordedGuest(name, recording, address, self.home.state, journal=self.cloud.journal.add_platform)

        guest = namespaces.within(self.namespace, make)
        self._guests.append(guest)
        return guest

    def _serve_cloud_shell(self) -> None:
        """The port is fixed, so it is taken only when somebody wants to log in that way."""
        with contextlib.suppress(OSError):
            self.server.serve_cloud_shell(namespaces.listen(CLOUD_SHELL_PORT, self.namespace))
            self.cloud_shell = True

    def vm(self, name: str | None) -> LabVm:
        """A VM by its name, the first one by default."""
        for vm in self.cloud.vms:
            if name in (None, vm.name):
                return vm
        if not self.cloud.vms:
            raise LabError("there is no VM yet: the laboratory is still starting")
        raise LabError(f"there is no VM '{name}'; there are {', '.join(vm.name for vm in self.cloud.vms)}")

    def status(self) -> dict[str, Any]:
        """Where everything stands."""
        return {
            "phase": self.phase,
            "error": self.error,
            "endpoint": self.cloud.base_url,
            "subscription": self.cloud.subscription,
            "namespace": self.namespace,
            "settings": self.cloud.settings.as_dict(),
            "injections": self.cloud.injections.texts(),
            "vms": [self._vm_status(vm) for vm in self.cloud.vms],
        }

    def _vm_status(self, vm: LabVm) -> dict[str, Any]:
        observed = self.cloud.observed(vm)
        agent = instance_view(observed).get("vmAgent")
        upload = observed.upload
        return {
            "name": vm.name,
            "group": vm.group,
            "kind": type(vm.guest).__name__,
            "power": observed.power,
            "agent": agent["statuses"][0]["displayStatus"] if agent else None,
            "agentVersion": agent["vmAgentVersion"] if agent else None,
            "secondsSinceUpload": round(time.time() - upload.received, 1) if upload else None,
            "fault": vm.active_fault,
            "publicAddress": vm.guest.public_address,
            "privateAddress": vm.guest.private_address,
            "sshPort": vm.guest.ssh_port,
        }

    def endpoints(self, login: str) -> dict[str, Any]:
        """What `az` needs to know to log in that way."""
        if login == "cloud-shell" and not self.cloud_shell:
            self._serve_cloud_shell()
        return {
            "base_url": self.cloud.base_url,
            "identity_header": self.cloud.identity_header,
            "ca": str(self.ca),
            "login_proxy": f"http://127.0.0.1:{self._proxy_port}",
            "namespace": self.namespace,
            "cloud_shell": self.cloud_shell,
            "ssh": [(vm.guest.public_address, str(getattr(vm.guest, "ssh_key", ""))) for vm in self.cloud.vms],
        }

    def fault(self, name: str, vm: str | None = None) -> None:
        """Make a fault; one at a time per VM."""
        target = self.vm(vm)
        if target.active_fault is not None:
            raise LabError(f"{target.name} has the fault {target.active_fault} already; heal it first")
        module = faults.load(name)
        target.active_fault, target.fault_at = name, time.time()
        try:
            module.inject(target)
        except BaseException:
            target.active_fault = target.fault_at = None
            raise

    def heal(self, vm: str | None = None) -> str | None:
        """Undo the fault of a VM; its name."""
        target = self.vm(vm)
        name = target.active_fault
        if name is not None:
            faults.load(name).heal(target)
            target.active_fault = target.fault_at = None
            target.healthy_since = time.time()
        return name

    def renew(self, vm: str | None = None) -> None:
        """Take a real guest back to its saved Ready state, whatever has happened to it and to its VM."""
        target = self.vm(vm)
        if not hasattr(target.guest, "renew"):
            raise LabError(f"{target.name} is a recording; it has no other state to go back to")
        target.guest.renew()
        self.cloud.vms[self.cloud.vms.index(target)] = LabVm(target.guest)

    def shell(self, command: str, vm: str | None = None, timeout: float = 60) -> tuple[int, str]:
        """Run a command as root in the guest, through the side door."""
        return self.vm(vm).guest.shell(command, timeout)

    def inject(self, specifications: list[str], clear: bool = False) -> list[str]:
        """Put faults of the platform in force; those in force afterwards."""
        if clear:
            self.cloud.injections.clear()
        for specification in specifications:
            self.cloud.injections.add(specification)
        return self.cloud.injections.texts()

    def change_setting(self, name: str, value: str) -> dict[str, Any]:
        """Change how the platform behaves; all settings afterwards."""
        self.cloud.settings.change(name, value)
        return self.cloud.settings.as_dict()

    def record(self, target: str, probe: str, vm: str | None = None) -> None:
        """Record what a real guest answers now into a folder; ``probe`` is the text of the guest probe."""
        from lab.guests.record import Occasion, record
        from lab.record_all import changed_model

        labelled = self.vm(vm)
        if not hasattr(labelled.guest, "ssh_key") or hasattr(labelled.guest, "recording"):
            raise LabError(f"{labelled.name} is itself a recording")
        model = changed_model(labelled)
        occasion = Occasion(labelled.healthy_since, labelled.active_fault, labelled.fault_at, model)
        record(cast(Any, labelled.guest), Path(target), probe=probe, occasion=occasion)

    def close(self) -> None:
        """Everything gone, whatever fails on the way."""
        for guest in self._guests:
            with contextlib.suppress(Exception):
                guest.close()
        self._network.close()
        self.server.stop()


def main() -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--vm", nargs=2, action="append", default=[])
    parser.add_argument("--setting", nargs=2, action="append", default=[])
    arguments = parser.parse_args()
    home = Home(arguments.state)
    settings = Settings()
    for name, value in arguments.setting:
        settings.change(name, value)
    daemon = Daemon(home, settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stopping.set())
    control = ControlServer(home.control, daemon.commands())
    home.pid.write_text(str(os.getpid()))
    recorded = [(name, Path(recording)) for name, recording in arguments.vm]
    threading.Thread(target=daemon.start, args=(arguments.real, recorded), daemon=True).start()
    try:
        daemon.stopping.wait()
    finally:
        daemon.close()
        control.shutdown()
        control.server_close()
        home.control.unlink(missing_ok=True)
        home.pid.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
