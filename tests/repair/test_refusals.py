"""When nothing is changed: why, and what to do instead."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from azext_vmagent.facts.firewall_facts import BlockingRule
from azext_vmagent.facts.guest import Connect, parse_probe
from azext_vmagent.facts.guest_facts import LogFacts, LogLine
from azext_vmagent.facts.host_metrics import NetworkTrend
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, PASTE, RUN_COMMAND, SERIAL_CONSOLE, SSH
from azext_vmagent.model import Confidence, Scenario, State
from azext_vmagent.repair.model import Permission, Risk
from azext_vmagent.repair.plan import plan
from azext_vmagent.repair.refusals import MOST_ACTIONS, MOST_BYTES
from tests.repair.case import AGENT_FAULTS, blocked, diagnosis, inside, planned, recorded_fault, refused, steps
from tests.verdict.build import (
    ASKED,
    DROP,
    EMERGENCY,
    NOT_READY,
    OPEN,
    PROMPT,
    READY,
    RUNS,
    STOPPED,
    facts,
    guest,
    metrics,
    port,
)
from tests.windows_answer import answer, with_said, with_service

EPHEMERAL = replace(NOT_READY, ephemeral_os_disk=True)
HEALTHY = inside(guest(RUNS), vm=READY, serial=PROMPT)
STOPPED_AGENT = inside(guest(STOPPED))
#: nothing in the guest blocks, and the Wire Server does not answer
PLATFORM = inside(guest(RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT))
CSF = BlockingRule("csf", "-A LOGDROPOUT -j DROP", "filter LOGDROPOUT", "drop", (80,), "csf -a 168.63.129.16", True)
SHAPED = BlockingRule(
    "traffic-control", "qdisc netem 1: dev eth0 root loss 100%", "qdisc", "drop", (80,), "tc qdisc del dev eth0 root"
)
NO_UNDO = replace(DROP, tool="nft", rule="ip daddr @bad drop", undo=None)
POLICY = [
    "gpo",
    "{F7EE5C6D-6C90-456B-9166-E301B1305A56}",
    "v2.30|Action=Block|Active=TRUE|Dir=Out|RA4=168.63.129.16|Name=H|",
]


def windows(said):
    return inside(parse_probe(answer(said)), vm=replace(NOT_READY, os_type="Windows"))


def denied(**more):
    ports = {f"wire{number}": {"port": number, "outcome": "denied", "code": 10013} for number in (80, 32526)}
    return with_said(**ports, **more)


CASES = {
    "a healthy VM": (HEALTHY, "healthy", "nothing to repair"),
    "a stopped VM": (replace(STOPPED_AGENT, vm=replace(NOT_READY, power="deallocated")), "vm-not-running", "deallocated"),
    "a VM that Azure is at work on": (
        replace(STOPPED_AGENT, vm=replace(NOT_READY, provisioning="updating")), "vm-updating", "updating",
    ),
    "a VM whose model was not read": (replace(STOPPED_AGENT, vm=None), "vm-not-known", "model"),
    "no agent by design": (
        facts(vm=replace(NOT_READY, provision_vm_agent=False)), "no-agent-by-design", "without an agent",
    ),
    "no agent by design, and one that is stopped": (
        inside(guest(STOPPED), vm=replace(NOT_READY, provision_vm_agent=False)),
        "no-agent-by-design", "without an agent",
    ),
    "an uncertain verdict": (facts(vm=NOT_READY, serial=PROMPT), "uncertain", "what would settle it: "),
    "a managed rule": (blocked(CSF), "rule-is-managed", "ConfigServer Firewall"),
    "a managed rule beside another": (blocked(DROP, CSF), "rule-is-managed", "ConfigServer Firewall"),
    "a queue of traffic control": (blocked(SHAPED), "no-exact-undo", "netem"),
    "a rule without an exact undo": (blocked(DROP, NO_UNDO), "no-exact-undo", "@bad"),
    "the platform's side and an ephemeral disk": (replace(PLATFORM, vm=EPHEMERAL), None, ""),
    "an answer brought by hand": (replace(STOPPED_AGENT, guest_channel=PASTE), "no-channel", "brought by hand"),
    "an answer that is not whole": (
        inside(replace(guest(STOPPED), complete=False)), "answer-not-whole", "not whole",
    ),
    "a look that was not root's": (inside(guest(STOPPED, uid=1000)), "not-root", "only root"),
    "a guest that does not boot": (facts(vm=NOT_READY, serial=EMERGENCY), "emergency-shell", "nobody looked inside"),
    "a full disk": (recorded_fault("disk-full"), "no-safe-cure", "full"),
    "a Windows guest without a way in": (windows(with_service("RdAgent", state="Stopped")), "no-channel", "Windows"),
    "a Windows rule of Group Policy": (windows(denied(rules=[POLICY])), "rule-is-managed", "policy"),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name, (_, code, _) in CASES.items() if code])
def test_each_of_these_is_refused_and_says_why(name):
    seen, code, why = CASES[name]
    found = planned(seen, *Permission)
    assert refused(found) == code
    assert why in found.refusal.why


@pytest.mark.parametrize("name", [name for name, (_, code, _) in CASES.items() if code not in (None, "healthy")])
def test_each_refusal_says_what_to_do_instead(name):
    assert planned(CASES[name][0]).refusal.next_steps


def test_the_uncertain_names_what_would_settle_it_and_how_to_get_it():
    found = planned(facts(vm=NOT_READY, serial=PROMPT, ended={SSH: State.DENIED}))
    assert "agent-stopped or wire-server-blocked" in found.refusal.why
    assert "not known: ssh (" in found.refusal.why
    assert any("--ssh-user" in (step.command or "") for step in found.refusal.next_steps)


@pytest.mark.parametrize(("outcome", "settles"), [(Connect.NOT_SAID, "too slow"), (Connect.NO_TOOL, "no tool")])
def test_a_rule_that_nobody_tested_is_asked_about_again_and_not_called_incurable(outcome, settles):
    seen = inside(guest(RUNS, outcome, outcome, rules=blocked(DROP).guest.rules))
    found = planned(seen)
    assert refused(found) == "uncertain"
    assert settles in found.refusal.why
    assert "--repair" in found.refusal.next_steps[0].command
    failing = replace(seen.guest, log=LogFacts(True, failures=(LogLine(7, ASKED, "IOError timed out"),)))
    assert [action.kind for action in planned(replace(seen, guest=failing)).actions] == ["remove-rule"]


def test_a_weak_verdict_is_not_acted_upon():
    sure = diagnosis(STOPPED_AGENT)
    weak = replace(sure, verdict=replace(sure.verdict, confidence=Confidence.WEAK))
    assert steps(plan(sure))
    assert refused(plan(weak)) == "uncertain"


# -- an ephemeral OS disk --------------------------------------------------------------------------------------------------


def test_redeploy_is_never_planned_where_it_would_erase_the_os_disk():
    found = planned(replace(PLATFORM, vm=EPHEMERAL), *Permission)
    assert [action.kind for action in found.actions] in ([], ["restart"])
    assert [action.kind for action in planned(PLATFORM).actions] == ["redeploy"]


def test_neither_is_the_reset_of_an_interface_and_the_report_does_not_offer_it():
    seen = facts(
        vm=EPHEMERAL,
        network=OPEN,
        serial=PROMPT,
        metrics=metrics(NetworkTrend.FELL, now=True),
        port=port(PortOutcome.TIMED_OUT),
    )
    found = diagnosis(seen)
    assert found.verdict.scenario is Scenario.NETWORK_DOWN
    assert not any("reset-nic" in (step.command or "") for step in found.verdict.next_steps)
    assert refused(plan(found, [Permission.RESET_NIC])) == "ephemeral-os-disk"
    assert [action.kind for action in plan(found, [*Permission]).actions] == ["restart"]
    roomy = replace(seen, vm=NOT_READY)
    assert [action.kind for action in planned(roomy, Permission.RESET_NIC).actions] == ["reset-nic"]


def test_an_ephemeral_disk_is_named_where_it_is_what_forbids_the_cure():
    found = diagnosis(replace(PLATFORM, vm=EPHEMERAL))
    only = replace(found, verdict=replace(found.verdict, next_steps=diagnosis(PLATFORM).verdict.next_steps))
    assert refused(plan(only, list(Permission))) == "ephemeral-os-disk"


# -- channels ----------------------------------------------------------------------------------------------------------------


def test_without_a_channel_the_next_step_is_a_script_to_paste_and_a_login():
    found = planned(replace(STOPPED_AGENT, guest_channel=PASTE))
    commands = [step.command for step in found.refusal.next_steps]
    assert commands[0] == "az vm agent-diagnose -g rg-shop -n web-03 --ssh-user ops --repair --print-script"
    assert "--ssh-user" in commands[1]


def test_a_guest_that_does_not_boot_gets_the_exact_offline_command():
    found = planned(facts(vm=NOT_READY, serial=EMERGENCY))
    assert any(
        (step.command or "").startswith("az vm repair ") and "-g rg-shop -n web-03" in step.command
        for step in found.refusal.next_steps
    )


def test_nobody_inside_and_the_agent_is_stopped_by_its_own_word():
    sure = diagnosis(STOPPED_AGENT)
    outside = replace(sure, facts=replace(sure.facts, guest=None, guest_channel=None))
    assert refused(plan(outside)) == "nobody-inside"


# -- what the guest's program does not take ----------------------------------------------------------------------------------


def test_more_changes_than_one_repair_makes():
    rules = [
        replace(DROP, rule=f"ipv4 filter OUTPUT {n} -j DROP", undo=f"firewall-cmd --direct --remove-rule ipv4 filter OUTPUT {n} -j DROP")
        for n in range(MOST_ACTIONS + 1)
    ]  # fmt: skip
    assert refused(planned(blocked(*rules))) == "too-many-changes"
    assert len(planned(blocked(*rules[1:])).actions) == MOST_ACTIONS


@pytest.mark.parametrize("word", ["ä", "x" * (MOST_BYTES + 1), "a\nb"])
def test_a_rule_whose_text_the_guest_could_not_compare(word):
    text = f"ipv4 filter OUTPUT 0 -m comment --comment {shlex.quote(word)} -j DROP"
    rule = replace(DROP, rule=text, undo=f"firewall-cmd --direct --remove-rule {text}")
    assert refused(planned(blocked(rule))) == "text-not-carried"
    fine = replace(DROP, rule=text.replace(shlex.quote(word), "ok"), undo=rule.undo.replace(shlex.quote(word), "ok"))
    assert "ok" in steps(planned(blocked(fine)))[0]


def test_the_cases_are_what_they_say():
    """The near misses of the table: the same guests without the one thing that forbids a repair."""
    assert steps(planned(STOPPED_AGENT)) == [("start-agent", "waagent.service")]
    assert steps(planned(blocked(DROP)))
    assert STOPPED_AGENT.guest_channel == SSH
    assert STOPPED_AGENT.guest.clock == ASKED


@pytest.mark.parametrize("channel", [RUN_COMMAND, MANAGED_RUN_COMMAND])
def test_a_run_command_does_not_carry_what_restarts_the_agent_at_once(channel):
    """Installing the package restarts the agent, and the run command that waits would never be answered."""
    seen = replace(recorded_fault("agent-module-missing"), guest_channel=channel)
    found = planned(seen)
    assert refused(found) == "ends-its-channel"
    assert "install the package waagent again (apt-get) restarts the agent" in found.refusal.why
    assert [step.command for step in found.refusal.next_steps][:2] == [
        "az vm agent-diagnose -g rg-shop -n web-03 --ssh-user ops --repair --print-script",
        "az vm agent-diagnose -g rg-shop -n web-03 --repair --dry-run --ssh-user USER",
    ]
    assert plan(diagnosis(seen), by_hand=True).actions
    assert planned(replace(seen, guest_channel=SERIAL_CONSOLE)).actions


@pytest.mark.parametrize("name", AGENT_FAULTS)
def test_whatever_a_run_command_carries_restarts_the_agent_from_outside_it_or_not_at_all(name):
    found = planned(replace(recorded_fault(name), guest_channel=RUN_COMMAND))
    for action in found.actions:
        assert action.risk is Risk.NONE or action.arguments[1:2] == ("detached",)
