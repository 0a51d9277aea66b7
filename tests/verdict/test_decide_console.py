"""What one more look settles where several scenarios are left: another minute of metrics, Enter at the console."""

from __future__ import annotations

import pytest

from azext_vmagent.facts.console import ConsoleLook, Look
from azext_vmagent.facts.guest import Connect, Interface, Route
from azext_vmagent.facts.host_metrics import CpuState, NetworkTrend
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import SERIAL_CONSOLE, SSH
from azext_vmagent.model import Confidence, Scenario, State
from azext_vmagent.verdict import signs
from azext_vmagent.verdict.decide import decide
from azext_vmagent.verdict.signs import one_key_would_tell, one_more_minute_would_tell
from tests.verdict.build import (
    ASKED,
    BOOTING,
    EMERGENCY,
    NOT_READY,
    OPEN,
    PROMPT,
    READY,
    UNKNOWN_WAY,
    WISH,
    facts,
    guest,
    metrics,
    port,
)
from tests.verdict.test_decide import FELL, FLOWING, GREETS, ONE_OR_TWO, TIMES_OUT, verdict

# -- one more minute ---------------------------------------------------------------------------------------------------


def one_more(**known: object) -> bool:
    seen = facts(vm=NOT_READY, **known)
    return one_more_minute_would_tell(seen, decide(seen, WISH))


def test_metrics_that_end_before_the_question_are_worth_a_wait():
    assert one_more(serial=PROMPT, metrics=metrics(FLOWING), port=TIMES_OUT, network=OPEN)


@pytest.mark.parametrize(
    "known",
    [
        {"serial": PROMPT, "metrics": metrics(FLOWING)},
        {"serial": PROMPT, "metrics": metrics(FLOWING, now=True), "port": TIMES_OUT, "network": OPEN},
        {"serial": PROMPT, "metrics": metrics(NetworkTrend.ALWAYS_LOW), "port": TIMES_OUT, "network": OPEN},
        {"serial": PROMPT, "port": TIMES_OUT, "network": OPEN},
        {"serial": BOOTING, "metrics": metrics(FLOWING)},
        {"port": GREETS, "metrics": metrics(FLOWING)},
        {"serial": EMERGENCY, "metrics": metrics(FLOWING)},
    ],
)
def test_no_wait_where_a_minute_would_not_tell(known):
    assert not one_more(**known)


# -- what Enter at the serial console showed ---------------------------------------------------------------------------

FRESH = ConsoleLook(Look.FRESH_PROMPT, "web-03 login:", ASKED, 0.4, pressed=True)
HUNG = ConsoleLook(Look.SILENT, "", ASKED, 12.0, pressed=True)


def outside(console: ConsoleLook, network: NetworkTrend | None, cpu: CpuState, way: bool = True):
    return decide(
        facts(
            serial=PROMPT,
            port=port(PortOutcome.TIMED_OUT),
            network=OPEN if way else UNKNOWN_WAY,
            metrics=metrics(network, cpu) if network else None,
            console=console,
        ),
        WISH,
    )


LOW = NetworkTrend.ALWAYS_LOW
ZERO, ALIVE, UNKNOWN_CPU = CpuState.FLAT_ZERO, CpuState.ALIVE, CpuState.UNKNOWN
CONSOLE_CASES = {
    "prompt, dead port": (FRESH, None, UNKNOWN_CPU, Scenario.NETWORK_DOWN, Confidence.LIKELY),
    "prompt, dead port, traffic gone": (FRESH, FELL, UNKNOWN_CPU, Scenario.NETWORK_DOWN, Confidence.CERTAIN),
    "prompt outweighs an idle processor": (FRESH, FELL, ZERO, Scenario.NETWORK_DOWN, Confidence.CERTAIN),
    "prompt, old traffic": (FRESH, FLOWING, ALIVE, Scenario.NETWORK_DOWN, Confidence.LIKELY),
    "silence, dead port": (HUNG, None, UNKNOWN_CPU, Scenario.OS_NOT_RUNNING, Confidence.LIKELY),
    "silence, traffic gone": (HUNG, FELL, UNKNOWN_CPU, Scenario.OS_NOT_RUNNING, Confidence.LIKELY),
    "silence, the processor stands still": (HUNG, FELL, ZERO, Scenario.OS_NOT_RUNNING, Confidence.CERTAIN),
    "silence, the processor worked before": (HUNG, FELL, ALIVE, Scenario.UNCERTAIN, Confidence.WEAK),
}


