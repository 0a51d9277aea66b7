"""A Windows guest's words as facts. Where the values come from: ``tests/windows_answer.py``; none was recorded."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_vmagent.facts.guest import Connect, GuestFacts, is_probe_answer, parse_probe
from azext_vmagent.facts.paste import pasted_answer
from azext_vmagent.guest import windows_probe_script
from tests.windows_answer import (
    AGENT,
    DENIED_LINE,
    HEALTHY,
    LOG,
    RD_AGENT,
    answer,
    with_said,
    with_service,
)


def parsed(**changed: object) -> GuestFacts:
    found = parse_probe(answer(with_said(**changed)))
    assert found.windows is not None
    return found


def test_a_healthy_guest():
    found = parsed()
    assert (found.complete, found.missing, found.seconds, found.root) == (True, (), 2.4, True)
    assert (found.distribution, found.kernel) == ("Windows Server 2022 Datacenter", "20348.2113")
    assert (found.service.unit, found.service.running) == ("WindowsAzureGuestAgent", True)
    assert (found.outcome(80), found.wire[80].status) == (Connect.OK, 200)
    assert (found.outcome(32526), found.rules.complete, found.rules.blocks) == (Connect.OK, True, ())
    assert [(i.name, i.admin_up, i.addresses, i.mac) for i in found.interfaces] == [
        ("Ethernet", True, ("10.0.0.4",), "00:0d:3a:00:00:04")
    ]
    assert [(d.mount, d.used_percent) for d in found.disks] == [("C:", 21)]
    assert (found.route.kind, found.route.source) == ("unicast", "10.0.0.4")
    assert found.windows.active_profiles == ("public",)
    assert found.windows.agent_version == "2.7.41491.1083"


def test_packed_and_plain_say_the_same():
    assert parse_probe(answer(HEALTHY, packed=True)) == parse_probe(answer(HEALTHY))


def test_a_console_that_breaks_lines_and_drops_blanks_spoils_nothing():
    text = answer(HEALTHY).replace("\r\n", "\n").replace("Windows Server", "Windows\nServer")
    assert parse_probe(f"PS C:\\> pasted\n{text}PS C:\\>").complete


@pytest.mark.parametrize("packed", [False, True])
def test_pasted_from_a_console_with_the_scripts_echo_and_prompts(packed):
    echo = "".join(f">> {line}\r\n" for line in windows_probe_script().splitlines())
    text = f"PS C:\\> & {{\r\n{echo}{answer(HEALTHY, packed=packed)}PS C:\\> exit\r\n"
    assert parse_probe(pasted_answer(text)) == parse_probe(answer(HEALTHY))


def test_pasted_from_a_mail_that_quotes():
    quoted = "".join(f"> {line}\n" for line in answer(HEALTHY).splitlines())
    assert parse_probe(pasted_answer(quoted)).complete


@pytest.mark.parametrize("packed", [False, True])
def test_a_cut_or_altered_answer_is_not_whole(packed):
    text = answer(HEALTHY, packed=packed)
    assert not parse_probe(text[: len(text) // 2]).complete
    assert not parse_probe(text.replace("end ", "end 1")).complete
    assert not parse_probe(text.rpartition("end ")[0]).complete
    assert not parse_probe(answer(HEALTHY).replace('"Running"', '"Stopped"')).complete


def test_constrained_language_mode_says_so_and_is_not_whole():
    found = parse_probe(
        'vmagent-probe-windows 1 json\r\n{"failed":{"all":"PowerShell runs in constrained language mode"}}\r\nend 0 0 0\r\n'
    )
    assert (found.complete, found.root, found.service.running) == (False, None, None)
    assert found.windows.failed["all"] == "PowerShell runs in constrained language mode"


def test_it_is_known_as_an_answer_of_the_probe():
    assert is_probe_answer(answer(HEALTHY))
    assert not is_probe_answer("'sh' is not recognized as an internal or external command,\r\n")


@pytest.mark.parametrize(("who", "root"), [
    ({"system": True, "elevated": True}, True), ({"system": False, "elevated": True}, True),
    ({"system": False, "elevated": False}, False), ({}, None),
])  # fmt: skip
def test_only_system_and_administrators_count(who, root):
    assert parsed(who=who).root is root


@pytest.mark.parametrize(("name", "changed", "unit", "state"), [
    ("RdAgent", {"state": "Stopped"}, "RdAgent", "inactive"),
    ("WindowsAzureGuestAgent", {"state": "Stopped", "start": 4}, "WindowsAzureGuestAgent", "inactive"),
    ("WindowsAzureGuestAgent", {"state": "StopPending"}, "WindowsAzureGuestAgent", "deactivating"),
    ("RdAgent", {"gone": True}, "WindowsAzureGuestAgent", "active"),
])  # fmt: skip
def test_the_service_that_does_not_run_is_the_one_spoken_of(name, changed, unit, state):
    found = parse_probe(answer(with_service(name, **changed)))
    assert (found.service.unit, found.service.active_state) == (unit, state)


def test_no_service_at_all_is_not_installed_and_no_word_is_not_known():
    assert parsed(services=[]).service.load_state == "not-found"
    assert parsed(services=None).service.load_state == ""
    assert "service" in parsed(services=None).missing


def test_a_list_of_one_that_powershell_gave_as_the_one_is_a_list():
    assert parsed(services=AGENT).service.unit == "WindowsAzureGuestAgent"
    assert parsed(persistent="168.63.129.16,255.255.255.255,10.0.0.9,1").windows.persistent_routes


@pytest.mark.parametrize(("said", "outcome", "detail"), [
    ({"outcome": "denied", "code": 10013}, Connect.DENIED, "Winsock error 10013"),
    ({"outcome": "timed-out"}, Connect.TIMED_OUT, ""),
    ({"outcome": "timed-out", "code": 10060, "connected": True}, Connect.TIMED_OUT,
     "connected, then silence, Winsock error 10060"),
    ({"outcome": "ok", "http": 503, "connected": True}, Connect.OK, ""),
    ({"outcome": "no-such-word"}, Connect.NOT_SAID, ""),
])  # fmt: skip
def test_how_the_connection_ended(said, outcome, detail):
    found = parsed(wire80={"port": 80, **said})
    assert found.outcome(80) is outcome
    assert 80 not in found.wire or found.wire[80].detail == detail


def test_a_test_that_never_ran_is_not_said():
    found = parse_probe(answer(with_said(wire80=None), late=("wire80",)))
    assert (found.outcome(80), "wire server 80" in found.missing) == (Connect.NOT_SAID, True)


def test_the_log_in_both_of_its_forms():
    log = {**LOG, "count": 12, "failed": [DENIED_LINE], "first": DENIED_LINE, "newest": "2021-01-12T16:35:45.120Z"}
    found = parsed(logWaAppAgent=log).log
    assert found.newest == datetime(2021, 1, 12, 16, 35, 45, 120000, timezone.utc)
    assert found.failures[-1].time == datetime(2018, 12, 11, 6, 27, 55, 660000, timezone.utc)
    assert "forbidden by its access permissions 168.63.129.16:32526" in found.failures[-1].text
    assert (found.failure_count, found.first_failure) == (12, found.failures[0])


def test_a_log_that_recovered_holds_no_failure():
    fine = ["07/11/2019 21:04:40.25", "INFO", "Discovered fabric address on interface Local Area Connection 3."]
    found = parsed(logWaAppAgent={**LOG, "fine": fine}).log
    assert (found.failures, found.first_failure) == ((), None)
    assert found.recovery.text.startswith("[INFO] Discovered fabric address")


def test_events_of_other_kinds_are_none_of_ours():
    events = [
        {"id": 7034, "who": "RdAgent", "count": 3, "time": "2026-11-24T01:02:03Z"},
        {"id": 7036, "who": "RdAgent"},
    ]
    assert [(e.id, e.count) for e in parsed(events=events).windows.events] == [(7034, 3)]


def test_a_login_in_a_proxys_address_is_left_out():
    found = parsed(proxy={"winhttp": "http://ops:secret@proxy:8080", "bypass": "<local>"})
    assert found.windows.proxies == {"winhttp": "http://***@proxy:8080"}
    assert found.windows.bypasses == {"winhttp": "<local>"}
    assert parsed(proxy={"winhttp": "http=ops:secret@p:1"}).windows.proxies == {"winhttp": "***@p:1"}


@pytest.mark.parametrize(
    ("said", "kind"), [("10.0.0.4", "unicast"), ("error 10051", "none"), ("error 10013", "unknown")]
)
def test_the_route_as_windows_chooses_it(said, kind):
    assert parsed(source=said).route.kind == kind


def test_rules_that_were_cut_or_late_leave_the_listing_incomplete():
    rule = ["local", "{1}", "v2.30|Action=Block|Active=TRUE|Dir=Out|RA4=168.63.129.16|Name=x|"]
    assert [b.ports for b in parsed(rules=[rule]).rules.blocks] == [(80, 32526)]
    assert not parsed(rules=None).rules.complete
    assert not parsed(rules=[rule], more=True).rules.complete
    assert not parse_probe(answer(HEALTHY, late=("firewall",))).rules.complete


def test_a_long_rule_is_read_to_its_end_and_a_cut_one_is_undecided():
    many = "|".join(f"RA4=10.1.{number}.0/255.255.255.0" for number in range(40))
    text = f"v2.30|Action=Block|Active=TRUE|Dir=Out|{many}|"
    assert [b.ports for b in parsed(rules=[["local", "{1}", text + "RA4=168.63.129.16|"]]).rules.blocks] == [
        (80, 32526)
    ]
    cut = parsed(rules=[["local", "{1}", text + "Cut=TRUE|"]]).rules
    assert (cut.blocks, len(cut.undecided)) == ((), 1)


def test_a_bomb_is_not_unpacked():
    body = base64.b64encode(gzip.compress(b'{"who":"' + b"x" * 50_000_000 + b'"}', mtime=0)).decode()
    assert parse_probe(f"vmagent-probe-windows 1 gzip\n{body}\nend {len(body)} 0 1\n").root is None


def test_deep_nesting_is_no_error():
    assert parse_probe("vmagent-probe-windows 1 json\n" + "[" * 100_000 + "\nend 1 1 1").complete is False


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.sampled_from(["Running", "ok"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(HEALTHY)), JSON, max_size=12))
def test_a_section_of_any_shape_is_no_error(changed):
    found = parse_probe(answer({**HEALTHY, **changed}))
    assert isinstance(found, GuestFacts)
    assert all(" " <= c <= "~" for c in found.service.fragment_path + found.distribution)


@given(st.sampled_from(["services", "adapters", "events", "profiles", "certificates", "rules"]), JSON)
def test_a_row_of_any_shape_is_no_error(section, row):
    keys = {
        "name": row,
        "state": row,
        "start": row,
        "id": 7034,
        "time": row,
        "count": row,
        "mac": row,
        "on": row,
        "pid": row,
    }
    parse_probe(answer({**HEALTHY, section: [row, keys, [row, row, row]]}))


@given(st.text())
def test_any_text_is_no_error(text):
    parse_probe(f"vmagent-probe-windows 1 json\n{text}\nend 1 2 3")
    parse_probe(f"vmagent-probe-windows 1 gzip\n{text}")


def test_the_double_is_what_the_probe_would_print():
    lines = answer(HEALTHY).split("\r\n")
    assert lines[0] == "vmagent-probe-windows 1 json"
    assert json.loads("".join(lines[1:-2]))["services"][0] == RD_AGENT
    assert max(map(len, lines)) <= 78


@pytest.mark.parametrize(("section", "name"), [
    ("proxy", "proxy"), ("dotnet", ".NET"), ("certificates", "certificates"), ("events", "events"),
    ("exits", "exit codes"),
])  # fmt: skip
def test_a_section_that_was_cut_is_missing_so_that_nothing_in_it_counts_as_absent(section, name):
    assert name in parsed(**{section: None}).missing
