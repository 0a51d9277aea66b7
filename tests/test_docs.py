"""The pages that are made from the catalogue are current, whole, and lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from azext_vmagent.causes.catalogue import every_cause, find_cause
from tools.cause_pages import COVERAGE, PAGES, ROOT, generated, text

FILES = generated()
#: the catalogue of causes that this project set out to cover, where it is at hand
TARGET = ROOT.parent / "shared" / "causes.md"


def test_the_committed_pages_are_what_make_docs_writes():
    there = {path: path.read_text(encoding="utf-8") for path in (*PAGES.glob("*.md"), COVERAGE)}
    differ = [path.name for path in sorted({*there, *FILES}) if there.get(path) != FILES.get(path)]
    assert differ == [], "make docs"


def test_every_cause_has_a_page_and_stands_in_the_index_and_in_the_coverage_once():
    for known in every_cause():
        assert FILES[PAGES / f"{known.code}.md"].startswith(f"# {known.code} ")
        assert FILES[PAGES / "README.md"].count(f"| [{known.code}]({known.code}.md) |") == 1
        assert FILES[COVERAGE].count(f"| [{known.code}](causes/{known.code}.md) | ") == (2 if known.untold else 1)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_links_within_the_repository_lead_to_a_file(path: Path):
    prose = re.sub(r"```.*?```", "", FILES[path], flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", prose):
        found = (path.parent / target).resolve()
        assert target.startswith("https://") or found in FILES or found.exists(), target


def test_coverage_counts_what_it_lists():
    said = re.search(r"(\d+) entries: (\d+) that a diagnosis can find, (\d+) that", FILES[COVERAGE])
    assert said
    entries, found, explained = map(int, said.groups())
    rows = re.findall(r"^\| \[[PLNIBW]\d\d\]\(.*\) \| .* \| (yes|no) \| .* \|$", FILES[COVERAGE], re.MULTILINE)
    assert (len(rows), rows.count("yes"), rows.count("no")) == (entries, found, explained)


def test_words_are_not_taken_for_markdown():
    assert text("*_<b>|`") == r"\*\_\<b\>\|\`"


def test_every_cause_that_was_to_be_covered_has_an_entry():
    if not TARGET.exists():
        pytest.skip("the catalogue to cover is not here")
    wanted = re.findall(r"^\| ([PLNIBW]\d\d) \|", TARGET.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(wanted) >= 165
    assert [code for code in wanted if find_cause(code) is None] == []
