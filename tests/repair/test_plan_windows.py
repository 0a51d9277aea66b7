"""What would be done in a Windows guest, and what not: each cure with its near misses. No Windows guest was at hand."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace

import pytest

from azext_vmagent.facts.guest import parse_probe
from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, PASTE, RUN_COMMAND, SSH, Facts
from azext_vmagent.model import Scenario
from azext_vmagent.repair.plan import plan
from azext_vmagent.repair.script_windows import windows_repair_script, windows_undo_script
from azext_vmagent.repair.scripts import script_for, undo_for
from azext_vmagent.report.document import document
from azext_vmagent.report.layout import Style
from azext_vmagent.report.repair_text import repair_lines
from tests.repair.case import diagnosis, inside, refused, steps
from tests.verdict.build import NOT_READY, OPEN, guest
from tests.verdict.build import STOPPED as LINUX_STOPPED
from tests.windows_answer import HEALTHY, answer, with_said, with_service

WINDOWS = replace(NOT_READY, os_type="Windows")
STOPPED_LINUX = inside(guest(LINUX_STOPPED))
ID = "{F7EE5C6D-6C90-456B-9166-E301B1305A56}"
#: VMAssist's authors made such a rule with New-NetFirewallRule (domain knowledge: [MS-GPFAS] 2.2.2.19 is the grammar)
TEXT = "v2.30|Action=Block|Active=TRUE|Dir=Out|Protocol=6|RA4=168.63.129.16/255.255.255.255|Name=Block outbound|"
DENIED = {f"wire{port}": {"port": port, "outcome": "denied", "code": 10013} for port in (80, 32526)}
CLOSED = [{**one, "out": 1} for one in HEALTHY["profiles"]]
BOTH = ("RdAgent", "WindowsAzureGuestAgent")


def seen(said: dict, channel: str = RUN_COMMAND, **known: object) -> Facts:
    return inside(parse_probe(answer(said)), **{"vm": WINDOWS, "guest_channel": channel, **known})


def planned(facts: Facts, by_hand: bool = True):
    return plan(diagnosis(facts), by_hand=by_hand)


def blocked(text: str = TEXT, name: str = ID, store: str = "local", **more: object) -> dict:
    return with_said(**DENIED, rules=[[store, name, text]], **more)


def services(**changed: object) -> dict:
    """Both of the agent's services with the same change."""
    return with_said(services=[{**one, **changed} if one["name"] in BOTH else one for one in HEALTHY["services"]])


# -- the services ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
def test_a_stopped_service_is_started(name):
    assert steps(planned(seen(with_service(name, state="Stopped")))) == [("start-service", name)]


@pytest.mark.parametrize("start", [3, 4])
def test_one_that_does_not_start_at_boot_is_set_to_automatic_first(start):
    found = planned(seen(with_service("RdAgent", state="Stopped", start=start)))
    assert steps(found) == [("automatic-start", "RdAgent"), ("start-service", "RdAgent")]


def test_both_are_started_and_rdagent_first_as_it_starts_the_other():
    assert steps(planned(seen(services(state="Stopped", start=4)))) == [
        *(("automatic-start", name) for name in BOTH),
        *(("start-service", name) for name in BOTH),
    ]


def test_the_start_type_of_one_that_runs_is_mended_together_with_the_other():
    said = with_service("RdAgent", state="Stopped")
    said["services"] = [{**one, "start": 4} if one["name"] == BOTH[1] else one for one in said["services"]]
    assert steps(planned(seen(said))) == [("automatic-start", BOTH[1]), ("start-service", "RdAgent")]


CRASH = {"id": 1000, "who": "WaAppAgent", "count": 3, "time": "2019-11-14T05:58:00Z"}


@pytest.mark.parametrize("said", [
    with_service("RdAgent", state="Stopped", there=False),
    with_service("RdAgent", state="StopPending"),
    with_service("RdAgent", gone=True),
    {**with_service("RdAgent", state="Stopped"), "events": [CRASH]},
    services(state="Stopped", there=False),
], ids=["its program is gone", "it hangs while stopping", "it is not there", "it crashes", "both programs are gone"])  # fmt: skip
def test_a_service_that_could_not_start_is_left_to_a_person(said):
    assert refused(planned(seen(said))) in ("no-safe-cure", "uncertain")


