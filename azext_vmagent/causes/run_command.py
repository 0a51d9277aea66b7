"""Why Run Command, the channel, was closed: beside the verdict, because it explains what could not be seen and, where
the agent is Ready, is often what people came for. Pure."""

from __future__ import annotations

from azext_vmagent.causes.catalogue import evidence_channels, platform_faults
from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, RUN_COMMAND, Facts
from azext_vmagent.facts.run_command_obstacles import in_transition
from azext_vmagent.model import Cause, State, Verdict

#: what each is called where it closes Run Command; "" for the title that it has anyway
_TITLES = {
    evidence_channels.RUN_COMMAND_BUSY: "",
    evidence_channels.RUN_COMMAND_WEDGED: "",
    evidence_channels.RUN_COMMAND_NOT_TAKEN_UP: "",
    platform_faults.EXTENSION_NOT_CONVERGED: "An extension is still in progress: the channel is busy",
    evidence_channels.RIGHT_MISSING: "The caller lacks a right for Run Command",
    evidence_channels.LOCKED: "A lock or a policy forbids Run Command",
    evidence_channels.ANOTHER_OPERATION: "",
}
_NAMED = {known.code: (known, title) for known, title in _TITLES.items()}


def with_channel_causes(verdict: Verdict, facts: Facts) -> tuple[Cause, ...]:
    """The verdict's other causes and those of a closed channel, each code once."""
    known = {cause.code for cause in (verdict.cause, *verdict.other_causes) if cause is not None}
    return verdict.other_causes + tuple(cause for cause in _channel_causes(facts) if cause.code not in known)


def _channel_causes(facts: Facts) -> tuple[Cause, ...]:
    found: dict[str, Cause] = {}
    for channel in (RUN_COMMAND, MANAGED_RUN_COMMAND):
        answer = facts.answers.get(channel)
        if answer is not None and answer.state is not State.OK and answer.cause in _NAMED:
            found.setdefault(answer.cause, _named(answer.cause, answer.detail))
    vm = facts.vm
    holding = in_transition(vm.extensions) if vm is not None and facts.state(RUN_COMMAND) is State.NOT_ASKED else None
    if vm is not None and holding is not None and vm.running:
        found.setdefault(holding.code, _named(holding.code, culprit=vm.transitioning_extensions[0]))
    return tuple(found.values())


def _named(code: str, detail: str = "", culprit: str | None = None) -> Cause:
    known, title = _NAMED[code]
    return known.named(detail, culprit, title=title)
