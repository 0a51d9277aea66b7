"""Facts in, one verdict out. Pure, and the only place where scenarios are told apart.

Read it top to bottom: the first rule that applies answers (``signs.py`` has the words). What the guest says about
itself outweighs what is seen from outside; what is seen now outweighs the platform's word, which lags by minutes; a
source that gave nothing never counts as evidence. A verdict that rests on one piece of evidence is «likely», on two
independent ones «certain».
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from azext_vmagent.causes import boot, platform
from azext_vmagent.causes.access import az_vm, diagnose_again, with_login
from azext_vmagent.causes.run_command import with_channel_causes
from azext_vmagent.channels.choice import Wish, contradiction
from azext_vmagent.facts.durations import age
from azext_vmagent.facts.host_metrics import NetworkTrend
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.reading import (
    GUEST_CHANNELS,
    INSTANCE_VIEW,
    PASTE,
    SERIAL_CONSOLE,
    SERIAL_LOG,
    Facts,
)
from azext_vmagent.facts.serial_log import Outlook, SerialState
from azext_vmagent.model import Confidence, NextStep, Reason, Scenario, State, Verdict
from azext_vmagent.verdict import evidence_lines as say
from azext_vmagent.verdict import signs
from azext_vmagent.verdict.inside import decide_inside
from azext_vmagent.verdict.out_of_reach import hanging_console, network_or_hang, programs_hang
from azext_vmagent.verdict.outside import outside_uncertain, seen_outside
from azext_vmagent.verdict.saved_log import decide_saved_log
from azext_vmagent.verdict.shown import decide_health_report, decide_screen
from azext_vmagent.verdict.unseen import not_checked

#: a Ready agent reports every few minutes at least; its status bears the time of the last report (unverified on Azure)
REPORTED_LATELY = timedelta(minutes=30)

Rule = Callable[[Facts, Wish], Verdict | None]


def decide(facts: Facts, wish: Wish) -> Verdict:
    """The verdict on these facts, with what was not checked and when the silence began."""
    old = say.how_old_the_paste_is(facts)
    return _decide(facts, wish) if old is None else _with_an_old_answer(facts, wish, old)


def _with_an_old_answer(facts: Facts, wish: Wish, old: str) -> Verdict:
    """What is seen now outweighs what the guest said then; where now says nothing, its word is worth a «likely»."""
    now = _decide(replace(facts, guest=None, guest_channel=None), wish)
    used = now.scenario is Scenario.UNCERTAIN
    verdict = _decide(facts, wish) if used else now
    note = Reason(f"{old}: {'it says how it was then' if used else 'not used'}; a fresh one says how it is now", PASTE)
    confidence = Confidence.LIKELY if used and verdict.confidence is Confidence.CERTAIN else verdict.confidence
    return replace(verdict, confidence=confidence, not_checked=(note, *verdict.not_checked))


def _decide(facts: Facts, wish: Wish) -> Verdict:
    verdict = next(found for rule in RULES if (found := rule(facts, wish)) is not None)
    return replace(
        verdict,
        since=None if verdict.scenario is Scenario.HEALTHY else say.since(facts),
        other_causes=with_channel_causes(verdict, facts),
        next_steps=with_login(verdict.next_steps, facts, wish),
        not_checked=verdict.not_checked + not_checked(facts),
    )


def _powered_off(facts: Facts, _wish: Wish) -> Verdict | None:
    vm = facts.vm
    if vm is None or not vm.power or vm.running:
        return None
    start = NextStep(
        "start the VM",
        az_vm("start", facts),
        effect="the guest boots; the agent reports a few minutes later",
        downtime="none",
    )
    why = boot.why_off(facts)
    return Verdict(
        Scenario.VM_NOT_RUNNING,
        Confidence.CERTAIN,
        f"The VM is {vm.power}: no agent can report",
        cause=platform.VM_STOPPED,
        other_causes=(why,) if why else (),
        because=(
            Reason(f"Azure shows the power state {vm.power}", INSTANCE_VIEW),
            *(say.serial_lines(facts.serial, 2) if why and facts.serial else ()),
        ),
        next_steps=()
        if vm.power in ("starting", "stopping", "deallocating")
        else (start, *boot.before_a_start(why, facts)),
    )


def _not_booted(facts: Facts, _wish: Wish) -> Verdict | None:
    serial = facts.serial
    if serial is None or serial.outlook is not Outlook.NOT_BOOTED or signs.alive(facts):
        return None
    cause = boot.serial_cause(serial)
    agrees = signs.silent(facts) or signs.refused(facts) or signs.times_out(facts)
    hung = serial.state is SerialState.HUNG
    return Verdict(
        Scenario.OS_NOT_RUNNING,
        Confidence.CERTAIN if agrees else Confidence.LIKELY,
        "The guest OS hangs" if hung else "The guest OS did not boot",
        cause=cause or (boot.HUNG if hung else None),
        because=say.serial_lines(serial) + say.what_the_boot_waits_for(facts) + seen_outside(facts, ports=True),
        ruled_out=(
            say.out(Scenario.AGENT_STOPPED, "the newest boot never came as far as its services", SERIAL_LOG),
            say.out(Scenario.NETWORK_DOWN, "the newest boot shows no login prompt", SERIAL_LOG),
        ),
        next_steps=boot.hung_remedies(facts) if hung and cause is None else boot.boot_remedies(cause, facts),
    )


def _no_agent(facts: Facts, _wish: Wish) -> Verdict | None:
    vm = facts.vm
    if vm is None or vm.provision_vm_agent is not False or vm.agent is AgentStatus.READY:
        return None
    return Verdict(
        Scenario.NO_AGENT_EXPECTED,
        Confidence.CERTAIN,
        "This VM was created without an agent: «Not Ready» is expected, not a fault",
        cause=platform.NO_AGENT,
        because=(
            Reason("osProfile says provisionVMAgent: false", INSTANCE_VIEW, "VM model"),
            say.agent_word(vm),
            *seen_outside(facts, ports=True),
        ),
        next_steps=(
            NextStep(
                "nothing needs repair; to use extensions, install the agent in the guest",
                None,
                effect="Run Command and extensions become possible once allowExtensionOperations is true as well",
                link="https://learn.microsoft.com/azure/virtual-machines/extensions/update-linux-agent",
            ),
        ),
    )


def _young(facts: Facts, _wish: Wish) -> Verdict | None:
    vm, old = facts.vm, signs.young(facts)
    if vm is None or old is None or vm.agent is AgentStatus.READY:
        return None
    return Verdict(
        Scenario.PROVISIONING,
        Confidence.LIKELY,
        f"The VM was created {age(old)} ago: its agent has not reported yet",
        cause=platform.JUST_CREATED,
        because=(
            Reason(f"created {age(old)} ago", INSTANCE_VIEW, "VM model", time=vm.time_created),
            say.agent_word(vm),
            *seen_outside(facts, ports=True),
        ),
        next_steps=(
            NextStep(
                "ask again in a few minutes",
                diagnose_again(facts),
                effect="a new VM's agent usually reports within 5 min",
            ),
        ),
    )


def _platform_event(facts: Facts, _wish: Wish) -> Verdict | None:
    health = facts.health
    if (
        health is None
        or not health.platform_event
        or health.state.lower() not in ("unavailable", "degraded")
        or signs.alive(facts)
    ):
        return None
    redeploy = boot.redeploy_step(facts)
    return Verdict(
        Scenario.PLATFORM,
        Confidence.LIKELY,
        "The platform reports a problem of its own with this VM",
        cause=platform.HOST_EVENT,
        because=(say.health(facts), *seen_outside(facts)),
        next_steps=(
            NextStep("wait for the platform, it is working on it", diagnose_again(facts)),
            *((redeploy,) if redeploy else ()),
        ),
    )


def _booting(facts: Facts, _wish: Wish) -> Verdict | None:
    serial = facts.serial
    if serial is None or serial.outlook is not Outlook.BOOTING or signs.alive(facts):
        return None
    return Verdict(
        Scenario.UNCERTAIN,
        Confidence.WEAK,
        "The guest is booting or shutting down: too early to tell",
        candidates=(Scenario.OS_NOT_RUNNING,),
        because=(
            Reason(f"the newest boot is {serial.state.value}", SERIAL_LOG, None, None, serial.last_line or None),
            *seen_outside(facts, ports=True),
        ),
        next_steps=(
            NextStep(
                "ask again in two minutes: a boot that still stands there hangs (scenario 4)", diagnose_again(facts)
            ),
        ),
    )


def _ready(facts: Facts, wish: Wish) -> Verdict | None:
    """Ready, and nobody has looked inside: the platform's word alone, which lags."""
    vm = facts.vm
    if (
        vm is None
        or vm.agent is not AgentStatus.READY
        or facts.guest is not None
        or signs.fell(facts)
        or signs.dead_port(facts)
        or signs.serial_speaks_against(facts)
    ):
        return None
    if any(facts.state(channel) is State.TIMED_OUT for channel in GUEST_CHANNELS if channel != SERIAL_CONSOLE):
        return outside_uncertain(
            facts,
            wish,
            (Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED),
            "Azure says Ready, yet the agent does not answer",
        )
    reported = facts.asked_at - vm.agent_time if vm.agent_time is not None else timedelta(0)
    if reported > REPORTED_LATELY:
        return outside_uncertain(
            facts,
            wish,
            (Scenario.HEALTHY, Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED),
            f"Azure says Ready, by a report that is {age(reported)} old",
        )
    failed = tuple(extension for extension in vm.extensions if extension.state == "failed")
    if failed:
        return Verdict(
            Scenario.AGENT_DEGRADED,
            Confidence.LIKELY,
            say.extensions_title(failed),
            cause=platform.EXTENSION_FAILS,
            because=(*say.extensions(failed), *seen_outside(facts, ports=True)),
            next_steps=_look_inside(facts, wish),
        )
    return Verdict(
        Scenario.HEALTHY,
        Confidence.WEAK,
        "Azure says Ready and nothing contradicts it; nobody looked inside, and Azure's word may lag by minutes",
        because=(say.agent_word(vm), *seen_outside(facts, ports=True)),
        next_steps=_look_inside(facts, wish),
    )


