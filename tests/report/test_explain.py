"""`az vm agent-explain`: every cause reads whole, at a terminal and for a script."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from azure.cli.core.azclierror import InvalidArgumentValueError, MutuallyExclusiveArgumentError

from azext_vmagent.causes.catalogue import every_cause, find_cause
from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Sign, Variant, Where
from azext_vmagent.custom import explain_cause
from azext_vmagent.explaining import one_cause
from azext_vmagent.report import explain, explain_text
from azext_vmagent.report.layout import WIDTH, Style
from tests.laboratory import ROOT
from tests.test_console import Cli, Stream

PLAIN = Style(False)
STOPPED = find_cause("L01")
#: an entry with everything that one can have
FULL = KnownCause(
    code="L01",
    slug="agent-stopped",
    title="The agent's service is stopped",
    means="Somebody stopped it.",
    looks_like=("Active: inactive (dead)",),
    not_to_confuse=("L01: another one.", "A service that was never there."),
    variants=(Variant("agent-paused", "The agent's service is paused"),),
    covers=("L05", "L06"),
    signs=(Sign(Need.GUEST, lambda _scene, _cause: ()), Sign(Need.SERIAL_LOG, lambda _scene, _cause: ())),
    remedies=(
        Remedy(
            "start it",
            "az vm run-command invoke {vm} --scripts 'systemctl start {unit}; rm {culprit}'",
            Where.AZ,
            effect="it reports",
            risk="some",
            downtime="a minute",
            undo="systemctl stop {unit}",
            link="azure/one",
        ),
        Remedy("or wait"),
    ),
    links=("azure/two",),
    sources=("WALA#1",),
)


def text_of(known: KnownCause) -> str:
    return "\n".join(explain_text.explained(explain.explanation(known), PLAIN))


@pytest.mark.parametrize("known", every_cause(), ids=lambda known: known.code)
def test_every_cause_says_what_it_is_how_it_shows_what_to_do_and_where_to_read(known: KnownCause):
    text = text_of(known)
    words = " ".join(text.split())
    assert text.startswith(f"{known.code}  {known.title}\n")
    for said in (known.slug, known.means, *known.looks_like, known.untold, *known.sources):
        assert " ".join(said.split()) in words
    for remedy in known.remedies:
        assert " ".join(remedy.action.split()) in words
    assert known.untold or " ".join(need.value for need in known.needs()) in words.replace(",", "")
    assert not re.search(r"\{\w+\}", text), "a placeholder was not filled in"
    for path in known.links:
        assert f"https://learn.microsoft.com/en-us/{path}" in text
        assert f"https://learn.microsoft.com/ja-jp/{path}" in text


@pytest.mark.parametrize("known", every_cause(), ids=lambda known: known.code)
def test_nothing_is_too_wide_but_what_must_stay_whole(known: KnownCause):
    commands = {explain.filled(command, known.system) for remedy in known.remedies for command in (remedy.command,)}
    for line in text_of(known).splitlines():
        whole = "https://" in line or any(command and command in line for command in commands)
        assert whole or len(line) <= WIDTH or len(line.split(maxsplit=1)[0]) > WIDTH - 20, line


def test_a_command_stands_whole_and_says_where_what_it_costs_and_how_to_take_it_back():
    lines = explain_text.explained(explain.explanation(FULL), PLAIN)
    command = next(line for line in lines if line.startswith("  do"))
    assert command.endswith("az vm run-command invoke -g RG -n VM --scripts 'systemctl start waagent; rm CULPRIT'")
    words = " ".join(" ".join(lines).split())
    assert "start it · with az · it reports · downtime: a minute · risk: some" in words
    assert "undo: systemctl stop waagent" in words
    assert "https://learn.microsoft.com/en-us/azure/one" in words
    assert "RG and VM are the resource group and the name of the virtual machine" in words
    assert "CULPRIT is what a diagnosis names" in words
    assert "waagent is called walinuxagent on Debian and Ubuntu" in words


def test_a_page_that_is_linked_anyway_is_not_named_again_beside_the_remedy():
    again = replace(FULL, remedies=(Remedy("wait", link="azure/two"),))
    assert text_of(again).count("en-us/azure/two") == 1


def test_relatives_forms_and_what_it_explains_are_named():
    words = " ".join(text_of(FULL).split())
    assert "L01 agent-stopped: another one." in words
    assert "A service that was never there." in words
    assert "agent-paused: The agent's service is paused" in words
    assert "L05, L06 where both are found" in words


def test_a_windows_service_is_not_called_by_the_name_of_a_linux_unit():
    text = text_of(next(known for known in every_cause() if known.code == "W01"))
    assert "Start-Service -Name WindowsAzureGuestAgent\n" in text
    assert "-Name waagent" not in text
    assert "RdAgent in place of WindowsAzureGuestAgent" in text


def test_the_words_in_capitals_are_explained_only_where_they_stand():
    assert explain_text.legend([]) == ""
    assert "CULPRIT" not in explain_text.legend([{"command": "az vm start -g RG -n VM", "undo": None}])


@pytest.mark.parametrize(("verb", "warned"), [("redeploy", True), ("deallocate", True), ("restart", False)])
def test_what_an_ephemeral_disk_does_not_survive_is_said(verb: str, warned: bool):
    told = explain_text.legend([{"command": f"az vm {verb} -g RG -n VM", "undo": None}])
    assert ("ephemeral" in told) is warned


def test_a_look_inside_is_asked_for_where_nothing_else_shows_the_cause():
    assert explain.explanation(STOPPED)["diagnose"] == "az vm agent-diagnose -g RG -n VM --ssh-user USER"
    assert explain.explanation(FULL)["diagnose"] == "az vm agent-diagnose -g RG -n VM"


def test_a_cause_that_nothing_shows_says_why():
    untold = KnownCause(
        "B99", "no-sign", "Nothing shows it", "x" * 80, ("a black screen",), untold="Only a person sees it"
    )
    explain._AREA_TITLES["B99"] = "An area"
    try:
        found = explain.explanation(untold)
    finally:
        del explain._AREA_TITLES["B99"]
    assert (found["found"], found["diagnose"], found["notFoundBecause"]) == (False, None, "Only a person sees it")
    assert "not found  Only a person sees it" in "\n".join(explain_text.explained(found, PLAIN))


def test_a_script_gets_stable_keys():
    assert list(explain.explanation(FULL)) == [
        "schemaVersion", "code", "slug", "title", "area", "kind", "os", "scenario", "number", "found", "evidence",
        "means", "looksLike", "notToConfuse", "variants", "covers", "notFoundBecause", "diagnose", "remedies", "links",
        "sources", "since",
    ]  # fmt: skip
    assert list(explain.explanation(FULL)["remedies"][0]) == [
        "action", "command", "where", "effect", "risk", "downtime", "undo", "link",
    ]  # fmt: skip


def test_the_list_names_every_cause_once_and_counts():
    lines = explain_text.listing(explain.listed(), PLAIN)
    assert max(len(line) for line in lines) <= WIDTH
    codes = [match.group(1) for line in lines if (match := re.match(r"  [✓–] ([PLNIBW]\d\d) ", line))]
    assert sorted(codes) == sorted(known.code for known in every_cause())
    assert lines[-2].startswith(f"{len(codes)} causes: ")
    assert lines[-1] == "more: az vm agent-explain -c CODE"


def test_the_list_can_be_narrowed_to_a_scenario_and_a_system():
    by_number, by_name = explain.listed("1"), explain.listed("agent-stopped")
    assert by_number == by_name
    assert {found["scenario"] for found in by_number} == {"agent-stopped"}
    assert "L01" in {found["code"] for found in explain.listed(None, "linux")}
    assert "L01" not in {found["code"] for found in explain.listed(None, "windows")}


def test_the_table_stays_within_its_width():
    for found in (explain.listed(), explain.explanation(STOPPED)):
        rows = explain.table(found)
        widths = [max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]]
        assert sum(widths) + 2 * (len(widths) - 1) <= WIDTH
    assert explain.table(explain.explanation(STOPPED))[0]["Code"] == "L01"


@pytest.mark.parametrize("name", ["L01", "l01", "agent-stopped", " AGENT-STOPPED "])
def test_a_cause_is_found_by_code_or_name_in_any_case(name: str):
    assert one_cause(name).code == "L01"


@pytest.mark.parametrize("name", ["agent-stoped", "L0l", "agent stopped", "stopped"])
def test_an_unknown_name_ends_in_an_error_that_names_what_was_meant(name: str):
    with pytest.raises(InvalidArgumentValueError) as error:
        one_cause(name)
    assert "L01 (agent-stopped)" in str(error.value)
    assert "List all causes: az vm agent-explain -o table" in error.value.recommendations


@pytest.mark.parametrize(("words", "code"), [("Active: inactive (dead)", "L01"), ("status blob", "P05")])
def test_words_that_people_see_lead_to_the_cause_as_well(words: str, code: str):
    assert code in [near.split()[0] for near in explain.near(words)]


def test_the_beginning_of_a_code_leads_to_those_that_begin_so():
    assert all(near.startswith(("P1", "P01")) for near in explain.near("p1"))
    assert len(explain.near("p1")) == 5


def test_a_name_that_is_near_to_nothing_still_gets_advice():
    with pytest.raises(InvalidArgumentValueError) as error:
        one_cause("qqqqqq")
    assert "Near" not in str(error.value)
    assert error.value.recommendations


def test_a_cause_and_a_filter_do_not_go_together():
    with pytest.raises(MutuallyExclusiveArgumentError):
        one_cause("L01", "1")


@pytest.mark.parametrize("cause", [None, "L01"])
def test_a_person_reads_text_and_a_script_gets_the_object(monkeypatch: pytest.MonkeyPatch, cause: str | None):
    def call(terminal: bool, *given: str) -> tuple[object, str]:
        out = Stream(terminal)
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setenv("NO_COLOR", "1")
        return explain_cause(SimpleNamespace(cli_ctx=Cli(*given)), cause), out.getvalue()

    result, shown = call(True)
    assert result is None
    assert "The agent's service is stopped" in shown
    for terminal, given in ((True, ["-o"]), (False, [])):
        result, shown = call(terminal, *given)
        assert result == (explain.explanation(STOPPED) if cause else explain.listed())
        assert shown == ""


NAMED = re.compile(r'"([PLNIBW]\d\d)(?:",\s*"| )([a-z0-9]+(?:-[a-z0-9]+)+)"')


def named() -> set[tuple[str, str]]:
    """Code and name wherever the product's source has them side by side: what a report can end with."""
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "azext_vmagent").rglob("*.py"))]
    return {found for source in sources for found in NAMED.findall(source)}


def test_whatever_a_report_ends_with_can_be_explained_by_code_and_by_name():
    assert len(named()) > 20
    found = [(code, slug, find_cause(code), find_cause(slug)) for code, slug in sorted(named())]
    assert [(code, slug) for code, slug, by_code, by_slug in found if by_code is None or by_code is not by_slug] == []
