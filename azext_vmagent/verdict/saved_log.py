"""What a whole log of the agent decides when nobody looked inside: how it ended, or that it got no answer. Pure.

It says how things stood at its newest line, so that it never makes a verdict more than «likely».
"""

from __future__ import annotations

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.agent_log import AgentLogFacts, Lifecycle
from azext_vmagent.facts.guest_facts import LogLine
from azext_vmagent.facts.reading import AGENT_LOG, Facts
from azext_vmagent.model import Confidence, Reason, Scenario, Verdict
from azext_vmagent.verdict.settling import settle

_ENDED = {
    Lifecycle.STOPPED: "The agent was stopped when its log ended",
    Lifecycle.EXITED: "The agent had ended when its log ended",
    Lifecycle.DISABLED: "The agent sleeps because it was told to",
    Lifecycle.WORKER_FAILED: "The agent's worker failed and had not come back when its log ended",
}
#: how a connection ended, in the agent's words (Python's errno texts, .NET's) -> what it argues for
_MET = (
    (("Network is unreachable", "Errno 101", "unreachable network"), (Scenario.NETWORK_DOWN,)),
    (("No route to host", "Errno 113"), (Scenario.WIRE_SERVER_BLOCKED, Scenario.NETWORK_DOWN)),
    (("Connection refused", "Errno 111", "forbidden by its access permissions"), (Scenario.WIRE_SERVER_BLOCKED,)),
)
_OPEN = (Scenario.WIRE_SERVER_BLOCKED, Scenario.NETWORK_DOWN, Scenario.PLATFORM)
_EVERY = (Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED, Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING)


def decide_saved_log(facts: Facts, wish: Wish) -> Verdict | None:
    """The verdict of the log, or None without one, or where it does not say what became of the agent."""
    log = facts.agent_log
    if log is None or log.format is None or facts.guest is not None:
        return None
    if log.end in _ENDED and not (log.end is Lifecycle.WORKER_FAILED and log.wire_server.failures):
        return Verdict(
            Scenario.AGENT_STOPPED,
            Confidence.LIKELY,
            _ENDED[log.end],
            because=(*_line("the last word on the agent's life", log.end_line), _newest(log)),
            next_steps=settle(facts, wish, (Scenario.AGENT_STOPPED,)),
        )
    if not log.wire_server.failures:
        return _at_work(facts, wish, log) if log.end is Lifecycle.WORKING else None
    met = log.wire_server.failures[-1]
    candidates = next((named for words, named in _MET if any(word in met.text for word in words)), _OPEN)
    because = (
        *_line("newest failure to reach the Wire Server, not taken back", met),
        *_line("the first of them", log.wire_server.first_failure),
        _newest(log),
    )
    if len(candidates) == 1:
        blocked = candidates[0] is Scenario.WIRE_SERVER_BLOCKED
        return Verdict(
            candidates[0],
            Confidence.LIKELY,
            "The guest refuses its agent the Wire Server (168.63.129.16)"
            if blocked
            else "The guest had no network when the agent's log ended",
            because=because,
            next_steps=settle(facts, wish, candidates),
        )
    return Verdict(
        Scenario.UNCERTAIN,
        Confidence.WEAK,
        "The agent runs and gets no answer from the Wire Server",
        candidates=candidates,
        because=because,
        next_steps=settle(facts, wish, (Scenario.AGENT_STOPPED, *candidates)),
    )


def _at_work(facts: Facts, wish: Wish, log: AgentLogFacts) -> Verdict:
    return Verdict(
        Scenario.UNCERTAIN,
        Confidence.WEAK,
        "The agent was at work when its log ended: what came then is not in it",
        candidates=_EVERY,
        because=(*_line("newest heartbeat", log.heartbeat), _newest(log)),
        next_steps=settle(facts, wish, _EVERY),
    )


def _line(what: str, line: LogLine | None) -> tuple[Reason, ...]:
    return () if line is None else (Reason(what, AGENT_LOG, None, line.line, line.text, line.time),)


def _newest(log: AgentLogFacts) -> Reason:
    return Reason("the newest line of the log: how it stood then", AGENT_LOG, time=log.newest)
