"""What the guest says about itself decides between scenarios 1 and 2, and names the culprit. Pure."""

from __future__ import annotations

import shlex
from dataclasses import replace

from azext_vmagent.causes import agent, agent_idle, agent_remedies, boot, network, platform, unit_network, wire_server
from azext_vmagent.causes.access import diagnose_again, in_guest
from azext_vmagent.causes.catalogue.wire_server_agent import ONLY_32526
from azext_vmagent.causes.cures import agent_cure, by_hand
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import Connect, GuestFacts
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, PASTE, RUN_COMMAND, SERIAL_CONSOLE, SSH, Facts
from azext_vmagent.model import Cause, Confidence, NextStep, Reason, Scenario, Verdict
from azext_vmagent.verdict import evidence_lines as say
from azext_vmagent.verdict.inside_windows import decide_inside_windows
from azext_vmagent.verdict.reached import in_order
from azext_vmagent.verdict.start_waits import decide_start_waits
from azext_vmagent.verdict.way import AT_THE_DOOR, ON_THE_WAY, decide_way

#: what comes through these proves that the guest's network works, at least on one of its interfaces
_THROUGH_NETWORK = (SSH, RUN_COMMAND, MANAGED_RUN_COMMAND)
_DEAD = (
    (Scenario.NETWORK_DOWN, "the guest answered through its network"),
    (Scenario.OS_NOT_RUNNING, "the guest answered through its network"),
)


def decide_inside(facts: Facts, wish: Wish) -> Verdict | None:
    """The verdict of the guest's own word, or None when nobody got in or the answer holds nothing that decides."""
    guest, channel = facts.guest, facts.guest_channel
    if guest is None or channel is None:
        return None
    alive = tuple(say.out(scenario, why, channel) for scenario, why in _DEAD)
    if channel in (PASTE, SERIAL_CONSOLE):
        alive = (say.out(Scenario.OS_NOT_RUNNING, "a shell in the guest ran the probe", channel),)
    if guest.windows is not None:
        return decide_inside_windows(facts, guest, channel, alive)
    found = _linux(facts, wish, guest, channel, alive)
    return found and _as_far_as_it_came(found, guest, channel)


def _as_far_as_it_came(found: Verdict, guest: GuestFacts, channel: str) -> Verdict:
    """The verdict with what the answer lacks; one that was cut or garbled on its way proves less."""
    gaps = []
    if not guest.complete:
        gaps.append(Reason("the guest's answer was cut or garbled on its way", channel))
    if guest.missing:
        gaps.append(Reason(f"the guest did not tell in time: {', '.join(guest.missing)}", channel))
    gaps += [Reason(f"left out of the guest's answer for size: {size} bytes of {name}", channel)
             for name, size in guest.cut.items()]  # fmt: skip
    sure = found.confidence is Confidence.CERTAIN and not guest.complete
    return replace(
        found,
        confidence=Confidence.LIKELY if sure else found.confidence,
        not_checked=(*found.not_checked, *gaps),
    )


def _linux(facts: Facts, wish: Wish, guest: GuestFacts, channel: str, alive: tuple[Reason, ...]) -> Verdict | None:
    blockers = wire_server.causes(guest)
    wedged = agent_idle.wedged_cause(guest) or agent_idle.something_else(guest)
    found = agent.causes(guest) or ((wedged,) if wedged else ())
    ready = facts.vm is not None and facts.vm.agent is AgentStatus.READY
    hung = boot.hung_disk_cause(guest, facts.serial)
    if hung is not None:
        return _disk_hangs(facts, guest, channel, hung)
    if channel not in _THROUGH_NETWORK and guest.outcome(80) is not Connect.OK:
        cut_off = _network_cause(facts, guest)
        nowhere = guest.route.kind == "none" or guest.outcome(80) is Connect.UNREACHABLE
        if cut_off is not None or nowhere:
            confidence = Confidence.CERTAIN if cut_off else Confidence.LIKELY
            others = (*found, *_rules_alone(guest))
            return _cut_off(facts, wish, guest, cut_off or network.NIC_DOWN, confidence, others, alive)
    if found:
        stopped = found[0]
        if facts.vm is not None and facts.vm.provision_vm_agent is False:
            return None
        late = (Reason("Azure still shows Ready: its word lags by minutes", "instance view"),) if ready else ()
        because = (
            say.service(guest, channel),
            *say.proof(stopped, guest, channel),
            *say.rules(guest, channel),
            *late,
        )
        return decide_start_waits(facts, wish, found, because, alive) or Verdict(
            Scenario.AGENT_STOPPED,
            Confidence.LIKELY if stopped.code == "L44" else Confidence.CERTAIN,
            f"{stopped.title} ({guest.service.unit or 'no unit'})",
            cause=stopped,
            other_causes=(*found[1:], *blockers),
            because=because,
            ruled_out=alive,
            next_steps=agent_remedies.remedies(stopped, facts, wish)
            + (wire_server.remedies(facts, wish) if guest.rules.blocks else ()),
        )
    if guest.service.running is None and not guest.processes:
        return None
    return _wire_server(facts, wish, guest, channel, ready, alive)


