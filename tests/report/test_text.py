"""The report for people: verdict, what decided it, the next command, in this order and within the window."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import Connect, LogFacts, LogLine
from azext_vmagent.facts.host_metrics import NetworkTrend
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import SSH
from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Answer, Reason, State
from azext_vmagent.report.layout import Style
from azext_vmagent.report.text import report, step_line
from azext_vmagent.verdict.decide import decide
from tests.verdict.build import (
    ASKED,
    DROP,
    EMERGENCY,
    NOT_READY,
    OPEN,
    PROMPT,
    READY,
    RUNS,
    STOPPED,
    WISH,
    blocked_by,
    facts,
    guest,
    metrics,
    port,
)

PLAIN = Style(False)
OPS = Wish(ssh_user="ops")
LOG = LogFacts(
    True,
    failures=(LogLine(1042, ASKED, "IOError timed out -- 6 attempts made"),),
    first_failure=LogLine(1042, ASKED, "x"),
)
BLOCKED = guest(RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT, rules=blocked_by(DROP), log=LOG)

CASES = {
    "1": facts(vm=NOT_READY, network=OPEN, guest=guest(STOPPED)),
    "2": facts(vm=NOT_READY, network=OPEN, guest=BLOCKED, port=port(PortOutcome.GREETING)),
    "3": facts(
        vm=NOT_READY, serial=PROMPT, metrics=metrics(NetworkTrend.FELL), port=port(PortOutcome.TIMED_OUT), network=OPEN
    ),
    "4": facts(vm=NOT_READY, serial=EMERGENCY),
    "healthy": facts(vm=READY, guest=guest()),
    "off": facts(vm=replace(NOT_READY, power="deallocated")),
    "uncertain": facts(
        vm=NOT_READY, port=port(PortOutcome.GREETING), ended={SSH: State.DENIED, "serial log": State.DENIED}
    ),
    "nothing known": facts(ended={"instance view": State.TIMED_OUT}),
}


def lines(name: str, style: Style = PLAIN) -> list[str]:
    seen = CASES[name]
    return "\n".join(report(Diagnosis(seen, decide(seen, OPS), (), 5.4), style)).split("\n")


def first(found: list[str], beginning: str) -> int:
    return next(at for at, line in enumerate(found) if line.strip().startswith(beginning))


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_comes_before_its_evidence_and_that_before_the_next_command(name):
    found, verdict = lines(name), decide(CASES[name], OPS)
    title = next(at for at, line in enumerate(found) if line.rstrip().endswith(verdict.confidence.value))
    places = [title]
    if verdict.because:
        places.append(first(found, "because"))
    if verdict.ruled_out:
        places.append(first(found, "not "))
    if verdict.next_steps:
        places.append(first(found, "do now"))
    assert places == sorted(places)
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("name", CASES)
def test_no_line_is_wider_than_110_columns_but_a_command_or_a_link_that_must_stay_whole(name):
    whole = {text for step in decide(CASES[name], OPS).next_steps for text in (step.command, step.link) if text}
    wide = [line for line in lines(name) if len(line) > 110 and not any(text in line for text in whole)]
    assert wide == []


@pytest.mark.parametrize("name", CASES)
def test_every_command_stands_whole_on_one_line(name):
    found = lines(name)
    for step in decide(CASES[name], OPS).next_steps:
        if step.command:
            line = next(line for line in found if line.endswith(step.command))
            assert shlex.split(line)[-1] == shlex.split(step.command)[-1]


def test_the_title_says_the_scenario_in_words_and_how_sure_it_is():
    title = lines("2")[2]
    assert title.startswith("Scenario 2: The guest blocks the Wire Server (168.63.129.16)")
    assert title.endswith("certain")


def test_an_uncertain_title_names_what_is_still_possible():
    assert lines("uncertain")[2].startswith("Uncertain: 1 (agent-stopped) or 2 (wire-server-blocked)")


def test_the_culprit_and_the_log_line_are_quoted():
    text = "\n".join(lines("2"))
    assert DROP.rule in text
    assert "line 1042" in text
    assert "IOError timed out" in text


def test_scenarios_that_fall_for_one_reason_share_a_line():
    assert any(re.match(r"\s+not 3, 4\s", line) for line in lines("uncertain"))


def test_since_is_said_or_said_to_be_unknown():
    assert any("since" in line and "host metrics" in line for line in lines("3"))
    assert any("since" in line and "not known" in line for line in lines("uncertain"))
    assert not any(line.strip().startswith("since") for line in lines("healthy"))


def test_gaps_are_named_with_the_right_they_take():
    text = " ".join(" ".join(lines("uncertain")).split())
    assert "not checked serial log:" in text
    assert "retrieveBootDiagnosticsData/action" in text


def test_the_last_line_carries_the_word_for_scripts_and_the_time_it_took():
    last = next(line for line in reversed(lines("2")) if line.strip())
    assert "(N01)" in last
    assert "5.4 s" in last
    assert last.endswith("more: az vm agent-explain -c N01")
    assert "agent-explain" not in " ".join(lines("uncertain"))


def test_colours_change_no_word():
    coloured = lines("2", Style(True))
    assert any("\x1b[" in line for line in coloured)
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in coloured] == lines("2")


def test_hostile_text_does_not_reach_the_terminal():
    log = LogFacts(True, failures=(LogLine(1, None, "\x1b[2J\x07 IOError \u202e"),))
    rule = replace(DROP, rule="\x1b]0;owned\x07 drop\nScenario 1: nothing", where="a\nb")
    seen = facts(
        vm=replace(NOT_READY, agent_message="\x1b[2Jx", image="\x1b[31m", location="a\nb"),
        guest=replace(BLOCKED, log=log, rules=blocked_by(rule)),
    )
    shown = report(Diagnosis(seen, decide(seen, WISH), (), 1.0), PLAIN)
    assert all(c.isprintable() or c == "\n" for line in shown for c in line)
    assert not any(line.startswith("Scenario 1") for line in shown)


@pytest.mark.parametrize(
    ("state", "mark"),
    [(State.OK, "✓"), (State.NOT_ASKED, "–"), (State.DENIED, "✗"), (State.TIMED_OUT, "✗"), (State.GARBLED, "✗")],
)
def test_a_step_shows_how_it_ended_what_was_seen_and_how_long_it_took(state, mark):
    line = step_line(Answer("serial log", state, "login\x1b[2J prompt", None, 0.94), PLAIN)
    assert line.split()[0] == mark
    assert "serial log" in line
    assert "login[2J prompt" in line
    assert line.endswith("0.9 s")


def test_a_step_that_was_not_taken_shows_no_time():
    assert step_line(Answer("ssh", State.NOT_ASKED, "no --ssh-user given"), PLAIN).endswith("no --ssh-user given")


def test_a_look_alike_is_said_to_be_none_with_its_place():
    seen = Reason("no fault: A log collector was killed in its own limit", "serial log", line=812)
    known = CASES["4"]
    verdict = replace(decide(known, WISH), ruled_out=(seen,))
    lines = report(Diagnosis(known, verdict, ()), PLAIN)
    assert "  no fault   A log collector was killed in its own limit  [serial log, line 812]" in lines
