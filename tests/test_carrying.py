"""Which way carries a repair into the guest, what it is refused for, and what it takes along."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_vmagent import carrying
from azext_vmagent.carrying import MOST_BYTES, ON_THE_WAY_SECONDS, carry, why_not
from azext_vmagent.causes.cures import Step
from azext_vmagent.channels.choice import Wish
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, PASTE, RUN_COMMAND, SSH
from azext_vmagent.flow import diagnose
from azext_vmagent.model import State, Target
from azext_vmagent.repair.refusals import MOST_ACTIONS
from azext_vmagent.repair.refusals import MOST_BYTES as MOST_OF_AN_ARGUMENT
from azext_vmagent.repair.script import repair_script
from tests.azure_double import AzureDouble, hangs
from tests.verdict.build import facts

TARGET = Target("00000000-0000-0000-0000-000000000000", "rg-shop", "web-03")
OPS = Wish(ssh_user="ops")


@pytest.mark.parametrize("channel", [RUN_COMMAND, MANAGED_RUN_COMMAND])
def test_a_run_command_that_looked_inside_carries_a_change_without_a_login(channel):
    seen = facts(guest_channel=channel)
    assert why_not(seen, Wish()) is None
    assert why_not(seen, Wish(), "x" * MOST_BYTES) is None
    assert "larger than the 192 KiB" in (why_not(seen, Wish(), "x" * (MOST_BYTES + 1)) or "")


@pytest.mark.parametrize("channel", [RUN_COMMAND, MANAGED_RUN_COMMAND])
def test_no_run_command_takes_back_what_keeps_the_agent_alive(channel):
    """Its answer would never come: the agent is stopped, or cut off, by what is taken back."""
    why = why_not(facts(guest_channel=channel), Wish(), undoing=True) or ""
    assert "--ssh-user" in why
    assert "--undo --print-script" in why
    assert why_not(facts(guest_channel=SSH), OPS, undoing=True) is None


@pytest.mark.parametrize(("channel", "wish"), [(SSH, Wish()), (PASTE, OPS), (None, OPS)])
def test_what_leads_nowhere_carries_nothing(channel, wish):
    assert "--ssh-user" in (why_not(facts(guest_channel=channel), wish) or "")


def test_a_usual_repair_is_far_below_what_a_run_command_takes():
    """Ten rules with a long comment each; the largest that a plan may hold is refused, not cut."""
    rules = [Step("remove-rule", ("iptables", "iptables", "filter", "OUTPUT", "-", "x" * 400))] * 10
    assert len(repair_script(rules)) < MOST_BYTES / 2
    largest = [Step("remove-rule", ("x" * MOST_OF_AN_ARGUMENT,) * 7)] * MOST_ACTIONS
    assert why_not(facts(guest_channel=RUN_COMMAND), Wish(), repair_script(largest))


@pytest.mark.parametrize(
    ("channel", "asked"), [(RUN_COMMAND, "run command"), (MANAGED_RUN_COMMAND, "managed run command"), (SSH, "ssh")]
)
def test_the_script_goes_the_way_that_looked_inside_whole_and_in_time(channel, asked):
    sent: list[tuple[str, float]] = []

    class Double(AzureDouble):
        def run_command(self, _target, script, deadline):
            sent.append((script, deadline.remaining()))
            return "answered by the agent", "said"

        def managed_run_command(self, target, location, script, deadline):
            assert location == "japaneast"
            return self.run_command(target, script, deadline)

        def ssh(self, login, script, deadline):
            assert login.user == "ops"
            return self.run_command(login, script, deadline)

    before = diagnose(AzureDouble(), TARGET, OPS, 5.0)
    before = replace(before, facts=replace(before.facts, guest_channel=channel))
    answer = carry(Double(), before, "the script\n", Deadline.after(180))
    assert (answer.source, answer.state, answer.value) == (asked, State.OK, "said")
    [(script, seconds)] = sent
    assert script == "the script\n"
    way = 0.0 if channel == SSH else ON_THE_WAY_SECONDS
    assert 175 + way < seconds <= 180 + way


def test_a_way_that_never_answers_is_left_in_time(monkeypatch):
    monkeypatch.setitem(carrying._ON_TOP, RUN_COMMAND, 0.0)
    before = diagnose(AzureDouble(), TARGET, Wish(), 5.0)
    assert before.facts.guest_channel == RUN_COMMAND
    answer = carry(AzureDouble(through_agent=hangs), before, "x\n", Deadline.after(0.2))
    assert (answer.state, answer.value) == (State.TIMED_OUT, None)
