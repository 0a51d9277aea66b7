"""``make docs``: the pages under docs/causes and docs/coverage.md, made from the catalogue of causes.

What a page says is what ``az vm agent-explain`` says (``azext_vmagent/report/explain.py``); only the form is Markdown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from azext_vmagent.causes.catalogue import AREAS, entries, every_cause, title_of
from azext_vmagent.causes.known_cause import KnownCause
from azext_vmagent.report.explain import Document, by_code, explanation, row
from azext_vmagent.report.explain_text import KINDS, SYSTEMS, facts_of, legend, link_of, notes_of

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "causes"
COVERAGE = ROOT / "docs" / "coverage.md"
CASES = ROOT / "tests" / "causes" / "cases"

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|])")


def generated() -> dict[Path, str]:
    """Every generated file with its text."""
    pages = {PAGES / f"{known.code}.md": page(known, area) for area, known in _with_area()}
    return {**pages, PAGES / "README.md": index(), COVERAGE: coverage()}


def _with_area() -> Iterator[tuple[str, KnownCause]]:
    for area in AREAS:
        for known in entries(area):
            yield area.__name__.replace(".", "/") + ".py", known


def text(words: str) -> str:
    r"""Words that are no Markdown.

    >>> text("a_b <c>")
    'a\\_b \\<c\\>'
    """
    return _SPECIAL.sub(r"\\\1", words)


def block(lines: Iterable[str]) -> list[str]:
    """Lines as they stand."""
    return ["```text", *lines, "```"]


def page(known: KnownCause, source: str) -> str:
    """One cause."""
    found = explanation(known)
    lines = [f"# {found['code']} {text(found['title'])}", "", text(" · ".join(facts_of(found)))]
    lines += ["", text(found["means"])]
    lines += ["", "## What it looks like", "", *block(found["looksLike"])]
    if found["notToConfuse"]:
        lines += ["", "## What it is not", "", *(f"- {_relative(other)}" for other in found["notToConfuse"])]
    if found["variants"]:
        lines += ["", "## Its forms", "", *(f"- `{form['slug']}`: {text(form['title'])}" for form in found["variants"])]
    lines += ["", "## How a diagnosis sees it", "", *_seen(found)]
    lines += ["", "## What to do", "", *_remedies(found)]
    if found["links"]["en-us"]:
        lines += ["", "## Read on", "", *_links(found["links"])]
    lines += ["", f"Known from: {text('; '.join(found['sources']))}.", "", "---", ""]
    same = f"`az vm agent-explain -c {known.code}` prints the same."
    lines.append(f"Made by `make docs` from [{Path(source).name}](../../{source}); {same}")
    return "\n".join(lines) + "\n"


def _relative(other: Document) -> str:
    if not other["code"]:
        return text(other["what"])
    slug = f" `{other['slug']}`" if other["slug"] else ""
    return f"[{other['code']}]({other['code']}.md){slug}: {text(other['what'])}"


def _seen(found: Document) -> list[str]:
    if not found["found"]:
        return [f"It is explained and never found: {text(found['notFoundBecause'])}"]
    lines = [f"In: {text(', '.join(found['evidence']))}.", "", *block([found["diagnose"]])]
    if found["covers"]:
        covered = ", ".join(f"[{code}]({code}.md)" for code in found["covers"])
        lines += ["", f"Where it is found together with {covered}, it is the reason."]
    return lines


def _remedies(found: Document) -> list[str]:
    lines: list[str] = []
    for remedy in found["remedies"]:
        more = link_of(remedy, found)
        link = f" ([more]({more}))" if more else ""
        lines.append(f"- {text(' · '.join([remedy['action'], *notes_of(remedy)]))}{link}")
        if remedy["command"]:
            lines += ["", *(f"  {line}" for line in block([remedy["command"]]))]
        lines.append("")
    meaning = legend(found["remedies"])
    lines += [f"{text(meaning)}.", ""] if meaning else []
    return lines[:-1] or ["Nothing: it is no fault."]


def _links(links: dict[str, list[str]]) -> list[str]:
    pairs = zip(links["en-us"], links["ja-jp"], strict=True)
    return [f"- <{english}> ([日本語]({japanese}))" for english, japanese in pairs]


def index() -> str:
    """All causes, area by area."""
    lines = [
        "# Causes",
        "",
        "Every cause that this extension knows, by area. `az vm agent-explain` prints the same, offline.",
        f"What a diagnosis can find, and through which evidence: [coverage](../coverage.md). {_total()}",
    ]
    for area in AREAS:
        if not entries(area):
            continue
        listed = _table(("code", "name", "what", "guest", "kind"), map(_listed, by_code(area)))
        lines += ["", f"## {text(title_of(area))}", "", *listed]
    return "\n".join([*lines, "", "Made by `make docs`.", ""])


def _listed(known: KnownCause) -> tuple[str, ...]:
    guest, kind = SYSTEMS[known.system.value], KINDS[known.kind.value]
    return f"[{known.code}]({known.code}.md)", f"`{known.slug}`", text(known.title), guest, kind


def _total() -> str:
    causes = every_cause()
    found = sum(not known.untold for known in causes)
    return f"{len(causes)} entries: {found} that a diagnosis can find, {len(causes) - found} that it can only explain."


def coverage() -> str:
    """What can be found through what, and what cannot, with the reason."""
    causes = every_cause()
    cases = Counter(path.parent.name for path in CASES.glob("*/*.yaml"))
    kinds = Counter(KINDS[known.kind.value] for known in causes)
    needs = Counter(need.value for known in causes for need in known.needs())
    untold = [known for known in causes if known.untold]
    lines = [
        "# Coverage",
        "",
        f"{_total()} {sum(cases.values())} cases hold them to it (`tests/causes/cases`).",
        "",
        *_table(("entries", "kind"), ((str(number), kind) for kind, number in kinds.most_common())),
        "",
        *_table(("entries", "show in"), ((str(number), text(need)) for need, number in needs.most_common())),
        "",
        "## Explained only",
        "",
        *(_table(("code", "name", "why no diagnosis finds it"), map(_gap, untold)) if untold else ["None."]),
        "",
        "## All",
        "",
        *_table(
            ("code", "name", "guest", "scenario", "found", "shows in", "cases"),
            (_line(known, cases[known.code]) for known in sorted(causes, key=lambda known: known.code)),
        ),
        "",
        "Made by `make docs`.",
    ]
    return "\n".join(lines) + "\n"


def _gap(known: KnownCause) -> tuple[str, ...]:
    return _code(known), f"`{known.slug}`", text(known.untold)


def _line(known: KnownCause, cases: int) -> tuple[str, ...]:
    found = row(known)
    scenario = str(found["number"] or found["scenario"] or "")
    told = (
        "yes" if found["found"] else "no",
        text(", ".join(found["evidence"])),
        f"[{cases}](../tests/causes/cases/{known.code})" if cases else "0",
    )
    return _code(known), f"`{known.slug}`", SYSTEMS[found["os"]], scenario, *told


def _code(known: KnownCause) -> str:
    return f"[{known.code}](causes/{known.code}.md)"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]


def main() -> None:
    """Write every file, and take away the pages of causes that are gone."""
    files = generated()
    PAGES.mkdir(parents=True, exist_ok=True)
    for path in PAGES.glob("*.md"):
        if path not in files:
            path.unlink()
    for path, said in files.items():
        path.write_text(said, encoding="utf-8")


if __name__ == "__main__":
    main()
