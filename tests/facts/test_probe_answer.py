"""The frame around the probe's answer: plain and packed, whole, cut and garbled."""

from __future__ import annotations

import base64
import gzip
import random
import subprocess
import time

import pytest

from azext_vmagent.facts.guest import Connect, parse_probe
from azext_vmagent.facts.probe_answer import LIMIT, posix_checksum, read_answer

FACTS = ["uid 0", "wire 80 ok 200 curl", "wire 32526 refused - curl 7 x", *(f"journal line {n}" for n in range(300))]


def plain(lines: list[str], checksum: bool = True) -> str:
    body = "".join(f"{line}\n" for line in lines)
    return f"vmagent-probe 1\n{body}end 0.3 0 {posix_checksum(body.encode()) if checksum else '-'}\n"


def packed(text: bytes) -> str:
    body = base64.encodebytes(gzip.compress(text)).decode()
    return f"vmagent-probe 1 gzip\n{body}end 0.3 0 {posix_checksum(body.encode())}\n"


PLAIN = plain(FACTS)
PACKED = packed("".join(f"{line}\n" for line in FACTS).encode())


@pytest.mark.parametrize("content", [b"", b"a", b"uid 0\n", bytes(range(256)) * 40])
def test_the_checksum_is_the_one_that_cksum_prints(content: bytes) -> None:
    ran = subprocess.run(["cksum"], input=content, capture_output=True, check=True)
    assert posix_checksum(content) == int(ran.stdout.split()[0])


@pytest.mark.parametrize("text", [PLAIN, PACKED, plain(FACTS, checksum=False)])
@pytest.mark.parametrize("end", ["\n", "\r\n", "  \n"])
def test_both_forms_are_read_whole_whatever_the_line_ends(text: str, end: str) -> None:
    answer = read_answer(f"Last login: today\n$ {end}{text.replace(chr(10), end)}$ exit{end}")
    assert (answer.whole, list(answer.lines), answer.seconds) == (True, FACTS, "0.3")


@pytest.mark.parametrize("text", [PLAIN, PACKED])
def test_a_cut_answer_gives_its_beginning_and_is_not_whole(text: str) -> None:
    answer = read_answer(text[: len(text) // 2])
    assert not answer.whole
    assert 10 < len(answer.lines) < len(FACTS)
    assert list(answer.lines[:-1]) == FACTS[: len(answer.lines) - 1]
    assert parse_probe(text[: len(text) // 2]).outcome(80) is Connect.OK


def test_a_packed_answer_that_lost_a_line_gives_what_came_before_it() -> None:
    lines = PACKED.splitlines()
    answer = read_answer("\n".join(lines[:5] + lines[6:]))
    assert not answer.whole
    assert list(answer.lines[:20]) == FACTS[:20]


def test_a_kernel_message_between_the_packed_lines_is_left_out() -> None:
    lines = PACKED.splitlines()
    answer = read_answer("\n".join([*lines[:5], "[ 12.5] eth0: link is up", *lines[5:]]))
    assert list(answer.lines) == FACTS
    assert not answer.whole, "its checksum is another one: said, though all was read"


@pytest.mark.parametrize("text", [PLAIN, PACKED])
def test_one_changed_letter_is_noticed(text: str) -> None:
    at = len(text) // 2
    assert not read_answer(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]).whole


def test_a_packed_answer_whose_head_is_lost_is_still_read() -> None:
    answer = read_answer(PACKED.partition("\n")[2])
    assert (answer.whole, list(answer.lines)) == (False, FACTS)


def test_a_bomb_is_bounded() -> None:
    bomb = packed(b"uid 0\n" * 5_000_000)
    started = time.process_time()
    answer = read_answer(bomb)
    assert sum(map(len, answer.lines)) <= LIMIT
    assert not answer.whole
    assert time.process_time() - started < 5


def test_noise_never_raises() -> None:
    source = random.Random(7)
    for text in (PLAIN, PACKED):
        for _ in range(100):
            at, size = source.randrange(len(text)), source.randrange(80)
            noise = "".join(chr(source.choice((0, 10, 27, 61, 65, 255))) for _ in range(size))
            parse_probe(text[:at] + noise + text[at + source.randrange(80) :])
