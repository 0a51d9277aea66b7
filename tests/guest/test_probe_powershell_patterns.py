"""The patterns that probe.ps1 reads logs and rules with, taken out of the script and tried on documented lines.

The loop around them is PowerShell's and is written here once more, for want of a PowerShell; .NET and Python read these
patterns alike (-match does not mind case).
"""

from __future__ import annotations

import re

import pytest

from azext_vmagent.facts.windows_facts import FirewallProfile
from azext_vmagent.facts.windows_firewall import Scene, StoredRule, firewall_rules
from azext_vmagent.guest import windows_probe_script

SCRIPT = windows_probe_script()


def pattern(name: str) -> re.Pattern[str]:
    """The value of a variable of the script, with what is added to it."""
    parts = re.findall(rf"\${name} \+?= '([^'\n]+)'$", SCRIPT, re.MULTILINE)
    assert parts, name
    return re.compile("".join(parts), re.IGNORECASE)


def matched(what: str) -> re.Pattern[str]:
    """The pattern that something is matched with."""
    return re.compile(re.search(rf"{re.escape(what)} -match '([^'\n]+)'", SCRIPT)[1], re.IGNORECASE)


HEADER = matched("if ($line")
WIRE, BAD, FINE, KNOWN = (pattern(name) for name in ("wire", "bad", "fine", "known"))

#: learn.microsoft.com «Troubleshoot Azure Windows VM Agent issues»
BLOCKED = """\
[00000011] [12/11/2018 06:27:55.66] [WARN]  (Ignoring) Exception while fetching supported versions from HostGAPlugin: \
System.Net.WebException: Unable to connect to the remote server
---> System.Net.Sockets.SocketException: An attempt was made to access a socket in a way forbidden by its access \
permissions 168.63.129.16:32526
at System.Net.Sockets.Socket.DoConnect(EndPoint endPointSnapshot, SocketAddress socketAddress)
"""
#: the agent's list of its own filters (public copy of a support article on BFEToolWin8)
OWN_FILTERS = """\
[00000013] 2022-11-08T11:09:33.460Z [INFO]  BfeToolWin8.exe
stdout = [00002884:00001768, INFO ] List all filters requested.
[00002884:00001768, INFO ] Filters found: Yes
[00002884:00001768, INFO ] Index: 3 Name: Block all outgoing to 168.63.129.16:32526 Key: D289C5CC-9073-4297-9221
[00002884:00001768, INFO ] Index: 6 Name: Block all outgoing to 168.63.129.16:80 Key: 6C9F77C2-3ED4-4865-92E7-EBB5F
"""
#: the same support wiki, on reading the logs
DISCOVERED = """\
[07/11/2019 21:04:30.13] [INFO]  Attempting to discover fabric address on interface Local Area Connection 3.
[07/11/2019 21:04:40.25] [INFO]  Discovered fabric address on interface Local Area Connection 3.
[07/11/2019 21:04:40.25] [INFO]  Using fabric address 168.63.129.16 from DHCP.
[07/11/2019 21:04:40.61] [INFO]  ControlSystem initialized with version 2012-11-30.
"""


def failures(log: str) -> list[str]:
    """What the script would count, as ``TIME TEXT``."""
    found: list[str] = []
    when = level = ""
    for raw in log.splitlines():
        line = raw
        if header := HEADER.match(line):
            when, level, line = header.groups()
        if not when or re.search(r"^\[|BfeTool", line, re.IGNORECASE) or (level == "INFO" and not FINE.search(line)):
            continue
        if FINE.search(line):
            found = []
        elif WIRE.search(line) and BAD.search(line):
            found.append(f"{when} {line}")
    return found


@pytest.mark.parametrize(("line", "when", "level"), [
    ("[00000011] [12/11/2018 06:27:55.66] [WARN]  text", "12/11/2018 06:27:55.66", "WARN"),
    ("[00000018] 2021-01-12T16:35:45Z [INFO]  text", "2021-01-12T16:35:45Z", "INFO"),
    ("[00000013] 2022-11-08T11:09:33.460Z [INFO]  text", "2022-11-08T11:09:33.460Z", "INFO"),
    ("[07/11/2019 21:04:07.05] [INFO]  text", "07/11/2019 21:04:07.05", "INFO"),
    ("[00000020] [11/14/2019 06:02:33.43] [HEART] text\r", "11/14/2019 06:02:33.43", "HEART"),
])  # fmt: skip
def test_every_documented_form_of_a_line_is_read(line, when, level):
    found = HEADER.match(line)
    assert (found[1], found[2], found[3].strip()) == (when, level, "text")


