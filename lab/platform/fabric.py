"""The platform around one VM: its goal state, its status blob, and the servers that the guest can reach."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from lab.guests.base import RunCommandResult, StatusUpload
from lab.namespaces import listen
from lab.platform import dhcp, host_ga_plugin, imds, wire_server
from lab.platform.goal_state import WIRE_SERVER, GoalState
from lab.platform.http_service import HttpService, Journal
from lab.platform.status_upload import StatusBlob


class Fabric:
    """Lives as long as the VM, through its stops and starts; ``open`` puts its servers into a network namespace."""

    def __init__(self, name: str, private_address: str, gateway: str, journal: Journal) -> None:
        self.name = name
        self.private_address = private_address
        self.goal_state = GoalState()
        self.status_blob = StatusBlob()
        self._gateway = gateway
        self._journal = journal
        self._lock = threading.Lock()
        self._services: list[HttpService | dhcp.DhcpService] = []

    def open(self, namespace: str, device: str) -> None:
        """Start the servers: HTTP on the platform's addresses, DHCP on the guest's interface."""
        for name, address, module in (
            ("wire-server", WIRE_SERVER, wire_server),
            ("host-ga-plugin", WIRE_SERVER, host_ga_plugin),
            ("imds", imds.ADDRESS, imds),
        ):
            listener = listen(module.PORT, namespace, address)
            self._services.append(HttpService(name, listener, partial(module.answer, self), self._journal))
        lease = dhcp.broadcast_socket(namespace, device)
        self._services.append(dhcp.DhcpService(lease, lambda: self.private_address, self._gateway, self._journal))

    def close(self) -> None:
        """Stop the servers."""
        while self._services:
            self._services.pop().close()

    def forget(self) -> None:
        """Be as before the first run command and the first upload."""
        with self._lock:
            self.goal_state = GoalState()
            self.status_blob = StatusBlob()

    @property
    def last_upload(self) -> StatusUpload | None:
        """The agent's last status upload."""
        return self.status_blob.last

    def submit_run_command(self, script: Sequence[str], parameters: Sequence[tuple[str, str]], timeout: float) -> int:
        """Make a run command part of the goal state; returns its sequence number."""
        with self._lock:
            self.goal_state = self.goal_state.with_run_command(script, parameters, timeout)
            return self.goal_state.sequence

    def run_command_started(self, sequence: int) -> bool:
        """Whether the handler has reported anything for that sequence number."""
        return self.status_blob.has_begun(sequence)

    def run_command_result(self, sequence: int) -> RunCommandResult | None:
        """The handler's final report for that sequence number."""
        return self.status_blob.report_of(sequence)
