"""A Windows guest's own word: scenario 1 or 2, and the culprit. The rules of honesty are those of ``inside.py``. Pure.

Only a test by SYSTEM or an administrator counts; a time-out alone proves little; «nothing blocks it» is weaker than on
Linux, because the filters of other products (antivirus, WFP drivers) cannot be listed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from azext_vmagent.causes import boot, platform, windows
from azext_vmagent.causes.access import diagnose_again
from azext_vmagent.causes.catalogue import agent_silent, windows_network
from azext_vmagent.causes.findings import find
from azext_vmagent.causes.known_cause import Scene, State
from azext_vmagent.facts.durations import age
from azext_vmagent.facts.guest_facts import Connect, GuestFacts
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.reading import Facts
from azext_vmagent.facts.windows_facts import WindowsFacts, since_start
from azext_vmagent.model import Confidence, NextStep, Reason, Scenario, Verdict
from azext_vmagent.verdict import evidence_lines as say
from azext_vmagent.verdict.reached import JUST_STARTED

#: how often the Windows agent writes to its log is documented nowhere; an hour of silence is a hint and no proof
SILENT_FOR = timedelta(minutes=65)
LOG = r"C:\WindowsAzure\Logs\WaAppAgent.log"


def decide_inside_windows(facts: Facts, guest: GuestFacts, channel: str, alive: tuple[Reason, ...]) -> Verdict | None:
    """The verdict, or None when the answer holds nothing that decides. ``alive`` is what having got in rules out."""
    stopped = windows.service_cause(guest)
    ready = facts.vm is not None and facts.vm.agent is AgentStatus.READY
    if stopped is not None:
        if facts.vm is not None and facts.vm.provision_vm_agent is False:
            return None
        blocks = windows.wire_causes(guest) if guest.root else ()
        late = (Reason("Azure still shows Ready: its word lags by minutes", "instance view"),) if ready else ()
        return Verdict(
            Scenario.AGENT_STOPPED,
            Confidence.CERTAIN if guest.complete else Confidence.LIKELY,
            f"{stopped.title} ({guest.service.unit or 'no service'})",
            cause=stopped,
            other_causes=(*windows.side_causes(guest, guest.clock), *blocks),
            because=(_service(guest, channel), *_events(guest, channel), *_rules(guest, channel), *late),
            ruled_out=alive,
            next_steps=windows.service_remedies(stopped, facts)
            + (windows.wire_remedies(facts, guest.rules.blocks) if guest.rules.blocks else ()),
        )
    if guest.service.running is not True:
        return None
    found = _runs(facts, guest, channel, ready, alive)
    side = tuple(cause for cause in windows.side_causes(guest, guest.clock) if cause != found.cause)
    return replace(found, other_causes=(*found.other_causes, *side))


def _runs(facts: Facts, guest: GuestFacts, channel: str, ready: bool, alive: tuple[Reason, ...]) -> Verdict:
    runs = _service(guest, channel)
    not_1 = say.out(Scenario.AGENT_STOPPED, runs.what, channel)
    port80, port32526 = guest.outcome(80), guest.outcome(32526)
    if guest.root is not True or port80 is Connect.NOT_SAID:
        return _not_tested(facts, guest, runs, alive, ready)
    evidence = (*_wire(guest, channel), *_rules(guest, channel), *_log(guest, channel))
    keeps_out = (guest.windows or WindowsFacts()).probe_only
    if keeps_out and port80 is not Connect.OK:
        because = (
            runs,
            *evidence,
            *(Reason("this rule keeps PowerShell out", channel, excerpt=r.rule) for r in keeps_out),
        )
        return _uncertain(facts, "The agent runs; a rule keeps the test from the Wire Server", because, alive)
    if ready and _one_test_alone(guest):
        summary = "A test of the Wire Server failed once, and neither a rule, the agent's log nor Azure's word agrees"
        return _uncertain(facts, summary, (runs, *evidence), (not_1, *alive), Scenario.HEALTHY)
    if port80 is not Connect.OK:
        return _blocked(facts, guest, channel, evidence, (not_1, *alive))
    if port32526 not in (Connect.OK, Connect.NOT_SAID):
        causes = windows.wire_causes(guest)
        return Verdict(
            Scenario.AGENT_DEGRADED if ready else Scenario.WIRE_SERVER_BLOCKED,
            Confidence.CERTAIN if guest.rules.blocks and guest.complete else Confidence.LIKELY,
            "The guest reaches tcp/80 of the Wire Server but not tcp/32526: extensions may hang",
            cause=causes[0] if causes else platform.HOST_PLUGIN_BLOCKED,
            other_causes=causes[1:],
            because=evidence,
            ruled_out=(not_1, *alive),
            next_steps=windows.wire_remedies(facts, guest.rules.blocks),
        )
    return _reached(facts, guest, channel, ready, (runs, *evidence), (not_1, *alive))


def _one_test_alone(guest: GuestFacts) -> bool:
    """A test ran out of time and nothing else agrees: a slow guest misses a time limit as well."""
    failed = [test for test in guest.wire.values() if test.blocked]
    if any(test.outcome not in (Connect.TIMED_OUT, Connect.FAILED) for test in failed):
        return False
    return bool(failed) and not windows.wire_causes(guest) and not since_start(guest, guest.log.failures)


def _uncertain(
    facts: Facts, summary: str, because: tuple[Reason, ...], ruled_out: tuple[Reason, ...], *more: Scenario
) -> Verdict:
    step = NextStep("ask again: a busy guest misses the probe's time limit", diagnose_again(facts), effect="reads only")
    return Verdict(
        Scenario.UNCERTAIN,
        Confidence.WEAK,
        summary,
        candidates=(*more, Scenario.WIRE_SERVER_BLOCKED, Scenario.PLATFORM),
        because=because,
        ruled_out=ruled_out,
        next_steps=(step,),
    )


def _not_tested(facts: Facts, guest: GuestFacts, runs: Reason, alive: tuple[Reason, ...], ready: bool) -> Verdict:
    """The agent's own filters let only SYSTEM and administrators reach the Wire Server."""
    if guest.root is True:
        why = "the test did not end in time"
    elif guest.root is False:
        why = "the probe ran without elevation, and the agent's own filters stop such a user"
    else:
        why = "the guest did not say who ran the test"
    rules = guest.rules.blocks
    if rules:
        found = windows.rule_cause(rules[0])
        return Verdict(
            Scenario.WIRE_SERVER_BLOCKED,
            Confidence.LIKELY,
            "The guest blocks the Wire Server (168.63.129.16)",
            cause=found,
            because=(runs, *_rules(guest, runs.channel), *_log(guest, runs.channel)),
            ruled_out=alive,
            not_checked=(Reason(f"the Wire Server: {why}", runs.channel),),
            next_steps=windows.wire_remedies(facts, rules),
        )
    return Verdict(
        Scenario.UNCERTAIN,
        Confidence.WEAK,
        "The agent runs; whether it reaches the Wire Server is not known",
        candidates=(*((Scenario.HEALTHY,) if ready else ()), Scenario.WIRE_SERVER_BLOCKED, Scenario.PLATFORM),
        because=(runs, *_log(guest, runs.channel)),
        ruled_out=alive,
        not_checked=(Reason(f"the Wire Server: {why}", runs.channel),),
        next_steps=(
            NextStep(
                "run the probe in a PowerShell that was started as administrator",
                "az vm agent-diagnose --print-probe powershell",
                effect="reads only",
                downtime="none",
            ),
        ),
    )


