"""An agent whose start systemd holds back is not called stopped while the guest may still be booting."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from azext_vmagent.model import Confidence, Scenario
from tests.verdict.build import ASKED, NOT_READY, STOPPED, guest
from tests.verdict.test_agent import named, others, verdict

WAITS = replace(STOPPED, inactive_since=None, queued=True, at_work=("cloud-final.service",))


def test_an_agent_that_a_boot_has_not_come_to_yet_is_not_called_stopped():
    found = verdict(replace(guest(WAITS, processes=()), uptime=90.0))
    assert (found.scenario, found.candidates) == (Scenario.UNCERTAIN, (Scenario.AGENT_STOPPED, Scenario.HEALTHY))
    assert others(found) == ["L45"]
    assert "cloud-final.service" in str(found.because)
    assert found.next_steps[0].action == "ask again in two minutes"
    assert "systemctl list-jobs --before" in (found.next_steps[1].command or "")


def test_in_a_vm_created_just_now_it_is_the_set_up_that_goes_on():
    young = replace(NOT_READY, time_created=ASKED - timedelta(minutes=4))
    found = verdict(replace(guest(WAITS, processes=()), uptime=900.0), vm=young)
    assert named(found)[:2] == (Scenario.PROVISIONING, "P02")


def test_an_agent_stopped_by_hand_in_a_young_vm_is_stopped():
    young = replace(NOT_READY, time_created=ASKED - timedelta(minutes=4))
    assert named(verdict(guest(STOPPED, processes=()), vm=young))[:2] == (Scenario.AGENT_STOPPED, "L01")


def test_a_start_that_waits_for_long_is_held_up_by_what_never_ends():
    found = verdict(replace(guest(WAITS, processes=()), uptime=3600.0))
    assert (named(found), found.confidence) == (
        (Scenario.AGENT_STOPPED, "L45", "cloud-final.service"), Confidence.CERTAIN,
    )  # fmt: skip
    assert [step for step in found.next_steps if "systemctl start" in (step.command or "")] == []


def test_it_waits_since_it_stopped_where_it_ran_in_this_boot():
    service = replace(WAITS, inactive_since=ASKED - timedelta(minutes=3))
    found = verdict(replace(guest(service, processes=()), uptime=86_400.0, clock=ASKED))
    assert found.scenario is Scenario.UNCERTAIN
    service = replace(WAITS, inactive_since=ASKED - timedelta(minutes=30))
    found = verdict(replace(guest(service, processes=()), uptime=86_400.0, clock=ASKED))
    assert named(found)[:2] == (Scenario.AGENT_STOPPED, "L45")


def test_of_several_that_run_none_is_blamed():
    service = replace(WAITS, at_work=("apt-daily.service", "cloud-final.service"))
    found = verdict(replace(guest(service, processes=()), uptime=3600.0))
    assert named(found) == (Scenario.AGENT_STOPPED, "L45", None)
    assert "apt-daily.service, cloud-final.service" in found.cause.detail
