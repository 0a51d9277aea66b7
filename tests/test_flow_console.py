"""The serial console in the whole story: when a key is pressed, when somebody logs in, and what it settles."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.facts.console import ConsoleLook, Look
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import SERIAL_CONSOLE
from azext_vmagent.flow import Diagnosis, diagnose
from azext_vmagent.model import Confidence, Scenario, State
from tests.azure_double import STOPPED, AzureDouble, answers, raises, vm
from tests.facts.test_boot_stop import RECORDED
from tests.test_flow import AUTO, NOT_READY, TARGET, FastClock, ended, run

AT = datetime(2026, 11, 24, 9, 0, 40, tzinfo=timezone.utc)
FRESH = answers(ConsoleLook(Look.FRESH_PROMPT, "web-03 login:", AT, 0.4, pressed=True))
SILENT = answers(ConsoleLook(Look.SILENT, "", AT, 12.0, pressed=True))
EMERGENCY = b"[    0.000000] Linux version 6.1\r\nYou are in emergency mode. After logging in\r\nGive root password for maintenance\r\n"
AT_THE_CONSOLE = Wish(console_user="ops", console_password="secret")


def looked(look, wish: Wish = AUTO, **more) -> tuple[Diagnosis, AzureDouble, FastClock]:
    """A guest that is 3 or 4 from outside, and the look at its console."""
    clock = FastClock()
    double = AzureDouble(NOT_READY, port=PortOutcome.TIMED_OUT, at_console=look, **more)
    return diagnose(double, TARGET, wish, 180, clock=clock.as_clock()), double, clock


def test_a_fresh_prompt_is_scenario_3_at_once():
    found, double, clock = looked(FRESH)
    assert (found.verdict.scenario, found.verdict.confidence) == (Scenario.NETWORK_DOWN, Confidence.LIKELY)
    assert "a fresh login prompt appeared after Enter at 09:00:40Z" in [r.what for r in found.verdict.because]
    assert double.asked.count("console look") == 1
    assert clock.slept == 0


def test_a_login_prompt_that_does_not_react_is_likely_scenario_4_at_once():
    found, _, clock = looked(SILENT)
    assert (found.verdict.scenario, found.verdict.confidence) == (Scenario.OS_NOT_RUNNING, Confidence.LIKELY)
    assert clock.slept == 0


@pytest.mark.parametrize("look", [Look.NOT_PRESSED, Look.MOVED_ON])
def test_a_look_that_told_nothing_leaves_the_wait_for_the_metrics(look):
    found, _, clock = looked(answers(ConsoleLook(look, "somebody's shell", AT, pressed=look is Look.MOVED_ON)))
    assert clock.slept > 60
    assert found.verdict.scenario is Scenario.UNCERTAIN


def test_a_console_that_cannot_be_had_is_said_and_leaves_the_wait_for_the_metrics():
    denied = raises(SourceFailed(State.DENIED, "no right", "Microsoft.SerialConsole/serialPorts/connect/action", 403))
    found, _, clock = looked(denied)
    assert clock.slept > 60
    assert any("serialPorts/connect/action" in reason.what for reason in found.verdict.not_checked)


def test_never_means_that_no_key_is_pressed():
    _, double, _ = looked(FRESH, Wish(serial_console="never"))
    assert "console look" not in double.asked


@pytest.mark.parametrize(
    "log", [EMERGENCY, b"", b"[    0.000000] Linux version 6.1\r\ngrub> "], ids=["emergency", "empty", "grub"]
)
def test_no_key_is_pressed_where_the_log_shows_no_login_prompt(log):
    for wish in (AUTO, Wish(serial_console="always")):
        _, double, _ = looked(FRESH, wish, serial=answers(log))
        assert "console look" not in double.asked


def test_nobody_looks_at_the_console_of_a_guest_that_answers_elsewhere():
    double = AzureDouble(NOT_READY, at_console=FRESH)
    assert run(double).verdict.candidates == (Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED)
    assert "console look" not in double.asked


def test_a_login_at_the_console_looks_inside_when_no_other_way_did():
    double = AzureDouble(NOT_READY, port=PortOutcome.TIMED_OUT, through_console=answers(STOPPED))
    found = run(double, AT_THE_CONSOLE)
    assert "console of ops" in double.asked
    assert "console look" not in double.asked
    assert (found.verdict.scenario, found.facts.guest_channel) == (Scenario.AGENT_STOPPED, SERIAL_CONSOLE)


def test_nobody_logs_in_at_the_console_when_ssh_has_answered():
    double = AzureDouble(NOT_READY)
    run(double, Wish(ssh_user="ops", console_user="ops", console_password="secret"))
    assert [one for one in double.asked if "console" in one] == []


def test_always_logs_in_at_the_console_first_and_then_nowhere_else():
    double = AzureDouble()
    run(double, Wish(ssh_user="ops", serial_console="always", console_user="ops", console_password="secret"))
    assert [one for one in double.asked if one in ("ssh", "run command", "console of ops")] == ["console of ops"]


def test_a_refused_login_shows_all_the_same_that_the_guest_lives():
    live = ConsoleLook(Look.FRESH_PROMPT, "web-03 login:", AT, 0.4, pressed=True)
    refusal = raises(SourceFailed(State.DENIED, "a wrong password", value=live))
    double = AzureDouble(NOT_READY, port=PortOutcome.TIMED_OUT, through_console=refusal)
    found = diagnose(double, TARGET, AT_THE_CONSOLE, 180, clock=FastClock().as_clock())
    assert found.verdict.scenario is Scenario.NETWORK_DOWN
    assert "console look" not in double.asked
    line = next(r.what for r in found.verdict.not_checked if r.channel == SERIAL_CONSOLE)
    assert line == "a wrong password"


def test_an_answer_that_is_not_the_probes_is_garbled():
    double = AzureDouble(NOT_READY, port=PortOutcome.TIMED_OUT, through_console=answers("bash: gzip: not found"))
    found = run(double, AT_THE_CONSOLE)
    assert ended(found, SERIAL_CONSOLE).state is State.GARBLED


def test_the_password_is_in_no_representation_of_a_diagnosis():
    double = AzureDouble(NOT_READY, port=PortOutcome.TIMED_OUT)
    assert "secret" not in repr(run(double, AT_THE_CONSOLE))


def test_a_windows_console_is_never_typed_at():
    windows = vm("Not Ready", storageProfile={"osDisk": {"osType": "Windows"}})
    for wish in (Wish(serial_console="always"), AT_THE_CONSOLE):
        double = AzureDouble(answers(windows), port=PortOutcome.TIMED_OUT, at_console=FRESH)
        found = run(double, wish)
        assert not any("console" in one for one in double.asked)
        assert "Windows" in ended(found, SERIAL_CONSOLE).detail


ASKS = EMERGENCY + b"(or press Control-D to continue): "
ROOT = Wish(console_user="root", console_password="secret")


def stopped(wish: Wish, log: bytes = ASKS, **more) -> tuple[Diagnosis, AzureDouble]:
    double = AzureDouble(NOT_READY, port=PortOutcome.REFUSED, serial=answers(log), **more)
    return run(double, wish), double


def test_root_looks_where_the_boot_stopped_and_the_line_is_named():
    found, double = stopped(ROOT, where_it_stopped=answers(RECORDED))
    assert [one for one in double.asked if "console" in one or "shell" in one] == ["maintenance shell of root"]
    assert found.verdict.scenario is Scenario.OS_NOT_RUNNING
    assert found.facts.guest is None
    line = next(reason for reason in found.verdict.because if reason.channel == SERIAL_CONSOLE)
    assert (line.source, line.line) == ("/etc/fstab", 2)


@pytest.mark.parametrize(
    ("wish", "log"),
    [
        (AUTO, ASKS),
        (Wish(serial_console="always"), ASKS),
        (Wish(console_user="root"), ASKS),
        (AT_THE_CONSOLE, ASKS),
        (Wish(serial_console="never", console_user="root", console_password="secret"), ASKS),
        (ROOT, EMERGENCY + b"Press Enter for maintenance\r\n(or press Control-D to continue): "),
        (
            ROOT,
            EMERGENCY + b"Cannot open access to console, the root account is locked.\r\nPress Enter to continue.\r\n",
        ),
        (ROOT, ASKS + b"\r\nroot@web-03:~# "),
    ],
    ids=["no login", "always", "no password", "another user", "never", "no password asked", "locked", "a shell"],
)
def test_nobody_types_where_the_boot_stopped(wish: Wish, log: bytes):
    found, double = stopped(wish, log)
    assert [one for one in double.asked if "console" in one or "shell" in one] == []
    assert ended(found, SERIAL_CONSOLE).state is State.NOT_ASKED


def test_that_root_could_log_in_there_is_said():
    found, _ = stopped(AT_THE_CONSOLE)
    assert "root can log in there, with --console-user root" in ended(found, SERIAL_CONSOLE).detail