def _blocked(
    facts: Facts, guest: GuestFacts, channel: str, evidence: tuple[Reason, ...], ruled_out: tuple[Reason, ...]
) -> Verdict:
    told = guest.windows or WindowsFacts()
    usable = [a for i in guest.interfaces if i.admin_up for a in i.addresses if not a.startswith("169.254.")]
    if (guest.interfaces or told.adapters_off) and not usable and not guest.rules.blocks:
        names = ", ".join(told.adapters_off)
        why = f"{names} is switched off" if names else "no adapter has an address of its network"
        return Verdict(
            Scenario.NETWORK_DOWN,
            Confidence.CERTAIN if names and guest.complete else Confidence.LIKELY,
            f"The guest's network interface is down ({names})" if names else "The guest has no network address",
            cause=windows_network.ADAPTER_DOWN.named(f"{why}.", names or None),
            because=(Reason(why, channel), *evidence),
            ruled_out=ruled_out[:1],
            next_steps=windows.nic_remedies(facts, told.adapters_off),
        )
    other = _other_address(facts, guest, channel)
    if other is not None and not guest.rules.blocks and guest.outcome(80) is not Connect.DENIED:
        cause = windows_network.ADAPTER_DOWN.named(f"{other.what}.", other.source, "windows-dhcp-off")
        return Verdict(
            Scenario.NETWORK_DOWN,
            Confidence.CERTAIN if guest.complete else Confidence.LIKELY,
            "The guest's fixed address is not the one that Azure gave it",
            cause=cause,
            because=(other, *evidence),
            ruled_out=ruled_out[:1],
            next_steps=windows.known_remedies(cause, facts),
        )
    found = windows.wire_causes(guest)
    agrees = bool(since_start(guest, guest.log.failures))
    if found:
        sure = bool(guest.rules.blocks) or guest.route.kind == "none" or agrees
        return Verdict(
            Scenario.WIRE_SERVER_BLOCKED,
            Confidence.CERTAIN if sure and guest.complete else Confidence.LIKELY,
            "The guest blocks the Wire Server (168.63.129.16)",
            cause=found[0],
            other_causes=found[1:],
            because=evidence,
            ruled_out=ruled_out,
            next_steps=windows.wire_remedies(facts, guest.rules.blocks),
        )
    wrong = find(windows_network.WRONG_SOURCE, Scene(facts))
    if wrong.state is State.PRESENT and not guest.rules.undecided:
        return Verdict(
            Scenario.WIRE_SERVER_BLOCKED,
            Confidence.LIKELY,
            "The guest does not reach the Wire Server (168.63.129.16) from the address that it sends from",
            cause=wrong.cause,
            because=(*evidence, *(seen.reason for seen in wrong.seen)),
            ruled_out=ruled_out,
            next_steps=windows.known_remedies(wrong.cause, facts),
        )
    others = Reason("filters of other products than Windows Firewall: they cannot be listed", channel)
    if guest.rules.complete and not guest.rules.undecided:
        redeploy = boot.redeploy_step(facts)
        return Verdict(
            Scenario.PLATFORM,
            Confidence.WEAK,
            "The Wire Server does not answer, and no rule or route of Windows blocks it: perhaps the host's side",
            cause=platform.WIRE_SERVER_FAILS,
            because=(*evidence, Reason("no rule of Windows Firewall and no route blocks it", channel)),
            ruled_out=ruled_out,
            not_checked=(others,),
            next_steps=(*windows.wire_remedies(facts, ()), redeploy or boot.restart_step(facts)),
        )
    return Verdict(
        Scenario.WIRE_SERVER_BLOCKED,
        Confidence.LIKELY,
        "The guest does not reach the Wire Server (168.63.129.16); what blocks it is not named",
        because=(*evidence, *say.undecided(guest, channel)),
        ruled_out=ruled_out,
        not_checked=(*(Reason(f"{name}: not read whole", channel) for name in guest.rules.missing), others),
        next_steps=windows.wire_remedies(facts, ()),
    )


