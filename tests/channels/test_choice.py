"""Which way into the guest: each reason not to take one, and the near miss that leaves it open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_vmagent.channels.choice import Wish, contradiction, why_not_inside, why_not_run_command, why_not_ssh
from azext_vmagent.facts.host_metrics import NetworkTrend
from azext_vmagent.facts.instance_view import ExtensionFacts
from azext_vmagent.facts.port import PortOutcome
from tests.verdict.build import (
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


def test_a_vm_that_is_off_and_a_windows_guest_are_not_looked_into():
    assert why_not_inside(facts(vm=replace(READY, power="deallocated"))) == "the VM is deallocated"
    assert "Linux guests only" in (why_not_inside(facts(vm=replace(READY, os_type="Windows"))) or "")


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
        (replace(READY, provisioning="updating"), "another operation"),
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
