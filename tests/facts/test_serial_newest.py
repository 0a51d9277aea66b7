"""Causes search the newest boot, and nothing else; their own signatures count in the judgement."""

from __future__ import annotations

from azext_vmagent.facts.serial_log import Outlook, SerialEvent, SerialLogFacts, SerialState, parse_serial_log
from azext_vmagent.facts.serial_signature import KERNEL, Kind, signature

BANNER = "[    0.000000] Linux version 6.1.0-50-cloud-amd64 (gcc-12)"
FULL = "[   50.1] nf_conntrack: nf_conntrack: table full, dropping packet"
CONNTRACK = ("table full", KERNEL + r"(?P<culprit>nf_conntrack): .{0,20}table full, dropping packet")


def judge(*lines: str) -> SerialLogFacts:
    return parse_serial_log("\r\n".join(lines).encode())


def search(*lines: str) -> tuple[SerialEvent, ...]:
    facts = judge(*lines)
    assert facts.newest is not None
    return facts.newest.search(*CONNTRACK)


def test_a_line_of_the_newest_boot_is_found_with_its_number_and_culprit() -> None:
    (event,) = search(BANNER, "web login:", FULL)
    assert (event.line, event.text, event.culprit, event.uptime) == (3, FULL, "nf_conntrack", 50.1)


def test_a_line_of_an_older_boot_is_not_found() -> None:
    assert search(BANNER, FULL, "web login:", BANNER, "web login:") == ()


def test_what_a_person_had_printed_again_is_not_found() -> None:
    assert search(BANNER, "web login: ops", "ops@web:~$ dmesg | tail", FULL, "ops@web:~$ ") == ()
    assert len(search(BANNER, "web login: ops", "ops@web:~$ uptime", FULL, "ops@web:~$ ")) == 1


def test_the_copy_that_syslog_makes_is_not_found() -> None:
    assert search(BANNER, "web login:", f"Nov 23 23:05:00 web kernel: {FULL}") == ()


def test_of_very_many_lines_the_first_and_the_last_are_found() -> None:
    events = search(BANNER, *[FULL] * 20_000, "web login:")
    assert (events[0].line, events[-1].line) == (2, 20_001)
    assert len(events) < 1000


def test_an_empty_log_has_no_newest_boot() -> None:
    assert judge().newest is None


def test_a_signature_of_the_catalogue_decides_like_the_readers_own() -> None:
    log = f"{BANNER}\n[    9.1] frobnicator: no root disk on slot 7, halting\n".encode()
    known = signature(
        Kind.PANIC,
        "no root disk",
        KERNEL + r"frobnicator: no root disk on slot (?P<culprit>\d+)",
        "the frobnicator found no root disk",
        "B99 no-root-disk",
        10,
    )
    assert parse_serial_log(log).outlook is Outlook.BOOTING
    facts = parse_serial_log(log, [known])
    assert (facts.state, facts.outlook) == (SerialState.PANIC, Outlook.NOT_BOOTED)
    assert (facts.cause_code, facts.cause_slug, facts.culprit) == ("B99", "no-root-disk", "7")


def test_a_signature_of_the_catalogue_is_tried_before_a_general_one() -> None:
    log = f"{BANNER}\n[    9.1] Kernel panic - not syncing: frobnicator on fire\n".encode()
    known = signature(
        Kind.PANIC, "frobnicator", KERNEL + r"Kernel panic .{0,20}: frobnicator", "it burns", "B99 fire", 10
    )
    assert parse_serial_log(log).cause_code == "B09"
    assert parse_serial_log(log, [known]).cause_code == "B99"
