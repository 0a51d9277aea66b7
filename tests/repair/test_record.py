"""What the guest's repair program printed, read back."""

from __future__ import annotations

import random

import pytest

from azext_vmagent.facts.probe_answer import posix_checksum
from azext_vmagent.repair.record import RepairRecord, Result, Step, parse_record

BODY = """\
repair p12.2
earlier p9 reverted
step 1 precheck ok
step 1 backup ok
step 1 apply ok
step 1 verify failed inactive, no lasting worker
step 1 undo ok
wire 80 200
wire 32526 none
other-rules same
result kept
"""
ANSWER = f"vmagent-repair 1\n{BODY}end 7 0 {posix_checksum(BODY.encode())}\n"


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        f"Welcome!\r\nroot@web:~# {ANSWER}root@web:~# ".replace("\n", "\r\n"),
        f"{ANSWER.replace('kept', 'failed')}{ANSWER}",
    ],
)
def test_a_record_whatever_surrounds_it(text: str) -> None:
    record = parse_record(text.replace("root@web:~# vm", "vm"))
    assert record.whole
    assert (record.repair, record.result, record.seconds) == ("p12.2", Result.KEPT, 7)
    assert record.steps[3] == Step(1, "verify", "failed", "inactive, no lasting worker")
    assert record.wire == ((80, 200), (32526, None))
    assert record.other_rules_same is True
    assert record.earlier == "p9 reverted"
    assert (record.outcome(1, "undo"), record.outcome(2, "apply")) == ("ok", "")


def test_cut_or_garbled_is_said() -> None:
    assert not parse_record(ANSWER[:-30]).whole
    assert parse_record(ANSWER[:60]).result is Result.UNKNOWN
    garbled = parse_record(ANSWER.replace("step 1 apply ok", "step 1 apply failed"))
    assert (garbled.whole, garbled.outcome(1, "apply")) == (False, "failed")
    assert not parse_record("vmagent-repair 1\n").whole


def test_no_record_and_a_word_of_a_newer_program() -> None:
    assert parse_record("bash: vmagent: not found") == RepairRecord()
    assert parse_record("vmagent-repair 1\nresult brand-new\nend 1 0 -\n").result is Result.UNKNOWN


def test_control_characters_of_a_guest_are_not_shown() -> None:
    record = parse_record("vmagent-repair 1\nstep 1 verify failed \x1b[2Jgone\u202e\nend 1 0 -\n")
    assert record.steps[0].detail == "[2Jgone"


def test_never_raises() -> None:
    dice = random.Random(9)
    for _ in range(2000):
        text = list(ANSWER)
        for _ in range(dice.randrange(1, 30)):
            text[dice.randrange(len(text))] = chr(dice.choice((0, 9, 10, 13, 32, 49, 0x1B, 0x663, 0xD800, 0x1F600)))
        parse_record("".join(text)[dice.randrange(40) :])
