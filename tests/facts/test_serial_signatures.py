"""Every kind of console line has a sample that it matches, and the look-alikes that it must not match."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from azext_vmagent.facts.console_text import clean
from azext_vmagent.facts.serial_lines import SIGNATURES, Hit, find_hits
from azext_vmagent.facts.serial_signature import Kind, Signature

CASES = Path(__file__).parent / "serial"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in (CASES / name).read_text(encoding="utf-8").splitlines()]


def hits(line: str) -> list[Hit]:
    console = clean(line.encode())
    return find_hits(console, SIGNATURES, 0, len(console.segments))


@pytest.mark.parametrize("row", rows("lines.jsonl"), ids=lambda row: row["line"][:60])
def test_what_systems_print(row: dict[str, Any]) -> None:
    assert (row["kind"], row["code"]) in {(hit.kind.name, hit.event.code) for hit in hits(row["line"])}


@pytest.mark.parametrize("row", rows("near_misses.jsonl"), ids=lambda row: row["what"])
def test_what_only_looks_so(row: dict[str, Any]) -> None:
    assert not {hit.kind for hit in hits(row["line"])} & {Kind[name] for name in row["not"]}


def test_every_signature_has_a_sample() -> None:
    seen: set[Signature] = {hit.signature for row in rows("lines.jsonl") for hit in hits(row["line"])}
    assert [f"{found.kind.name} {found.pattern.pattern}" for found in SIGNATURES if found not in seen] == []


def test_every_pattern_is_reached_through_its_needle() -> None:
    for row in rows("lines.jsonl"):
        for hit in hits(row["line"]):
            assert hit.signature.needle in row["line"].encode("ascii", "replace").decode()
