"""What would be done: the right changes, in the right order, with exact arguments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_vmagent.causes.cures import by_hand
from azext_vmagent.facts.guest import Connect, Program
from azext_vmagent.facts.host_metrics import CpuState, NetworkTrend
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, RUN_COMMAND, SERIAL_CONSOLE
from azext_vmagent.facts.serial_log import Outlook
from azext_vmagent.model import Confidence, Scenario, Verdict
from azext_vmagent.repair.actions import KINDS
from azext_vmagent.repair.model import AZURE, Permission, Risk
from azext_vmagent.repair.plan import plan
from tests.repair.case import (
    AGENT_FAULTS,
    FIREWALLS,
    OPS,
    diagnosis,
    inside,
    planned,
    recorded_fault,
    recorded_rules,
    refused,
    steps,
)
from tests.verdict.build import (
    NOT_READY,
    OPEN,
    PROMPT,
    RUNS,
    STOPPED,
    UP,
    facts,
    guest,
    metrics,
    port,
    serial,
)

UNIT = "waagent.service"
DEBIANS = "walinuxagent.service"
DROP_IN = "/etc/systemd/system/walinuxagent.service.d/90-hardening.conf"
IP = "168.63.129.16"
RESTART, REDEPLOY, RESET_NIC = Permission.RESTART, Permission.REDEPLOY, Permission.RESET_NIC

#: by recorded fault: the actions, or the code of the refusal
FAULTS: dict[str, list[tuple[str, ...]] | str] = {
    "agent-stopped": [("start-agent", DEBIANS)],
    "agent-masked": [("unmask-agent", DEBIANS), ("enable-agent", DEBIANS), ("start-agent", DEBIANS)],
    "agent-start-limit": [("reset-start-limit", DEBIANS), ("start-agent", DEBIANS)],
    "agent-disabled-by-file": [("remove-disable-file",), ("restart-agent", DEBIANS, "now", "3425")],
    "agent-frozen": [("thaw-agent", DEBIANS)],
    "agent-halted": [("restart-agent", DEBIANS, "now", "4666")],
    "agent-worker-halted": [("restart-agent", DEBIANS, "now", "4666")],
    "agent-not-executable": [
        ("restore-executable", "/usr/sbin/waagent"),
        ("reset-start-limit", DEBIANS),
        ("start-agent", DEBIANS),
    ],
    "agent-config-missing": [("reinstall-agent", "apt-get", "waagent"), ("start-agent", DEBIANS)],
    "agent-module-missing": [
        ("reinstall-agent", "apt-get", "waagent"),
        ("reset-start-limit", DEBIANS),
        ("start-agent", DEBIANS),
    ],
    "agent-package-removed": [
        ("reinstall-agent", "apt-get", "waagent"),
        ("enable-agent", DEBIANS),
        ("start-agent", DEBIANS),
    ],
    "agent-condition": [
        ("remove-unit-setting", DEBIANS, DROP_IN, "ConditionPathExists=/etc/azure/agent-wanted"),
        ("start-agent", DEBIANS),
    ],
    "agent-interpreter-missing": [
        ("reinstall-agent", "apt-get", "waagent"),
        ("reset-start-limit", DEBIANS),
        ("start-agent", DEBIANS),
    ],
    "agent-unit-ip-deny": [
        ("remove-unit-setting", DEBIANS, DROP_IN, "IPAddressDeny=168.63.129.16"),
        ("restart-agent", DEBIANS, "now", "11196"),
    ],
    "agent-unit-private-network": [
        ("remove-unit-setting", DEBIANS, DROP_IN, "PrivateNetwork=yes"),
        ("restart-agent", DEBIANS, "now", "9315"),
    ],
    "openssl-missing": [
        ("reinstall-agent", "apt-get", "openssl"),
        ("restart-agent", DEBIANS, "now", "7748"),
    ],
    "disk-full": "no-safe-cure",
    "inodes-full": "no-safe-cure",
    "root-read-only": "no-safe-cure",
    "agent-proxy-configured": "platform-side",
    "agent-proxy-environment": "platform-side",
    "agent-second-daemon": "platform-side",
    "extensions-disabled": "platform-side",
    "var-noexec": "platform-side",
    "agent-start-waits": "uncertain",
    "clock-off": "uncertain",
}
#: by recorded rule set: the actions
RULES: dict[str, list[tuple[str, ...]]] = {
    "firewalld-direct": [
        ("remove-rule", "firewalld-direct", "both", "ipv4", "filter", "OUTPUT", "0", "-d", f"{IP}/32", "-j", "DROP")
    ],
    "firewalld-passthrough": [
        (
            "remove-rule",
            "firewalld-passthrough",
            "runtime",
            "ipv4",
            "-I",
            "OUTPUT",
            "-d",
            IP,
            "-p",
            "tcp",
            "-j",
            "REJECT",
        )
    ],
    "firewalld-panic": [("remove-rule", "firewalld-panic")],
    "firewalld-policies": [
        ("remove-rule", "firewalld-policy", "both", "noout", f'rule family="ipv4" destination address="{IP}/32" drop'),
        ("allow-wire-server", "firewalld-policy", "both", "dropall"),
    ],
    "ufw-deny-rule": [
        ("remove-rule", "ufw", f"deny any any {IP} any 0.0.0.0/0 out", "deny", "out", "to", IP),
    ],
    "ufw-default-deny": [("allow-wire-server", "ufw", "-")],
}


def test_every_recorded_answer_has_a_plan_here():
    assert set(FAULTS) == set(AGENT_FAULTS)
    assert set(RULES) == set(FIREWALLS)


@pytest.mark.parametrize("name", AGENT_FAULTS)
def test_the_plan_for_each_recorded_fault_of_the_agent(name):
    found, wanted = planned(recorded_fault(name)), FAULTS[name]
    if isinstance(wanted, str):
        assert refused(found) == wanted
    else:
        assert (found.refusal, found.channel) == (None, "ssh")
        assert steps(found) == wanted


@pytest.mark.parametrize("name", FIREWALLS)
def test_the_plan_for_each_recorded_rule_set(name):
    found = planned(recorded_rules(name))
    assert found.refusal is None
    assert steps(found) == RULES[name]


@pytest.mark.parametrize("name", [name for name, wanted in FAULTS.items() if not isinstance(wanted, str)])
def test_the_report_advises_the_same_as_the_plan_does(name):
    found = diagnosis(recorded_fault(name))
    from azext_vmagent.causes.cures import agent_cure

    line = by_hand(agent_cure(found.verdict.cause, found.facts.guest))
    words = "; ".join(step.command or "" for step in found.verdict.next_steps)
    assert line
    assert unquoted(line) in unquoted(words)


def unquoted(text: str) -> str:
    """Without the quotes that each shell on the way takes off."""
    return text.replace("'", "").replace('"', "")


@pytest.mark.parametrize("name", sorted(RULES))
def test_the_report_and_the_plan_agree_on_what_stays(name):
    """A covering rule is not removed by hand either."""
    found = diagnosis(recorded_rules(name))
    by_hand_lines = " ".join(step.command or "" for step in found.verdict.next_steps)
    assert "--set-target" not in by_hand_lines
    assert "--reload" not in by_hand_lines
    let_past = [step for step in found.verdict.next_steps if step.action == "let root past the rule in the guest"]
    kinds = [action.kind for action in plan(found).actions]
    assert len(let_past) == kinds.count("allow-wire-server")


# -- the agent -----------------------------------------------------------------------------------------------------------


def test_a_disabled_agent_is_enabled_before_it_is_started():
    found = planned(inside(guest(replace(STOPPED, unit_file_state="disabled"), Connect.OK, Connect.OK)))
    assert steps(found) == [("enable-agent", UNIT), ("start-agent", UNIT)]
    assert {action.risk for action in found.actions} == {Risk.NONE}


@pytest.mark.parametrize(
    ("channel", "mode"), [(RUN_COMMAND, "detached"), (MANAGED_RUN_COMMAND, "detached"), (SERIAL_CONSOLE, "now")]
)
def test_a_restart_within_a_run_command_is_detached_from_it(channel, mode):
    found = planned(replace(recorded_fault("agent-halted"), guest_channel=channel))
    assert steps(found) == [("restart-agent", DEBIANS, mode, "4666")]
    assert (found.channel, found.actions[0].risk) == (channel, Risk.AGENT_RESTART)


@pytest.mark.parametrize(
    ("distribution", "arguments"),
    [
        ("Ubuntu 22.04.4 LTS", ("apt-get", "walinuxagent")),
        ("Red Hat Enterprise Linux 8.6", ("dnf", "WALinuxAgent")),
        ("SLES 15 SP5", ("zypper", "python-azure-agent")),
    ],
)
def test_the_package_comes_from_the_distributions_own_manager(distribution, arguments):
    broken = Program("/usr/sbin/waagent", "ok", "/usr/bin/python3", "failed", error="No module named 'azurelinuxagent'")
    found = planned(inside(guest(STOPPED, program=broken, distribution=distribution)))
    assert steps(found)[0] == ("reinstall-agent", *arguments)


def test_a_drop_in_that_changes_what_is_started_is_not_started_again_and_again():
    from azext_vmagent.facts.guest import DropInLine

    failed = replace(STOPPED, active_state="failed", result="exit-code")
    line = DropInLine("/etc/systemd/system/waagent.service.d/x.conf", "ExecStart=/opt/agent")
    assert refused(planned(inside(guest(replace(failed, drop_in_lines=(line,)))))) == "no-safe-cure"
    assert steps(planned(inside(guest(failed)))) == [("reset-start-limit", UNIT), ("start-agent", UNIT)]


# -- the interface ---------------------------------------------------------------------------------------------------------


def test_an_interface_that_was_taken_down_is_taken_up_through_the_console():
    down = guest(
        RUNS,
        Connect.UNREACHABLE,
        Connect.UNREACHABLE,
        interfaces=(replace(UP, admin_up=False, carrier="DOWN", addresses=()),),
        default_routes=(),
        dhcp_clients=("NetworkManager",),
    )
    found = planned(inside(down, guest_channel=SERIAL_CONSOLE))
    assert steps(found) == [("interface-up", "eth0"), ("renew-dhcp", "eth0", "NetworkManager")]
    assert found.channel == SERIAL_CONSOLE


def test_an_interface_without_an_address_asks_dhcp():
    bare = guest(
        RUNS,
        Connect.UNREACHABLE,
        Connect.UNREACHABLE,
        interfaces=(replace(UP, addresses=()),),
        route=replace(guest().route, kind="none"),
        default_routes=(),
        dhcp_clients=("systemd-network",),
    )
    assert steps(planned(inside(bare, guest_channel=SERIAL_CONSOLE))) == [("renew-dhcp", "eth0", "networkd")]


# -- what Azure carries out ------------------------------------------------------------------------------------------------

SILENT = facts(
    vm=NOT_READY,
    network=OPEN,
    serial=PROMPT,
    metrics=metrics(NetworkTrend.FELL, CpuState.ALIVE, now=True),
    port=port(PortOutcome.TIMED_OUT),
)


@pytest.mark.parametrize(
    ("allowed", "kind"),
    [((), "restart"), ((RESTART, RESET_NIC), "restart"), ((RESET_NIC,), "reset-nic")],
)
def test_a_dead_network_from_outside_is_restarted_first_or_what_the_user_allows(allowed, kind):
    found = planned(SILENT, *allowed)
    assert diagnosis(SILENT).verdict.scenario is Scenario.NETWORK_DOWN
    assert (steps(found), found.channel, found.permissions) == ([(kind,)], AZURE, {Permission(kind)})


def test_a_hanging_system_is_restarted():
    hung = facts(vm=NOT_READY, serial=PROMPT, metrics=metrics(NetworkTrend.FELL, CpuState.FLAT_ZERO))
    found = planned(hung)
    assert diagnosis(hung).verdict.scenario is Scenario.OS_NOT_RUNNING
    assert [(action.kind, action.risk, action.allow) for action in found.actions] == [("restart", Risk.REBOOT, RESTART)]
    assert "unsaved work in the guest" in found.actions[0].loses


def test_the_platforms_side_is_redeployed_and_what_is_lost_is_said():
    seen = inside(guest(RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT), vm=replace(NOT_READY, spot=True))
    found = planned(seen)
    assert diagnosis(seen).verdict.scenario is Scenario.PLATFORM
    assert [(action.kind, action.risk, action.allow) for action in found.actions] == [("redeploy", Risk.DATA, REDEPLOY)]
    assert any("temporary disk" in lost for lost in found.actions[0].loses)
    assert any("Spot" in lost for lost in found.actions[0].loses)


# -- every action ------------------------------------------------------------------------------------------------------------


def test_every_action_says_what_it_changes_how_it_is_undone_and_what_proves_it():
    plans = [planned(recorded_fault(name)) for name in AGENT_FAULTS] + [planned(recorded_rules(n)) for n in FIREWALLS]
    plans += [planned(SILENT), planned(SILENT, RESET_NIC)]
    actions = [action for found in plans for action in found.actions]
    assert len(actions) > 20
    for action in actions:
        assert action.change
        assert action.effect
        assert action.undo
        assert action.proof
        assert action.downtime
        assert action.minutes > 0
        assert (action.allow is None) == (action.kind in KINDS)


def test_what_the_plan_does_not_cure_is_named():
    seen = recorded_fault("agent-stopped")
    found = diagnosis(seen)
    other = diagnosis(recorded_fault("root-read-only")).verdict.cause
    both = plan(replace(found, verdict=replace(found.verdict, other_causes=(other,))))
    assert [cause.code for cause in both.remains] == [other.code]


def test_a_boot_that_only_an_offline_repair_cures_is_not_just_restarted():
    seen = facts(vm=NOT_READY, serial=serial(Outlook.NOT_BOOTED))
    steps_of = diagnosis(seen).verdict.next_steps
    from azext_vmagent.causes import boot
    from azext_vmagent.model import NextStep

    offline = NextStep("offline", "az vm repair create -g rg-shop -n web-03")
    verdict = Verdict(
        Scenario.OS_NOT_RUNNING, Confidence.CERTAIN, "x", next_steps=(offline, boot.restart_step(seen), *steps_of)
    )
    assert refused(plan(diagnosis(seen, verdict))) == "no-safe-cure"
    first = replace(verdict, next_steps=(boot.restart_step(seen), offline))
    assert steps(plan(diagnosis(seen, first))) == [("restart",)]
    assert OPS.ssh_user == "ops"


def test_a_guest_without_systemd_is_started_by_hand():
    from azext_vmagent.facts.guest import ServiceFacts

    seen = inside(guest(ServiceFacts(has_systemd=False), processes=()))
    found = diagnosis(seen)
    assert refused(plan(found)) == "no-safe-cure"
    assert any("service waagent start" in (step.command or "") for step in found.verdict.next_steps)


def test_the_catalogue_says_of_a_stopped_agent_what_the_plan_does():
    from azext_vmagent.causes.catalogue.agent_service import STOPPED as ENTRY
    from azext_vmagent.causes.cures import agent_cure

    cure = agent_cure(ENTRY.named(), guest(STOPPED))
    assert ENTRY.remedies[0].command.replace("{unit}", "waagent") == by_hand(cure)


def cured() -> list[tuple[str, str, str]]:
    """Every form of a cause that has a cure, with its line for root's shell and what the catalogue advises."""
    from azext_vmagent.causes.catalogue import every_cause
    from azext_vmagent.causes.cures import agent_cure

    seen = guest(STOPPED, distribution="Ubuntu 22.04")
    return [
        (slug, by_hand(cure), "; ".join(remedy.command for remedy in known.remedies).replace("{unit}", "waagent"))
        for known in every_cause()
        for slug in known.slugs()
        if (cure := agent_cure(known.named("", "/usr/sbin/waagent", slug), seen))
    ]


@pytest.mark.parametrize(("slug", "line", "advised"), cured(), ids=[slug for slug, _, _ in cured()])
def test_every_automatic_cure_is_also_what_the_catalogue_advises(slug, line, advised):
    commands = [command for command in line.split(" && ") if "reinstall" not in line or command.startswith("apt")]
    assert [command for command in commands if command not in advised] == []


def test_as_many_causes_have_a_cure_as_the_table_says():
    assert {"agent-stopped", "agent-masked", "start-limit-hit", "agent-wedged"} <= {slug for slug, _, _ in cured()}
