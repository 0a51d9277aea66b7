"""The health report of a Windows guest on the serial line: what it says, what it proves, and what it does not."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_vmagent.facts.serial_log import Outlook, SerialState, parse_serial_log
from azext_vmagent.facts.windows_health_report import HealthReport, parse_health_reports

LOOPBACK = {
    "name": "Loopback Pseudo-Interface 1",
    "status": "Up",
    "macAddress": "",
    "ipProperties": [{"protocolVersion": 4, "address": "127.0.0.1", "isDhcpEnabled": False}],
}
LINK_LOCAL = {"protocolVersion": 6, "address": "fe80::90e7:17ff:1ab5:522d%13", "isDhcpEnabled": False}


def ip(address: str, dhcp: bool = True) -> dict[str, Any]:
    return {"protocolVersion": 4, "address": address, "isDhcpEnabled": dhcp}


def adapter(name: str = "Ethernet", status: str = "Up", *addresses: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "status": status, "macAddress": "00-0D-3A-00-00-01", "ipProperties": list(addresses)}


GOOD = adapter("Ethernet", "Up", ip("10.0.0.4"), LINK_LOCAL)
DOWN = adapter("Ethernet", "Down")


def service(name: str, state: str = "Running", mode: str = "Auto", code: int = 0) -> dict[str, Any]:
    return {
        "errorControl": "Normal",
        "exitCode": code,
        "name": name,
        "processId": 0,
        "serviceType": "Own Process",
        "startMode": mode,
        "startName": "LocalSystem",
        "state": state,
        "status": "OK",
    }


def mark(word: str, at: str) -> str:
    return f"======== Microsoft Azure VM Health Report - {word} {at} ========" + ("=" if word == "End" else "")


def report(*adapters: dict[str, Any], at: str = "2026-11-24T09:00:00.6256349Z", **more: Any) -> str:
    body = {"reportTime": at, "networkAdapters": [*adapters, LOOPBACK], **more}
    return "\r\n".join((mark("Start", at), json.dumps(body, separators=(",", ":")), mark("End", at), "", ""))


def read(*texts: str) -> HealthReport:
    found = parse_health_reports("".join(texts).encode() + bytes(300))
    assert found is not None
    return found


def outlook(*texts: str) -> Outlook:
    return parse_serial_log("".join(texts).encode() + bytes(300)).outlook


# -- what it says ------------------------------------------------------------------------------------------------------


def test_what_a_report_says() -> None:
    found = read(
        report(
            GOOD,
            services=[
                service("WindowsAzureGuestAgent", "Stopped", "Auto", 1067),
                service("Dhcp", "Stopped", "Disabled"),
            ],
            systemInfo={
                "windows": {"osVersion": "Microsoft Windows NT 6.2.9200.0", "emsEnabled": False, "safeBoot": -1}
            },
            firewallPolicy={
                "localPolicy": {
                    "domainProfile": {"blockAllInboundConnections": -1, "enable": 1},
                    "publicProfile": {"blockAllInboundConnections": 1, "enable": 1},
                    "standardProfile": {"blockAllInboundConnections": -1, "enable": 0},
                },
                "domainPolicy": {"domainProfile": {"blockAllInboundConnections": -1, "enable": 0}},
            },
        )
    )
    assert found.time == found.written == datetime(2026, 11, 24, 9, 0, 0, 625634, tzinfo=timezone.utc)
    assert [(a.name, a.status, a.dhcp, a.carries) for a in found.adapters or ()] == [
        ("Ethernet", "Up", True, True),
        ("Loopback Pseudo-Interface 1", "Up", False, False),
    ]
    agent, dhcp = found.services["WindowsAzureGuestAgent"], found.services["Dhcp"]
    assert (agent.state, agent.start, agent.exit_code, agent.running) == ("Stopped", "automatic", 1067, False)
    assert (dhcp.start, dhcp.account) == ("disabled", "LocalSystem")
    assert [(p.name, p.enabled, p.blocks_inbound, p.by_policy) for p in found.profiles] == [
        ("domain", False, None, True),
        ("private", False, None, False),
        ("public", True, True, False),
    ]
    assert (found.os_version, found.safe_boot, found.ems) == ("Microsoft Windows NT 6.2.9200.0", None, False)


def test_the_published_sample_is_cut_and_therefore_no_report() -> None:
    """microsoft/azserialconsole, Known_Issues/Windows_Health_Info.md shows the beginning of one."""
    shown = (
        mark("Start", "2018-03-06T02:06:40.6256349Z") + '\n{"reportTime":"2018-03-06T02:06:29.0389712Z","networkAdap'
    )
    assert parse_health_reports(shown.encode()) is None
    facts = parse_serial_log(shown.encode())
    assert (facts.state, facts.outlook, facts.health_report) == (SerialState.WINDOWS, Outlook.HEALTHY, None)


def test_lines_are_those_of_an_editor() -> None:
    body = json.dumps(
        {"networkAdapters": [DOWN], "list": [service("RdAgent"), service("TermService", "Stopped")]}, indent=1
    )
    log = "\r\n".join(
        ["firmware", "", mark("Start", "2026-11-24T09:00:00Z"), body, mark("End", "2026-11-24T09:00:00Z")]
    )
    found = read(log)
    lines = log.split("\n")
    assert found.line == 3
    for name, at in (("RdAgent", found.services["RdAgent"].line), ("TermService", found.services["TermService"].line)):
        assert f'"name": "{name}"' in lines[at - 1]
    assert '"Ethernet"' in lines[(found.adapters or ())[0].line - 1]
    assert "TermService" in found.services["TermService"].excerpt


def test_a_body_that_the_console_broke_into_lines_is_read_whole() -> None:
    text = report(GOOD, services=[service(f"Service{at}") for at in range(40)])
    start, body, rest = text.split("\r\n", 2)
    broken = "\r\r\n".join(body[at : at + 700] for at in range(0, len(body), 700))
    assert read(f"{start}\r\n{broken}\r\n{rest}").services["Service39"].running is True


# -- which report counts -----------------------------------------------------------------------------------------------


def test_the_newest_whole_report_counts() -> None:
    found = read(report(DOWN), report(GOOD, at="2026-11-24T10:00:00Z"))
    assert (found.reports, found.without_network, found.cut) == (2, (), False)
    assert outlook(report(DOWN), report(GOOD)) is Outlook.HEALTHY
    assert outlook(report(GOOD), report(DOWN)) is Outlook.NETWORK_DOWN


def test_a_newer_report_that_is_cut_is_said_and_not_used() -> None:
    found = read(report(GOOD), report(DOWN)[:200])
    assert (found.reports, found.cut, found.without_network) == (1, True, ())


def test_a_newer_report_that_is_no_json_is_counted_and_not_used() -> None:
    found = read(report(GOOD), report(DOWN).replace('"networkAdapters"', "[ 12.5] noise"))
    assert (found.reports, found.unreadable, found.without_network) == (2, 1, ())


def test_a_report_of_an_older_boot_is_history() -> None:
    facts = parse_serial_log((report(DOWN) + "Computer is booting, SAC started and initialized.\r\n").encode())
    assert facts.health_report is None
    assert facts.outlook is not Outlook.NETWORK_DOWN


def test_the_end_of_a_report_whose_beginning_was_cut_is_none() -> None:
    assert parse_health_reports(report(GOOD)[100:].encode()) is None


# -- the network -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adapters", "words"),
    [
        ([DOWN], "«Ethernet» is Down"),
        ([adapter("Ethernet", "NotPresent")], "«Ethernet» is NotPresent"),
        ([adapter("Ethernet", "Up")], "no address"),
        ([adapter("Ethernet", "Up", ip("169.254.7.9"), LINK_LOCAL)], "no address"),
        ([DOWN, adapter("Ethernet 2", "Down")], "«Ethernet» is Down"),
        ([DOWN, adapter("Contoso VPN", "Up", ip("192.168.7.2"))], "«Ethernet» is Down"),
        ([DOWN, adapter("vEthernet (nat)", "Up", ip("172.20.0.1"))], "«Ethernet» is Down"),
        ([], "no adapter but"),
    ],
)
def test_no_adapter_carries_a_network(adapters: list[dict[str, Any]], words: str) -> None:
    facts = parse_serial_log(report(*adapters).encode())
    assert (facts.state, facts.outlook, facts.cause_code) == (SerialState.WINDOWS, Outlook.NETWORK_DOWN, "I18")
    assert words in facts.deciding[0].meaning
    assert (facts.deciding[0].line, facts.health_report is not None) == (2, True)


@pytest.mark.parametrize(
    "adapters",
    [
        pytest.param([GOOD], id="well"),
        pytest.param([GOOD, adapter("Ethernet 2", "Down")], id="a second adapter is disconnected"),
        pytest.param(
            [GOOD, adapter("Ethernet 2", "Up", LINK_LOCAL)], id="the VF of accelerated networking has no address"
        ),
        pytest.param([GOOD, adapter("Contoso VPN", "Down")], id="a VPN is not connected"),
        pytest.param([GOOD, adapter("Teredo Tunneling Pseudo-Interface", "Down")], id="Teredo"),
        pytest.param([GOOD, adapter("Local Area Connection* 3", "Down")], id="a hidden miniport"),
        pytest.param([adapter("Ethernet", "Up", ip("10.0.0.4", dhcp=False))], id="a fixed address works"),
        pytest.param(
            [adapter("Ethernet", "Up"), adapter("vEthernet (Ext)", "Up", ip("10.0.0.4"))], id="virtual switch"
        ),
        pytest.param([{"name": "Ethernet", "status": "Up"}], id="addresses not said"),
        pytest.param([{"name": "Ethernet", "ipProperties": []}], id="status not said"),
        pytest.param(
            [adapter("Team", "Up", ip("10.0.0.4")), adapter("NIC1", "Up"), adapter("NIC2", "Up")], id="a team"
        ),
    ],
)
def test_near_misses_of_a_network_that_is_down(adapters: list[dict[str, Any]]) -> None:
    assert outlook(report(*adapters)) is Outlook.HEALTHY


@pytest.mark.parametrize("text", ["[]", '{"networkAdapters":7}', '{"networkAdapters":[]}', "{}"])
def test_a_report_that_does_not_speak_of_adapters_proves_nothing(text: str) -> None:
    assert outlook(f"{mark('Start', 'x')}\n{text}\n{mark('End', 'x')}\n") is Outlook.HEALTHY


def test_only_an_ipv4_address_tells_whether_dhcp_is_used() -> None:
    assert read(report(GOOD)).without_dhcp == ()
    fixed = read(report(adapter("Ethernet", "Up", ip("10.0.0.4", dhcp=False), LINK_LOCAL)))
    assert [found.name for found in fixed.without_dhcp] == ["Ethernet"]


# -- hostile text ------------------------------------------------------------------------------------------------------


def test_names_are_fit_to_be_printed() -> None:
    found = read(report(adapter("Eth\u001b\ud800\u202enet", "Down"))).without_network[0]
    assert found.name == "Eth?net"


def test_times_beyond_the_calendar_are_not_said() -> None:
    assert read(report(GOOD, at="0001-01-01T00:00:00+23:59")).time is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param((mark("Start", "x") + "\n") * 14_000, id="only beginnings"),
        pytest.param((mark("Start", "x") + "\n{\n" + mark("End", "x") + "\n") * 7_000, id="empty reports"),
        pytest.param(f"{mark('Start', 'x')}\n{'[' * 500_000}\n{mark('End', 'x')}", id="nested"),
        pytest.param(f"{mark('Start', 'x')}\n[{'9' * 500_000}]\n{mark('End', 'x')}", id="a long number"),
        pytest.param(report(*[adapter(f"E{at}", "Down") for at in range(4_000)]), id="many adapters"),
        pytest.param(report(GOOD, list=[service(f"s{at}") for at in range(3_000)]), id="many services"),
        pytest.param(report(GOOD, reportTime="2026" + ".1" * 200_000), id="a long time"),
    ],
)
def test_half_a_megabyte_of_a_hostile_report_is_read_at_once(text: str) -> None:
    began = time.process_time()
    parse_health_reports(text.encode())
    assert time.process_time() - began < 1.0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.sampled_from(["Up", "Down", "169.254.1.1"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "networkAdapters",
                    "ipProperties",
                    "name",
                    "status",
                    "address",
                    "state",
                    "startMode",
                    "firewallPolicy",
                    "localPolicy",
                    "publicProfile",
                    "enable",
                    "systemInfo",
                    "windows",
                    "reportTime",
                    "protocolVersion",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@given(_JSON, st.binary(max_size=20))
def test_never_raises_on_any_json(value: Any, noise: bytes) -> None:
    text = f"{mark('Start', 'x')}\n{json.dumps(value)}\n".encode() + noise + f"\n{mark('End', 'x')}\n".encode()
    found = parse_health_reports(text)
    if found is not None:
        assert all(adapter.trouble.isprintable() for adapter in found.without_network)
    parse_serial_log(text)


@given(st.binary(max_size=400), st.integers(0, 900))
def test_never_raises_on_any_bytes(noise: bytes, at: int) -> None:
    whole = report(GOOD, services=[service("RdAgent")]).encode()
    parse_health_reports(noise)
    parse_serial_log(whole[:at] + noise + whole[at:])