@pytest.mark.parametrize(
    "line", ["[00002884:00001768, INFO ] Filters found: Yes", "at System.Net.WebClient.DownloadString", ""]
)
def test_a_line_that_begins_no_entry_is_none(line):
    assert HEADER.match(line) is None


def test_the_documented_failure_is_counted_once_with_the_time_of_its_entry():
    (found,) = failures(BLOCKED)
    assert found.startswith("12/11/2018 06:27:55.66 ---> System.Net.Sockets.SocketException")


def test_the_agents_own_filters_are_no_failure():
    assert failures(OWN_FILTERS) == []


def test_a_discovered_fabric_address_ends_the_failures():
    assert failures(BLOCKED + DISCOVERED) == []
    assert len(failures(DISCOVERED + BLOCKED)) == 1


@pytest.mark.parametrize("line", [
    "GetVersions() failed with exception: Microsoft.ServiceModel.Web.WebProtocolException: Server Error",
    "Did not discover fabric address on interface Npcap Loopback Adapter",
])  # fmt: skip
def test_other_documented_failures(line):
    assert WIRE.search(line)
    assert BAD.search(line)


@pytest.mark.parametrize("line", [
    "RdCrypt Initialization failed. Error Code: -2147023143.",
    "PInvoke PFXImportCertStore failed and null handle is returned. Error Code: 86.",
    "InstallPlugins() failed with exception: System.AggregateException ---> System.BadImageFormatException: An attempt",
    "WindowsAzureGuestAgent could not be stopped. Exception: System.NullReferenceException",
    "System.Configuration.ConfigurationErrorsException: The type 'Microsoft.VisualStudio.Diagnostics.ServiceModelSink",
    "Error state triggered for caller:GAPluginPinger",
])  # fmt: skip
def test_every_known_fault_is_picked(line):
    assert KNOWN.search(line)
    assert not KNOWN.search("StateExecutor initialization completed.")


# -- which rules are sent ----------------------------------------------------------------------------------------------

ACTIVE = "v2.30|Action=Block|Active=TRUE|Dir=Out|"
SCENE = Scene(
    tuple(FirewallProfile(name) for name in ("domain", "private", "public")), ("public",), "10.0.0.4", 20348, True
)


def is_sent(rule: str) -> bool:
    """The script's choice, with its own patterns."""
    protocol = matched("if ($rule").search(rule)
    app = re.search(r"\|App=([^|]*)\|", rule)
    service = re.search(r"\|Svc=([^|]*)\|", rule)
    apps = re.compile(re.search(r"\$Matches\[1\] -notmatch '(WindowsAzure[^']*)'", SCRIPT)[1], re.IGNORECASE)
    services = re.compile(re.search(r"\$Matches\[1\] -notmatch '(\^[^']*)'", SCRIPT)[1], re.IGNORECASE)
    return not (
        (protocol and protocol[1] not in ("6", "256"))
        or "|AppPkgId=" in rule
        or (app and not apps.search(app[1]))
        or (service and not services.search(service[1]))
    )


@pytest.mark.parametrize("more", [
    "", "Protocol=6|", "Protocol=256|", "App=C:\\WindowsAzure\\Packages\\WaAppAgent.exe|", "Svc=*|", "Svc=RdAgent|",
    "App=%SystemRoot%\\System32\\WindowsPowerShell\\v1.0\\powershell.exe|", "Svc=WindowsAzureGuestAgent|",
    "Protocol=17|", "App=C:\\x.exe|", "Svc=wuauserv|", "AppPkgId=S-1-15-2|", "App=System|",
])  # fmt: skip
def test_no_rule_that_counts_is_left_behind(more):
    rule = f"{ACTIVE}RA4=168.63.129.16|{more}"
    found = firewall_rules([StoredRule("local", "{1}", rule)], SCENE)
    counts = bool(found.analysis.blocks or found.analysis.undecided or found.agent_only or found.probe_only)
    assert is_sent(rule) is counts