def _wire_server(
    facts: Facts, wish: Wish, guest: GuestFacts, channel: str, ready: bool, alive: tuple[Reason, ...]
) -> Verdict | None:
    port80, port32526 = guest.outcome(80), guest.outcome(32526)
    runs = say.service(guest, channel)
    not_1 = say.out(Scenario.AGENT_STOPPED, runs.what, channel)
    if guest.root is False or port80 in (Connect.NOT_SAID, Connect.NO_TOOL):
        return _not_tested(facts, wish, guest, runs, alive)
    evidence = (
        *say.wire(guest, channel),
        *say.metadata(guest, channel),
        *say.rules(guest, channel),
        *say.wire_log(guest, channel),
    )
    cut_off = unit_network.unit_cut_off(guest)
    if cut_off is not None and port80 is Connect.OK and not _works(guest, ready):
        return _unit_cut_off(facts, wish, guest, cut_off, (*evidence, runs), (not_1, *alive))
    kept_off = decide_way(facts, wish, AT_THE_DOOR, evidence, (not_1, *alive)) if port80 is Connect.OK else None
    if kept_off is not None and not _works(guest, ready):
        return kept_off
    if ready and _one_test_alone(guest):
        return _unconfirmed(facts, (runs, *evidence), (not_1, *alive))
    if port80 is not Connect.OK:
        return _blocked(facts, wish, guest, channel, evidence, (not_1, *alive))
    if port32526 not in (Connect.OK, Connect.NOT_SAID, Connect.NO_TOOL):
        scenario = Scenario.AGENT_DEGRADED if ready else Scenario.WIRE_SERVER_BLOCKED
        found = wire_server.causes(guest)
        read_whole = guest.rules.complete and not guest.rules.undecided
        return Verdict(
            scenario,
            Confidence.CERTAIN if found else Confidence.LIKELY,
            "The guest reaches tcp/80 of the Wire Server but not tcp/32526: extensions may hang",
            cause=found[0] if found else platform.HOST_PLUGIN_BLOCKED if read_whole else ONLY_32526.named(),
            other_causes=found[1:],
            because=(*evidence, *say.undecided(guest, channel)),
            ruled_out=(not_1, *alive),
            next_steps=wire_server.remedies(facts, wish),
        )
    return in_order(facts, wish, guest, channel, ready, (runs, *evidence))


def _disk_hangs(facts: Facts, guest: GuestFacts, channel: str, cause: Cause) -> Verdict:
    reached = guest.outcome(80) is Connect.OK
    return Verdict(
        Scenario.OS_NOT_RUNNING,
        Confidence.CERTAIN,
        "The guest OS hangs: its disk does not answer, and whoever writes to it waits for ever",
        cause=cause,
        because=(
            Reason("the kernel complains of a task that waits for a disk", channel, "kernel", excerpt=cause.culprit),
            Reason(cause.detail, channel, "processes"),
            *say.wire(guest, channel),
        ),
        ruled_out=(
            say.out(Scenario.AGENT_STOPPED, "the agent's process is there and waits for the disk", channel),
            *((say.out(Scenario.WIRE_SERVER_BLOCKED, "the Wire Server answers root", channel),) if reached else ()),
        ),
        next_steps=boot.hung_remedies(facts),
    )


