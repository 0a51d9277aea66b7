"""Whether a VM got worse by its repair: then no other VM is touched any more. Pure.

Only what was better before and was seen to be worse afterwards counts, or an end that nobody knows: a change that did
not take, and was taken back, leaves a VM as it was.
"""

from __future__ import annotations

from azext_vmagent.facts.guest_facts import Connect
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Scenario, State
from azext_vmagent.repair.outcome import Repaired
from azext_vmagent.repair.record import Result

#: how bad a scenario is; all that are not here are as bad as an agent that is cut off
_RANK = {
    Scenario.HEALTHY: 0,
    Scenario.PROVISIONING: 0,
    Scenario.NO_AGENT_EXPECTED: 0,
    Scenario.AGENT_DEGRADED: 1,
    Scenario.NETWORK_DOWN: 3,
    Scenario.OS_NOT_RUNNING: 4,
    Scenario.VM_NOT_RUNNING: 4,
}
_CUT_OFF = 2
_UNTOLD = (Connect.NOT_SAID, Connect.NO_TOOL)


def got_worse(before: Diagnosis, done: Repaired) -> str | None:
    """What is worse than before, in words; None when nothing is.

    In this order: the way into the guest was lost, the Wire Server answered root before and does not now, a rule of
    somebody else's reads otherwise, Azure called the agent Ready before, the scenario is a worse one, the end is not
    known.
    """
    return (
        _way_lost(before, done)
        or _wire_server_lost(before, done)
        or ("another rule of the guest is not as it was before" if done.record.other_rules_same is False else None)
        or _verdict_worse(before, done)
        or _end_not_known(done)
    )


def _way_lost(before: Diagnosis, done: Repaired) -> str | None:
    if done.record.result is Result.REVERTED_BY_WATCHDOG:
        return "the way into the guest was lost for a while, and the guest took the changes back"
    if before.facts.guest is not None and done.after is not None and done.after.facts.guest is None:
        return "nobody gets into the guest any more"
    return None


def _wire_server_lost(before: Diagnosis, done: Repaired) -> str | None:
    was, now = before.facts.guest, done.after.facts.guest if done.after is not None else None
    for port in (80, 32526):
        if was is None or was.outcome(port) is not Connect.OK:
            continue
        if now is not None and now.outcome(port) not in _UNTOLD:
            lost = now.outcome(port) is not Connect.OK
        else:
            lost = (port, None) in done.record.wire
        if lost:
            return f"tcp/{port} of the Wire Server answered root before and does not now"
    return None


def _verdict_worse(before: Diagnosis, done: Repaired) -> str | None:
    if done.after is None:
        return None
    was, now = before.facts.vm, done.after.facts.vm
    if was is not None and now is not None and (was.agent, now.agent) == (AgentStatus.READY, AgentStatus.NOT_READY):
        return "Azure called the agent Ready before and calls it Not Ready now"
    old, new = before.verdict.scenario, done.after.verdict.scenario
    if _RANK.get(new, _CUT_OFF) > _RANK.get(old, _CUT_OFF):
        return f"it was {old.value} before and is {new.value} now"
    return None


def _end_not_known(done: Repaired) -> str | None:
    """Nobody told the end, nor saw the VM again; a login that was turned away has changed nothing."""
    if done.record.result in (Result.GOING_ON, Result.HALF_DONE):
        return "Azure has not ended what it was told to do"
    turned_away = done.carried.state in (State.DENIED, State.NOT_ASKED)
    unknown = done.record.result is Result.UNKNOWN and not turned_away
    return "how its repair ended is not known" if unknown and done.after is None else None