def _look_inside(facts: Facts, wish: Wish) -> tuple[NextStep, ...]:
    how = "--ssh-user USER" if wish.run_command == "never" else "--run-command always"
    return (NextStep("look inside the guest to be sure", diagnose_again(facts, how)),)


def _agent_or_wire_server(facts: Facts, wish: Wish) -> Verdict | None:
    """The guest is alive and the agent is silent: 1 or 2, which only a look inside can tell."""
    if not signs.alive(facts):
        return None
    summary = "The guest is alive, its agent is silent"
    if facts.guest is not None:
        summary = "The guest answered, but not whether its agent works"
    elif not signs.silent(facts):
        doubt = contradiction(facts) or "its port says nothing"
        summary = f"The guest is alive; Azure says Ready, yet {doubt}" if facts.vm else "The guest is alive"
    return outside_uncertain(facts, wish, (Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED), summary)


def _rest(facts: Facts, wish: Wish) -> Verdict:
    if signs.refused(facts):
        candidates = (Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED, Scenario.OS_NOT_RUNNING)
        return outside_uncertain(facts, wish, candidates, "The guest's network stack is alive, its SSH server is not")
    metrics = facts.metrics
    flowed = metrics is not None and metrics.network is NetworkTrend.FLOWING and metrics.newest is not None
    every: tuple[Scenario, ...] = (
        Scenario.AGENT_STOPPED,
        Scenario.WIRE_SERVER_BLOCKED,
        Scenario.NETWORK_DOWN,
        Scenario.OS_NOT_RUNNING,
    )
    if signs.console_hangs(facts) and signs.silent(facts):
        return hanging_console(facts, certain=False)
    if signs.console_lives(facts):
        every = every[:-1]
    summary = "Too little could be seen to tell the scenarios apart"
    if flowed and metrics is not None and metrics.newest is not None:
        ago = age(facts.asked_at - metrics.newest)
        summary = f"The guest still sent its usual traffic {ago} ago: 1 or 2, unless it broke since"
    return outside_uncertain(facts, wish, every, summary)


RULES: tuple[Rule, ...] = (
    _powered_off,
    decide_inside,
    _not_booted,
    _no_agent,
    _young,
    _platform_event,
    decide_screen,
    _booting,
    programs_hang,
    _ready,
    network_or_hang,
    decide_health_report,
    decide_saved_log,
    _agent_or_wire_server,
    _rest,
)
