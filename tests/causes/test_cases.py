"""Each cause of the catalogue is found where it is, and not where it only looks like it."""

from __future__ import annotations

import pytest

from azext_vmagent.causes.catalogue import every_cause, serial_signatures
from azext_vmagent.causes.findings import findings
from azext_vmagent.causes.known_cause import Finding, State
from azext_vmagent.facts.console_text import clean
from azext_vmagent.facts.reading import SERIAL_LOG, read
from azext_vmagent.model import Evidence
from tests.causes.case import Case, cases, evidence, kinds

CASES = cases()
KNOWN = {entry.code: entry for entry in every_cause()}
#: a case's evidence may be taken away one kind at a time
ONE_LESS = [(case, kind) for case in CASES if case.code in case.present for kind in kinds(case)]


def found(collected: Evidence) -> dict[str, Finding]:
    facts = read(collected, serial_signatures())
    return {finding.known.code: finding for finding in findings(facts, every_cause())}


def present(collected: Evidence) -> set[str]:
    return {code for code, finding in found(collected).items() if finding.state is State.PRESENT}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_shows_what_it_should_and_nothing_that_it_should_not(case: Case):
    seen = present(evidence(case))
    assert set(case.present) <= seen, f"not found: {set(case.present) - seen}"
    assert not set(case.not_present) & seen


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_present_says_where_it_was_seen(case: Case):
    for finding in found(evidence(case)).values():
        if finding.state is State.PRESENT:
            assert all(seen.reason.what and seen.reason.channel for seen in finding.seen), finding.known.code


@pytest.mark.parametrize(("case", "kind"), ONE_LESS, ids=lambda value: getattr(value, "name", value))
def test_evidence_that_is_missing_makes_a_cause_unknown_and_never_another_one_present(case: Case, kind: str):
    whole, less = evidence(case), evidence(case, without=kind)
    assert present(less) <= present(whole)
    for code in case.present:
        finding = found(less).get(code)
        if finding is None or finding.state is State.PRESENT:
            continue
        assert finding.state is State.UNKNOWN, f"{code} is called absent without {kind}"
        assert finding.missing, f"{code} does not say what is missing"


@pytest.mark.parametrize("code", sorted(KNOWN))
def test_every_cause_has_a_positive_case_and_a_near_miss(code: str):
    if KNOWN[code].untold:
        return
    own = [case for case in CASES if case.code == code]
    assert any(code in case.present for case in own), "no positive case"
    assert any(code in case.not_present for case in own), "no near miss"


def test_every_serial_line_that_an_entry_knows_stands_in_a_case():
    logs = [clean(evidence(case).value(SERIAL_LOG) or b"") for case in CASES if "serial" in case.evidence]
    lines = {log.ascii_segment(at) for log in logs for at in range(len(log.segments))}
    unseen = [
        f"{known.code} {known.needle}"
        for known in serial_signatures()
        if not any(known.needle in line and known.pattern.search(line) for line in lines)
    ]
    assert unseen == []


def test_every_case_belongs_to_a_cause_and_names_only_known_ones():
    for case in CASES:
        assert {case.code, *case.present, *case.not_present} <= set(KNOWN), case.name
        assert case.what, case.name
        assert case.source, case.name
        assert case.code in (*case.present, *case.not_present), case.name