def _network_cause(facts: Facts, guest: GuestFacts) -> Cause | None:
    return network.inside_cause(guest, facts.network.private_address if facts.network else None)


def _rules_alone(guest: GuestFacts) -> tuple[Cause, ...]:
    """The rules that block, without the route that a dead interface takes along."""
    return tuple(wire_server.rule_cause(rule) for rule in guest.rules.blocks)


def _cut_off(
    facts: Facts,
    wish: Wish,
    guest: GuestFacts,
    cause: Cause,
    confidence: Confidence,
    others: tuple[Cause, ...],
    ruled_out: tuple[Reason, ...],
) -> Verdict:
    channel = facts.guest_channel or SSH
    return Verdict(
        Scenario.NETWORK_DOWN,
        confidence,
        cause.title,
        cause=cause,
        other_causes=others,
        because=(
            Reason(cause.title, channel, excerpt=cause.culprit),
            *say.wire(guest, channel),
            *say.rules(guest, channel),
            *say.wire_log(guest, channel),
        ),
        ruled_out=ruled_out,
        next_steps=network.inside_remedies(cause, facts, wish),
    )


def _works(guest: GuestFacts, ready: bool) -> bool:
    """The agent that runs now gets through: a setting of its unit may only count from the next start on."""
    worker = any(process.worker for process in guest.processes or ())
    return ready and worker and not guest.log.failures


def _unit_cut_off(
    facts: Facts,
    wish: Wish,
    guest: GuestFacts,
    cause: Cause,
    evidence: tuple[Reason, ...],
    ruled_out: tuple[Reason, ...],
) -> Verdict:
    channel, unit = facts.guest_channel or "", shlex.quote(agent.unit_name(guest))
    late = facts.vm is not None and facts.vm.agent is AgentStatus.READY
    cure = by_hand(agent_cure(cause, guest))
    return Verdict(
        Scenario.WIRE_SERVER_BLOCKED,
        Confidence.LIKELY if late and not guest.log.failures else Confidence.CERTAIN,
        "The agent's own unit keeps it from the Wire Server (168.63.129.16); the rest of the guest reaches it",
        cause=cause,
        because=(Reason(cause.detail, channel, guest.service.unit, excerpt=cause.culprit), *evidence),
        ruled_out=ruled_out,
        next_steps=(
            NextStep(
                "take the setting out of the unit, then restart the agent",
                in_guest(facts, wish, cure or f"systemctl cat {unit}"),
                effect="the agent reaches the Wire Server again"
                if cure
                else "shows the unit with its drop-ins; after the change: systemctl daemon-reload, restart",
                risk="the setting may be there on purpose: tell whoever hardened this VM",
                downtime="none",
                link=wire_server.LINK,
            ),
        ),
    )


def _one_test_alone(guest: GuestFacts) -> bool:
    """A test of the Wire Server ran out of time and nothing else agrees: a slow guest misses a time limit as well."""
    failed = [test for test in guest.wire.values() if test.blocked]
    if any(test.outcome not in (Connect.TIMED_OUT, Connect.FAILED) for test in failed):
        return False
    return bool(failed) and not wire_server.causes(guest) and not guest.log.failures and guest.log.host_plugin is None


def _unconfirmed(facts: Facts, because: tuple[Reason, ...], ruled_out: tuple[Reason, ...]) -> Verdict:
    return Verdict(
        Scenario.UNCERTAIN,
        Confidence.WEAK,
        "A test of the Wire Server failed once, and neither a rule, the agent's log nor Azure's word agrees",
        candidates=(Scenario.HEALTHY, Scenario.WIRE_SERVER_BLOCKED, Scenario.PLATFORM),
        because=because,
        ruled_out=ruled_out,
        next_steps=(
            NextStep(
                "ask again: a busy guest misses the probe's time limit", diagnose_again(facts), effect="reads only"
            ),
        ),
    )


