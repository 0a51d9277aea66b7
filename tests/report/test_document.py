"""The object that scripts get: its keys are a contract, its text is harmless."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azext_vmagent.causes.catalogue import every_cause, serial_signatures
from azext_vmagent.causes.findings import findings
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.port import PortFacts, PortOutcome, parse_nic
from azext_vmagent.facts.reading import (
    HOST_METRICS,
    INSTANCE_VIEW,
    NETWORK,
    PORT,
    RESOURCE_HEALTH,
    SERIAL_LOG,
    SSH,
    read,
)
from azext_vmagent.flow import Diagnosis, diagnose
from azext_vmagent.model import Answer, Evidence, State, Target
from azext_vmagent.report.document import document, error_document
from azext_vmagent.verdict.decide import decide
from azext_vmagent.verdict.naming import name_causes
from tests.azure_double import STOPPED, AzureDouble, answers, metrics, nic, raises, vm

TARGET = Target("00000000-0000-0000-0000-000000000000", "rg-shop", "web-03")
NOW = datetime(2026, 11, 24, 9, 0, 30, tzinfo=timezone.utc)

CAUSE = {"code", "slug", "title", "detail", "culprit"}
REASON = {"what", "channel", "source", "line", "excerpt", "time"}
CONTRACT: dict[str, Any] = {
    "schemaVersion": None,
    "vm": {
        **dict.fromkeys(("id", "name", "resourceGroup", "location", "osType", "powerState")),
        "agent": {"status": None, "version": None, "message": None, "since": {"time": None, "source": None}},
    },
    "verdict": {
        **dict.fromkeys(("scenario", "number", "candidates", "confidence", "summary")),
        "cause": dict.fromkeys(CAUSE),
        "otherCauses": [dict.fromkeys(CAUSE)],
        "because": [dict.fromkeys(REASON)],
        "ruledOut": [dict.fromkeys({*REASON, "scenario"})],
        "notChecked": [dict.fromkeys(REASON)],
        "nextSteps": [dict.fromkeys(("action", "command", "effect", "risk", "downtime", "undo", "link"))],
    },
    "findings": {
        "present": [
            {**dict.fromkeys({*CAUSE, "kind", "scenario"}), "evidence": [dict.fromkeys(REASON)]},
        ],
        "absent": None,
        "unknown": [{"code": None, "missing": None}],
    },
    "serialLog": {
        **dict.fromkeys(("boots", "state", "outlook", "bootLine", "bootTime", "lastLine")),
        "events": [dict.fromkeys(("line", "text", "meaning", "cause"))],
    },
    "screenshot": dict.fromkeys(("kind", "sure", "why", "path")),
    "channels": [dict.fromkeys(("name", "status", "detail", "seconds"))],
    "lastRepair": {
        **dict.fromkeys(("record", "state", "time", "brokenOff", "restartedSince")),
        "underWay": dict.fromkeys(("process", "since", "login")),
    },
    "repair": None,
    "timings": {"total": None, "byStep": None},
}

STOPPED_AND_BLOCKED = STOPPED.replace(
    "end 9 0",
    "wire 80 timed-out - curl 28\nfw.list iptables iptables\nfw.iptables filter -A OUTPUT -d 168.63.129.16/32 -j DROP\n"
    "unit waagent.service InactiveEnterTimestamp=Tue 2026-11-24 08:00:00 UTC\n"
    "repair p1 1764045000 verified\nrepairing 9 1764045000 ops\nend 9 0",
)


def found(double: AzureDouble) -> dict[str, Any]:
    return document(diagnose(double, TARGET, Wish(ssh_user="ops"), 4.0))


def rich() -> dict[str, Any]:
    """A document in which nothing that may be null is, but ``repair``."""
    panic = b"[    0.000000] Linux version 5.10.0\n[ 9.0] Kernel panic - not syncing: VFS: Unable to mount root fs\n"
    broken = raises(ConnectionError("reset"))
    return found(
        AzureDouble(answers(vm("Not Ready")), answers(panic), health=broken, through_ssh=answers(STOPPED_AND_BLOCKED))
    )


def keys(value: Any, contract: Any, where: str = "$") -> None:
    if isinstance(contract, dict):
        if value is None:
            return
        missing, more = set(contract) - set(value), set(value) - set(contract)
        assert (missing, more) == (set(), set()), where
        for name, inner in contract.items():
            keys(value[name], inner, f"{where}.{name}")
    elif isinstance(contract, list):
        assert isinstance(value, list), where
        for item in value:
            keys(item, contract[0], f"{where}[]")


def test_the_keys_are_those_of_the_contract_and_no_others():
    told = rich()
    keys(told, CONTRACT)
    verdict = told["verdict"]
    assert all(
        [verdict["cause"], verdict["otherCauses"], verdict["because"], verdict["ruledOut"], verdict["notChecked"]]
    )
    assert all([told["vm"]["agent"]["since"], told["serialLog"], told["serialLog"]["events"], verdict["nextSteps"]])


def test_the_values_are_those_of_the_contract():
    told = rich()
    assert told["schemaVersion"] == "1"
    assert (told["verdict"]["scenario"], told["verdict"]["number"], told["verdict"]["confidence"]) == (
        "agent-stopped",
        1,
        "certain",
    )
    assert told["vm"]["agent"]["since"] == {
        "time": "2026-11-24T08:00:00Z",
        "source": "waagent.service stopped (systemd)",
    }
    assert told["serialLog"]["outlook"] == "not_booted"
    assert told["vm"]["powerState"] == "running"
    assert {channel["status"] for channel in told["channels"]} <= {state.value for state in State}
    assert told["timings"]["total"] >= 0
    assert set(told["timings"]["byStep"]) <= {channel["name"] for channel in told["channels"]}


def test_what_is_not_known_is_null_and_never_missing():
    failed = raises(ConnectionError("reset"))
    told = found(AzureDouble(failed, failed, lambda _: failed(None), failed, failed))
    keys(told, CONTRACT)
    assert told["serialLog"] is None
    assert told["vm"]["agent"] == {"status": None, "version": None, "message": None, "since": None}
    assert told["verdict"]["number"] is None


@pytest.mark.parametrize(
    "told", [rich, lambda: error_document(TARGET, "NotFound", "no such VM")], ids=["verdict", "error"]
)
def test_every_value_is_plain_json(told):
    value = told()
    assert json.loads(json.dumps(value)) == value


def test_a_vm_that_could_not_be_asked_is_a_row_with_its_error():
    told = error_document(TARGET, "Forbidden", "no\x1b[31m\nright")
    assert told["error"] == {"code": "Forbidden", "message": "no[31m right"}
    assert (told["vm"]["name"], told["verdict"]) == ("web-03", None)


# -- hostile text, from the raw answers on -----------------------------------------------------------------------------

SECRETS = ("hunter2", "c2lnbmF0dXJl", "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln")
NASTY = (
    "\x1b[2J\x1b]0;owned\x07",
    "\u202e\u2066\u200b\ufeff",
    "\x00\x08\x7f\x9b",
    "line\nline\r\x85\u2028",
    "password=hunter2",
    "https://x.example/log?sv=1&sig=c2lnbmF0dXJl",
    "token: eyJhbGciOiJI.eyJzdWIiOiIx.c2ln",
    "x" * 3000,
    "\ud800",
)
texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=6), min_size=1, max_size=3).map("".join)


def hostile_vm(text: str) -> dict[str, Any]:
    status = {"displayStatus": "Not Ready", "message": text, "code": text}
    view = {"vmAgent": {"vmAgentVersion": text, "statuses": [status]}, "statuses": [{"code": "PowerState/running"}]}
    view["extensions"] = [{"name": text, "statuses": [{"code": "ProvisioningState/failed", "message": text}]}]
    disk = {"osDisk": {"osType": text}, "imageReference": {"offer": text}}
    return {"name": text, "location": text, "properties": {"instanceView": view, "storageProfile": disk}}


def hostile_diagnosis(text: str, inside: bool, booted: bool) -> Diagnosis:
    health = {
        "properties": {"availabilityState": "Unavailable", "title": text, "summary": text, "reasonType": "Unplanned"}
    }
    log = f"[    0.000000] Linux version\n[ 1.0] Kernel panic - not syncing: {text}\n[DEPEND] Dependency failed for /{text}\n"
    if booted:
        log = f"[    0.000000] Linux version\n{text} login: "
    probe = "\n".join(
        [
            "vmagent-probe 1",
            "uid 0",
            "systemd yes",
            f"unit {text}.service ActiveState=active",
            f"wire 80 timed-out - {text} {text}",
            f"log.fail 7 2026-11-24T08:00:00Z {text}",
            f"log.first 7 2026-11-24T08:00:00Z {text}",
            f"fw.list iptables {text}",
            f"fw.iptables filter -A OUTPUT -d 168.63.129.16/32 -m comment --comment {text} -j DROP",
            "end 9 0",
        ]
    )
    values: dict[str, Any] = {
        INSTANCE_VIEW: hostile_vm(text),
        SERIAL_LOG: log.encode("utf-8", "surrogatepass"),
        HOST_METRICS: metrics(NOW - timedelta(minutes=2)),
        RESOURCE_HEALTH: health,
        NETWORK: parse_nic(nic(), 22),
        PORT: PortFacts(text, 22, PortOutcome.GREETING, text),
    }
    if inside:
        values[SSH] = probe
    told = {name: Answer(name, State.OK, text, value, 0.1) for name, value in values.items()}
    if not inside:
        told[SSH] = Answer(SSH, State.FAILED, text, None, 0.1)
    facts = read(Evidence(Target("s", f"rg{text}", f"vm{text}"), NOW, told), serial_signatures())
    wish, present = Wish(ssh_user="ops"), findings(facts, every_cause())
    verdict = name_causes(decide(facts, wish), facts, wish, present)
    return Diagnosis(facts, verdict, tuple(told.values()), 1.0, findings=present)


def strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, name)
    elif isinstance(value, str):
        yield name, value


#: what must stay whole to be of use
WHOLE = {"command", "id", "name", "resourceGroup"}


@settings(max_examples=60)
@given(texts, st.booleans(), st.booleans())
def test_no_string_can_touch_a_terminal_carry_a_secret_or_flood_a_log(text, inside, booted):
    told = document(hostile_diagnosis(text, inside, booted))
    keys(told, CONTRACT)
    json.dumps(told).encode()
    for name, shown in strings(told):
        hidden = [c for c in shown if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029"]
        assert not hidden, (name, shown)
        if name not in WHOLE:
            assert len(shown) <= 700, name
            assert not any(secret in shown for secret in SECRETS), (name, shown)
