"""Why the agent does not run or does not work, each cause with the near miss that must not be taken for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import (
    AgentProcess,
    Connect,
    Disk,
    DropInLine,
    GuestFacts,
    LogFacts,
    LogLine,
    Program,
    ServiceFacts,
)
from azext_vmagent.facts.reading import PASTE
from azext_vmagent.model import Confidence, Scenario, Verdict
from azext_vmagent.verdict.decide import decide
from tests.verdict.build import ASKED, DROP, NOT_READY, OPEN, READY, RUNS, STOPPED, blocked_by, facts, guest

OPS = Wish(ssh_user="ops")
FAILED = replace(STOPPED, active_state="failed", sub_state="failed", result="exit-code", exit_status=1)
DAEMON = AgentProcess(300, "S", "/usr/bin/python3 /usr/sbin/waagent -daemon")
WORKER = AgentProcess(301, "S", "/usr/bin/python3 -u /usr/sbin/waagent -run-exthandlers")
ALIVE = (DAEMON, WORKER)
WELL = Program(
    "/usr/sbin/waagent", "ok", "/usr/bin/python3", "runs", packages=("waagent 2.7.3.0 installed",), openssl=True
)
HOLDS = {"/var/lib/waagent": "/var", "/var/log": "/var"}
ROOT, VAR = Disk("/", 40, 5, False, 900_000, 9000), Disk("/var", 40, 5, False, 900_000, 9000)


def verdict(inside: GuestFacts, **known: object) -> Verdict:
    return decide(facts(**({"vm": NOT_READY, "network": OPEN} | known | {"guest": inside})), OPS)


def named(found: Verdict) -> tuple[Scenario, str | None, str | None]:
    return found.scenario, found.cause.code if found.cause else None, found.cause.culprit if found.cause else None


def others(found: Verdict) -> list[str]:
    return [cause.code for cause in found.other_causes]


def program(**more: object) -> Program:
    return replace(WELL, **more)  # type: ignore[arg-type]


# -- it cannot start ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "code", "culprit"),
    [
        ({"state": "not-executable"}, "L25", "/usr/sbin/waagent"),
        ({"state": "missing", "interpreter_state": ""}, "L25", "/usr/sbin/waagent"),
        ({"state": "missing", "interpreter_state": "", "packages": ("waagent 2.7 config-files",)}, "L04", "waagent"),
        ({"interpreter": "/usr/bin/python3.6", "interpreter_state": "missing"}, "L43", "/usr/bin/python3.6"),
        ({"interpreter_state": "not-executable"}, "L43", "/usr/bin/python3"),
        ({"error": "ModuleNotFoundError: No module named 'azurelinuxagent'"}, "L06", "azurelinuxagent"),
        ({"error": "ImportError: No module named azurelinuxagent.agent"}, "L06", "azurelinuxagent.agent"),
        ({"error": "importlib.metadata.PackageNotFoundError: No package metadata was found for WALinuxAgent"}, "L06",
         "WALinuxAgent"),
        ({"error": "ModuleNotFoundError: No module named 'distutils'"}, "L09", "/usr/bin/python3"),
        ({"error": "AttributeError: module 'platform' has no attribute '_supported_dists'"}, "L08", "/usr/bin/python3"),
        ({"error": "NameError: name 'distro' is not defined"}, "L07", "/usr/bin/python3"),
        ({"error": "SyntaxError: invalid syntax"}, "L06", "/usr/sbin/waagent"),
    ],
)  # fmt: skip
def test_what_keeps_the_program_from_coming_up_is_named_before_that_it_crashed(told, code, culprit):
    state = {"interpreter_state": "failed"} if "error" in told else {}
    found = verdict(guest(FAILED, program=program(**(state | told)), processes=()))
    assert named(found) == (Scenario.AGENT_STOPPED, code, culprit)
    assert "L05" in others(found)


@pytest.mark.parametrize("state", ["ok", "runs"])
def test_a_program_that_comes_up_leaves_the_crash_unexplained(state):
    found = verdict(guest(FAILED, program=program(interpreter_state=state), processes=()))
    assert (found.cause.code, found.cause.slug) == ("L05", "agent-crashes")


def test_a_program_that_is_broken_outweighs_that_somebody_stopped_it():
    found = verdict(guest(STOPPED, program=program(state="not-executable"), processes=()))
    assert (found.cause.slug, others(found)) == ("agent-not-executable", ["L01"])


def test_a_mask_outweighs_a_broken_program():
    found = verdict(guest(replace(STOPPED, load_state="masked"), program=program(state="not-executable"), processes=()))
    assert (found.cause.code, others(found)) == ("L03", ["L25"])


def test_a_masked_unit_that_still_runs_is_no_stopped_agent():
    assert verdict(guest(replace(RUNS, load_state="masked"), processes=ALIVE), vm=READY).scenario is Scenario.HEALTHY


def test_a_removed_package_outweighs_the_mask_that_debian_leaves_behind():
    gone = program(state="missing", interpreter_state="", packages=("waagent 2.7 config-files",))
    found = verdict(guest(replace(STOPPED, load_state="masked"), program=gone, processes=()))
    assert (found.cause.code, others(found)) == ("L04", ["L03"])


def test_a_missing_configuration_outweighs_the_crash_that_it_makes():
    found = verdict(guest(FAILED, config_present=False, program=program(interpreter_state="ok")))
    assert named(found)[1:] == ("L25", "/etc/waagent.conf")


def test_a_daemon_about_to_die_of_a_missing_configuration_is_not_called_healthy():
    found = verdict(guest(config_present=False, processes=(DAEMON,)), vm=READY)
    assert named(found) == (Scenario.AGENT_STOPPED, "L25", "/etc/waagent.conf")


def test_a_missing_configuration_does_not_stop_an_agent_that_runs():
    assert verdict(guest(config_present=False, processes=ALIVE), vm=READY).scenario is Scenario.HEALTHY


JOURNAL = (
    "2026-11-24T08:00:00+0000 vm1 systemd[1]: Started waagent.service.",
    "2026-11-24T08:00:01+0000 vm1 waagent[9]: ModuleNotFoundError: No module named 'azurelinuxagent'",
)


def test_the_journal_names_the_module_where_the_probe_had_no_time_to_try():
    found = verdict(guest(FAILED, program=program(interpreter_state=""), journal=JOURNAL))
    assert named(found)[1:] == ("L06", "azurelinuxagent")
    assert any("No module named" in (reason.excerpt or "") for reason in found.because)


def test_an_import_error_of_an_earlier_start_is_history():
    later = (*JOURNAL, "2026-11-24T09:00:00+0000 vm1 systemd[1]: Started waagent.service.")
    assert verdict(guest(FAILED, program=program(interpreter_state=""), journal=later)).cause.code == "L05"


def test_a_start_limit_is_named_and_reset_first():
    lines = (
        *JOURNAL[:1],
        "2026-11-24T08:00:01+0000 vm1 systemd[1]: waagent.service: Start request repeated too quickly.",
    )
    found = verdict(guest(FAILED, journal=lines))
    assert (found.cause.code, found.cause.slug) == ("L05", "start-limit-hit")
    assert any("systemctl reset-failed waagent" in (step.command or "") for step in found.next_steps)


def test_a_crash_loop_that_is_caught_alive_is_a_crash():
    moment = replace(RUNS, restarts=7, active_since=ASKED - timedelta(seconds=2))
    found = verdict(guest(moment, processes=(DAEMON,), journal=JOURNAL), vm=READY)
    assert named(found)[:2] == (Scenario.AGENT_STOPPED, "L06")


def test_an_agent_that_was_restarted_and_works_is_no_crash_loop():
    moment = replace(RUNS, restarts=7, active_since=ASKED - timedelta(seconds=2))
    assert verdict(guest(moment, processes=ALIVE), vm=READY).scenario is Scenario.HEALTHY


def test_an_agent_killed_for_lack_of_memory():
    assert verdict(guest(replace(FAILED, result="oom-kill"))).cause.code == "L29"


@pytest.mark.parametrize(
    ("condition", "code", "culprit"),
    [
        ("ConditionPathExists=/etc/waagent.conf", "L25", "/etc/waagent.conf"),
        ("ConditionFileIsExecutable=/usr/sbin/waagent", "L25", "/usr/sbin/waagent"),
        ("ConditionPathExists=/etc/wanted", "L40", "/x.conf: ConditionPathExists=/etc/wanted"),
        ("ConditionVirtualization=microsoft", "L40", "ConditionVirtualization=microsoft"),
        ("", "L01", "waagent.service"),
    ],
)
def test_a_condition_is_named_with_the_file_that_holds_it(condition, code, culprit):
    line = DropInLine("/x.conf", "ConditionPathExists=/etc/wanted")
    service = replace(STOPPED, condition_met=False, unmet_condition=condition, drop_in_lines=(line,))
    assert named(verdict(guest(service)))[1:] == (code, culprit)


def test_a_disabled_unit_that_systemd_has_unloaded_was_not_skipped_for_a_condition():
    unloaded = replace(STOPPED, unit_file_state="disabled", condition_met=False, inactive_since=None)
    assert named(verdict(guest(unloaded)))[1:] == ("L02", "waagent.service")


def test_the_journal_names_the_condition_where_systemctl_had_no_time():
    line = (
        "2026-11-24T08:00:00+0000 vm1 systemd[1]: x was skipped because of an unmet condition check (ConditionHost=a)."
    )
    found = verdict(guest(replace(STOPPED, condition_met=False), journal=(line,)))
    assert named(found)[1:] == ("L40", "ConditionHost=a")


def test_a_service_that_is_down_while_somebody_runs_the_agent_by_hand_is_healthy_with_a_note():
    found = verdict(guest(STOPPED, processes=ALIVE), vm=READY)
    assert (found.scenario, others(found)) == (Scenario.HEALTHY, ["L30"])


def test_a_worker_that_outlived_its_daemon_is_no_running_agent():
    assert verdict(guest(STOPPED, processes=(WORKER,))).cause.code == "L01"


def test_a_name_from_the_guest_cannot_leave_its_quotes():
    evil = program(interpreter="/usr/bin/python3;reboot", interpreter_state="missing")
    commands = [step.command or "" for step in verdict(guest(FAILED, program=evil)).next_steps]
    assert not any(";reboot" in command.replace("'/usr/bin/python3;reboot'", "") for command in
                   (command.replace("'\"'\"'", "'") for command in commands))  # fmt: skip


def test_an_interpreter_that_cannot_even_start_is_the_culprit_not_the_agent():
    broken = program(interpreter_state="broken", error="error while loading shared libraries: libz.so.1")
    found = verdict(guest(FAILED, program=broken))
    assert named(found)[1:] == ("L43", "/usr/bin/python3")
    assert "libz.so.1" in found.cause.detail


@pytest.mark.parametrize(
    ("setting", "culprit"),
    [
        ("ExecStart=/bin/false", "/x.conf: ExecStart=/bin/false"),
        ("User=nobody", "/x.conf: User=nobody"),
        ("ExecStart=", "waagent.service"),
        ("Environment=A=b", "waagent.service"),
    ],
)
def test_a_drop_in_that_changes_what_is_started_is_the_first_suspect_of_a_crash(setting, culprit):
    service = replace(FAILED, drop_in_lines=(DropInLine("/x.conf", setting),))
    assert named(verdict(guest(service, program=program(interpreter_state="ok"))))[1:] == ("L05", culprit)


def test_a_python_path_of_the_units_own_makes_the_journal_count():
    service = replace(FAILED, environment="PYTHONPATH=/opt/shadow")
    inside = guest(service, program=program(interpreter_state="ok"), journal=JOURNAL)
    assert verdict(inside).cause.code == "L06"
    assert verdict(replace(inside, service=FAILED)).cause.code == "L05"


def test_an_agent_that_was_killed_is_started_again():
    found = verdict(guest(replace(FAILED, result="signal", exit_status=9), program=program(interpreter_state="ok")))
    assert (found.cause.code, found.cause.slug) == ("L05", "agent-killed")


# -- it runs and does nothing ------------------------------------------------------------------------------------------


def test_the_file_disable_agent_does_not_disable_an_agent_that_started_before_it():
    assert verdict(guest(disabled_by_file=True, processes=ALIVE), vm=READY).scenario is Scenario.HEALTHY
    assert verdict(guest(disabled_by_file=True, processes=(DAEMON,)), vm=READY).cause.code == "L41"


def test_a_halted_worker_is_a_wedged_agent_and_a_halted_daemon_above_a_worker_is_not():
    halted = replace(WORKER, state="T")
    assert named(verdict(guest(processes=(DAEMON, halted)), vm=READY)) == (Scenario.AGENT_STOPPED, "L28", "301")
    assert verdict(guest(processes=(replace(DAEMON, state="T"), WORKER)), vm=READY).scenario is Scenario.HEALTHY


def test_a_frozen_unit_is_thawed():
    found = verdict(guest(replace(RUNS, frozen=True), processes=ALIVE), vm=READY)
    assert named(found) == (Scenario.AGENT_STOPPED, "L28", "waagent.service")
    assert "systemctl thaw waagent" in (found.next_steps[0].command or "")


LONG = replace(RUNS, active_since=ASKED - timedelta(hours=1), main_pid=77)


def test_a_unit_that_runs_something_else_than_the_agent_is_told():
    line = DropInLine("/x.conf", "ExecStart=/bin/sleep infinity")
    found = verdict(guest(replace(LONG, drop_in_lines=(line,)), processes=()), vm=READY)
    assert named(found) == (Scenario.AGENT_STOPPED, "L44", "/x.conf: ExecStart=/bin/sleep infinity")
    assert found.confidence is Confidence.LIKELY
    assert verdict(guest(LONG, processes=None), vm=READY).scenario is Scenario.HEALTHY


def test_a_daemon_without_a_worker_is_wedged_only_after_minutes_and_only_if_nothing_blocks_it():
    assert named(verdict(guest(LONG, processes=(DAEMON,)))) == (Scenario.AGENT_STOPPED, "L28", "300")
    young = replace(LONG, active_since=ASKED - timedelta(minutes=1))
    assert verdict(guest(young, processes=(DAEMON,))).scenario is Scenario.PLATFORM
    blocked = guest(LONG, Connect.TIMED_OUT, Connect.TIMED_OUT, processes=(DAEMON,), rules=blocked_by(DROP))
    assert verdict(blocked).scenario is Scenario.WIRE_SERVER_BLOCKED


def test_a_daemon_that_waits_for_cloud_init_says_so():
    log = LogFacts(
        True, errors=(LogLine(3, ASKED, "Waiting for cloud-init to copy ovf-env.xml [360 retries remaining]"),)
    )
    assert verdict(guest(processes=(DAEMON,), log=log)).cause.code == "L14"
    assert verdict(guest(processes=ALIVE, log=log), vm=READY).scenario is Scenario.HEALTHY


FULL = Disk("/var", 100, 5, False, 8, 9000)


def on(*disks: Disk, service: ServiceFacts = RUNS, **more: object) -> GuestFacts:
    return guest(service, disks=(ROOT, *disks), mount_of=HOLDS, program=WELL, **{"processes": ALIVE, **more})


@pytest.mark.parametrize(
    ("disk", "code"),
    [
        (FULL, "L16"),
        (replace(VAR, free_inodes=0, inodes_percent=100), "L17"),
        (replace(VAR, read_only=True), "L31"),
    ],
)
def test_a_disk_that_takes_no_more_degrades_a_ready_agent_and_stops_a_silent_one(disk, code):
    assert named(verdict(on(disk), vm=READY)) == (Scenario.AGENT_DEGRADED, code, "/var")
    silent = verdict(on(disk))
    assert (named(silent), silent.confidence) == ((Scenario.AGENT_STOPPED, code, "/var"), Confidence.LIKELY)
    errno = f"2026-11-24T08:00:01+0000 vm1 waagent[9]: OSError: [Errno {30 if code == 'L31' else 28}] x"
    assert verdict(on(disk, journal=(errno,))).confidence is Confidence.CERTAIN
    crashed = verdict(on(disk, service=FAILED, processes=()))
    assert (named(crashed), others(crashed)) == ((Scenario.AGENT_STOPPED, code, "/var"), ["L05"])


def test_a_full_disk_does_not_explain_an_agent_that_was_stopped():
    found = verdict(on(FULL, service=STOPPED, processes=()))
    assert (found.cause.code, others(found)) == ("L01", ["L16"])


@pytest.mark.parametrize(
    "disk",
    [
        replace(FULL, free_kib=80_000),
        replace(FULL, mount="/data"),
        replace(VAR, mount="/boot", read_only=True),
        replace(VAR, inodes_percent=None, free_inodes=0),
    ],
    ids=["room for root", "another disk", "another mount", "no inodes to count"],
)
def test_a_disk_that_harms_nobody_is_no_cause(disk):
    assert verdict(on(VAR, disk) if disk.mount != "/var" else on(disk), vm=READY).scenario is Scenario.HEALTHY


def test_a_block_outweighs_a_full_disk():
    found = verdict(on(FULL, port80=Connect.TIMED_OUT, port32526=Connect.TIMED_OUT, rules=blocked_by(DROP)))
    assert (found.scenario, found.cause.code) == (Scenario.WIRE_SERVER_BLOCKED, "N01")


def test_noexec_and_extensions_switched_off_degrade_and_never_stop():
    assert named(verdict(on(replace(VAR, no_exec=True)), vm=READY)) == (Scenario.AGENT_DEGRADED, "L24", "/var")
    assert verdict(on(replace(VAR, no_exec=True))).scenario is Scenario.PLATFORM
    off = {"Extensions.Enabled": "n"}
    assert named(verdict(on(VAR, config=off), vm=READY))[:2] == (Scenario.AGENT_DEGRADED, "L13")
    assert verdict(on(VAR, config={"Extensions.Enabled": "y"}), vm=READY).scenario is Scenario.HEALTHY


def test_a_missing_openssl_is_a_cause_unless_the_agent_is_told_of_another():
    without = program(openssl=False)
    assert verdict(guest(FAILED, program=without)).cause.code == "L21"
    assert verdict(guest(program=without, processes=ALIVE), vm=READY).scenario is Scenario.AGENT_DEGRADED
    own = {"OS.OpensslPath": "/opt/ssl/bin/openssl"}
    assert verdict(guest(program=without, config=own, processes=ALIVE), vm=READY).scenario is Scenario.HEALTHY


def test_fips_mode_counts_only_with_the_agents_own_complaint():
    complaint = LogFacts(True, errors=(LogLine(7, ASKED, "Failed to decrypt /var/lib/waagent/Certificates.p7m"),))
    assert verdict(guest(fips=True, log=complaint, processes=ALIVE), vm=READY).cause.code == "L23"
    assert verdict(guest(fips=True, processes=ALIVE), vm=READY).scenario is Scenario.HEALTHY
    assert verdict(guest(fips=False, log=complaint, processes=ALIVE), vm=READY).scenario is Scenario.HEALTHY


def test_what_uses_up_the_inodes_is_said():
    inside = on(replace(VAR, free_inodes=0, inodes_percent=100), file_counts={"/var/lib/waagent/events": 90_000})
    assert any("/var/lib/waagent/events holds 90000 files" in reason.what for reason in verdict(inside).because)


def test_the_metadata_service_that_answers_shows_that_the_network_works():
    blocked = guest(RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT, metadata=Connect.OK, rules=blocked_by(DROP))
    assert any("169.254.169.254" in reason.what for reason in verdict(blocked).because)
    assert not any("169.254.169.254" in r.what for r in verdict(guest(metadata=Connect.OK), vm=READY).because)


@pytest.mark.parametrize("state", ["active", "inactive", ""])
def test_an_active_guest_proxy_agent_may_be_what_denies(state):
    found = verdict(guest(RUNS, Connect.TIMED_OUT, Connect.TIMED_OUT, proxy_agent=state))
    assert found.scenario is Scenario.PLATFORM
    assert any("Guest Proxy Agent" in reason.what for reason in found.not_checked) is (state == "active")


# -- its unit keeps it from the Wire Server ----------------------------------------------------------------------------

FAILURES = LogFacts(True, failures=(LogLine(9, ASKED, "IOError timed out"),))


@pytest.mark.parametrize(
    "setting",
    [
        {"ip_address_deny": "168.63.129.16/32"},
        {"ip_address_deny": "0.0.0.0/0 ::/0", "ip_address_allow": "10.0.0.0/8"},
        {"private_network": True},
        {"network_namespace": "/run/netns/quiet"},
        {"address_families": "AF_UNIX AF_NETLINK"},
        {"address_families": "~AF_INET"},
        {"slice_deny": {"system.slice": "168.63.0.0/16"}},
    ],
)
def test_a_setting_that_cuts_the_unit_off_is_scenario_2_while_root_gets_through(setting):
    found = verdict(guest(replace(RUNS, **setting), processes=(DAEMON,), log=FAILURES))
    assert (named(found)[:2], found.confidence) == ((Scenario.WIRE_SERVER_BLOCKED, "N22"), Confidence.CERTAIN)
    [value] = setting.values() if len(setting) == 1 else [setting["ip_address_deny"]]
    assert found.cause.culprit == "system.slice" or str(value).replace("True", "yes") in found.cause.culprit


def test_the_drop_in_that_cuts_the_unit_off_is_named():
    line = DropInLine("/etc/systemd/system/waagent.service.d/net.conf", "PrivateNetwork=yes")
    service = replace(RUNS, private_network=True, drop_in_lines=(DropInLine("/a.conf", "Environment=a=b"), line))
    assert named(verdict(guest(service, processes=(DAEMON,))))[2] == f"{line.path}: {line.setting}"


@pytest.mark.parametrize(
    "setting",
    [
        {"ip_address_deny": "10.0.0.0/8"},
        {"ip_address_deny": "0.0.0.0/0", "ip_address_allow": "168.63.129.16/32"},
        {"address_families": "AF_UNIX AF_INET"},
        {"environment": "http_proxy=http://10.0.0.9:3128"},
    ],
)
def test_a_setting_that_lets_it_through_is_no_block(setting):
    found = verdict(guest(replace(RUNS, **setting), processes=ALIVE), vm=READY)
    assert (found.scenario, found.cause) == (Scenario.HEALTHY, None)


def test_a_setting_that_counts_from_the_next_start_on_blocks_nothing_yet():
    service = replace(RUNS, private_network=True)
    assert verdict(guest(service, processes=ALIVE), vm=READY).scenario is Scenario.HEALTHY


# -- clocks ------------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_ahead_is_said_and_makes_no_old_log():
    log = LogFacts(True, newest=ASKED)
    inside = guest(clock=ASKED + timedelta(days=40), log=log, processes=ALIVE)
    found = verdict(inside, vm=READY)
    assert (found.scenario, others(found)) == (Scenario.HEALTHY, ["L42"])
    assert "40 days ahead" in found.other_causes[0].detail
    near = replace(inside, clock=ASKED + timedelta(minutes=3))
    assert verdict(near, vm=READY).other_causes == ()


def test_the_age_of_a_pasted_answer_is_no_wrong_clock():
    inside = guest(clock=ASKED - timedelta(days=3), processes=ALIVE)
    assert verdict(inside, vm=READY, guest_channel=PASTE).other_causes == ()


# -- answers that did not come whole -----------------------------------------------------------------------------------


def test_a_garbled_answer_proves_less_and_is_said():
    found = verdict(replace(guest(STOPPED), complete=False))
    assert (found.scenario, found.confidence) == (Scenario.AGENT_STOPPED, Confidence.LIKELY)
    assert any("cut or garbled" in reason.what for reason in found.not_checked)
    assert verdict(guest(STOPPED)).confidence is Confidence.CERTAIN


def test_what_the_guest_had_no_time_or_room_for_is_named():
    found = verdict(replace(guest(STOPPED), missing=("firewall", "disk"), cut={"journal": 300}))
    said = [reason.what for reason in found.not_checked]
    assert "the guest did not tell in time: firewall, disk" in said
    assert "left out of the guest's answer for size: 300 bytes of journal" in said


@pytest.mark.parametrize("missing", ["service", "processes"])
def test_a_guest_too_slow_to_show_its_agent_is_not_called_healthy(missing):
    silent = replace(guest(ServiceFacts(), processes=(DAEMON,)), missing=(missing, "network"))
    found = verdict(silent, vm=READY)
    assert found.scenario is Scenario.UNCERTAIN
    assert Scenario.AGENT_STOPPED in found.candidates
    assert verdict(replace(silent, processes=ALIVE), vm=READY).scenario is Scenario.HEALTHY


@pytest.mark.parametrize("minutes", [0, 60])
def test_a_daemon_without_a_worker_is_not_called_healthy(minutes):
    started = replace(LONG, active_since=ASKED - timedelta(minutes=minutes))
    assert verdict(guest(started, processes=(DAEMON,)), vm=READY).scenario is Scenario.UNCERTAIN


def test_an_active_unit_between_two_of_its_processes_is_not_called_healthy():
    restarted = replace(RUNS, active_since=ASKED - timedelta(seconds=1))
    assert verdict(guest(restarted, processes=()), vm=READY).scenario is Scenario.UNCERTAIN