def _blocked(
    facts: Facts,
    wish: Wish,
    guest: GuestFacts,
    channel: str,
    evidence: tuple[Reason, ...],
    ruled_out: tuple[Reason, ...],
) -> Verdict:
    found = wire_server.causes(guest)
    cut_off = _network_cause(facts, guest)
    if cut_off is not None and cut_off.code.startswith("I") and not guest.rules.blocks:
        # reached by a second interface: the primary one is broken, whatever the second one's way to the server is
        sure = guest.route.kind == "none" or cut_off.slug != "static-address-wrong"
        confidence = Confidence.CERTAIN if sure else Confidence.LIKELY
        return _cut_off(facts, wish, guest, cut_off, confidence, _rules_alone(guest), ruled_out[:1])
    if cut_off is not None and not guest.rules.blocks:
        found = (cut_off,)
    if found:
        return Verdict(
            Scenario.WIRE_SERVER_BLOCKED,
            Confidence.CERTAIN if guest.outcome(80) is not Connect.OK else Confidence.LIKELY,
            "The guest blocks the Wire Server (168.63.129.16)",
            cause=found[0],
            other_causes=found[1:],
            because=evidence,
            ruled_out=ruled_out,
            next_steps=network.inside_remedies(cut_off, facts, wish)
            if cut_off is not None and not guest.rules.blocks
            else wire_server.remedies(facts, wish),
        )
    elsewhere = decide_way(facts, wish, ON_THE_WAY, evidence, ruled_out)
    if elsewhere is not None:
        return elsewhere
    if guest.rules.complete and not guest.rules.undecided:
        redeploy = boot.redeploy_step(facts)
        return Verdict(
            Scenario.PLATFORM,
            Confidence.LIKELY,
            "The Wire Server does not answer, and nothing in the guest blocks it: the host's side",
            cause=platform.WIRE_SERVER_FAILS,
            because=(*evidence, Reason("no rule and no route of the guest blocks it", channel)),
            ruled_out=ruled_out,
            not_checked=(Reason("what the Guest Proxy Agent allows (azure-proxy-agent is active)", channel),)
            * (guest.proxy_agent == "active"),
            next_steps=(redeploy or boot.restart_step(facts),),
        )
    return Verdict(
        Scenario.WIRE_SERVER_BLOCKED,
        Confidence.LIKELY,
        "The guest does not reach the Wire Server (168.63.129.16); what blocks it is not named",
        because=(*evidence, *say.undecided(guest, channel)),
        ruled_out=ruled_out,
        not_checked=tuple(Reason(f"{name}: its rules were not read whole", channel) for name in guest.rules.missing),
        next_steps=wire_server.remedies(facts, wish),
    )


def _not_tested(facts: Facts, wish: Wish, guest: GuestFacts, runs: Reason, alive: tuple[Reason, ...]) -> Verdict:
    if guest.root is False:
        why = "the test ran as an ordinary user, which the agent's own rules stop"
    elif guest.outcome(80) is Connect.NOT_SAID:
        why = "the guest was too slow to test it"
    else:
        why = "the guest has no tool to test it"
    found = wire_server.causes(guest)
    # the agent's own failures, which no later line of its log takes back, are as good as the test
    seen = Confidence.CERTAIN if guest.root and guest.log.failures else Confidence.LIKELY
    return Verdict(
        Scenario.WIRE_SERVER_BLOCKED if found else Scenario.UNCERTAIN,
        seen if found else Confidence.WEAK,
        "The guest blocks the Wire Server (168.63.129.16)"
        if found
        else "The agent runs; whether it reaches the Wire Server is not known",
        candidates=() if found else (Scenario.WIRE_SERVER_BLOCKED, Scenario.PLATFORM),
        cause=found[0] if found else None,
        because=(runs, *say.rules(guest, runs.channel), *say.wire_log(guest, runs.channel)),
        ruled_out=alive,
        not_checked=(Reason(f"the Wire Server: {why}", runs.channel),),
        next_steps=wire_server.remedies(facts, wish) if found else (_test_again(facts, guest),),
    )


def _test_again(facts: Facts, guest: GuestFacts) -> NextStep:
    if guest.root is False:
        again = diagnose_again(facts, "--ssh-user root")
        return NextStep("log in as root, or as a user who may sudo without a password", again)
    if guest.outcome(80) is Connect.NOT_SAID:
        return NextStep("ask again: the guest was too busy to finish its test", diagnose_again(facts))
    return NextStep("install curl or wget in the guest, then ask again", diagnose_again(facts))