def test_where_the_program_is_gone_the_offline_repair_that_fits_is_named_with_its_three_commands():
    found = planned(seen(services(state="Stopped", there=False)))
    commands = [step.command for step in found.refusal.next_steps if (step.command or "").startswith("az vm repair ")]
    assert commands == [
        "az vm repair create -g rg-shop -n web-03",
        "az vm repair run -g rg-shop -n web-03 --run-id win-GA-fix --run-on-repair",
        "az vm repair restore -g rg-shop -n web-03",
    ]


def test_no_copy_is_made_of_a_disk_that_cannot_be_copied():
    found = planned(seen(services(state="Stopped", there=False), vm=replace(WINDOWS, ephemeral_os_disk=True)))
    assert not any("az vm repair " in (step.command or "") for step in found.refusal.next_steps)


# -- the firewall ------------------------------------------------------------------------------------------------------


def test_a_rule_for_the_wire_server_alone_is_switched_off_by_its_id_and_whole_text():
    found = planned(seen(blocked()))
    assert steps(found) == [("disable-rule", ID, TEXT, "all")]
    assert "switch off" in found.actions[0].change
    assert ID in found.actions[0].change


@pytest.mark.parametrize("addresses", [
    "RA4=168.63.129.16|", "RA4=168.63.129.16-168.63.129.16|", "RA42=168.63.129.16|RA4=168.63.129.16/32|",
])  # fmt: skip
def test_each_way_to_write_the_one_address_is_known(addresses):
    text = f"v2.30|Action=Block|Active=TRUE|Dir=Out|{addresses}Name=B|"
    assert steps(planned(seen(blocked(text)))) == [("disable-rule", ID, text, "all")]


@pytest.mark.parametrize("fields", [
    "", "RA4=168.63.0.0/16|", "RA4=168.63.129.16|RA4=10.0.0.0/8|", "RPort=80|RPort=32526|",
    "RA4=168.63.129.16|LUAuth=D:(A;;CC;;;SY)|",
], ids=["everything", "a network", "two addresses", "ports only", "SYSTEM among chosen accounts"])  # fmt: skip
def test_a_rule_that_covers_more_is_left_to_a_person_as_none_is_let_past_a_block(fields):
    found = planned(seen(blocked(f"v2.30|Action=Block|Active=TRUE|Dir=Out|{fields}Name=Hardening|")))
    assert refused(found) == "rule-covers-more"
    assert found.refusal.next_steps


@pytest.mark.parametrize("store", ["gpo", "mdm"])
def test_a_rule_of_policy_has_another_owner(store):
    assert refused(planned(seen(blocked(store=store)))) == "rule-is-managed"


def test_a_rule_whose_title_speaks_of_policy_is_local_all_the_same():
    text = TEXT.replace("Block outbound", "Group Policy")
    assert steps(planned(seen(blocked(text))))[0][0] == "disable-rule"


def test_to_switch_off_one_of_two_rules_would_help_nobody():
    said = with_said(**DENIED, rules=[["local", ID, TEXT], ["gpo", "{2}", TEXT]])
    assert refused(planned(seen(said))) == "rule-is-managed"


@pytest.mark.parametrize("name", ["*", "x?", "[a-z]", ""])
def test_a_rule_that_is_called_as_a_wildcard_is_never_named(name):
    assert refused(planned(seen(blocked(name=name)))) == "no-exact-undo"


def test_an_old_windows_names_a_rule_by_a_title_that_others_may_have():
    old = blocked(os={**HEALTHY["os"], "build": "7601.24000"})
    assert refused(planned(seen(old))) == "no-exact-undo"


@pytest.mark.parametrize("text", [TEXT.replace("Active=TRUE", "Active=FALSE"), TEXT.replace("Block|", "Allow|", 1)])
def test_a_rule_that_is_off_or_allows_is_not_touched(text):
    assert refused(planned(seen(blocked(text)))) == "no-safe-cure"


def test_a_rule_for_another_program_is_not_touched_and_one_for_the_agents_program_is_switched_off():
    agent = TEXT + "App=C:\\WindowsAzure\\Packages\\WaAppAgent.exe|"
    failing = {
        **HEALTHY["logWaAppAgent"],
        "count": 1,
        "failed": [["11/14/2019 06:01:00.00", "WARN", "168.63.129.16:80"]],
    }
    found = planned(seen(with_said(rules=[["local", ID, agent]], logWaAppAgent=failing)))
    assert steps(found) == [("disable-rule", ID, agent, "agent")]
    other = planned(seen(with_said(rules=[["local", ID, TEXT + "App=C:\\x.exe|"]], logWaAppAgent=failing)))
    assert not other.actions or other.channel == "azure"


