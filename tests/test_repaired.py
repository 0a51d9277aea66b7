"""The page of what was repaired on the real guest shows the recorded results."""

from __future__ import annotations

from dataclasses import replace

from tests.real_guest.matrix import REPAIRS
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
