"""A Windows guest's answer in the form that ``probe.ps1`` prints, for tests that have no Windows.

No Windows guest was at hand: nothing here was recorded. Values come from documents that are named where they are used.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

WIDTH = 78

#: services, versions and accounts: learn.microsoft.com «Troubleshoot Azure Windows VM Agent issues», steps 2 and 3, and
#: the health report in MicrosoftDocs/SupportArticles-docs issue 782
AGENT = {
    "name": "WindowsAzureGuestAgent", "state": "Running", "start": 2, "account": "LocalSystem", "there": True,
    "path": "C:\\WindowsAzure\\GuestAgent_2.7.41491.1083\\WindowsAzureGuestAgent.exe", "version": "2.7.41491.1083",
}  # fmt: skip
RD_AGENT = {
    "name": "RdAgent", "state": "Running", "start": 2, "account": "LocalSystem", "there": True,
    "path": "C:\\WindowsAzure\\Packages\\WaAppAgent.exe", "version": "2.7.41491.1083",
}  # fmt: skip
FIREWALL = [{"name": name, "state": "Running", "start": 2} for name in ("BFE", "mpssvc", "Dhcp", "Winmgmt")]
#: [MS-GPFAS] 2.2.3: EnableFirewall 1, DefaultOutboundAction 0 (allow)
PROFILES = [
    {"store": "local", "name": name, "on": 1, "out": 0, "merge": None}
    for name in ("DomainProfile", "StandardProfile", "PublicProfile")
]
#: learn.microsoft.com, DevTest Labs «Troubleshoot issues when applying artifacts», WaAppAgent.log, with a newer version
LOG = {
    "there": True, "size": 48213, "newest": "11/14/2019 06:02:33.43", "heart": "11/14/2019 06:02:33.43",
    "start": "11/14/2019 05:52:13.44", "version": "2.7.41491.1083", "count": 0, "failed": [], "errors": [], "known": [],
    "first": None,
}  # fmt: skip
#: learn.microsoft.com «Troubleshoot Azure Windows VM Agent issues», Can't connect to WireServer IP
DENIED_LINE = [
    "12/11/2018 06:27:55.66", "WARN",
    "---> System.Net.Sockets.SocketException: An attempt was made to access a socket in a way forbidden by its access "
    "permissions 168.63.129.16:32526",
]  # fmt: skip

HEALTHY: dict[str, Any] = {
    "who": {"system": True, "elevated": True},
    "time": "2019-11-14T06:03:00Z",
    "os": {"name": "Windows Server 2022 Datacenter", "build": "20348.2113", "kind": "Server Core", "shell": "5.1.20348",
           "uptime": 5100},
    "services": [RD_AGENT, AGENT, *FIREWALL],
    "wire80": {"port": 80, "outcome": "ok", "http": 200, "connected": True},
    "wire32526": {"port": 32526, "outcome": "ok", "http": 200, "connected": True},
    "imds": {"port": 80, "outcome": "ok", "http": 200, "connected": True},
    "profiles": PROFILES,
    "active": 4,
    "rules": [],
    "others": 12,
    "processes": [{"name": "WaAppAgent", "pid": 2184, "since": "2019-11-14T05:52:10Z"},
                  {"name": "WindowsAzureGuestAgent", "pid": 2520, "since": "2019-11-14T05:52:13Z"}],
    "exits": [{"name": "RdAgent", "exit": 0, "specific": 0}, {"name": "WindowsAzureGuestAgent", "exit": 0, "specific": 0}],
    "source": "10.0.0.4",
    "logWaAppAgent": LOG,
    "adapters": [{"name": "Ethernet", "about": "Microsoft Hyper-V Network Adapter", "state": "Up", "mac": "000D3A000004",
                  "addresses": ["10.0.0.4"], "gateways": ["10.0.0.1"], "dhcp": 1}],
    "off": [],
    "disk": {"name": "C:", "free": 104857600, "size": 133160960},
    "proxy": {},
    "dotnet": {"enable64": None, "config": "ok", "wcf": False},
    "events": [],
    "persistent": [],
    "routes": ["0.0.0.0,0.0.0.0,10.0.0.1,0,6", "168.63.129.16,255.255.255.255,10.0.0.1,1,6"],
    "certificates": [{"name": "TenantEncryptionCert", "until": "2029-11-14T05:52:20Z", "key": True}],
    "registry": {"GuestAgentVersion": "2.7.41491.1083"},
    "logTransparentInstaller": {"there": True, "count": 0, "failed": [], "errors": [], "known": []},
    "reboot": [],
}  # fmt: skip


def with_said(**changed: Any) -> dict[str, Any]:
    """A healthy guest's words with some replaced; None leaves a section out."""
    return {key: value for key, value in {**HEALTHY, **changed}.items() if value is not None}


def with_service(name: str, **changed: Any) -> dict[str, Any]:
    """A healthy guest with one service changed; ``gone=True`` takes it out."""
    services = [one for one in HEALTHY["services"] if one["name"] != name]
    if not changed.pop("gone", False):
        services.append({**next(one for one in HEALTHY["services"] if one["name"] == name), **changed})
    return with_said(services=services)


def answer(said: dict[str, Any], *, late: tuple[str, ...] = (), packed: bool = False) -> str:
    """The text that the probe prints for these words."""
    body = json.dumps({"failed": {}, "cut": [], **said, "late": list(late)}, separators=(",", ":"))
    if packed:
        body = base64.b64encode(gzip.compress(body.encode(), mtime=0)).decode()
    bare = "".join(body.split()).encode()
    lines = [body[at : at + WIDTH] for at in range(0, len(body), WIDTH)]
    head = f"vmagent-probe-windows 1 {'gzip' if packed else 'json'}"
    return "\r\n".join([head, *lines, f"end {len(bare)} {zlib.adler32(bare)} 2.4", ""])