def _other_address(facts: Facts, guest: GuestFacts, channel: str) -> Reason | None:
    """The one fixed address of an adapter where Azure's is held by none: the network drops what it sends."""
    given = facts.network.private_address if facts.network is not None else None
    held = {address for one in guest.interfaces for address in one.addresses}
    by_hand = guest.windows.without_dhcp if guest.windows is not None else ()
    fixed = [one for one in guest.interfaces if one.name in by_hand]
    if given is None or given in held or len(fixed) != 1 or len(fixed[0].addresses) != 1:
        return None
    what = f"adapter «{fixed[0].name}» has the fixed address {fixed[0].addresses[0]}; Azure's address is {given}"
    return Reason(what, channel, fixed[0].name)


def _reached(
    facts: Facts,
    guest: GuestFacts,
    channel: str,
    ready: bool,
    because: tuple[Reason, ...],
    ruled_out: tuple[Reason, ...],
) -> Verdict:
    """Both ports answer the probe; what may still stop the agent itself."""
    told = guest.windows or WindowsFacts()
    failing = bool(since_start(guest, guest.log.failures))
    own = windows.agent_only_causes(guest)
    if own and not ready:
        lines = tuple(
            Reason("this rule stops the agent's own program alone", channel, excerpt=r.rule) for r in told.agent_only
        )
        return Verdict(
            Scenario.WIRE_SERVER_BLOCKED,
            Confidence.CERTAIN if failing and guest.complete else Confidence.LIKELY,
            "The guest blocks the Wire Server (168.63.129.16) for the agent alone",
            cause=own[0],
            other_causes=own[1:],
            because=(*because, *lines),
            ruled_out=ruled_out,
            next_steps=windows.wire_remedies(facts, told.agent_only),
        )
    broken = facts.vm.failing_extensions if facts.vm else ()
    if ready and broken:
        named = windows.log_cause(guest)
        return Verdict(
            Scenario.AGENT_DEGRADED,
            Confidence.LIKELY,
            say.extensions_title(broken),
            cause=named[0] if named else platform.EXTENSION_FAILS,
            because=(*because, *say.extensions(broken)),
            next_steps=windows.known_remedies(named[0], facts) if named else (),
        )
    if ready:
        whole = guest.complete and guest.outcome(32526) is Connect.OK and not guest.contradictions
        return Verdict(
            Scenario.HEALTHY,
            Confidence.CERTAIN if whole and not own else Confidence.LIKELY,
            "The agent runs, reaches the Wire Server, and Azure shows it Ready",
            because=because,
            not_checked=(
                *(Reason(text, channel) for text in guest.contradictions),
                *(
                    Reason("whether this rule stops the agent's own program", channel, excerpt=r.rule)
                    for r in told.agent_only
                ),
            ),
        )
    return _silent(facts, guest, channel, because, ruled_out)


