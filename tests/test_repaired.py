"""The page of what was repaired on the real guest shows the recorded results, as many as issue 9 asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.real_guest.matrix import CONSOLE, FAMILIES, REFUSALS, REPAIRS
from tests.real_guest.recorded import recorded
from tools.repair_table import PAGE, ROWS, current, page

RESULTS = recorded()
REPAIRED = [row for row in REPAIRS if row.name in RESULTS]


def test_the_page_is_what_make_repair_table_writes():
    assert PAGE.read_text(encoding="utf-8") == page(RESULTS), "make repair-table"


def test_each_result_is_one_of_a_row_as_it_is_now():
    assert list(current(RESULTS)) == list(RESULTS), "make test-repairs repair-table"


def test_a_row_that_expects_something_else_than_was_seen_counts_as_not_run():
    name = REPAIRED[0].name
    other = {**RESULTS, name: replace(RESULTS[name], expected={})}
    assert name not in current(other)
    assert f"no run is recorded: `{name}`" in page(other)


def test_no_two_rows_are_the_same():
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_has_three_faults_or_more_that_were_repaired(family: str):
    assert len({row.fault for row in REPAIRED if row.family == family}) >= 3


def test_five_were_repaired_over_the_serial_console():
    assert len([row for row in REPAIRED if row.login == CONSOLE]) >= 5


def test_twenty_faults_were_repaired_and_eight_rightly_refused():
    assert len({row.fault for row in REPAIRED}) >= 20
    assert len([row for row in REFUSALS if row.name in RESULTS and RESULTS[row.name].outcome == "refused"]) >= 8
