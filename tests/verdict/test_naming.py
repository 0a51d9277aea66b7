"""The verdict names the most specific cause that was found, and never a look-alike."""

from __future__ import annotations

from dataclasses import replace

from azext_vmagent.causes.known_cause import Finding, Kind, KnownCause, Remedy, Seen, State
from azext_vmagent.model import Cause, Confidence, NextStep, Reason, Scenario, Verdict
from azext_vmagent.verdict.naming import name_causes
from tests.verdict.build import WISH, facts

CRASHES = KnownCause(
    "L05",
    "agent-crashes",
    "The agent crashes",
    "It ends as soon as it was started.",
    ("exit status 1",),
    scenario=Scenario.AGENT_STOPPED,
    remedies=(Remedy("see why", "systemctl status {unit}"),),
)
MODULE = replace(CRASHES, code="L06", slug="module-missing", title="Its module is missing", covers=("L05",))
PANIC = replace(CRASHES, code="B09", slug="panic", title="The kernel panics", scenario=Scenario.OS_NOT_RUNNING)
HARMLESS = replace(CRASHES, code="B27", slug="harmless", title="A log collector was killed", kind=Kind.BENIGN)
BUSY = replace(CRASHES, code="P07", slug="busy", title="Run Command is busy", kind=Kind.OBSTACLE, scenario=None)

STEP = NextStep("start the agent")
STOPPED = Verdict(
    Scenario.AGENT_STOPPED, Confidence.CERTAIN, "The agent is stopped", cause=CRASHES.named(), next_steps=(STEP,)
)
UNCERTAIN = Verdict(
    Scenario.UNCERTAIN,
    Confidence.WEAK,
    "?",
    candidates=(Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED),
    next_steps=(STEP,),
)


def shown(known: KnownCause, channel: str = "serial log", culprit: str | None = None) -> Finding:
    return Finding(known, State.PRESENT, (Seen(Reason(f"{known.slug} seen", channel, line=7), culprit),))


def codes(causes: tuple[Cause, ...]) -> list[str]:
    return [cause.code for cause in causes]


def test_a_specific_cause_takes_the_generic_ones_place_with_its_evidence_and_steps():
    named = name_causes(STOPPED, facts(), WISH, (shown(CRASHES), shown(MODULE, culprit="azurelinuxagent")))
    assert named.cause is not None
    assert (named.cause.code, named.cause.culprit) == ("L06", "azurelinuxagent")
    assert [reason.line for reason in named.because] == [7]
    assert named.next_steps[0].command == "systemctl status waagent"
    assert named.next_steps[-1] == STEP
    assert codes(named.other_causes) == []


def test_what_is_not_more_specific_stands_beside_the_verdicts_own_cause():
    other = replace(MODULE, covers=())
    named = name_causes(STOPPED, facts(), WISH, (shown(CRASHES), shown(other)))
    assert named.cause == STOPPED.cause
    assert codes(named.other_causes) == ["L06"]
    assert named.next_steps == (STEP,)


def test_a_verdict_without_a_cause_takes_one_of_its_own_scenario_only():
    bare = replace(STOPPED, cause=None)
    assert name_causes(bare, facts(), WISH, (shown(PANIC),)).cause is None
    named = name_causes(bare, facts(), WISH, (shown(PANIC), shown(CRASHES)))
    assert named.cause is not None
    assert named.cause.code == "L05"


def test_a_line_about_another_scenario_counts_only_from_inside_the_guest():
    seen_inside = name_causes(
        STOPPED, replace(facts(), guest_channel="ssh"), WISH, (shown(CRASHES), shown(PANIC, "ssh"))
    )
    assert codes(seen_inside.other_causes) == ["B09"]
    assert codes(name_causes(STOPPED, facts(), WISH, (shown(CRASHES), shown(PANIC))).other_causes) == []


def test_an_uncertain_verdict_stays_so_and_lists_what_argues_for_its_candidates():
    named = name_causes(UNCERTAIN, facts(), WISH, (shown(MODULE), shown(PANIC), shown(BUSY)))
    assert (named.scenario, named.cause) == (Scenario.UNCERTAIN, None)
    assert codes(named.other_causes) == ["L06", "P07"]


def test_a_look_alike_is_reported_as_none_and_never_as_a_cause():
    named = name_causes(UNCERTAIN, facts(), WISH, (shown(HARMLESS),))
    assert named.other_causes == ()
    assert [(reason.what, reason.line) for reason in named.ruled_out] == [("no fault: A log collector was killed", 7)]


def test_a_healthy_vm_stays_without_causes():
    healthy = Verdict(Scenario.HEALTHY, Confidence.CERTAIN, "fine")
    assert name_causes(healthy, facts(), WISH, (shown(MODULE), shown(HARMLESS))) == healthy


def test_what_is_absent_or_unknown_is_not_named():
    found = (Finding(MODULE, State.ABSENT), Finding(PANIC, State.UNKNOWN))
    assert name_causes(STOPPED, facts(), WISH, found) == STOPPED


def test_what_is_wrong_inside_stands_beside_a_platform_that_lags():
    lags = replace(STOPPED, scenario=Scenario.PLATFORM, cause=None)
    named = name_causes(lags, replace(facts(), guest_channel="ssh"), WISH, (shown(MODULE, "ssh"), shown(PANIC)))
    assert (named.cause, codes(named.other_causes)) == (None, ["L06"])
