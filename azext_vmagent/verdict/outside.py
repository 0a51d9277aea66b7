"""What was seen from outside, as the evidence of a verdict, and the verdict that it leaves open. Pure."""

from __future__ import annotations

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.host_metrics import CpuState, NetworkTrend
from azext_vmagent.facts.port import PortOutcome
from azext_vmagent.facts.reading import (
    HOST_METRICS,
    PORT,
    SCREENSHOT,
    SERIAL_CONSOLE,
    SERIAL_LOG,
    SSH,
    Facts,
)
from azext_vmagent.facts.serial_log import Outlook
from azext_vmagent.model import Confidence, Reason, Scenario, State, Verdict
from azext_vmagent.verdict import evidence_lines as say
from azext_vmagent.verdict import signs
from azext_vmagent.verdict.settling import settle


def seen_outside(facts: Facts, ports: bool = False) -> tuple[Reason, ...]:
    """What was seen from outside, the most telling first."""
    found = []
    if ports and facts.port is not None:
        found.append(say.port(facts.port))
    if facts.console is not None and facts.console.pressed:
        found.append(say.console(facts.console))
    if facts.metrics is not None and facts.metrics.network is not NetworkTrend.UNKNOWN:
        found.append(say.metrics(facts.metrics))
    if facts.serial is not None and facts.serial.prompt is not None and facts.serial.outlook is Outlook.HEALTHY:
        found.append(say.prompt(facts.serial))
    if facts.screenshot is not None and signs.locked(facts):
        found.append(Reason(f"it shows {facts.screenshot.shown}", SCREENSHOT, excerpt="; ".join(facts.screenshot.why)))
    if signs.serial_network_down(facts) and facts.serial is not None:
        found.extend(say.serial_lines(facts.serial, 2))
    if facts.vm is not None:
        found.append(say.agent_word(facts.vm))
    return tuple(dict.fromkeys(found))


def outside_uncertain(facts: Facts, wish: Wish, candidates: tuple[Scenario, ...], summary: str) -> Verdict:
    """The verdict that several scenarios stay possible: what is ruled out all the same, and what would settle it."""
    ruled_out = []
    if facts.port is not None and facts.port.outcome is PortOutcome.GREETING:
        ruled_out = [say.out(s, "the SSH port greets", PORT) for s in (Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING)]
    elif facts.guest is not None:
        channel = facts.guest_channel or SSH
        ruled_out = [
            say.out(s, "the guest answered", channel) for s in (Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING)
        ]
    elif facts.state(SSH) is State.DENIED:
        ruled_out = [
            say.out(s, "the SSH server answers", SSH) for s in (Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING)
        ]
    elif signs.console_lives(facts):
        ruled_out = [os_runs(facts)]
    elif signs.flows_now(facts):
        ruled_out = [
            say.out(s, "the guest sends traffic as before, now", HOST_METRICS)
            for s in (Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING)
        ]
    return Verdict(
        Scenario.UNCERTAIN,
        Confidence.WEAK,
        summary,
        candidates=candidates,
        because=seen_outside(facts, ports=True),
        ruled_out=tuple(ruled_out),
        next_steps=settle(facts, wish, candidates),
    )


def os_runs(facts: Facts) -> Reason:
    """Why the OS runs although its network is dead, as far as anybody saw."""
    if signs.console_lives(facts):
        return say.out(Scenario.OS_NOT_RUNNING, "kernel and getty answer on the console now", SERIAL_CONSOLE)
    if facts.metrics is None or facts.metrics.cpu is not CpuState.ALIVE:
        return say.out(Scenario.OS_NOT_RUNNING, "the newest boot came as far as its network", SERIAL_LOG)
    if signs.locked(facts):
        what = "the screen is locked, which needs an OS that is up, and the processor is at work"
        return say.out(Scenario.OS_NOT_RUNNING, what, f"{SCREENSHOT}, {HOST_METRICS}")
    what = "the newest boot reached its prompt and the processor is at work"
    return say.out(Scenario.OS_NOT_RUNNING, what, f"{SERIAL_LOG}, {HOST_METRICS}")
