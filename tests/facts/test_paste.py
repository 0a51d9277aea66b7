"""What people bring back from a terminal: the answer is found in it, put together, and never made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azext_vmagent.facts.guest import is_probe_answer, parse_probe
from azext_vmagent.facts.paste import KEYS, pasted_answer

RECORDINGS = Path(__file__).parents[2] / "lab" / "recordings"
FIREWALLD = json.loads((RECORDINGS / "wire-server-firewalld" / "ssh.json").read_text())


def recorded() -> str:
    answers = [entry["stdout"] for entry in FIREWALLD if "vmagent-probe" in entry["stdout"]]
    return str(answers[0])


ANSWER = recorded()


def hard_wrapped(width: int) -> str:
    pieces = [line[at : at + width] for line in ANSWER.splitlines() for at in range(0, len(line), width)]
    return "\n".join(pieces) + "\n"


SURROUNDED = {
    "as it came": ANSWER,
    "carriage returns": ANSWER.replace("\n", "\r\n"),
    "only carriage returns": ANSWER.replace("\n", "\r"),
    "prompts": f"root@web-03:~# sh <<'X'\n> uname\n> X\n{ANSWER}root@web-03:~# exit\n",
    "second prompts left on its first line": f"> X\n> > > > {ANSWER}# ",
    "colours": f"\x1b[?2004h\x1b[01;32mroot@web\x1b[0m:~# \n{ANSWER}\x1b]0;root@web\x07\x1b[1m# ",
    "quoted in a mail": "".join(f"> {line}\n" for line in ANSWER.splitlines()),
    "indented": "".join(f"    {line}\n" for line in ANSWER.splitlines()),
    "a failed try before": "vmagent-probe 1\nuid 1000\nwire 80 timed-out - curl 28\nend 3 0\n" + ANSWER,
    "wrapped at 80": hard_wrapped(80),
    "wrapped at 132": hard_wrapped(132),
    "empty lines": ANSWER.replace("\n", "\n\n"),
}


@pytest.mark.parametrize("text", SURROUNDED.values(), ids=SURROUNDED)
def test_the_facts_are_those_of_the_answer_itself(text):
    assert parse_probe(pasted_answer(text)) == parse_probe(ANSWER)


@pytest.mark.parametrize("cut", ["end", "beginning"])
def test_an_answer_that_was_not_copied_whole_is_used_and_known_to_be_cut(cut):
    lines = ANSWER.splitlines()
    kept = lines[:-3] if cut == "end" else lines[3:]
    facts = parse_probe(pasted_answer("\n".join(kept) + "\n"))
    assert not facts.complete
    assert facts.wire == parse_probe(ANSWER).wire


def test_the_echo_of_the_script_is_not_its_answer():
    script = (Path(__file__).parents[2] / "azext_vmagent" / "guest" / "probe.sh").read_text()
    echoed = "".join(f"> {line}\r\n" for line in script.splitlines())
    assert not is_probe_answer(pasted_answer(echoed))
    assert parse_probe(pasted_answer(echoed + ANSWER)) == parse_probe(ANSWER)


@pytest.mark.parametrize("text", ["", "bash: sh: command not found\n", "\x00\x1b[", "> > |\n" * 1000, "end\n"])
def test_what_is_no_answer_stays_none(text):
    assert not is_probe_answer(pasted_answer(text)) or text == "end\n"


def test_every_key_that_a_real_guest_answered_with_is_known():
    for path in RECORDINGS.glob("*/ssh.json"):
        for entry in json.loads(path.read_text()):
            if entry["stdout"].startswith("vmagent-probe "):
                assert {line.split(" ")[0].split(".")[0] for line in entry["stdout"].splitlines()} <= KEYS
