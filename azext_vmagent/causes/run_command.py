"""Why Run Command, the channel, was closed: beside the verdict, because it explains what could not be seen and, where
the agent is Ready, is often what people came for. Pure."""

from __future__ import annotations

from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, RUN_COMMAND, Facts
from azext_vmagent.facts.run_command_obstacles import (
    BUSY,
    LOCKED,
    NO_RIGHT,
    NOT_CONVERGED,
    NOT_TAKEN_UP,
    OTHER_OPERATION,
    WEDGED,
    in_transition,
)
from azext_vmagent.model import Cause, State, Verdict

_TITLES = {
    BUSY: ("run-command-busy", "Run Command is busy with another script"),
    WEDGED: ("run-command-wedged", "Run Command's extension is in progress without an end, or still executes"),
    NOT_TAKEN_UP: ("run-command-not-taken-up", "Run Command was accepted and the agent never took it up"),
    NOT_CONVERGED: ("extension-not-converged", "An extension is still in progress: the channel is busy"),
    NO_RIGHT: ("right-missing", "The caller lacks a right for Run Command"),
    LOCKED: ("locked-by-policy", "A lock or a policy forbids Run Command"),
    OTHER_OPERATION: ("another-operation", "Another operation on the VM is in progress"),
}


def with_channel_causes(verdict: Verdict, facts: Facts) -> tuple[Cause, ...]:
    """The verdict's other causes and those of a closed channel, each code once."""
    known = {cause.code for cause in (verdict.cause, *verdict.other_causes) if cause is not None}
    return verdict.other_causes + tuple(cause for cause in _channel_causes(facts) if cause.code not in known)


def _channel_causes(facts: Facts) -> tuple[Cause, ...]:
    found: dict[str, Cause] = {}
    for channel in (RUN_COMMAND, MANAGED_RUN_COMMAND):
        answer = facts.answers.get(channel)
        if answer is not None and answer.state is not State.OK and answer.cause in _TITLES:
            found.setdefault(answer.cause, Cause(answer.cause, *_TITLES[answer.cause], answer.detail))
    vm = facts.vm
    holding = in_transition(vm.extensions) if vm is not None and facts.state(RUN_COMMAND) is State.NOT_ASKED else None
    if vm is not None and holding is not None and vm.running:
        code = holding.code
        found.setdefault(code, Cause(code, *_TITLES[code], culprit=vm.transitioning_extensions[0]))
    return tuple(found.values())
