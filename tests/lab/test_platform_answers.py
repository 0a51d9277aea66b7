"""What the guest gets when it asks the platform: Wire Server, HostGAPlugin, instance metadata, DHCP."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from email.message import Message

import pytest

from lab.platform import dhcp, host_ga_plugin, imds, wire_server
from lab.platform.fabric import Fabric
from lab.platform.http_service import Request


def request(target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Request:
    sent = Message()
    for name, value in headers.items():
        sent[name.replace("_", "-")] = value
    return Request(method, target, sent, body)


@pytest.fixture
def fabric() -> Fabric:
    return Fabric("vm1", "10.0.0.4", "10.0.0.1", lambda entry: None)


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [
        ("/?comp=versions", "GET", 200),
        ("/machine/?comp=goalstate", "GET", 200),
        ("/machine/c/i?comp=config&type=extensionsConfig&incarnation=1", "GET", 200),
        ("/machine/c/i?comp=config&type=fullConfig&incarnation=1", "GET", 404),
        ("/machine?comp=health", "POST", 200),
        ("/machine?comp=telemetrydata", "POST", 200),
        ("/machine?comp=roleProperties", "POST", 202),
        ("/blob/artifacts/run_command_manifest.xml", "GET", 200),
        ("/blob/artifacts/nothing", "GET", 404),
        ("/nothing", "GET", 404),
    ],
)
def test_the_wire_server(fabric: Fabric, target: str, method: str, status: int) -> None:
    assert wire_server.answer(fabric, request(target, method)).status == status


def test_a_status_uploaded_straight_to_the_blob_counts(fabric: Fabric) -> None:
    put = request("/blob/$system/lab.status?sig=lab", "PUT", b"{}", x_ms_blob_type="BlockBlob")
    assert wire_server.answer(fabric, put).status == 201
    assert fabric.last_upload is not None


@pytest.mark.parametrize(
    ("target", "status"), [("/versions", 200), ("/health", 200), ("/vmSettings", 404), ("/extensionArtifact", 404)]
)
def test_the_host_ga_plugin(fabric: Fabric, target: str, status: int) -> None:
    assert host_ga_plugin.answer(fabric, request(target)).status == status


def test_the_handlers_package_is_served_with_its_modes(fabric: Fabric) -> None:
    asked = request(
        "/extensionArtifact", x_ms_artifact_location="http://168.63.129.16:80/blob/artifacts/run_command.zip"
    )
    with zipfile.ZipFile(io.BytesIO(host_ga_plugin.answer(fabric, asked).body)) as package:
        modes = {entry.filename: entry.external_attr >> 16 for entry in package.infolist()}
    assert modes == {"HandlerManifest.json": 0o644, "bin/run-command-shim": 0o755, "bin/run_command.py": 0o755}


def test_metadata_wants_its_header(fabric: Fabric) -> None:
    assert imds.answer(fabric, request("/metadata/instance")).status == 400
    answer = imds.answer(fabric, request("/metadata/instance?api-version=2021-02-01", Metadata="true"))
    assert json.loads(answer.body)["compute"]["name"] == "vm1"


def dhcp_packet(kind: int) -> bytes:
    head = struct.pack("!BBBB", 1, 1, 6, 0) + b"\x01\x02\x03\x04" + bytes(20) + bytes.fromhex("000d3a000004")
    return head.ljust(236, b"\0") + b"\x63\x82\x53\x63" + bytes([53, 1, kind, 255])


@pytest.mark.parametrize(("asked", "answered"), [(1, 2), (3, 5)])
def test_a_lease_names_the_wire_server_and_its_route(asked: int, answered: int) -> None:
    answer = dhcp.reply(dhcp_packet(asked), "10.0.0.4", "10.0.0.1")
    assert answer is not None
    assert answer[4:8] == b"\x01\x02\x03\x04"
    assert answer[16:20] == bytes([10, 0, 0, 4])
    options = dhcp.parse_options(answer)
    assert options[53] == bytes([answered])
    assert options[245] == options[6] == bytes([168, 63, 129, 16])
    assert bytes([32, 168, 63, 129, 16, 10, 0, 0, 1]) in options[121]


@pytest.mark.parametrize("packet", [b"", b"\x01" * 50, dhcp_packet(7), b"\x02" + dhcp_packet(1)[1:]])
def test_other_packets_are_not_answered(packet: bytes) -> None:
    assert dhcp.reply(packet, "10.0.0.4", "10.0.0.1") is None
