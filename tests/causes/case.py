"""A case of the catalogue: a small YAML file with saved evidence and what a diagnosis must find in it.

```
what: systemd says that the unit is inactive          # in a sentence
from: recorded in the laboratory, fault agent-stopped # or the source of the lines, with its link or issue
expect:
  present: [L01]            # must be found
  not-present: [L02, L05]   # must not be found: absent or unknown
evidence:                   # what is not given was not asked; a value «file: PATH» is read from tests/
  asked: 2026-11-24T23:34:51Z  # when, if it matters; else ASKED
  vm: {...}                 # merged into a running Linux VM whose agent is Not Ready; «vm: null» when not known
  windows: true             # that VM is a Windows one
  serial: |                 # text of the serial log
  probe: {file: facts/probe_answers/agent_faults/agent-stopped.txt}
  probe:                    # a recorded answer with some lines taken out (regular expressions) and others put in
    file: ...
    drop: ["^journal "]
    add: ["openssl missing"]
  probe-windows:            # a healthy Windows guest's words (tests/windows_answer.py) with a change merged in
    service: {name: RdAgent, state: Stopped}  # changes one service; «gone: true» takes it out
    logWaAppAgent: {known: [...]}
  network: {private: 10.0.0.4}  # the address that Azure calls primary
  metrics: {...}            # the answer of the metrics API
  health: {...}             # of Resource Health
  agent-log: |              # a saved waagent.log or WaAppAgent.log
  screenshot: stop_screen   # a screen that tests/screens.py draws
  screenshot-text: |        # words read from the screenshot
  channel: {name: run command, state: failed, cause: P07, detail: ...}
```
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from azext_vmagent.facts.port import NetworkFacts
from azext_vmagent.facts.probe_answer import read_answer
from azext_vmagent.facts.reading import (
    AGENT_LOG,
    HOST_METRICS,
    INSTANCE_VIEW,
    NETWORK,
    RESOURCE_HEALTH,
    SCREENSHOT,
    SERIAL_LOG,
    SSH,
)
from azext_vmagent.facts.screenshot import Screenshot
from azext_vmagent.model import Answer, Evidence, State, Target
from tests import screens
from tests.windows_answer import HEALTHY, with_said, with_service
from tests.windows_answer import answer as windows_answer

TESTS = Path(__file__).resolve().parents[1]
FOLDER = Path(__file__).resolve().parent / "cases"
ASKED = datetime(2026, 11, 24, 9, 0, 30, tzinfo=timezone.utc)
TARGET = Target("00000000-0000-0000-0000-000000000000", "rg-shop", "web-03")


def _vm(windows: bool) -> dict[str, Any]:
    return {
        "name": "web-03",
        "location": "japaneast",
        "properties": {
            "vmId": "11111111-2222-3333-4444-555555555555",
            "timeCreated": "2026-01-01T00:00:00+00:00",
            "provisioningState": "Succeeded",
            "storageProfile": {"osDisk": {"osType": "Windows" if windows else "Linux"}},
            "osProfile": {"allowExtensionOperations": True},
            "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
            "instanceView": {
                "vmAgent": {
                    "vmAgentVersion": "Unknown",
                    "statuses": [{"code": "ProvisioningState/Unavailable", "displayStatus": "Not Ready"}],
                },
                "statuses": [{"code": "ProvisioningState/succeeded"}, {"code": "PowerState/running"}],
            },
        },
    }


@dataclass(frozen=True)
class Case:
    """One file. ``code`` is its folder's name."""

    code: str
    path: Path
    what: str
    source: str
    present: tuple[str, ...]
    not_present: tuple[str, ...]
    evidence: Mapping[str, Any]

    @property
    def name(self) -> str:
        """``L01/stopped``."""
        return f"{self.code}/{self.path.stem}"


def cases() -> list[Case]:
    """Every case, by folder and name."""
    return [_load(path) for path in sorted(FOLDER.glob("*/*.yaml"))]


