"""A cause of the catalogue explained: the object that scripts get, from which every text for people is made. Pure.

The terminal's text is made in ``explain_text.py``, the pages under ``docs/causes`` in ``tools/cause_pages.py``: what is
said is decided here, once.
"""

from __future__ import annotations

import difflib
import re
from collections import OrderedDict
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from azext_vmagent.causes.catalogue import AREAS, entries, every_cause, find_cause, title_of
from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, System, Where
from azext_vmagent.causes.remedies import LEARN
from azext_vmagent.model import Scenario
from azext_vmagent.report.document import SCHEMA_VERSION

Document = dict[str, Any]

LOCALES = ("en-us", "ja-jp")
#: what stands in a command for what only the VM at hand can tell
VM, UNIT, CULPRIT = "-g RG -n VM", "waagent", "CULPRIT"
WINDOWS_UNIT = "WindowsAzureGuestAgent"

_SUGGESTIONS = 5
_CODE = re.compile(r"([PLNIBW]\d\d)\b:?\s*")
_CODE_BEGUN = re.compile(r"[plnibw]\d?")
_INSIDE = (Need.GUEST, Need.AGENT_LOG)


def explanation(known: KnownCause) -> Document:
    """All that is known about one cause, with keys that stay (add, never rename)."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        **row(known),
        "means": known.means,
        "looksLike": list(known.looks_like),
        "notToConfuse": [_relative(text) for text in known.not_to_confuse],
        "variants": [{"slug": variant.slug, "title": variant.title} for variant in known.variants],
        "covers": list(known.covers),
        "notFoundBecause": known.untold or None,
        "diagnose": _diagnose(known),
        "remedies": [_remedy(remedy, known.system) for remedy in known.remedies],
        "links": {locale: [f"{LEARN}{locale}/{path}" for path in known.links] for locale in LOCALES},
        "sources": list(known.sources),
        "since": known.since,
    }


def row(known: KnownCause) -> Document:
    """One cause in the list: the first keys of its explanation."""
    scenario = known.scenario
    return {
        "code": known.code,
        "slug": known.slug,
        "title": known.title,
        "area": _AREA_TITLES[known.code],
        "kind": known.kind.value,
        "os": known.system.value,
        "scenario": scenario.value if scenario else None,
        "number": scenario.number if scenario else None,
        "found": not known.untold,
        "evidence": [need.value for need in known.needs()],
    }


_AREA_TITLES = {known.code: title_of(area) for area in AREAS for known in entries(area)}


def listed(scenario: str | None = None, system: str | None = None) -> list[Document]:
    """The rows of all causes, or of those that argue for one scenario (its name or number) or can hit one system."""
    ordered = (known for area in AREAS for known in by_code(area))
    return [row(known) for known in ordered if _argues_for(known, scenario) and _hits(known, system)]


def by_code(area: ModuleType) -> list[KnownCause]:
    """The entries of an area as they are listed."""
    return sorted(entries(area), key=lambda known: known.code)


def _argues_for(known: KnownCause, scenario: str | None) -> bool:
    if scenario is None:
        return True
    return known.scenario is not None and scenario in (known.scenario.value, str(known.scenario.number))


def _hits(known: KnownCause, system: str | None) -> bool:
    return system is None or known.system in (System.BOTH, System(system))


def scenario_names() -> list[str]:
    """What ``--scenario`` takes."""
    numbered = [scenario for scenario in Scenario if scenario.number]
    rest = [scenario for scenario in Scenario if not scenario.number and scenario is not Scenario.UNCERTAIN]
    return [str(scenario.number) for scenario in numbered] + [scenario.value for scenario in (*numbered, *rest)]


#: letters that stand where a code has a digit
_DIGITS = str.maketrans("lio", "110")


def near(name: str) -> list[str]:
    """What somebody may have meant by a name that no cause has, the nearest first: ``L01 (agent-stopped)``."""
    wanted = name.strip().lower()
    by_name = {each.lower(): known for known in every_cause() for each in (known.code, *known.slugs())}
    misread = [by_name[code] for code in [wanted[:1] + wanted[1:].translate(_DIGITS)] if code in by_name]
    close = [by_name[each] for each in difflib.get_close_matches(wanted, by_name, n=_SUGGESTIONS, cutoff=0.6)]
    words = [word for word in re.split(r"[^a-z0-9.]+", wanted) if len(word) > 2]
    shared = {known.code: _shared(words, known) for known in every_cause()}
    holding = sorted((known for known in every_cause() if shared[known.code]), key=lambda known: -shared[known.code])
    begun = [by_name[each] for each in sorted(by_name) if _CODE_BEGUN.fullmatch(wanted) and each.startswith(wanted)]
    found = {known.code: known.slug for known in (*misread, *close, *begun, *holding)}
    return [f"{code} ({slug})" for code, slug in found.items()][:_SUGGESTIONS]


def _shared(words: Iterable[str], known: KnownCause) -> int:
    """How many of these words the cause's names, its title or the lines that people see of it hold."""
    said = " ".join((*known.slugs(), known.title, *known.looks_like)).lower()
    return sum(word in said for word in words)


def table(result: Any) -> list[OrderedDict[str, str]]:
    """``-o table``: one row a cause, within 100 columns."""
    return [_columns(found) for found in (result if isinstance(result, list) else [result])]


def _columns(found: Document) -> OrderedDict[str, str]:
    scenario = found["number"] or found["scenario"] or ""
    return OrderedDict(
        Code=found["code"],
        Slug=_cut(found["slug"], 34),
        Os=found["os"],
        Scenario=_cut(str(scenario), 8),
        Found="yes" if found["found"] else "no",
        Title=_cut(found["title"], 31),
    )


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _relative(text: str) -> Document:
    """``L02: it is disabled as well`` by its code and what tells it apart."""
    code = _CODE.match(text)
    if not code:
        return {"code": None, "slug": None, "what": text}
    known = find_cause(code.group(1))
    return {"code": code.group(1), "slug": known.slug if known else None, "what": text[code.end() :]}


def _diagnose(known: KnownCause) -> str | None:
    """The command that looks for this cause; a look inside is asked for where nothing outside would show it."""
    if known.untold:
        return None
    outside = [need for need in known.needs() if need not in _INSIDE]
    login = "" if outside else " --ssh-user USER"
    return f"az vm agent-diagnose {VM}{login}"


def _remedy(remedy: Remedy, system: System) -> Document:
    return {
        "action": remedy.action,
        "command": filled(remedy.command, system) or None,
        "where": _where(remedy, system),
        "effect": remedy.effect or None,
        "risk": remedy.risk or None,
        "downtime": remedy.downtime or None,
        "undo": filled(remedy.undo, system) or None,
        "link": f"{LEARN}{LOCALES[0]}/{remedy.link}" if remedy.link else None,
    }


def _where(remedy: Remedy, system: System) -> str | None:
    if not remedy.command:
        return None
    inside = {
        System.LINUX: "in the guest, as root",
        System.WINDOWS: "in the guest, in an elevated PowerShell",
        System.BOTH: "in the guest, as root or administrator",
    }
    return {
        Where.AZ: "with az",
        Where.GUEST: inside[system],
        Where.CONSOLE: "at the serial console",
        Where.ANYWHERE: "anywhere",
    }[remedy.where]


def filled(command: str, system: System) -> str:
    """A command with words in capitals for what is not known here."""
    unit = WINDOWS_UNIT if system is System.WINDOWS else UNIT
    for name, value in (("{vm}", VM), ("{unit}", unit), ("{culprit}", CULPRIT)):
        command = command.replace(name, value)
    return command
