"""What holds for every entry of the catalogue."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from azext_vmagent.causes.catalogue import every_cause, find_cause, serial_signatures
from azext_vmagent.causes.known_cause import Kind, KnownCause
from azext_vmagent.facts.serial_lines import SIGNATURES
from azext_vmagent.facts.serial_signature import Signature

ENTRIES = every_cause()
CODES = {entry.code for entry in ENTRIES}


def test_codes_and_slugs_are_unique():
    codes = Counter(entry.code for entry in ENTRIES)
    slugs = Counter(slug for entry in ENTRIES for slug in entry.slugs())
    assert [name for name, count in (codes + slugs).items() if count > 1] == []


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_an_entry_is_whole(entry: KnownCause):
    assert re.fullmatch(r"[PLNIBW]\d\d", entry.code)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug) for slug in entry.slugs())
    assert entry.title[0].isupper()
    assert not entry.title.endswith(".")
    assert len(entry.title) <= 90
    assert len(entry.means) >= 80, "say what is wrong to somebody who has never met it"
    assert entry.looks_like
    assert entry.sources, "say where it is known from"
    assert bool(entry.signs or entry.signatures) != bool(entry.untold)
    if entry.kind is Kind.CAUSE:
        assert entry.remedies
        assert entry.links


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_texts_are_plain(entry: KnownCause):
    texts = [entry.title, entry.means, *entry.not_to_confuse, entry.untold]
    texts += [text for remedy in entry.remedies for text in (remedy.action, remedy.effect, remedy.risk)]
    assert not [text for text in texts if "please" in text.lower()]
    for text in (*texts, *entry.looks_like):
        assert not text.endswith(("!", " "))
        assert text.isprintable()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_what_an_entry_refers_to_is_there(entry: KnownCause):
    assert set(entry.covers) <= CODES - {entry.code}
    referred = {code for text in entry.not_to_confuse for code in re.findall(r"\b[PLNIBW]\d\d\b", text)}
    assert referred <= CODES
    for link in (*entry.links, *(remedy.link for remedy in entry.remedies if remedy.link)):
        assert re.fullmatch(r"[a-z0-9][\w/.#?=&-]+", link), "a path on learn.microsoft.com, without locale"


NAMING = [signature for signature in (*SIGNATURES, *serial_signatures()) if signature.code]


@pytest.mark.parametrize("signature", NAMING, ids=lambda found: f"{found.code} {found.needle}")
def test_a_line_of_the_serial_log_names_its_entry_by_code_and_slug(signature: Signature):
    entry = find_cause(signature.code or "")
    assert entry is not None
    assert signature.slug in entry.slugs()


def test_nothing_covers_what_covers_it():
    covers = {entry.code: set(entry.covers) for entry in ENTRIES}
    assert [(a, b) for a in covers for b in covers[a] if a in covers.get(b, ())] == []


def test_a_cause_is_found_by_code_slug_and_variant():
    for entry in ENTRIES:
        assert find_cause(entry.code.lower()) is entry
        assert all(find_cause(slug.upper()) is entry for slug in entry.slugs())
    assert find_cause("no-such-cause") is None
