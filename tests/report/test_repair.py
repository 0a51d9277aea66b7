"""The plan as people and scripts get it."""

from __future__ import annotations

import json
from dataclasses import replace

from azext_vmagent.repair.model import Permission
from azext_vmagent.repair.plan import plan
from azext_vmagent.report.document import document
from azext_vmagent.report.layout import WIDTH, Style
from azext_vmagent.report.repair_text import repair_lines
from tests.repair.case import blocked, diagnosis, inside, recorded_rules
from tests.repair.test_plan import SILENT
from tests.repair.test_refusals import HEALTHY, PLATFORM, STOPPED_AGENT
from tests.verdict.build import DROP, RUNS, guest

PLAIN = Style(False)


def text(facts, *allowed: Permission) -> str:
    found = diagnosis(facts)
    return "\n".join(repair_lines(plan(found, allowed), found.verdict, PLAIN))


def test_the_plan_names_the_change_the_way_the_undo_and_the_proof():
    shown = text(blocked(DROP))
    assert shown.startswith("Plan (1 change, no downtime, about 1 min)\n  1 ")
    flat = " ".join(shown.split())
    assert "remove the firewalld direct rule ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP" in flat
    for part in (
        "(runtime)",
        "through ssh",
        "nothing permanent to remove",
        "undo: ",
        "--undo",
        "proof: the Wire Server",
    ):
        assert part in flat
    assert max(len(line) for line in shown.split("\n")) <= WIDTH


def test_what_azure_does_says_what_is_lost_and_which_permission_it_needs():
    flat = " ".join(text(PLATFORM).split())
    for part in (
        "downtime 5-15 min",
        "through azure",
        "risk: data",
        "lost: ",
        "temporary disk",
        "needs --allow redeploy",
    ):
        assert part in flat


def test_a_refusal_says_why_and_does_not_repeat_the_steps_of_the_report():
    found = diagnosis(SILENT)
    healthy = text(HEALTHY)
    assert healthy == "No repair\n  because    the agent is healthy: there is nothing to repair"
    same = replace(STOPPED_AGENT, guest=replace(STOPPED_AGENT.guest, uid=1000))
    assert "do now" in text(same)
    assert found.verdict.next_steps


def test_the_object_holds_the_plan_for_scripts():
    found = diagnosis(recorded_rules("firewalld-direct"))
    repair = document(found, plan(found))["repair"]
    assert (repair["applied"], repair["verified"], repair["undo"]) == (None, None, None)
    assert (repair["plan"]["channel"], repair["plan"]["refusal"], repair["plan"]["permissions"]) == ("ssh", None, [])
    (action,) = repair["plan"]["actions"]
    assert (action["kind"], action["risk"], action["permission"]) == ("remove-rule", "none", None)
    assert action["arguments"][:3] == ["firewalld-direct", "both", "ipv4"]
    assert set(action) == {
        "kind", "change", "effect", "risk", "downtime", "minutes", "undo", "proof", "arguments", "permission", "loses",
    }  # fmt: skip
    assert json.loads(json.dumps(repair)) == repair


def test_the_object_says_why_nothing_is_planned():
    found = diagnosis(HEALTHY)
    planned = document(found, plan(found))["repair"]["plan"]
    assert (planned["actions"], planned["refusal"]["code"], planned["refusal"]["nextSteps"]) == ([], "healthy", [])


def test_without_a_repair_the_object_has_none():
    assert document(diagnosis(HEALTHY))["repair"] is None


def test_the_permissions_are_what_allow_takes():
    found = diagnosis(SILENT)
    planned = document(found, plan(found, [Permission.RESET_NIC]))["repair"]["plan"]
    assert planned["permissions"] == ["reset-nic"]
    assert planned["channel"] == "azure"


def test_an_escape_sequence_of_the_guest_reaches_no_terminal():
    hostile = replace(DROP, rule="ipv4 \x1b[2J\u202e OUTPUT", undo=DROP.undo)
    shown = text(blocked(hostile)) + json.dumps(
        document(diagnosis(blocked(hostile)), plan(diagnosis(blocked(hostile))))
    )
    assert "\x1b" not in shown
    assert "\\u001b" not in shown
    assert "\u202e" not in shown
    refused = text(inside(guest(RUNS), vm=None))
    assert "No repair" in refused
