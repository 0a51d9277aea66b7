"""When nothing may be changed in a Windows guest: why, and what to do instead. Pure."""

from __future__ import annotations

from azext_vmagent.causes.access import diagnose_again
from azext_vmagent.causes.cures_windows import covers_only_wire_server, is_managed, rule_cure
from azext_vmagent.causes.offline_repair import windows_script
from azext_vmagent.causes.remedies import step_of
from azext_vmagent.facts.firewall_facts import BlockingRule
from azext_vmagent.facts.reading import MANAGED_RUN_COMMAND, RUN_COMMAND, Facts
from azext_vmagent.facts.windows_firewall import PROFILE_TOOL
from azext_vmagent.model import NextStep, Verdict
from azext_vmagent.repair.model import Refusal

#: these look inside again by themselves; what came by another way has to be given again
THROUGH_AZURE = (RUN_COMMAND, MANAGED_RUN_COMMAND)
#: what repairs a copy of the disk, by cause: ids of map.json in Azure/repair-script-library
_OFFLINE = {
    "W02": ("win-GA-fix", "puts the agent's files and services back"),
    "W04": ("win-GA-fix", "puts the agent's files and services back"),
    "I19": ("win-dhcp-fix", "lets the DHCP Client service start again"),
}


def in_the_guest(facts: Facts, verdict: Verdict) -> Refusal | None:
    """What speaks against a change in the guest, where its own word is there or not."""
    guest = facts.guest
    if guest is None:
        return Refusal("nobody-inside", "nobody could look inside the guest", _without_a_way(facts, verdict))
    again = diagnose_again(facts, "--repair", "--dry-run")
    if not guest.complete:
        why = "the guest's answer is not whole: a rule may be missing in it"
        return Refusal("answer-not-whole", why, (NextStep("ask again", again),))
    if guest.root is not True:
        why = "the look inside was not an administrator's, and only one may change anything"
        step = NextStep(
            "run the probe in a PowerShell that was started as administrator",
            "az vm agent-diagnose --print-probe powershell",
        )
        return Refusal("not-root", why, (step,))
    return None


def of_a_rule(rules: tuple[BlockingRule, ...], verdict: Verdict) -> Refusal | None:
    """The first blocking rule that may not be touched. To switch off only the others would help nobody."""
    for rule in rules:
        if is_managed(rule):
            why = f"policy would bring this rule back; it is changed there: {rule.rule}"
            return Refusal("rule-is-managed", why, verdict.next_steps)
        if rule.tool != PROFILE_TOOL and not covers_only_wire_server(rule):
            why = "this rule covers more than the Wire Server, or chosen accounts alone, and on Windows none can be let"
            return Refusal("rule-covers-more", f"{why} past it: {rule.rule}", verdict.next_steps)
        if rule_cure(rule, "") is None:
            why = f"no exact way back is known for what blocks: {rule.rule}"
            return Refusal("no-exact-undo", why, verdict.next_steps)
    return None


def no_safe_cure(facts: Facts, verdict: Verdict) -> Refusal:
    """A cause that a person has to weigh; the offline way is named where a script of Azure's fits."""
    cause = f"{verdict.cause.title} ({verdict.cause.code})" if verdict.cause else verdict.summary
    why = f"no change is known that cures this on every Windows VM and can be undone: {cause}"
    return Refusal("no-safe-cure", why, (*verdict.next_steps, *offline(facts, verdict)))


def pasted_only(facts: Facts, verdict: Verdict) -> Refusal:
    """A program that nobody has seen work on Windows is sent by nobody: a person reads and pastes it."""
    why = "nothing is sent into a Windows guest in this version: a person pastes the repair there"
    return Refusal("no-channel", why, (*_to_paste(facts), *offline(facts, verdict)))


def offline(facts: Facts, verdict: Verdict) -> tuple[NextStep, ...]:
    """``az vm repair`` with the script that fits the cause; nothing where there is none, or no disk to copy."""
    found = _OFFLINE.get(verdict.cause.code if verdict.cause else "")
    if found is None or (facts.vm is not None and facts.vm.ephemeral_os_disk):
        return ()
    return tuple(step_of(remedy, facts) for remedy in windows_script(*found))


def _to_paste(facts: Facts) -> tuple[NextStep, ...]:
    again = () if facts.guest_channel in THROUGH_AZURE else ("--probe-output", "FILE")
    script = NextStep(
        "print the repair as a script, and paste it into a PowerShell of the guest that was started as administrator "
        "(Remote Desktop; or the serial console: SAC, cmd, log in, powershell)",
        diagnose_again(facts, *again, "--repair", "--print-script"),
        effect="the same backed-up repair, never tried on a real Windows; prints only",
        risk="none known",
        downtime="none",
    )
    return (script,)


def _without_a_way(facts: Facts, verdict: Verdict) -> tuple[NextStep, ...]:
    """What the verdict says, a look by hand from which the plan follows, and the offline way."""
    probe = NextStep(
        "run the probe by hand and ask again with what it prints; the plan follows from it",
        "az vm agent-diagnose --print-probe powershell",
        effect="reads only",
        downtime="none",
    )
    return tuple(dict.fromkeys((*verdict.next_steps, probe, *offline(facts, verdict))))
