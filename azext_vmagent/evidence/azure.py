"""The real world behind the flow: az's login, ARM, the boot diagnostics storage, the guest's ports."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azext_vmagent.channels import (
    emergency_shell,
    managed_run_command,
    resource_manager,
    run_command,
    serial_console,
    ssh,
)
from azext_vmagent.channels.console_line import Line
from azext_vmagent.channels.open_requests import OpenRequests
from azext_vmagent.channels.serial_console import ConsoleLogin
from azext_vmagent.evidence import host_metrics, network, port, resource_health, screenshot, serial_log
from azext_vmagent.evidence.arm import ArmClient, arm_client
from azext_vmagent.evidence.asking import Said
from azext_vmagent.evidence.boot_diagnostics import BootDiagnostics
from azext_vmagent.evidence.compute import Compute
from azext_vmagent.evidence.console import arm_token, open_line
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.port import PortFacts
from azext_vmagent.model import Target

if TYPE_CHECKING:
    from azure.cli.core import AzCli


class LiveAzure:
    """Implements ``flow.Azure`` for one subscription."""

    def __init__(self, compute: Callable[[], Compute], arm: ArmClient, token: Callable[[], str], folder: Path) -> None:
        """``compute`` is called by the first thread that needs it: importing the SDK takes as long as a request.

        Screenshots are saved in ``folder``.
        """
        self._make_compute, self._arm, self._token, self._folder = compute, arm, token, folder
        self._diagnostics = BootDiagnostics(self._boot_diagnostics)
        self._made: Compute | None = None
        self._making = threading.Lock()
        self.requests = OpenRequests()

    @property
    def _compute(self) -> Compute:
        with self._making:
            if self._made is None:
                self._made = self._make_compute()
            return self._made

    def _boot_diagnostics(self, target: Target, deadline: Deadline) -> dict[str, Any]:
        return self._compute.boot_diagnostics(target, deadline)

    def virtual_machine(self, target: Target, deadline: Deadline) -> Said:
        """VM GET with its instance view."""
        return "asked", self._compute.virtual_machine(target, deadline)

    def serial_log(self, target: Target, deadline: Deadline) -> Said:
        """The serial log's bytes."""
        return serial_log.serial_log(self._diagnostics, target, deadline)

    def screenshot(self, target: Target, deadline: Deadline) -> Said:
        """The console's screenshot."""
        return screenshot.screenshot(self._diagnostics, target, deadline, self._folder)

    def host_metrics(self, target: Target, now: datetime, deadline: Deadline) -> Said:
        """24 hours of platform metrics."""
        return host_metrics.host_metrics(self._arm, target, now, deadline)

    def resource_health(self, target: Target, deadline: Deadline) -> Said:
        """The current availability status."""
        return resource_health.resource_health(self._arm, target, deadline)

    def network_interface(self, nic_id: str, deadline: Deadline) -> Said:
        """A NIC, expanded."""
        return network.network_interface(self._arm, nic_id, deadline)

    def probe_port(self, address: str, number: int, deadline: Deadline, rdp: bool) -> PortFacts:
        """A look at a TCP port."""
        return port.probe_port(address, number, deadline, rdp=rdp)

    def run_command(self, target: Target, script: str, deadline: Deadline) -> Said:
        """A script's stdout, through the agent."""
        return run_command.run(self._compute, self._arm, target, script, deadline, self.requests)

    def managed_run_command(self, target: Target, location: str, script: str, deadline: Deadline) -> Said:
        """A script's stdout, through the agent and a resource that is gone afterwards."""
        return managed_run_command.run(self._arm, target, location, script, deadline, self.requests)

    def ssh(self, login: ssh.SshLogin, script: str, deadline: Deadline) -> Said:
        """A script's stdout, through OpenSSH."""
        return ssh.run(login, script, deadline, self.requests)

    def look_at_console(self, target: Target, log: bytes, deadline: Deadline) -> Said:
        """What Enter at the serial console's login prompt brings."""
        with closing(open_line(self._arm, self._token, target, deadline)) as line:
            return serial_console.look(line, log, deadline)

    def serial_console(
        self,
        target: Target,
        log: bytes,
        login: ConsoleLogin,
        script: str,
        deadline: Deadline,
        insist: bool,
        steady: bool = False,
    ) -> Said:
        """A script's stdout, through a login at the serial console."""
        return serial_console.run(self._reaching(target, deadline), log, login, script, deadline, insist, steady)

    def maintenance_shell(
        self,
        target: Target,
        log: bytes,
        login: ConsoleLogin,
        script: str,
        deadline: Deadline,
        goes_on: Callable[[str], bool] | None = None,
    ) -> Said:
        """A script's stdout, through root's login where a boot stopped."""
        return emergency_shell.run(self._reaching(target, deadline), log, login, script, deadline, goes_on)

    def _reaching(self, target: Target, deadline: Deadline) -> Callable[[], Line]:
        return lambda: open_line(self._arm, self._token, target, deadline)

    def resource(self, path: str, params: dict[str, str], deadline: Deadline) -> Said:
        """GET of anything at the resource manager."""
        return "asked", self._arm.get(path, params, deadline)

    def change(self, change: resource_manager.Change, deadline: Deadline, progress: Callable[[float], None]) -> Said:
        """One change by Azure itself, sent once and followed until it is over."""
        return resource_manager.carry_out(self._arm, change, deadline, self.requests, progress)

    def in_cloud_shell(self) -> bool:
        """Whether this runs in Azure Cloud Shell (it sets ACC_CLOUD; azure-cli-core looks at the same)."""
        return bool(os.environ.get("ACC_CLOUD"))


def live_azure(cli_ctx: AzCli, subscription: str) -> LiveAzure:
    """The clients for az's cloud and login. Raises what az raises when nobody is logged in."""
    return LiveAzure(
        lambda: Compute(cli_ctx, subscription),
        arm_client(cli_ctx, subscription),
        lambda: arm_token(cli_ctx, subscription),
        Path(cli_ctx.config.config_dir) / "vmagent",
    )