def test_a_profile_that_blocks_by_default_gets_a_narrow_rule_and_stays():
    assert steps(planned(seen(with_said(**DENIED, profiles=CLOSED)))) == [("allow-rule", "PublicProfile")]


@pytest.mark.parametrize("policy", [
    {"store": "gpo", "name": "PublicProfile", "on": 1, "out": 1, "merge": None},
    {"store": "gpo", "name": "PublicProfile", "on": 1, "out": 1, "merge": 0},
])  # fmt: skip
def test_a_profile_that_policy_closed_has_another_owner(policy):
    assert refused(planned(seen(with_said(**DENIED, profiles=[*CLOSED, policy])))) == "rule-is-managed"


def test_a_stopped_agent_behind_a_blocking_rule_gets_both_the_rule_first():
    said = {**with_service("RdAgent", state="Stopped"), **DENIED, "rules": [["local", ID, TEXT]]}
    assert [step[0] for step in steps(planned(seen(said)))] == ["disable-rule", "start-service"]


def test_a_proxy_is_advice_and_not_changed():
    failing = {
        **HEALTHY["logWaAppAgent"],
        "count": 1,
        "failed": [["11/14/2019 06:01:00.00", "WARN", "168.63.129.16:80"]],
    }
    found = planned(seen(with_said(proxy={"winhttp": "proxy:8080"}, logWaAppAgent=failing)))
    assert refused(found) == "no-safe-cure"
    assert any("proxy" in step.action for step in found.refusal.next_steps)


def test_a_filter_of_another_product_is_not_changed():
    found = planned(seen(with_said(**DENIED)))
    assert refused(found) == "no-safe-cure"


# -- DHCP --------------------------------------------------------------------------------------------------------------

DYNAMIC = replace(OPEN, dynamic=("private",), configurations=1)


def fixed(**more: object) -> dict:
    return with_said(adapters=[{**HEALTHY["adapters"][0], "dhcp": 0, **more}])


def with_dhcp_off(said: dict, network=DYNAMIC) -> Facts:
    return seen(said, network=network)


NO_ROUTE = {f"wire{port}": {"port": port, "outcome": "network-unreachable"} for port in (80, 32526)}
SILENT = {f"wire{port}": {"port": port, "outcome": "timed-out"} for port in (80, 32526)}
ON = ("dhcp-on", "00-0D-3A-00-00-04")


def test_a_fixed_address_without_a_way_to_the_wire_server_gives_way_to_azures_dhcp():
    found = planned(with_dhcp_off({**fixed(), **NO_ROUTE, "source": "error 10051"}))
    assert steps(found) == [(*ON, "10.0.0.4")]
    assert found.remains == ()


def test_so_does_one_that_is_not_azures():
    facts = with_dhcp_off({**fixed(addresses=["10.0.0.9"]), **SILENT})
    found = diagnosis(facts)
    assert found.verdict.scenario is Scenario.NETWORK_DOWN
    assert found.verdict.summary == "The guest's fixed address is not the one that Azure gave it"
    assert steps(plan(found, by_hand=True)) == [(*ON, "10.0.0.9")]


@pytest.mark.parametrize("network", [
    replace(DYNAMIC, dynamic=("public",)), replace(DYNAMIC, dynamic=None), replace(DYNAMIC, configurations=2),
], ids=["static in Azure", "not known", "several configurations"])  # fmt: skip
def test_dhcp_is_left_off_where_the_model_does_not_say_that_it_is_right(network):
    assert refused(planned(with_dhcp_off({**fixed(), **NO_ROUTE, "source": "error 10051"}, network))) == "no-safe-cure"


@pytest.mark.parametrize("said", [
    {**fixed(), **SILENT},
    {**fixed(), **DENIED},
    fixed(),
    {**fixed(dhcp=1, addresses=["10.0.0.9"]), **SILENT},
    {**fixed(addresses=["10.0.0.9", "10.0.0.10"]), **SILENT},
    {**fixed(mac="", addresses=["10.0.0.9"]), **SILENT},
], ids=["no answer", "a filter", "answers", "by DHCP already", "two addresses", "no hardware address"])  # fmt: skip
def test_dhcp_is_left_as_it_is_where_a_fixed_address_is_not_what_is_wrong(said):
    assert "dhcp-on" not in [step[0] for step in steps(planned(with_dhcp_off(said)))]


# -- the way in --------------------------------------------------------------------------------------------------------

STOPPED = with_service("RdAgent", state="Stopped")


