"""What a maintenance shell says of a boot that stopped, and which lines of /etc/fstab it stopped for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_vmagent.facts.boot_stop import is_boot_stop, parse_boot_stop
from azext_vmagent.facts.console import asks_root_password

#: what the real guest of the laboratory said, with the fault fstab-emergency
RECORDED = """\
vmagent-stop 1
uid 0
stage emergency
root rw
line 1 required active success there:ext4 /dev/vda / ext4 defaults,errors=remount-ro 0 1
line 2 required inactive success absent:- UUID=5f3b1d2e-0000-4000-8000-00000badf00d /data ext4 defaults,x-systemd.device-timeout=10s 0 2
end 2 0 216744022
"""


def test_the_line_whose_disk_is_not_there_is_the_one_that_stops():
    found = parse_boot_stop(RECORDED)
    assert (found.whole, found.root, found.stage, found.writable, found.plain) == (True, True, "emergency", True, True)
    assert [(line.number, line.mount, line.device) for line in found.stopping] == [(2, "/data", "absent")]
    assert found.stopping[0].why == "UUID=5f3b1d2e-0000-4000-8000-00000badf00d is not there"


def test_a_damaged_or_cut_answer_is_not_whole():
    assert not parse_boot_stop(RECORDED.replace("/data", "/date")).whole
    assert not parse_boot_stop(RECORDED[:200]).whole


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (
            "line 3 required failed exit-code there:ext4 /dev/sdc1 /data xfs defaults 0 0",
            "its disk holds ext4, the line says xfs",
        ),
        ("line 3 required failed exit-code there:ext4 /dev/sdc1 /data ext4 defaults 0 0", "its mount fails"),
        ("line 3 required inactive success none:- host:/share /data nfs defaults 0 0", "its mount was not made"),
    ],
)
def test_why_a_line_stops_the_boot(row: str, why: str):
    (line,) = parse_boot_stop(f"vmagent-stop 1\n{row}\n").stopping
    assert line.why == why


@pytest.mark.parametrize(
    "row",
    [
        "line 3 optional failed exit-code absent:- /dev/sdc1 /data ext4 defaults,nofail 0 0",
        "line 3 required active success there:ext4 /dev/sdc1 /data ext4 defaults 0 0",
        "line 3 other - - - - /dev/sdc1 none swap sw 0 0",
    ],
)
def test_what_the_boot_does_not_wait_for_stops_nothing(row: str):
    assert parse_boot_stop(f"vmagent-stop 1\n{row}\n").stopping == ()


def test_of_two_lines_for_one_mount_systemd_takes_the_first():
    rows = "".join(
        f"line {at} required inactive success absent:- /dev/sd{at} /data ext4 defaults 0 0\n" for at in (3, 4)
    )
    assert [line.number for line in parse_boot_stop(f"vmagent-stop 1\n{rows}").stopping] == [3]


@given(st.text(max_size=300))
def test_nothing_that_a_guest_writes_makes_it_fail(text: str):
    parse_boot_stop(text)
    parse_boot_stop("vmagent-stop 1\n" + text)
    assert is_boot_stop("vmagent-stop 1\n" + text)


ASKS = "You are in emergency mode.\r\nGive root password for maintenance\r\n(or press Control-D to continue): "


@pytest.mark.parametrize("after", ["", "[   34.1] ata2: PATA max\r\n", "\r\nLogin incorrect\r\n\r\n" + ASKS])
def test_sulogin_asks_for_roots_password(after: str):
    assert asks_root_password((ASKS + after).encode())


@pytest.mark.parametrize(
    "text",
    [
        "Press Enter for maintenance\r\n(or press Control-D to continue): ",
        "Cannot open access to console, the root account is locked.\r\nSee sulogin(8) man page for more details.\r\n\r\nPress Enter to continue.\r\n",
        ASKS + "\r\nroot@web:~# ",
        ASKS + "\r\nReloading system manager configuration\r\nStarting default.target\r\n",
        "[    0.000000] Linux version 6.1\r\n" + ASKS + "\r\n[    0.000000] Linux version 6.1\r\n",
        "web login: ",
        "",
    ],
)
def test_anything_else_does_not(text: str):
    assert not asks_root_password(text.encode())
