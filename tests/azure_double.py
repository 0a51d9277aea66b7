"""A double of the world outside the flow: each source does what the test says, and remembers that it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from azext_vmagent.channels.resource_manager import Change
from azext_vmagent.channels.serial_console import ConsoleLogin
from azext_vmagent.channels.ssh import SshLogin
from azext_vmagent.evidence.asking import Said, SourceFailed
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.port import PortFacts, PortOutcome
from azext_vmagent.model import State, Target

PUBLIC = "203.0.113.7"
NIC_ID = "/subscriptions/s/resourceGroups/rg-shop/providers/Microsoft.Network/networkInterfaces/nic"
LOGIN_PROMPT = b"[    0.000000] Linux version 5.10.0\r\n[    3.1] Run /init\r\n\r\nDebian GNU/Linux 12 web-03 ttyS0\r\n\r\nweb-03 login: "
_UNIT = "unit waagent.service LoadState=loaded\nunit waagent.service UnitFileState=enabled\nunit waagent.service ActiveState="
WELL = f"vmagent-probe 1\nuid 0\nsystemd yes\n{_UNIT}active\nwire 80 ok 200 curl\nwire 32526 ok 200 curl\nend 9 0\n"
STOPPED = f"vmagent-probe 1\nuid 0\nsystemd yes\n{_UNIT}inactive\nend 9 0\n"

Doing = Callable[[Deadline], Any]


def vm(agent: str = "Ready", power: str = "running", **properties: Any) -> dict[str, Any]:
    """A VM with its instance view."""
    view = {
        "vmAgent": {"vmAgentVersion": "2.7.3.0", "statuses": [{"displayStatus": agent, "code": "ProvisioningState/x"}]},
        "statuses": [{"code": f"PowerState/{power}"}],
    }
    network = {"networkInterfaces": [{"id": NIC_ID}]}
    disk = {"osDisk": {"osType": "Linux"}}
    diagnostics = {"bootDiagnostics": {"enabled": True}}
    told = {
        "instanceView": view,
        "networkProfile": network,
        "storageProfile": disk,
        "diagnosticsProfile": diagnostics,
    } | properties
    return {"name": "web-03", "location": "japaneast", "properties": told}


def nic(lets_in: bool = True, public: bool = True) -> dict[str, Any]:
    """A NIC as ``$expand`` brings it, with one security rule for tcp/22."""
    rule = {"access": "Allow" if lets_in else "Deny", "direction": "Inbound", "protocol": "Tcp", "priority": 100}
    ssh = {"name": "ssh", "properties": rule | {"sourceAddressPrefix": "*", "destinationPortRange": "22"}}
    address = {"publicIPAddress": {"properties": {"ipAddress": PUBLIC}}} if public else {}
    configuration = {"properties": {"privateIPAddress": "10.0.0.4", "subnet": {"properties": {}}} | address}
    group = {"properties": {"securityRules": [ssh]}}
    return {"properties": {"ipConfigurations": [configuration], "networkSecurityGroup": group}}


def metrics(until: datetime, out: float = 400_000.0, silent_minutes: int = 0) -> dict[str, Any]:
    """Two hours of samples whose newest whole minute begins a minute before ``until``."""
    newest = until.replace(second=0, microsecond=0) - timedelta(minutes=1)
    stamps = [newest - timedelta(minutes=back) for back in range(120, -1, -1)]
    data = [
        {
            "timeStamp": f"{stamp:%Y-%m-%dT%H:%M:%SZ}",
            "total": 0.0 if newest - stamp < timedelta(minutes=silent_minutes) else out,
        }
        for stamp in stamps
    ]
    cpu = [{"timeStamp": entry["timeStamp"], "average": 3.0} for entry in data]
    value = [
        {"name": {"value": "Network Out Total"}, "timeseries": [{"data": data}]},
        {"name": {"value": "Percentage CPU"}, "timeseries": [{"data": cpu}]},
    ]
    return {
        "timespan": f"{stamps[0]:%Y-%m-%dT%H:%M:%SZ}/{until:%Y-%m-%dT%H:%M:%SZ}",
        "interval": "PT1M",
        "value": value,
    }


def answers(value: Any) -> Doing:
    """Answer at once."""
    return lambda _: value


def raises(exc: Exception) -> Doing:
    """Fail at once."""

    def fail(_: Deadline) -> Any:
        raise exc

    return fail


def hangs(_: Deadline) -> Any:
    """Never come back (the thread is a daemon's)."""
    threading.Event().wait()


_WELL, _HEALTHY, _OPEN = answers(WELL), answers(vm()), answers(nic())
_LOG, _AVAILABLE = answers(LOGIN_PROMPT), answers({"properties": {"availabilityState": "Available"}})


def _not_there(_: Deadline) -> Any:
    raise http_error(404, "ResourceNotFound", "The Resource was not found.")


@dataclass
class AzureDouble:
    """Implements ``flow.Azure``. The default is a healthy VM whose SSH server greets and whose guest answers well."""

    machine: Doing = _HEALTHY
    serial: Doing = _LOG
    counted: Callable[[datetime], Any] = metrics
    health: Doing = _AVAILABLE
    interface: Doing = _OPEN
    port: PortOutcome = PortOutcome.GREETING
    through_agent: Doing = _WELL
    through_ssh: Doing = _WELL
    through_console: Doing = _WELL
    at_console: Doing = field(default_factory=lambda: raises(SourceFailed(State.FAILED, "no console here")))
    cloud_shell: bool = False
    through_managed: Doing = _WELL
    screen: Doing = field(default_factory=lambda: raises(SourceFailed(State.FAILED, "no screenshot here", status=404)))
    asked: list[str] = field(default_factory=list)
    #: GETs at the resource manager by the end of their path, and what its own changes do
    resources: dict[str, Doing] = field(default_factory=dict)
    changing: Callable[[Change], Said] = lambda _: ("done by Azure in 9 s", None)
    changes: list[Change] = field(default_factory=list)
    where_it_stopped: Doing = _WELL

    def _asked(self, name: str, doing: Doing, deadline: Deadline) -> Said:
        self.asked.append(name)
        return "asked", doing(deadline)

    def virtual_machine(self, _target: Target, deadline: Deadline) -> Said:
        return self._asked("vm", self.machine, deadline)

    def serial_log(self, _target: Target, deadline: Deadline) -> Said:
        return self._asked("serial log", self.serial, deadline)

    def screenshot(self, _target: Target, deadline: Deadline) -> Said:
        return self._asked("screenshot", self.screen, deadline)

    def host_metrics(self, _target: Target, now: datetime, deadline: Deadline) -> Said:
        return self._asked("metrics", lambda _: self.counted(now), deadline)

    def resource_health(self, _target: Target, deadline: Deadline) -> Said:
        return self._asked("health", self.health, deadline)

    def network_interface(self, _nic_id: str, deadline: Deadline) -> Said:
        return self._asked("nic", self.interface, deadline)

    def probe_port(self, address: str, port: int, _deadline: Deadline, _rdp: bool) -> PortFacts:
        self.asked.append(f"port {address}:{port}")
        return PortFacts(address, port, self.port, "SSH-2.0-OpenSSH_8.0" if self.port is PortOutcome.GREETING else "")

    def run_command(self, _target: Target, _script: str, deadline: Deadline) -> Said:
        return self._asked("run command", self.through_agent, deadline)

    def managed_run_command(self, _target: Target, _location: str, _script: str, deadline: Deadline) -> Said:
        return self._asked("managed run command", self.through_managed, deadline)

    def ssh(self, _login: SshLogin, _script: str, deadline: Deadline) -> Said:
        return self._asked("ssh", self.through_ssh, deadline)

    def look_at_console(self, _target: Target, _log: bytes, deadline: Deadline) -> Said:
        self.asked.append("console look")
        found = self.at_console(deadline)
        return "looked", found

    def serial_console(
        self, _target: Target, _log: bytes, login: ConsoleLogin, _script: str, deadline: Deadline, *_how: bool
    ) -> Said:
        return self._asked(f"console of {login.user}", self.through_console, deadline)

    def maintenance_shell(
        self, _target: Target, _log: bytes, login: ConsoleLogin, _script: str, deadline: Deadline, _goes_on: Any = None
    ) -> Said:
        return self._asked(f"maintenance shell of {login.user}", self.where_it_stopped, deadline)

    def resource(self, path: str, _params: dict[str, str], deadline: Deadline) -> Said:
        end = next((end for end in self.resources if path.endswith(end)), None)
        return self._asked(path, self.resources[end] if end else _not_there, deadline)

    def change(self, change: Change, _deadline: Deadline, _progress: Callable[[float], None]) -> Said:
        self.changes.append(change)
        return self.changing(change)

    def in_cloud_shell(self) -> bool:
        return self.cloud_shell


def http_error(status: int, code: str, message: str) -> Exception:
    """What azure-core raises for an ARM error body."""
    import json

    from azure.core.exceptions import HttpResponseError
    from azure.mgmt.core.exceptions import ARMErrorFormat

    body = json.dumps({"error": {"code": code, "message": message}})
    response = SimpleNamespace(
        status_code=status, reason=code, headers={}, text=lambda *_: body, request=None, content_type="application/json"
    )
    return HttpResponseError(response=response, error_format=ARMErrorFormat)