def _silent(
    facts: Facts, guest: GuestFacts, channel: str, because: tuple[Reason, ...], ruled_out: tuple[Reason, ...]
) -> Verdict:
    """It runs and could reach the Wire Server, and Azure hears nothing."""
    named = windows.log_cause(guest)
    if named is not None:
        cause, line = named
        return Verdict(
            Scenario.AGENT_STOPPED,
            Confidence.LIKELY,
            f"The agent's services run, yet the agent does not work: {cause.title}",
            cause=cause,
            because=(*because, Reason("the agent's log names it", channel, LOG, excerpt=line.text, time=line.time)),
            next_steps=windows.known_remedies(cause, facts),
        )
    state = windows.state_cause(guest)
    if state is not None:
        return Verdict(
            Scenario.AGENT_STOPPED,
            Confidence.LIKELY,
            f"The agent's services run, and what they need is broken: {state.title}",
            cause=state,
            because=(*because, Reason(state.detail, channel, state.culprit)),
            next_steps=windows.known_remedies(state, facts),
        )
    proxy = windows.proxy_cause(guest)
    if proxy is not None:
        return Verdict(
            Scenario.WIRE_SERVER_BLOCKED,
            Confidence.LIKELY,
            "The Wire Server answers the test, which uses no proxy; the agent fails, and a proxy is set",
            cause=proxy,
            because=because,
            ruled_out=ruled_out,
            next_steps=windows.known_remedies(proxy, facts),
        )
    refused = windows.refused_cause(guest)
    if refused is not None:
        return Verdict(
            Scenario.WIRE_SERVER_BLOCKED,
            Confidence.LIKELY,
            "The Wire Server answers the test; the agent's own connections are refused in the guest",
            cause=refused,
            because=(*because, *_log(guest, channel)),
            ruled_out=ruled_out,
            next_steps=windows.known_remedies(refused, facts),
        )
    newest, now = guest.log.newest, guest.clock
    restart = NextStep(
        "restart the agent (elevated PowerShell in the guest)",
        "Restart-Service -Name RdAgent, WindowsAzureGuestAgent",
        effect="a fresh start of the agent",
        downtime="none",
    )
    if newest is not None and now is not None and now - newest > SILENT_FOR:
        return Verdict(
            Scenario.AGENT_STOPPED,
            Confidence.WEAK,
            "The agent's services run, yet its log has not moved for more than an hour",
            cause=agent_silent.WEDGED.named(f"Its log ends {age(now - newest)} ago."),
            because=(*because, Reason("the newest line of the agent's log is old", channel, LOG, time=newest)),
            next_steps=(restart,),
        )
    started = (guest.windows or WindowsFacts()).started
    recent = started is not None and now is not None and now - started < JUST_STARTED
    return Verdict(
        Scenario.PLATFORM,
        Confidence.LIKELY if recent else Confidence.WEAK,
        "The agent works and reaches the Wire Server; Azure has not noticed yet"
        if recent
        else "The agent works and reaches the Wire Server, yet Azure shows it Not Ready",
        cause=platform.NOT_NOTICED,
        because=because,
        next_steps=(
            NextStep("ask again in a few minutes", diagnose_again(facts), effect="reads only", downtime="none"),
            restart,
        ),
    )


