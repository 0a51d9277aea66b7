"""Scenarios 3 and 4 of a guest that had booted: its network is down, or it hangs. Rules of ``decide.py``. Pure."""

from __future__ import annotations

from azext_vmagent.causes import boot, network
from azext_vmagent.causes.catalogue import windows_network
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.host_metrics import CpuState, NetworkTrend
from azext_vmagent.facts.reading import (
    HOST_METRICS,
    PORT,
    SERIAL_CONSOLE,
    SSH,
    Facts,
)
from azext_vmagent.facts.serial_log import Outlook, SerialState
from azext_vmagent.model import Confidence, Reason, Scenario, State, Verdict
from azext_vmagent.verdict import evidence_lines as say
from azext_vmagent.verdict import signs
from azext_vmagent.verdict.outside import os_runs, outside_uncertain, seen_outside

#: bytes a minute that an idle guest sends for its agent alone, with room; a step from below it may be the agent's own
#: silence. Agent 2.7.3.0 alone sent 29 kB/min in our laboratory; unverified on Azure.
AGENT_TRAFFIC = 150_000.0


def programs_hang(facts: Facts, wish: Wish) -> Verdict | None:
    """The kernel answers and the programs do not: the port accepts or greets, and a login gets nowhere.

    That alone is no proof (a slow directory service, lost packets); the kernel's own complaint, or processors that are
    busy to the last, or a console that does not react, make it one.
    """
    stuck = signs.accepts_only(facts) or (signs.greets(facts) and facts.state(SSH) is State.TIMED_OUT)
    if facts.guest is not None or not stuck or signs.console_lives(facts):
        return None
    serial, metrics = facts.serial, facts.metrics
    complains = serial is not None and serial.state is SerialState.HUNG
    pegged = signs.accepts_only(facts) and metrics is not None and metrics.cpu is CpuState.PEGGED
    if not complains and not pegged and not signs.console_hangs(facts):
        candidates = (Scenario.OS_NOT_RUNNING, Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED)
        return outside_uncertain(facts, wish, candidates, "The guest's kernel answers, a login gets nowhere")
    lines = say.serial_lines(serial, 3) if serial is not None and complains else ()
    login = () if signs.accepts_only(facts) else (Reason(facts.detail(SSH), SSH),)
    return Verdict(
        Scenario.OS_NOT_RUNNING,
        Confidence.CERTAIN if complains or signs.silent(facts) else Confidence.LIKELY,
        "The guest OS hangs: its kernel answers, its programs do not",
        cause=(boot.serial_cause(serial) if serial is not None and complains else None) or boot.HUNG_PROGRAMS,
        because=(*lines, *login, *seen_outside(facts, ports=True)),
        ruled_out=(say.out(Scenario.NETWORK_DOWN, "the guest accepts a connection", PORT),),
        next_steps=boot.hung_remedies(facts),
    )


def network_or_hang(facts: Facts, wish: Wish) -> Verdict | None:
    """Scenarios 3 and 4 of a guest that had booted: its traffic stopped; is its processor alive?"""
    metrics, serial = facts.metrics, facts.serial
    if (
        signs.alive(facts)
        or signs.refused(facts)
        or not (signs.fell(facts) or signs.dead_port(facts) or signs.serial_network_down(facts))
    ):
        return None
    booted = (serial is not None and serial.outlook is Outlook.HEALTHY) or signs.locked(facts)
    cpu = metrics.cpu if metrics is not None else CpuState.UNKNOWN
    fell, dead_port = signs.fell(facts), signs.dead_port(facts)
    evidence = seen_outside(facts, ports=True)
    if signs.console_lives(facts):
        return _network_down(facts, wish, dead_port)
    if signs.console_hangs(facts) and fell and cpu is CpuState.ALIVE:
        # its processor was at work in the minutes before the console was silent: a later minute tells
        return outside_uncertain(
            facts,
            wish,
            (Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING),
            "The guest's network is silent, and its console does not react",
        )
    if signs.console_hangs(facts):
        return hanging_console(facts, certain=dead_port and fell and cpu is CpuState.FLAT_ZERO)
    if fell and cpu in (CpuState.FLAT_ZERO, CpuState.PEGGED, CpuState.ONE_CORE_PEGGED):
        if cpu is not CpuState.FLAT_ZERO and not dead_port:
            return outside_uncertain(
                facts, wish, (Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING), "The guest's network is silent"
            )
        return Verdict(
            Scenario.OS_NOT_RUNNING,
            Confidence.CERTAIN if dead_port and metrics and metrics.network is NetworkTrend.FELL else Confidence.LIKELY,
            "The guest OS hangs: its network and its processor are dead",
            cause=boot.HUNG,
            because=evidence,
            ruled_out=(say.out(Scenario.NETWORK_DOWN, "the processor would go on working", HOST_METRICS),),
            next_steps=boot.hung_remedies(facts),
        )
    if signs.serial_network_down(facts) or (booted and fell and cpu is CpuState.ALIVE):
        return _network_down(facts, wish, dead_port)
    return outside_uncertain(
        facts, wish, (Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING), "The guest had booted and is now out of reach"
    )


def _network_down(facts: Facts, wish: Wish, dead_port: bool) -> Verdict:
    metrics = facts.metrics
    own_silence = metrics is not None and (metrics.baseline_out or 0.0) < AGENT_TRAFFIC
    if not dead_port and own_silence and not signs.serial_network_down(facts):
        candidates = (Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED, Scenario.NETWORK_DOWN)
        return outside_uncertain(
            facts,
            wish,
            candidates,
            "The guest sends nothing any more, and what it used to send may have been the agent's",
        )
    named = boot.serial_cause(facts.serial) if facts.serial is not None and signs.serial_network_down(facts) else None
    lasting = metrics is not None and metrics.network is NetworkTrend.FELL
    lasting = lasting or (signs.console_lives(facts) and signs.fell(facts))
    cause = named or (windows_network.ADAPTER_DOWN.named() if facts.windows else network.NIC_DOWN)
    known = boot.known_remedies(cause if facts.windows else named, facts)
    return Verdict(
        Scenario.NETWORK_DOWN,
        Confidence.CERTAIN if dead_port and (lasting or signs.serial_network_down(facts)) else Confidence.LIKELY,
        "The guest OS runs, its network is down",
        cause=cause,
        because=seen_outside(facts, ports=True),
        ruled_out=(
            os_runs(facts),
            *(
                (
                    say.out(Scenario.AGENT_STOPPED, "a silent agent alone leaves the port open", PORT),
                    say.out(Scenario.WIRE_SERVER_BLOCKED, "a silent agent alone leaves the port open", PORT),
                )
                if dead_port
                else ()
            ),
        ),
        next_steps=known if facts.windows else (*known, *network.remedies(facts)),
    )


def hanging_console(facts: Facts, certain: bool) -> Verdict:
    """A login prompt that does not react to Enter: one piece of evidence, unless the processor stands still as well."""
    return Verdict(
        Scenario.OS_NOT_RUNNING,
        Confidence.CERTAIN if certain else Confidence.LIKELY,
        "The guest OS hangs: its console does not react",
        cause=boot.HUNG,
        because=seen_outside(facts, ports=True),
        ruled_out=(say.out(Scenario.NETWORK_DOWN, "a running guest answers on its console", SERIAL_CONSOLE),),
        next_steps=boot.hung_remedies(facts),
    )
