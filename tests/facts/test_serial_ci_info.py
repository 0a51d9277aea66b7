"""Kernel, command line and cloud-init's tables of the newest boot, as data."""

from __future__ import annotations

import pytest

from azext_vmagent.facts.serial_ci_info import CiInterface, CiRoute
from azext_vmagent.facts.serial_log import SerialLogFacts, parse_serial_log

BANNER = "[    0.000000] Linux version 6.1.0-50-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12)"
COMMAND = (
    "[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz-6.1.0-50-cloud-amd64 root=PARTUUID=5f3b ro console=ttyS0"
)
TABLES = [
    "ci-info: +++++++++++++++++++Net device info++++++++++++++++++++",
    "ci-info: +--------+-------+----------+---------------+--------+-------------------+",
    "ci-info: | Device |   Up  | Address  |      Mask     | Scope  |     Hw-Address    |",
    "ci-info: +--------+-------+----------+---------------+--------+-------------------+",
    "ci-info: |  eth0  |  True | 10.0.0.4 | 255.255.255.0 | global | 00:0d:3a:00:00:04 |",
    "ci-info: |  eth1  | False |    .     |       .       |   .    | 00:0d:3a:00:00:05 |",
    "ci-info: ++++++++++++++++++++Route IPv4 info+++++++++++++++++++++",
    "ci-info: | Route | Destination | Gateway  |    Genmask    | Interface | Flags |",
    "ci-info: |   0   |   0.0.0.0   | 10.0.0.1 |    0.0.0.0    |    eth0   |   UG  |",
    "ci-info: |   1   |   10.0.0.0  | 0.0.0.0  | 255.255.255.0 |    eth0   |   U   |",
    "ci-info: ++++++++++++++++++++Route IPv6 info+++++++++++++++++++++",
    "ci-info: |   1   |  fe80::/64  |    ::    |    eth0   |   U   |",
]
KEYS = "ci-info: | ssh-rsa | 5f:3b:1d:2e | - | ops@example |"


def judge(*lines: str) -> SerialLogFacts:
    return parse_serial_log("\r\n".join(lines).encode())


def test_the_tables_are_data() -> None:
    facts = judge(BANNER, *TABLES, KEYS)
    assert facts.ci_info is not None
    up, down = facts.ci_info.interfaces
    assert up == CiInterface(6, "eth0", True, "10.0.0.4", "255.255.255.0", "global", "00:0d:3a:00:00:04")
    assert down == CiInterface(7, "eth1", False, None, None, None, "00:0d:3a:00:00:05")
    assert [route.is_default for route in facts.ci_info.routes] == [True, False, False]
    assert facts.ci_info.routes[0] == CiRoute(10, "0.0.0.0", "10.0.0.1", "0.0.0.0", "eth0", "UG")
    assert facts.ci_info.routes[2].mask is None


def test_the_newest_tables_count() -> None:
    later = [line.replace("10.0.0.4", "10.0.0.9") for line in TABLES]
    facts = judge(BANNER, *TABLES, *later)
    assert facts.ci_info is not None
    assert [row.address for row in facts.ci_info.interfaces] == ["10.0.0.9", None]


@pytest.mark.parametrize(
    ("row", "scope"),
    [
        ("ci-info: | eth0 | True | 10.0.0.4 | 255.255.255.0 | 00:0d:3a:00:00:04 |", None),
        ("ci-info: eth0  : 1 10.0.0.4        255.255.255.0   00:0d:3a:00:00:04", None),
        (
            "[   52.3] cloud-init[800]: ci-info: | eth0 | True | 10.0.0.4 | 255.255.255.0 | global | 00:0d:3a:00:00:04 |",
            "global",
        ),
        (
            "[   52.3] cloud-init[800]: ci-info: | eth0 | True | 10.0.0.4 | 255.255.255.0 | global | 00:0d:3a:00:00:04|",
            "global",
        ),
    ],
)
def test_rows_of_every_generation(row: str, scope: str | None) -> None:
    facts = judge(BANNER, row)
    assert facts.ci_info is not None
    assert facts.ci_info.interfaces == (
        CiInterface(2, "eth0", True, "10.0.0.4", "255.255.255.0", scope, "00:0d:3a:00:00:04"),
    )


def test_an_old_route() -> None:
    facts = judge(BANNER, "ci-info: route-0: 0.0.0.0         10.0.0.1        0.0.0.0         eth0   UG")
    assert facts.ci_info is not None
    assert facts.ci_info.routes == (CiRoute(2, "0.0.0.0", "10.0.0.1", "0.0.0.0", "eth0", "UG"),)


def test_a_torn_row_is_left_out() -> None:
    assert judge(BANNER, "ci-info: |  eth|[   18.907510] hv_storvsc: tag#7", "ci-info: | a | b |").ci_info is None


def test_tables_of_an_older_boot_are_left_out() -> None:
    assert judge(BANNER, *TABLES, BANNER, "web login: ").ci_info is None


def test_the_newest_boots_kernel_and_command_line() -> None:
    older = BANNER.replace("-50-", "-49-")
    facts = judge(older, "web login: ", BANNER, COMMAND, "[    0.0] Kernel command line: BOOT_IMAGE=second")
    assert facts.kernel == "6.1.0-50-cloud-amd64"
    assert facts.command_line == "BOOT_IMAGE=/boot/vmlinuz-6.1.0-50-cloud-amd64 root=PARTUUID=5f3b ro console=ttyS0"


def test_a_command_line_longer_than_a_segment_is_whole() -> None:
    long = " ".join(f"option{at}=value" for at in range(100))
    facts = judge(BANNER, f"[    0.000000] Command line: {long}")
    assert facts.command_line == long


def test_a_quiet_or_cut_console_names_no_kernel() -> None:
    facts = judge("web login: ", "Nov 23 23:05:00 web kernel: [    0.000000] Linux version 6.1.0 (x)")
    assert (facts.kernel, facts.command_line, facts.ci_info, facts.leases) == (None, None, None, ())


def test_a_bsd_kernel() -> None:
    log = ["---<<BOOT>>---", "Copyright (c) 1992-2023 The FreeBSD Project.", "FreeBSD 14.0-RELEASE #0 releng/14.0-n1"]
    assert judge(*log).kernel == "FreeBSD 14.0-RELEASE"


def test_leases_name_their_address() -> None:
    facts = judge(BANNER, "bound to 10.0.0.4 -- renewal in 4294967295 seconds.", "web login: ")
    assert [(event.line, event.culprit) for event in facts.leases] == [(2, "10.0.0.4")]
