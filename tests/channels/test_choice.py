"""Which way into the guest: each reason not to take one, and the near miss that leaves it open."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from azext_vmagent.channels import choice
from azext_vmagent.channels.choice import Wish, contradiction, why_not_inside, why_not_run_command, why_not_ssh
from azext_vmagent.facts.host_metrics import NetworkTrend
from azext_vmagent.facts.instance_view import ExtensionFacts
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, RUN_COMMAND, SSH
from azext_vmagent.model import Answer, State
from tests.verdict.build import (
    ASKED,
    BOOTING,
    EMERGENCY,
    NO_NETWORK,
    NOT_READY,
    OPEN,
    PROMPT,
    PUBLIC,
    READY,
    UNKNOWN_WAY,
    facts,
    metrics,
    port,
)

OPS = Wish(ssh_user="ops")
TIMES_OUT, REFUSED = port(PortOutcome.TIMED_OUT), port(PortOutcome.REFUSED)


def test_a_vm_that_is_off_is_not_looked_into_and_a_windows_guest_is():
    assert why_not_inside(facts(vm=replace(READY, power="deallocated"))) == "the VM is deallocated"
    assert why_not_inside(facts(vm=replace(READY, os_type="Windows"))) is None


@pytest.mark.parametrize("vm", [READY, None, replace(READY, power=""), replace(READY, os_type="")])
def test_a_vm_that_may_run_is(vm):
    assert why_not_inside(facts(vm=vm)) is None


@pytest.mark.parametrize(
    ("wish", "address", "known", "words"),
    [
        (Wish(), PUBLIC, {}, "no --ssh-user"),
        (OPS, None, {}, "no address"),
        (OPS, PUBLIC, {"port": REFUSED}, "refuses"),
        (OPS, PUBLIC, {"port": TIMES_OUT}, "times out"),
    ],
)
def test_ssh_is_not_tried_where_it_cannot_work(wish, address, known, words):
    assert words in (why_not_ssh(facts(vm=NOT_READY, **known), wish, address) or "")


@pytest.mark.parametrize("outcome", [PortOutcome.GREETING, PortOutcome.SILENT, PortOutcome.CLOSED])
def test_ssh_is_tried_where_something_listens(outcome):
    assert why_not_ssh(facts(port=port(outcome)), OPS, PUBLIC) is None


def test_a_host_of_the_users_own_is_tried_though_the_port_timed_out():
    """It may be an alias with a jump host in their SSH configuration."""
    assert why_not_ssh(facts(port=TIMES_OUT), Wish(ssh_user="ops", ssh_host="web"), "web") is None


def test_a_ready_agent_is_sent_a_run_command():
    assert why_not_run_command(facts(vm=READY), Wish()) is None


@pytest.mark.parametrize(
    ("vm", "words"),
    [
        (None, "not known"),
        (NOT_READY, "never answers"),
        (replace(READY, provisioning="creating"), "the VM is creating"),
        (
            replace(READY, extensions=(ExtensionFacts("mon", "t", "1", "transitioning", ""),)),
            "mon is still in progress",
        ),
        (replace(READY, allow_extension_operations=False), "forbids"),
    ],
)
def test_others_are_not(vm, words):
    assert words in (why_not_run_command(facts(vm=vm), Wish()) or "")


def test_the_user_may_insist_but_not_against_the_vms_own_model():
    assert why_not_run_command(facts(vm=NOT_READY), Wish("always")) is None
    assert why_not_run_command(facts(vm=replace(NOT_READY, allow_extension_operations=False)), Wish("always"))
    assert "never" in (why_not_run_command(facts(vm=READY), Wish("never")) or "")


@pytest.mark.parametrize(
    "known",
    [
        {"port": REFUSED},
        {"port": TIMES_OUT, "network": OPEN},
        {"serial": EMERGENCY},
        {"serial": BOOTING},
        {"serial": NO_NETWORK},
        {"metrics": metrics(NetworkTrend.FELL)},
        {"metrics": metrics(NetworkTrend.FELL_JUST_NOW)},
    ],
)
def test_what_speaks_against_ready_holds_the_run_command_back(known):
    assert contradiction(facts(vm=READY, **known))
    assert "said to be Ready, but" in (why_not_run_command(facts(vm=READY, **known), Wish()) or "")


@pytest.mark.parametrize(
    "known",
    [
        {"port": TIMES_OUT},
        {"port": TIMES_OUT, "network": UNKNOWN_WAY},
        {"port": port(PortOutcome.TIMED_OUT, "10.0.0.4"), "network": OPEN},
        {"port": port(PortOutcome.GREETING), "network": OPEN},
        {"serial": PROMPT},
        {"metrics": metrics(NetworkTrend.ALWAYS_LOW)},
        {"metrics": metrics(NetworkTrend.UNKNOWN)},
    ],
)
def test_what_says_nothing_does_not(known):
    assert contradiction(facts(vm=READY, **known)) is None


# -- the managed run command -------------------------------------------------------------------------------------------

REPORTS_NOW = replace(READY, agent_version="2.7.3.0", location="japaneast", agent_time=ASKED)
BUSY = Answer(RUN_COMMAND, State.FAILED, "busy", cause="P07")
HUNG = ExtensionFacts("RunCommandLinux", "Microsoft.CPlat.Core.RunCommandLinux", "1", "transitioning", "Enabling")


def managed(vm, wish=Wish(), **tried):
    """None: it is sent; "-": not a word about it; else why not."""
    known = facts(vm=vm)
    answers = {RUN_COMMAND: BUSY} | tried
    if not choice.considered(MANAGED_RUN_COMMAND, known, wish, answers):
        return "-"
    return choice.refusal(MANAGED_RUN_COMMAND, known, wish, PUBLIC, answers)


def test_the_managed_one_is_sent_beside_a_busy_action_to_an_agent_that_has_just_reported():
    assert managed(REPORTS_NOW) is None
    not_asked = Answer(RUN_COMMAND, State.NOT_ASKED, "the channel is taken")
    assert managed(replace(REPORTS_NOW, extensions=(HUNG,)), **{RUN_COMMAND: not_asked}) is None


@pytest.mark.parametrize(
    "tried",
    [
        Answer(RUN_COMMAND, State.OK, "answered", "vmagent-probe 1"),
        Answer(RUN_COMMAND, State.FAILED, "another operation", cause="P19"),
        Answer(RUN_COMMAND, State.TIMED_OUT, "hangs", cause="P09"),
        Answer(RUN_COMMAND, State.NOT_ASKED, "not sent: a silent agent never answers it"),
    ],
)
def test_it_is_no_word_worth_where_the_action_is_not_taken(tried):
    assert managed(REPORTS_NOW, **{RUN_COMMAND: tried}) == "-"


@pytest.mark.parametrize(
    ("vm", "words"),
    [
        (replace(REPORTS_NOW, agent=NOT_READY.agent), "never answers"),
        (replace(REPORTS_NOW, agent_version="2.4.0.1"), "older than 2.4.0.2"),
        (replace(REPORTS_NOW, agent_time=ASKED - timedelta(minutes=5)), "has not just reported"),
        (replace(REPORTS_NOW, agent_time=None), "has not just reported"),
        (replace(REPORTS_NOW, location=""), "location"),
        (replace(REPORTS_NOW, allow_extension_operations=False), "forbids"),
        (replace(REPORTS_NOW, extensions=(ExtensionFacts("mon", "t", "1", "transitioning", ""),)), "mon is still"),
    ],
)
def test_it_is_not_sent_where_it_would_hang_too(vm, words):
    assert words in managed(vm)


def test_never_means_never_and_managed_means_no_action():
    assert managed(REPORTS_NOW, Wish("never")) == "-"
    wanted = Wish("managed", ssh_user="ops")
    assert RUN_COMMAND not in choice.order(wanted)
    assert choice.refusal(MANAGED_RUN_COMMAND, facts(vm=REPORTS_NOW), wanted, PUBLIC, {}) is None
    assert "silent agent" in choice.refusal(MANAGED_RUN_COMMAND, facts(vm=NOT_READY), wanted, PUBLIC, {})


def test_a_guest_that_hangs_at_one_way_in_is_not_sent_another_through_the_agent():
    hangs = Answer(SSH, State.TIMED_OUT, "did not finish")
    assert "SSH" in choice.refusal(RUN_COMMAND, facts(vm=READY), OPS, PUBLIC, {SSH: hangs})
    assert "SSH" in choice.refusal(MANAGED_RUN_COMMAND, facts(vm=REPORTS_NOW), OPS, PUBLIC, {SSH: hangs})


def test_an_updating_vm_is_asked_for_a_busy_one_refuses_at_once_and_says_by_what():
    assert why_not_run_command(facts(vm=replace(READY, provisioning="updating")), Wish()) is None


def test_an_extension_in_progress_is_named_with_its_words_and_what_clears_it():
    held = replace(READY, extensions=(ExtensionFacts("mon", "t", "1", "transitioning", "waiting for apt"),))
    why = why_not_run_command(facts(vm=held), Wish())
    assert "extension mon is still in progress («waiting for apt»)" in why
    assert "az vm extension delete -g rg-shop -n web-03 --name mon" in why
    assert "RunCommandLinux" in why_not_run_command(facts(vm=replace(READY, extensions=(HUNG,))), Wish())