def _load(path: Path) -> Case:
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    expect = said["expect"]
    return Case(
        path.parent.name,
        path,
        said["what"],
        said["from"],
        tuple(expect.get("present", ())),
        tuple(expect.get("not-present", ())),
        said["evidence"],
    )


def evidence(case: Case, without: str = "") -> Evidence:
    """The case's evidence as a diagnosis would have collected it, less one kind of it."""
    given = {name: _text(value) for name, value in case.evidence.items() if name != without}
    asked = given.pop("asked", ASKED)
    windows = bool(given.pop("windows", "probe-windows" in given))
    answers: dict[str, Answer] = {}
    if without != "vm" and given.get("vm", {}) is not None:
        vm = _merged(_vm(windows), given.get("vm") or {})
        answers[INSTANCE_VIEW] = Answer(INSTANCE_VIEW, State.OK, "", vm)
    given.pop("vm", None)
    screen, words = given.pop("screenshot", ""), given.pop("screenshot-text", "")
    if screen or words:
        answers[SCREENSHOT] = Answer(SCREENSHOT, State.OK, "", Screenshot(_drawn(screen), words))
    for name, value in given.items():
        answer = _ANSWERS[name](value)
        answers[answer.source] = answer
    return Evidence(TARGET, asked, answers)


def kinds(case: Case) -> list[str]:
    """The kinds of evidence that a case gives, each of which can be left out."""
    return [name for name in case.evidence if name not in ("windows", "asked")]


def _text(value: Any) -> Any:
    if not isinstance(value, dict) or "file" not in value:
        return value
    text = (TESTS / value["file"]).read_text(encoding="utf-8", errors="surrogateescape")
    drop, add = value.get("drop", ()), value.get("add", ())
    return altered(text, drop, add) if drop or add else text


def altered(answer: str, drop: Iterable[str], add: Iterable[str]) -> str:
    """A probe's answer unpacked, with other lines, and without the checksum, which would not be right any more."""
    lines = read_answer(answer).lines
    kept = [line for line in lines if not any(re.search(pattern, line) for pattern in drop)]
    for pattern in drop:
        assert any(re.search(pattern, line) for line in lines), f"nothing to drop: {pattern}"
    return "\n".join(["vmagent-probe 1", *kept, *add, "end 2.0 0 -", ""])


def _merged(base: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A change merged into a copy: mappings deep, everything else replaced, None takes the key away."""
    merged = copy.deepcopy(base)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged


def _windows_words(change: Mapping[str, Any]) -> dict[str, Any]:
    """A healthy Windows guest's words with a change merged in."""
    rest = {key: value for key, value in change.items() if key != "service"}
    base = with_service(**change["service"]) if "service" in change else HEALTHY
    return with_said(**_merged(base, rest))


def _network(said: Mapping[str, Any]) -> Answer:
    facts = NetworkFacts(said.get("public"), said.get("private"), None, "")
    return Answer(NETWORK, State.OK, "", facts)


@cache
def _drawn(screen: str) -> bytes:
    """The BMP of a screen, nothing where only its words are given."""
    return screens.bmp(getattr(screens, screen)()) if screen else b""


def _channel(value: Mapping[str, Any]) -> Answer:
    return Answer(value["name"], State(value["state"]), value.get("detail", ""), cause=value.get("cause"))


_ANSWERS = {
    "serial": lambda text: Answer(SERIAL_LOG, State.OK, "", text.encode("utf-8", "surrogateescape")),
    "probe": lambda text: Answer(SSH, State.OK, "", text),
    "probe-windows": lambda said: Answer(SSH, State.OK, "", windows_answer(_windows_words(said))),
    "network": _network,
    "metrics": lambda said: Answer(HOST_METRICS, State.OK, "", said),
    "health": lambda said: Answer(RESOURCE_HEALTH, State.OK, "", said),
    "agent-log": lambda text: Answer(AGENT_LOG, State.OK, "", text.encode("utf-8", "surrogateescape")),
    "channel": _channel,
}
