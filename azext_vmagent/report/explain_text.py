"""A cause explained, and the list of all, for people at a terminal. Pure: objects in, lines out.

Nothing is wider than ``WIDTH`` but a command or an address, which must stay whole to be copied.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Sequence

from azext_vmagent.causes.remedies import LOSES_EPHEMERAL_DISK
from azext_vmagent.report.explain import CULPRIT, UNIT, WINDOWS_UNIT, Document
from azext_vmagent.report.layout import LABEL, WIDTH, Style, entry

SYSTEMS = {"linux": "Linux", "windows": "Windows", "both": "Linux and Windows"}
KINDS = {
    "cause": "a cause",
    "state": "a state, no fault",
    "obstacle": "closes a source of evidence",
    "benign": "looks bad, is no fault",
}
_SLUG = 34


def explained(found: Document, style: Style) -> list[str]:
    """One cause: what it is, how it shows, what it is not, what to do, where to read on."""
    facts = textwrap.wrap(" · ".join(facts_of(found)), WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 5)
    lines = [style(f"{found['code']}  {found['title']}", "bold"), *facts, ""]
    lines += entry("means", found["means"])
    lines += _several("looks like", found["looksLike"])
    lines += _several("is not", [relative(other) for other in found["notToConfuse"]])
    lines += _several("forms", [f"{form['slug']}: {form['title']}" for form in found["variants"]])
    lines += entry("explains", f"{', '.join(found['covers'])} where both are found") if found["covers"] else []
    lines += ["", *_seen(found, style), "", *_remedies(found, style), ""]
    for label, locale in (("read", "en-us"), ("ja-jp", "ja-jp")):
        lines += _several(label, found["links"][locale])
    return lines + entry("known from", "; ".join(found["sources"]))


def facts_of(found: Document) -> list[str]:
    """Name, kind, scenario, system and since when it is known, each in a few words."""
    scenario = f"scenario {found['number']} ({found['scenario']})" if found["number"] else None
    if found["scenario"] and not scenario:
        scenario = f"argues for {found['scenario']}"
    since = f"since {found['since']}"
    return [part for part in (found["slug"], KINDS[found["kind"]], scenario, SYSTEMS[found["os"]], since) if part]


def relative(other: Document) -> str:
    """What it may be taken for, and what tells the two apart."""
    named = " ".join(part for part in (other["code"], other["slug"]) if part)
    return f"{named}: {other['what']}" if named else str(other["what"])


def notes_of(remedy: Document) -> list[str]:
    """What else is to be known of a remedy, each in a few words."""
    named = (("downtime", remedy["downtime"]), ("risk", remedy["risk"]), ("undo", remedy["undo"]))
    notes = [remedy["where"], remedy["effect"], *(f"{name}: {value}" for name, value in named if value)]
    return [note for note in notes if note and note != "risk: none known"]


def legend(remedies: Iterable[Document]) -> str:
    """What the words in capitals stand for; empty where there are none."""
    commands = " ".join(f"{remedy['command'] or ''} {remedy['undo'] or ''}" for remedy in remedies)
    meanings = (
        ("RG -n VM", "RG and VM are the resource group and the name of the virtual machine"),
        (CULPRIT, f"{CULPRIT} is what a diagnosis names (verdict.cause.culprit)"),
        (f"-Name {WINDOWS_UNIT}", f"RdAgent in place of {WINDOWS_UNIT} where that is the service that does not run"),
        (f" {UNIT}", f"the unit {UNIT} is called walinuxagent on Debian and Ubuntu"),
        *((verbs, "not where the OS disk is ephemeral, for it is lost") for verbs in LOSES_EPHEMERAL_DISK),
    )
    told = "; ".join(dict.fromkeys(meaning for sign, meaning in meanings if sign in commands))
    return told[:1].upper() + told[1:]


def _several(label: str, texts: Sequence[str]) -> list[str]:
    labels = itertools.chain([label], itertools.repeat(""))
    return [line for each, text in zip(labels, texts, strict=False) for line in entry(each, text)]


def _seen(found: Document, style: Style) -> list[str]:
    if not found["found"]:
        return entry("not found", found["notFoundBecause"])
    return [
        *entry("seen in", ", ".join(found["evidence"])),
        f"  {'look with':<{LABEL - 2}} {style(found['diagnose'], 'bold')}",
    ]


def link_of(remedy: Document, found: Document) -> str | None:
    """Where to read on about a remedy, unless the cause's own links lead there as well."""
    link: str | None = remedy["link"]
    return link if link not in found["links"]["en-us"] else None


def _remedies(found: Document, style: Style) -> list[str]:
    lines: list[str] = []
    for index, remedy in enumerate(found["remedies"]):
        label = "do" if index == 0 else "and / or"
        if remedy["command"]:
            lines.append(f"  {label:<{LABEL - 2}} {style(remedy['command'], 'bold')}")
            label = ""
        lines += entry(label, " · ".join([remedy["action"], *notes_of(remedy)]))
        link = link_of(remedy, found)
        lines += entry("", link) if link else []
    meaning = legend(found["remedies"])
    lines += entry("", meaning) if meaning else []
    return lines or entry("do", "nothing: it is no fault")


def listing(rows: Sequence[Document], style: Style) -> list[str]:
    """All causes by area: mark, code, scenario, system, name, title."""
    lines: list[str] = []
    for area, members in itertools.groupby(rows, key=lambda row: str(row["area"])):
        lines += [style(line, "bold") for line in textwrap.wrap(area, WIDTH)]
        lines += [*(line for row in members for line in _listed(row)), ""]
    found = sum(bool(row["found"]) for row in rows)
    told = f"{len(rows)} causes: ✓ {found} that a diagnosis can find, – {len(rows) - found} that it can only explain"
    return [*lines, told, "more: az vm agent-explain -c CODE"]


def _listed(row: Document) -> list[str]:
    mark, number = "✓" if row["found"] else "–", row["number"] or ""
    system = "both" if row["os"] == "both" else SYSTEMS[row["os"]]
    head = f"{mark} {row['code']} {number:<1} {system:<7}  {row['slug']:<{_SLUG}}"
    text = entry("", row["title"], indent=len(head) - LABEL + 2)
    return [f"  {head} {text[0].strip()}", *text[1:]]