@pytest.mark.parametrize(
    ("console", "network", "cpu", "scenario", "confidence"), CONSOLE_CASES.values(), ids=CONSOLE_CASES
)
def test_what_the_console_settles(console, network, cpu, scenario, confidence):
    found = outside(console, network, cpu)
    assert (found.scenario, found.confidence) == (scenario, confidence)


def test_silence_while_the_processor_works_now_is_a_dead_network():
    """Seen on the real guest: paused some minutes after its network was down, it was called scenario 3."""
    known = {"serial": PROMPT, "port": port(PortOutcome.TIMED_OUT), "network": OPEN, "console": HUNG}
    before = facts(**known, metrics=metrics(FELL, ALIVE))
    found = decide(before, WISH)
    assert (found.scenario, set(found.candidates)) == (
        Scenario.UNCERTAIN,
        {Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING},
    )
    assert signs.one_more_minute_would_tell(before, found)
    assert decide(facts(**known, metrics=metrics(FELL, ALIVE, now=True)), WISH).scenario is Scenario.NETWORK_DOWN
    assert decide(facts(**known, metrics=metrics(FELL, ZERO, now=True)), WISH).scenario is Scenario.OS_NOT_RUNNING


def test_a_fresh_prompt_alone_only_rules_out_scenario_4():
    found = outside(FRESH, LOW, ALIVE, way=False)
    assert found.scenario is Scenario.UNCERTAIN
    assert Scenario.OS_NOT_RUNNING not in found.candidates
    assert "kernel and getty answer on the console now" in [reason.what for reason in found.ruled_out]
    assert not any("serial-console connect" in (step.command or "") for step in found.next_steps)


def test_a_key_is_worth_pressing_only_while_4_is_one_of_several():
    unknown = facts(serial=PROMPT, port=port(PortOutcome.TIMED_OUT), network=OPEN)
    assert one_key_would_tell(decide(unknown, WISH))
    greets = facts(serial=PROMPT, port=port(PortOutcome.GREETING), network=OPEN)
    assert not one_key_would_tell(decide(greets, WISH))


def test_a_shell_on_the_console_says_nothing_about_the_network():
    """The probe's answer came, but not through the network: the interface that is down must not be ruled out."""
    down = Interface("eth0", False, "DOWN")
    for interfaces, confidence in (((down,), Confidence.CERTAIN), ((), Confidence.LIKELY)):
        inside = guest(
            port80=Connect.UNREACHABLE, port32526=Connect.UNREACHABLE, interfaces=interfaces, route=Route("")
        )
        found = verdict(serial=PROMPT, guest=inside, guest_channel=SERIAL_CONSOLE)
        assert (found.scenario, found.confidence) == (Scenario.NETWORK_DOWN, confidence)


def test_the_console_tells_a_slow_login_from_programs_that_hang():
    """The port greets and the SSH login gets nowhere: with a prompt at the console the programs live, else they hang."""
    stuck = {"serial": PROMPT, "port": GREETS, "ended": {SSH: State.TIMED_OUT}, "vm": NOT_READY}
    assert Scenario.OS_NOT_RUNNING in verdict(**stuck).candidates
    assert verdict(**stuck, console=FRESH).candidates == ONE_OR_TWO
    assert verdict(**stuck, console=HUNG).scenario is Scenario.OS_NOT_RUNNING


def test_a_silent_console_beside_a_ready_agent_is_no_silent_agent():
    silent = {SERIAL_CONSOLE: State.TIMED_OUT}
    assert verdict(vm=READY, port=GREETS, ended=silent, console=HUNG).scenario is Scenario.HEALTHY
