"""A Windows guest's word: each cause, and the near miss that must not be taken for it.

From the probe's text to the verdict. The words come from documents (``tests/windows_answer.py``): none was recorded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import parse_probe
from azext_vmagent.facts.instance_view import ExtensionFacts
from azext_vmagent.facts.port import NetworkFacts
from azext_vmagent.facts.reading import PASTE, RUN_COMMAND
from azext_vmagent.model import Confidence, Scenario, Verdict
from azext_vmagent.verdict.decide import decide
from tests.verdict.build import NOT_READY, READY, facts
from tests.windows_answer import DENIED_LINE, HEALTHY, LOG, answer, with_said, with_service

SILENT = replace(NOT_READY, os_type="Windows")
HEARD = replace(READY, os_type="Windows")
ID = "{F7EE5C6D-6C90-456B-9166-E301B1305A56}"
TEXT = "v2.30|Action=Block|Active=TRUE|Dir=Out|Protocol=6|RA4=168.63.129.16|Name=Hardening 7|"
RULE = ["local", ID, TEXT]
DENIED = {"outcome": "denied", "code": 10013}
TIMED_OUT = {"outcome": "timed-out"}
#: the documented line, as of after the agent's start in LOG
FAILED = ["11/14/2019 06:01:00.00", *DENIED_LINE[1:]]
FAILING = {**LOG, "count": 3, "failed": [FAILED], "first": FAILED}


def verdict(said: dict[str, Any], vm: object = SILENT, channel: str = PASTE, **form: Any) -> Verdict:
    """Asked when the guest answered: what was pasted is now."""
    guest = parse_probe(answer(said, **form))
    known = facts(vm=vm, guest=guest, guest_channel=channel)
    return decide(replace(known, asked_at=guest.clock or known.asked_at), Wish())


def wire(both: dict[str, Any], **more: Any) -> dict[str, Any]:
    return with_said(wire80={"port": 80, **both}, wire32526={"port": 32526, **both}, **more)


def commands(found: Verdict) -> list[str]:
    return [step.command for step in found.next_steps if step.command]


def codes(found: Verdict) -> list[str]:
    return [cause.code for cause in (found.cause, *found.other_causes) if cause is not None]


# -- scenario 1 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["RdAgent", "WindowsAzureGuestAgent"])
def test_w01_a_stopped_service_is_scenario_1_and_is_started(name):
    found = verdict(with_service(name, state="Stopped"))
    assert (found.scenario, found.confidence, codes(found)) == (Scenario.AGENT_STOPPED, Confidence.CERTAIN, ["W01"])
    assert commands(found)[0] == f"Start-Service -Name {name}"
    assert found.next_steps[0].undo == f"Stop-Service -Name {name}"


def test_the_log_of_a_stopped_agent_dates_the_silence_and_that_of_a_running_one_does_not():
    found = verdict(with_service("WindowsAzureGuestAgent", state="Stopped"))
    assert found.since is not None
    assert (found.since.source, found.since.time.hour) == ("newest line of WaAppAgent.log", 6)
    assert verdict(with_service("RdAgent", state="Stopped")).since is None


def test_an_older_agent_without_its_telemetry_service_is_not_stopped():
    assert "WindowsAzureTelemetryService" not in str(HEALTHY["services"])
    assert verdict(HEALTHY, HEARD).scenario is Scenario.HEALTHY


def test_a_service_that_is_starting_is_neither_stopped_nor_running():
    found = verdict(with_service("WindowsAzureGuestAgent", state="StartPending"))
    assert found.scenario is Scenario.UNCERTAIN


def test_w02_no_service_is_not_installed_unless_it_runs_all_the_same():
    found = verdict(with_said(services=HEALTHY["services"][2:], processes=[]))
    assert (found.scenario, codes(found), commands(found)) == (Scenario.AGENT_STOPPED, ["W02"], [])
    assert verdict(with_said(services=HEALTHY["services"][2:])).scenario is Scenario.UNCERTAIN


def test_w03_disabled_is_made_automatic_and_a_running_manual_service_is_let_be():
    found = verdict(with_service("WindowsAzureGuestAgent", state="Stopped", start=4))
    assert codes(found) == ["W03"]
    assert commands(found)[0] == (
        "Set-Service -Name WindowsAzureGuestAgent -StartupType Automatic; Start-Service -Name WindowsAzureGuestAgent"
    )
    assert found.next_steps[0].undo.endswith("-StartupType Disabled")
    assert codes(verdict(with_service("RdAgent", state="Stopped", start=3))) == ["W03"]
    assert verdict(with_service("RdAgent", start=3), HEARD).scenario is Scenario.HEALTHY


def test_w04_a_path_to_nowhere():
    found = verdict(with_service("RdAgent", state="Stopped", there=False, path="C:\\gone\\WaAppAgent.exe"))
    assert codes(found) == ["W04"]
    assert "C:\\gone" in found.cause.detail
    assert verdict(with_service("RdAgent", there=False), HEARD).scenario is Scenario.HEALTHY


def test_w05_stuck_while_stopping_is_never_ended_through_the_agent_itself():
    found = verdict(with_service("WindowsAzureGuestAgent", state="StopPending"), channel=RUN_COMMAND)
    assert codes(found) == ["W05"]
    assert commands(found)[0].startswith("Start-Service -Name RdAgent; ")


CRASH = {"id": 1026, "who": "WindowsAzureGuestAgent", "time": "2019-11-14T05:59:00Z", "count": 4}


@pytest.mark.parametrize(("event", "net", "code"), [
    (CRASH, {}, "W14"),
    ({**CRASH, "id": 7034}, {}, "W14"),
    ({**CRASH, "what": "System.Configuration.ConfigurationErrorsException"}, {}, "W10"),
    (CRASH, {"config": "broken: Unexpected end of file"}, "W10"),
    ({**CRASH, "what": "System.Configuration.ConfigurationErrorsException"}, {"wcf": True}, "W11"),
    ({**CRASH, "id": 7036}, {}, "W01"),
    ({**CRASH, "id": 7036}, {"wcf": True}, "W01"),
])  # fmt: skip
def test_w10_w11_w14_a_stopped_service_that_crashed(event, net, code):
    said = with_service("WindowsAzureGuestAgent", state="Stopped")
    found = verdict({**said, "events": [event], "dotnet": {"config": "ok", "wcf": False, **net}})
    assert (found.scenario, codes(found)) == (Scenario.AGENT_STOPPED, [code])


def test_a_crash_of_yesterday_that_was_survived_is_no_fault():
    assert verdict(with_said(events=[CRASH]), HEARD).scenario is Scenario.HEALTHY


@pytest.mark.parametrize(("said", "code"), [
    ({"disk": {"name": "C:", "free": 50 * 1024, "size": 133160960}}, "W18"),
    ({"services": [*HEALTHY["services"][:2], {"name": "Winmgmt", "state": "Stopped", "start": 2}]}, "W23"),
    ({"services": [*HEALTHY["services"][:2], {"name": "Dhcp", "state": "Stopped", "start": 4}]}, "I19"),
    ({"certificates": [{"name": "TenantEncryptionCert", "until": "2019-11-01T00:00:00Z", "key": True}]}, "W13"),
])  # fmt: skip
def test_i19_w13_w18_w23_are_named_beside_whatever_the_verdict_is(said, code):
    assert codes(verdict(with_said(**said), HEARD)) == [code]
    assert codes(verdict(HEALTHY, HEARD)) == []


@pytest.mark.parametrize(("version", "old"), [
    ("2.7.41491.949", True), ("2.6.1198.718", True), ("2.7.41491.1010", False), ("2.8.1.2", False), ("", False), ("x", False),
])  # fmt: skip
def test_w16_an_agent_that_azure_does_not_support_any_more(version, old):
    assert ("W16" in codes(verdict(with_said(logWaAppAgent={**LOG, "version": version or "?"}), HEARD))) is old


def test_a_certificate_that_was_renewed_is_no_cause():
    old = {"name": "TenantEncryptionCert", "until": "2019-11-01T00:00:00Z", "key": True}
    assert codes(verdict(with_said(certificates=[old, *HEALTHY["certificates"]]), HEARD)) == []


# -- scenario 2 --------------------------------------------------------------------------------------------------------


def test_w20_a_rule_that_blocks_is_named_and_switched_off_by_its_own_id():
    found = verdict(wire(DENIED, rules=[RULE], logWaAppAgent=FAILING))
    assert (found.scenario, found.confidence) == (Scenario.WIRE_SERVER_BLOCKED, Confidence.CERTAIN)
    assert (codes(found), found.cause.culprit) == (["W20"], TEXT.rstrip())
    assert commands(found) == [f"Disable-NetFirewallRule -Name '{ID}'"]
    assert found.next_steps[0].undo == f"Enable-NetFirewallRule -Name '{ID}'"
    assert any("is denied by a filter in the guest" in reason.what for reason in found.because)


def test_w21_a_rule_for_system_alone_has_its_own_name():
    rule = ["local", ID, TEXT + "LUAuth=D:(A;;CC;;;S-1-5-18)|"]
    assert codes(verdict(wire(DENIED, rules=[rule]))) == ["W21"]


@pytest.mark.parametrize(("old", "new"), [
    ("Active=TRUE", "Active=FALSE"), ("Dir=Out", "Dir=Out|Profile=Domain"),
    ("Dir=Out", "Dir=Out|App=C:\\Program Files\\x.exe"),
])  # fmt: skip
def test_a_rule_that_is_off_elsewhere_or_for_others_is_not_blamed(old, new):
    found = verdict(wire(TIMED_OUT, rules=[["local", ID, TEXT.replace(old, new)]], logWaAppAgent=FAILING))
    assert (found.scenario, found.confidence) == (Scenario.PLATFORM, Confidence.WEAK)
    assert any("other products" in reason.what for reason in found.not_checked)


def test_what_policy_set_is_changed_in_the_policy():
    found = verdict(wire(DENIED, rules=[["gpo", ID, TEXT]]))
    assert (found.scenario, commands(found)) == (Scenario.WIRE_SERVER_BLOCKED, [])
    assert "Group Policy" in found.next_steps[0].action


def test_a_profile_that_blocks_by_default_is_opened_for_the_wire_server_only():
    shut = [{**profile, "out": 1} for profile in HEALTHY["profiles"]]
    found = verdict(wire(DENIED, profiles=shut))
    assert codes(found) == ["W20"]
    assert "-RemoteAddress 168.63.129.16" in commands(found)[0]


def test_access_denied_without_a_rule_is_another_products_filter():
    found = verdict(wire(DENIED))
    assert (found.scenario, found.confidence, codes(found)) == (
        Scenario.WIRE_SERVER_BLOCKED, Confidence.LIKELY, ["W20"],
    )  # fmt: skip
    assert found.cause.slug == "local-filter"
    assert verdict(wire(DENIED, logWaAppAgent=FAILING)).confidence is Confidence.CERTAIN


def test_w26_a_test_without_elevation_proves_nothing():
    found = verdict(wire(DENIED, who={"system": False, "elevated": False}))
    assert found.scenario is Scenario.UNCERTAIN
    assert any("without elevation" in reason.what for reason in found.not_checked)
    assert found.cause is None


def test_a_rule_seen_without_elevation_is_likely():
    found = verdict(wire(DENIED, who={"system": False, "elevated": False}, rules=[RULE]))
    assert (found.scenario, found.confidence) == (Scenario.WIRE_SERVER_BLOCKED, Confidence.LIKELY)


def test_a_rule_against_powershell_makes_the_test_worthless():
    text = TEXT.replace("Dir=Out", "Dir=Out|App=%SystemRoot%\\System32\\WindowsPowerShell\\v1.0\\powershell.exe")
    assert verdict(wire(DENIED, rules=[["local", ID, text]])).scenario is Scenario.UNCERTAIN


def test_a_rule_against_the_agents_program_is_found_although_the_test_answers():
    own = ["local", ID, TEXT.replace("Dir=Out", "Dir=Out|App=C:\\WindowsAzure\\Packages\\WaAppAgent.exe")]
    found = verdict(with_said(rules=[own], logWaAppAgent=FAILING))
    assert (found.scenario, found.confidence, codes(found)) == (
        Scenario.WIRE_SERVER_BLOCKED, Confidence.CERTAIN, ["W20"],
    )  # fmt: skip
    assert verdict(with_said(rules=[own]), HEARD).scenario is Scenario.HEALTHY


def test_one_time_out_of_a_ready_agent_alone_is_uncertain():
    assert verdict(wire(TIMED_OUT), HEARD).scenario is Scenario.UNCERTAIN
    assert verdict(wire(TIMED_OUT, rules=[RULE]), HEARD).scenario is Scenario.WIRE_SERVER_BLOCKED


def test_an_unread_listing_never_clears_the_guest():
    found = verdict(wire(TIMED_OUT), late=("firewall",))
    assert (found.scenario, found.confidence) == (Scenario.WIRE_SERVER_BLOCKED, Confidence.LIKELY)
    assert found.cause is None


def test_imds_failing_alone_is_no_fault():
    assert verdict(with_said(imds={"port": 80, **TIMED_OUT}), HEARD).scenario is Scenario.HEALTHY


def test_only_the_host_plugin_out_of_reach():
    said = with_said(wire32526={"port": 32526, **DENIED}, rules=[["local", ID, TEXT + "RPort=32526|"]])
    found = verdict(said, HEARD)
    assert (found.scenario, codes(found)) == (Scenario.AGENT_DEGRADED, ["W20"])


def test_a_failure_older_than_the_agents_start_is_history():
    old = {**LOG, "count": 3, "failed": [DENIED_LINE], "first": DENIED_LINE}
    assert not any("newest failure" in r.what for r in verdict(with_said(logWaAppAgent=old), HEARD).because)


def test_n08_no_route_and_a_persistent_one():
    found = verdict(wire({"outcome": "network-unreachable", "code": 10051}, source="error 10051"))
    assert (found.scenario, codes(found)) == (Scenario.WIRE_SERVER_BLOCKED, ["N08"])
    kept = "168.63.129.16,255.255.255.255,10.0.0.99,1"
    found = verdict(wire(TIMED_OUT, persistent=[kept]))
    assert (codes(found), commands(found)) == (["N08"], ["route.exe DELETE 168.63.129.16"])
    assert verdict(with_said(persistent=[kept]), HEARD).scenario is Scenario.HEALTHY


PROXY = {"winhttp": "http://proxy:8080"}


def test_w22_a_proxy_counts_only_with_failures_in_the_log():
    found = verdict(with_said(proxy=PROXY, logWaAppAgent=FAILING))
    assert (found.scenario, found.confidence, codes(found)) == (
        Scenario.WIRE_SERVER_BLOCKED, Confidence.LIKELY, ["W22"],
    )  # fmt: skip
    assert codes(verdict(with_said(proxy=PROXY))) != ["W22"]
    assert codes(verdict(with_said(proxy={**PROXY, "bypass": "168.63.129.16"}, logWaAppAgent=FAILING))) != ["W22"]
    assert verdict(with_said(proxy=PROXY), HEARD).scenario is Scenario.HEALTHY


# -- it runs and does not work -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "code"), [
    ("Did not discover fabric address on interface Npcap Loopback Adapter", "W06"),
    ("RdCrypt Initialization failed. Error Code: -2147023143.", "W07"),
    ("PInvoke PFXImportCertStore failed and null handle is returned. Error Code: 86.", "W08"),
    ("InstallPlugins() failed with exception: System.AggregateException: One or more errors occurred. ---> "
     "System.BadImageFormatException", "W09"),
    ("System.Configuration.ConfigurationErrorsException: The type "
     "'Microsoft.VisualStudio.Diagnostics.ServiceModelSink.Behavior", "W11"),
    ("Error state triggered for caller:GAPluginPinger", "W24"),
])  # fmt: skip
def test_a_known_line_names_the_fault_unless_it_is_older_than_the_start(text, code):
    now = {**LOG, "known": [["11/14/2019 06:00:00.00", "ERROR", text]]}
    found = verdict(with_said(logWaAppAgent=now))
    assert (found.scenario, found.confidence, codes(found)) == (Scenario.AGENT_STOPPED, Confidence.LIKELY, [code])
    before = {**LOG, "known": [["11/14/2019 05:00:00.00", "ERROR", text]]}
    assert code not in codes(verdict(with_said(logWaAppAgent=before)))


@pytest.mark.parametrize(("said", "code"), [
    ({"dotnet": {"enable64": 0, "config": "ok", "wcf": False}}, "W09"),
    ({"dotnet": {"enable64": None, "config": "missing"}}, "W10"),
    ({"services": [*HEALTHY["services"], {"name": "KeyIso", "state": "Stopped", "start": 4}]}, "W07"),
])  # fmt: skip
def test_what_the_agent_stands_on_is_named_where_it_is_silent_and_let_be_where_it_reports(said, code):
    found = verdict(with_said(**said))
    assert (found.scenario, found.confidence, codes(found)) == (Scenario.AGENT_STOPPED, Confidence.LIKELY, [code])
    assert verdict(with_said(**said), HEARD).scenario is Scenario.HEALTHY


def test_an_adapter_that_was_only_asked_for_the_host_is_no_fault():
    asked = [
        "11/14/2019 06:00:00.00",
        "WARN",
        "Attempting to discover fabric address on interface Npcap Loopback Adapter",
    ]
    assert codes(verdict(with_said(logWaAppAgent={**LOG, "known": [asked]}))) == ["P18"]


def test_w17_the_agent_s_own_folder_and_no_other():
    denied = ["11/14/2019 06:00:00.00", "ERROR", "Access to the path 'C:\\WindowsAzure\\Config' is denied."]
    assert codes(verdict(with_said(logWaAppAgent={**LOG, "known": [denied]}))) == ["W17"]
    denied[2] = "Access to the path 'D:\\data\\Packages' is denied."
    assert codes(verdict(with_said(logWaAppAgent={**LOG, "known": [denied]}))) == ["P18"]


def test_w20_the_agent_is_refused_and_the_test_is_not():
    found = verdict(with_said(logWaAppAgent=FAILING))
    assert (found.scenario, found.confidence, codes(found)) == (
        Scenario.WIRE_SERVER_BLOCKED, Confidence.LIKELY, ["W20"],
    )  # fmt: skip
    assert found.cause.slug == "local-filter"


@pytest.mark.parametrize(("source", "code"), [("10.0.0.7", "I20"), ("10.0.0.10", "P11")])
def test_i20_the_address_that_windows_sends_from_is_not_azure_s_primary(source, code):
    adapter = {**HEALTHY["adapters"][0], "addresses": ["10.0.0.7", "10.0.0.10"], "dhcp": 0}
    guest = parse_probe(answer(wire(TIMED_OUT, adapters=[adapter], source=source)))
    known = facts(vm=SILENT, guest=guest, guest_channel=PASTE, network=NetworkFacts(None, "10.0.0.10", None, ""))
    found = decide(replace(known, asked_at=guest.clock), Wish())
    assert codes(found) == [code]
    assert (found.scenario is Scenario.WIRE_SERVER_BLOCKED) is (code == "I20")


def test_a_restart_of_the_agent_never_travels_through_the_agent():
    vm = replace(HEARD, extensions=(ExtensionFacts("script", "CustomScriptExtension", "1.10", "failed", "no"),))
    known = {**LOG, "known": [["11/14/2019 06:00:00.00", "ERROR", "RdCrypt Initialization failed."]]}
    found = verdict(with_said(logWaAppAgent=known), vm, RUN_COMMAND)
    assert commands(found)[0].startswith("Set-Service -Name KeyIso")
    known["known"][0][2] = "BadImageFormatException"
    assert commands(verdict(with_said(logWaAppAgent=known), vm, RUN_COMMAND))[0].startswith("az vm run-command invoke")


def test_a_silent_log_is_a_hint_and_a_fresh_start_is_not_noticed_yet():
    found = verdict(with_said(time="2019-11-14T08:30:00Z"))
    assert (found.scenario, found.confidence, codes(found)) == (Scenario.AGENT_STOPPED, Confidence.WEAK, ["L28"])
    found = verdict(with_said(time="2019-11-14T05:54:00Z"))
    assert (found.scenario, found.confidence, codes(found)) == (Scenario.PLATFORM, Confidence.LIKELY, ["P18"])


def test_ready_with_a_failed_extension_is_degraded_and_the_log_names_why():
    vm = replace(HEARD, extensions=(ExtensionFacts("script", "CustomScriptExtension", "1.10", "failed", "no"),))
    known = {**LOG, "known": [["11/14/2019 06:00:00.00", "WARN", "PInvoke PFXImportCertStore failed"]]}
    assert codes(verdict(with_said(logWaAppAgent=known), vm)) == ["W08"]
    assert codes(verdict(HEALTHY, vm)) == ["P10"]


# -- scenario 3, and what the answer is worth --------------------------------------------------------------------------


def test_an_adapter_that_is_off_is_scenario_3_and_one_of_two_is_not():
    off = [{"name": "Ethernet", "about": "Microsoft Hyper-V Network Adapter", "code": 22, "link": 0}]
    gone = wire({"outcome": "network-unreachable", "code": 10051}, source="error 10051", off=off, adapters=[])
    found = verdict(gone)
    assert (found.scenario, found.confidence) == (Scenario.NETWORK_DOWN, Confidence.CERTAIN)
    assert commands(found)[0] == "Enable-NetAdapter -Name 'Ethernet'"
    assert verdict(wire(TIMED_OUT, off=off)).scenario is not Scenario.NETWORK_DOWN


def test_an_address_that_windows_made_up_is_none():
    lost = [{**HEALTHY["adapters"][0], "addresses": ["169.254.7.9"]}]
    found = verdict(wire({"outcome": "network-unreachable", "code": 10051}, source="error 10051", adapters=lost))
    assert (found.scenario, found.confidence) == (Scenario.NETWORK_DOWN, Confidence.LIKELY)


def test_an_answer_that_does_not_add_up_is_never_certain():
    text = answer(with_service("RdAgent", state="Stopped")).replace("end ", "end 1")
    found = decide(facts(vm=SILENT, guest=parse_probe(text), guest_channel=PASTE), Wish())
    assert (found.scenario, found.confidence) == (Scenario.AGENT_STOPPED, Confidence.LIKELY)


def test_healthy_is_certain_only_with_both_ports():
    found = verdict(HEALTHY, HEARD, RUN_COMMAND)
    assert (found.scenario, found.confidence) == (Scenario.HEALTHY, Confidence.CERTAIN)
    assert verdict(with_said(wire32526=None), HEARD).confidence is Confidence.LIKELY


def test_a_remedy_goes_through_run_command_where_that_answered():
    found = verdict(wire(DENIED, rules=[RULE]), HEARD, RUN_COMMAND)
    assert commands(found)[0] == (
        "az vm run-command invoke -g rg-shop -n web-03 --command-id RunPowerShellScript --scripts "
        f"""'Disable-NetFirewallRule -Name '"'"'{ID}'"'"''"""
    )


# -- a fixed address that is not Azure's -------------------------------------------------------------------------------

GIVEN = NetworkFacts(None, "10.0.0.4", None, "the VM has no public address")


def fixed(*addresses: str, dhcp: int = 0, outcome: dict[str, Any] = TIMED_OUT) -> Verdict:
    adapter = {**HEALTHY["adapters"][0], "addresses": list(addresses), "dhcp": dhcp}
    guest = parse_probe(answer(wire(outcome, adapters=[adapter])))
    known = facts(vm=SILENT, guest=guest, guest_channel=PASTE, network=GIVEN)
    return decide(replace(known, asked_at=guest.clock), Wish())


def test_i18_a_fixed_address_that_is_not_azures_is_a_network_that_is_down():
    found = fixed("10.0.0.9")
    assert (found.scenario, found.confidence) == (Scenario.NETWORK_DOWN, Confidence.CERTAIN)
    assert (found.cause.slug, found.cause.culprit) == ("windows-dhcp-off", "Ethernet")
    assert "10.0.0.9; Azure's address is 10.0.0.4" in found.cause.detail


@pytest.mark.parametrize("near_miss", [
    fixed("10.0.0.4"), fixed("10.0.0.9", dhcp=1), fixed("10.0.0.9", "10.0.0.10"), fixed("10.0.0.9", outcome=DENIED),
], ids=["Azure's own", "by DHCP", "two addresses", "refused"])  # fmt: skip
def test_i18_near_misses(near_miss):
    assert near_miss.cause is None or near_miss.cause.slug != "windows-dhcp-off"