# -- one fact, one line ------------------------------------------------------------------------------------------------

_TELLS = {
    Connect.REFUSED: "is refused",
    Connect.TIMED_OUT: "times out",
    Connect.NO_ROUTE: "ends with «no route to host»",
    Connect.UNREACHABLE: "ends with «network is unreachable»",
    Connect.DENIED: "is denied by a filter in the guest (WSAEACCES)",
    Connect.RESET: "is reset",
}


def _service(guest: GuestFacts, channel: str) -> Reason:
    service = windows.agent_service(guest)
    if guest.service.load_state == "not-found":
        return Reason("there is neither an RdAgent nor a WindowsAzureGuestAgent service", channel, "services")
    code = f", exit code {service.exit_code}" if service.exit_code and service.running is False else ""
    return Reason(
        f"{service.name} is {service.state}, start type {service.start or 'not known'}{code}", channel, service.name
    )


def _events(guest: GuestFacts, channel: str) -> tuple[Reason, ...]:
    told = guest.windows or WindowsFacts()
    return tuple(
        Reason(
            f"event {event.id} about {event.who}, {event.count} in the last day",
            channel,
            "event log",
            excerpt=event.what or None,
            time=event.time,
        )
        for event in told.events[:4]
    )


def _wire(guest: GuestFacts, channel: str) -> tuple[Reason, ...]:
    who = "SYSTEM" if guest.windows and guest.windows.system else "an administrator"
    lines = []
    for port, test in sorted(guest.wire.items()):
        if test.outcome is Connect.OK:
            lines.append(Reason(f"tcp/{port} of 168.63.129.16 answers {who} (HTTP {test.status})", channel, test.tool))
        elif test.blocked:
            how = _TELLS.get(test.outcome, "fails")
            what = f"tcp/{port} from {who} to 168.63.129.16 {how}"
            lines.append(Reason(what, channel, test.tool, excerpt=test.detail or None))
    return tuple(lines)


def _rules(guest: GuestFacts, channel: str) -> tuple[Reason, ...]:
    return tuple(
        Reason(f"Windows Firewall blocks it ({block.where})", channel, block.tool, excerpt=block.rule)
        for block in guest.rules.blocks
    )


def _log(guest: GuestFacts, channel: str) -> tuple[Reason, ...]:
    lines = since_start(guest, guest.log.failures)[:1]
    return tuple(
        Reason("newest failure in the agent's log", channel, LOG, None, line.text, line.time) for line in lines
    )