@pytest.mark.parametrize(
    ("channel", "again"),
    [
        (PASTE, " --probe-output FILE"),
        (SSH, " --probe-output FILE"),
        (RUN_COMMAND, " --ssh-user ops"),
        (MANAGED_RUN_COMMAND, " --ssh-user ops"),
    ],
)
def test_nothing_is_sent_into_windows_and_the_script_to_paste_is_named(channel, again):
    found = planned(seen(STOPPED, channel), by_hand=False)
    assert refused(found) == "no-channel"
    assert found.refusal.next_steps[0].command == (
        f"az vm agent-diagnose -g rg-shop -n web-03{again} --repair --print-script"
    )
    assert steps(planned(seen(STOPPED, channel), by_hand=True)) == [("start-service", "RdAgent")]


def test_an_answer_that_is_not_whole_or_no_administrators_is_not_acted_upon():
    half = replace(seen(STOPPED), guest=replace(parse_probe(answer(STOPPED)), complete=False))
    assert refused(planned(half)) == "answer-not-whole"
    assert refused(planned(seen({**STOPPED, "who": {"system": False, "elevated": False}}))) == "not-root"


def test_nobody_inside_gets_the_probe_to_paste_and_the_offline_way():
    sure = diagnosis(seen(with_service("RdAgent", state="Stopped", there=False)))
    outside = replace(sure, facts=replace(sure.facts, guest=None, guest_channel=None))
    found = plan(outside)
    assert refused(found) == "nobody-inside"
    commands = [step.command or "" for step in found.refusal.next_steps]
    assert "az vm agent-diagnose --print-probe powershell" in commands
    assert any("--run-id win-GA-fix" in command for command in commands)


def test_the_plan_says_that_nobody_has_seen_it_work():
    found = diagnosis(seen(STOPPED))
    shown = plan(found, by_hand=True)
    assert "never tried on a real Windows" in " ".join(repair_lines(shown, found.verdict, Style(False)))
    assert "never tried" in document(found, shown)["repair"]["plan"]["untried"]
    linux = diagnosis(STOPPED_LINUX)
    assert document(linux, plan(linux))["repair"]["plan"]["untried"] is None


# -- the script --------------------------------------------------------------------------------------------------------

EVIL = "'@\n\"$(Stop-Computer)`$x'; Remove-Item C:\\ -Recurse #".replace("\n", " ")


def test_the_script_is_powershell_for_windows_and_sh_for_linux():
    windows, linux = seen(STOPPED), STOPPED_LINUX
    found = planned(windows)
    assert script_for(windows, found) == windows_repair_script(found.actions)
    assert undo_for(windows) == windows_undo_script()
    assert undo_for(linux).startswith("# Repairs") and "command sh" in undo_for(linux)


def test_no_text_of_a_guest_is_part_of_powershells_text():
    text = f"v2.30|Action=Block|Active=TRUE|Dir=Out|RA4=168.63.129.16|Name={EVIL}|"
    found = planned(seen(blocked(text, name=EVIL)))
    assert steps(found) == [("disable-rule", EVIL, text, "all")]
    script = windows_repair_script(found.actions)
    assert "Stop-Computer" not in script
    lines = re.search(r"\$data = @\(\n(.*?)\)\n", script, re.DOTALL)[1].split(",\n")
    assert all(re.fullmatch(r"'(plan p\d+ \d+|action|[A-Za-z0-9+/]*=*)'", line) for line in lines)
    assert b64decode(lines[3].strip("'")).decode() == EVIL


def test_the_report_shows_a_hostile_name_without_its_control_characters():
    text = TEXT.replace("Block outbound", "x\x1b[2Jy")
    found = diagnosis(seen(blocked(text)))
    assert "\x1b" not in " ".join(repair_lines(plan(found, by_hand=True), found.verdict, Style(False)))


def test_the_script_runs_only_what_came_whole_and_can_be_pasted():
    script = windows_repair_script(planned(seen(STOPPED)).actions)
    assert script.isascii()
    assert "" not in script.rstrip().split("\n")
    assert max(map(len, script.splitlines())) < 4096
    assert len(script) < 60_000
    held = re.search(r"@'\n(.*)\n'@", script, re.DOTALL)[1]
    length, total = map(int, re.search(r"-eq (\d+) -and \$sum -eq (\d+)", script).groups())
    reckoned = 0
    for letter in held:
        reckoned = (reckoned * 31 + ord(letter)) % 1000003
    assert (len(held), reckoned) == (length, total)
    assert "\n'@" not in held
