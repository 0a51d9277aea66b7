"""«Absent» is said only where the evidence would have shown the cause: a log that may be old or cut proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from azext_vmagent.causes.known_cause import State
from azext_vmagent.facts.port import PortFacts, PortOutcome
from azext_vmagent.facts.probe_answer import read_answer
from azext_vmagent.facts.reading import PORT, SERIAL_LOG, SSH
from azext_vmagent.model import Answer, Evidence
from azext_vmagent.model import State as Asked
from tests.causes.case import ASKED, TARGET, TESTS
from tests.causes.test_cases import found

BOOTED = b"""[    0.000000] Linux version 5.14.0-427.el9.x86_64 (mockbuild@example) (gcc) #1 SMP
[  OK  ] Started OpenSSH server daemon.

web-03 login: """
STOPPED_BEFORE_A_PROMPT = b"""[    0.000000] Linux version 5.14.0-427.el9.x86_64 (mockbuild@example) (gcc) #1 SMP
[    1.500000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
"""
ANSWERS = TESTS / "facts" / "probe_answers"


def state(code: str, *answers: Answer) -> State:
    return found(Evidence(TARGET, ASKED, {answer.source: answer for answer in answers}))[code].state


def serial(log: bytes) -> Answer:
    return Answer(SERIAL_LOG, Asked.OK, "", log)


def probe(text: str) -> Answer:
    return Answer(SSH, Asked.OK, "", text)


def cut_before(file: Path, start: str) -> str:
    """A recorded answer whose transport ended just before the first line that begins so."""
    lines = read_answer(file.read_text(encoding="utf-8")).lines
    at = next(number for number, line in enumerate(lines) if line.startswith(start))
    return "\n".join(["vmagent-probe 1", *lines[:at], ""])


@pytest.mark.parametrize("code", ["B01", "B07", "B15", "B16", "B17", "B18"])
def test_a_prompt_alone_may_be_the_last_words_of_an_older_boot(code: str):
    """Firmware and GRUB may write to the screen alone: a restart that ended there adds no line to the log."""
    assert state(code, serial(BOOTED)) is State.UNKNOWN


@pytest.mark.parametrize("code", ["B01", "B07", "B15", "B16", "B17", "B18"])
def test_a_prompt_of_a_guest_that_speaks_now_settles_that_it_booted(code: str):
    greeting = PortFacts("203.0.113.7", 22, PortOutcome.GREETING, "SSH-2.0-OpenSSH_8.7")
    assert state(code, serial(BOOTED), Answer(PORT, Asked.OK, "", greeting)) is State.ABSENT


def test_a_log_without_its_beginning_does_not_settle_that_no_prompt_came():
    assert state("B39", serial(STOPPED_BEFORE_A_PROMPT)) is State.ABSENT
    assert state("B39", serial(STOPPED_BEFORE_A_PROMPT.split(b"\n", 1)[1])) is State.UNKNOWN


@pytest.mark.parametrize("code", ["P11", "N24"])
def test_two_good_answers_settle_nothing_about_a_server_that_fails_now_and_then(code: str):
    """The agent's log, which would tell of it, did not get through."""
    assert state(code, probe(cut_before(ANSWERS / "healthy.txt", "log"))) is State.UNKNOWN


def test_no_dhcp_client_and_no_address_is_not_concluded_from_half_an_answer():
    """The links were told, and the answer ended before their addresses."""
    text = cut_before(ANSWERS / "healthy.txt", "addr ")
    assert state("N13", probe(text)) is State.UNKNOWN
