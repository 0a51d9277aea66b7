"""``-o table``: rows in the order given, within 100 columns however long the names are."""

from __future__ import annotations

from typing import Any

import pytest

from azext_vmagent.model import Scenario, Target
from azext_vmagent.repair.outcome import Outcome
from azext_vmagent.report.document import error_document
from azext_vmagent.report.exit_code import CODES, REPAIR_CODES, exit_code, repair_exit_code
from azext_vmagent.report.table import rows


def told(
    name: str = "web-03", scenario: str = "wire-server-blocked", number: int | None = 2, **more: Any
) -> dict[str, Any]:
    verdict = {
        "scenario": scenario,
        "number": number,
        "candidates": [],
        "cause": {"code": "N01"},
        "confidence": "certain",
        "nextSteps": [
            {"command": "ssh -l ops 203.0.113.7 'sudo firewall-cmd --direct --remove-rule …'", "action": "remove"}
        ],
    }
    agent = {"status": "Not Ready", "since": {"time": "2026-11-24T08:26:00Z", "source": "x"}}
    return {"vm": {"name": name, "agent": agent}, "verdict": verdict | more}


def width(result: Any) -> int:
    """As the table printer of az lays it out: columns as wide as their widest cell, two blanks between."""
    table = rows(result)
    columns = [max(len(name), *(len(row[name]) for row in table)) for name in table[0]]
    return sum(columns) + 2 * (len(columns) - 1)


LONG = "a-virtual-machine-whose-name-takes-all-64-characters-it-may-have"
MISSING = error_document(Target("s", "g", "gone"), "NotFound", "There is no virtual machine «gone». " * 20)


@pytest.mark.parametrize(
    "result",
    [
        told(),
        told(LONG),
        [told("a"), told(LONG)],
        [told(LONG), MISSING, told("b", "no-agent-expected", None)],
        [MISSING],
    ],
    ids=["one", "long name", "short and long", "with an error", "only an error"],
)
def test_a_table_fits_100_columns(result):
    assert width(result) <= 100


def test_a_row_says_what_is_wrong_since_when_and_what_to_do():
    row = rows(told())[0]
    assert list(row) == ["Name", "Agent", "Since", "Scenario", "Cause", "Confidence", "Next"]
    assert list(row.values())[:6] == ["web-03", "Not Ready", "11-24 08:26", "2 wire-server-blocked", "N01", "certain"]
    assert row["Next"] == "remove"


def test_rows_keep_the_order_and_errors_are_rows():
    names = [(row["Name"], row["Scenario"]) for row in rows([told("b"), MISSING, told("a")])]
    assert names == [("b", "2 wire-server-blocked"), ("gone", "error: NotFound"), ("a", "2 wire-server-blocked")]


def test_what_is_not_known_is_an_empty_cell():
    bare = told(scenario="uncertain", number=None, cause=None, nextSteps=[])
    bare["vm"]["agent"] = {"status": None, "since": None}
    row = rows(bare)[0]
    assert (row["Agent"], row["Since"], row["Scenario"], row["Cause"], row["Next"]) == ("", "", "uncertain", "", "")


def test_an_uncertain_row_names_the_candidates():
    candidates = ["agent-stopped", "wire-server-blocked"]
    assert rows(told(scenario="uncertain", number=None, candidates=candidates))[0]["Scenario"] == "uncertain: 1 or 2"


def test_every_scenario_fits_its_column():
    assert all(rows(told(scenario=s.value, number=s.number))[0]["Scenario"].endswith(s.value) for s in Scenario)


# -- exit codes --------------------------------------------------------------------------------------------------------


def test_every_scenario_has_a_code_of_its_own():
    assert set(CODES) == {scenario.value for scenario in Scenario}
    assert len(set(CODES.values())) == len(CODES)


@pytest.mark.parametrize("scenario", [s for s in Scenario if s.number])
def test_the_four_scenarios_are_10_and_their_number(scenario):
    assert exit_code([told(scenario=scenario.value)]) == 10 + scenario.number


def test_only_health_is_success_and_no_code_is_one_of_azs_own():
    assert exit_code([told(scenario="healthy")]) == 0
    assert all(code >= 10 for name, code in CODES.items() if name != "healthy")


def test_of_several_the_worst_counts_and_one_that_was_not_asked_most():
    assert exit_code([told(scenario="healthy"), told(), told(scenario="uncertain")]) == 12
    assert exit_code([told(), MISSING]) == 1
    assert exit_code([]) == 0


# -- the code of a repair ------------------------------------------------------------------------------------------------


def ended(*outcomes: str | None) -> list[dict[str, Any]]:
    return [{"repair": {"outcome": outcome}} if outcome else {"error": {}} for outcome in outcomes]


@pytest.mark.parametrize("outcome", Outcome)
def test_a_repair_that_did_not_come_about_is_an_error_for_every_script(outcome):
    done = outcome.value in ("repaired", "undone", "nothing-to-do", "planned", "applied")
    assert repair_exit_code(ended(outcome.value), named=False, dry_run=False) == (0 if done else 1)


def test_each_outcome_has_a_code_of_its_own_when_asked():
    codes = [repair_exit_code(ended(outcome.value), named=True, dry_run=False) for outcome in Outcome]
    assert set(REPAIR_CODES) == {outcome.value for outcome in Outcome}
    assert [outcome.value for outcome, code in zip(Outcome, codes, strict=True) if code == 0] == ["repaired", "undone"]
    assert len(set(codes)) == len(codes) - 1
    assert not set(codes).difference({0}) & set(CODES.values())


def test_of_several_repairs_the_worst_is_told_and_a_machine_that_was_not_asked_above_all():
    assert repair_exit_code(ended("repaired", "refused", "planned"), named=True, dry_run=False) == 24
    assert repair_exit_code(ended("repaired", None), named=True, dry_run=False) == 1
    assert repair_exit_code(ended("repaired", None), named=False, dry_run=False) == 1
    assert repair_exit_code(ended("repaired", "not-started"), named=False, dry_run=False) == 1


def test_a_dry_run_has_done_what_it_was_told():
    assert repair_exit_code(ended("refused", "planned", None), named=False, dry_run=True) == 0
    assert repair_exit_code(ended("refused", "planned"), named=True, dry_run=True) == 24


def test_after_a_repair_the_row_says_how_it_ended():
    row = rows(told() | {"repair": {"outcome": "needs-consent", "why": "several VMs need --yes"}})[0]
    assert row["Next"].startswith("needs-consent: several")
