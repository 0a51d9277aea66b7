"""When nothing may be changed, whatever the cause: why, and what to do instead. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from azext_vmagent.causes.access import diagnose_again
from azext_vmagent.causes.boot import known_remedies
from azext_vmagent.causes.catalogue.file_system import ROOT_LOCKED
from azext_vmagent.causes.cures import MANAGED_BY, Step, boot_cure, rule_cure
from azext_vmagent.facts.firewall_facts import BlockingRule
from azext_vmagent.facts.reading import (
    MANAGED_RUN_COMMAND,
    PASTE,
    RUN_COMMAND,
    SERIAL_CONSOLE,
    SSH,
    Facts,
)
from azext_vmagent.facts.serial_log import Outlook, SerialState
from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Confidence, NextStep, Scenario, Verdict
from azext_vmagent.repair.model import DETACHED, Action, Refusal, Risk

#: the ways into the guest that can carry a change; an answer brought by hand is none
CARRIERS = (SSH, RUN_COMMAND, MANAGED_RUN_COMMAND, SERIAL_CONSOLE)
#: what ``guest/repair.sh`` takes
MOST_ACTIONS, MOST_BYTES = 12, 800
#: what Azure calls a VM that it is at work on
AT_WORK = frozenset({"updating", "creating", "deleting", "migrating"})
EPHEMERAL = (
    "ephemeral-os-disk",
    "the OS disk is ephemeral: redeploying, deallocating or resetting the interface would erase it",
)
_NO_FAULT = {
    Scenario.HEALTHY: ("healthy", "the agent is healthy: there is nothing to repair"),
    Scenario.NO_AGENT_EXPECTED: ("no-agent-by-design", "this VM was made without an agent: that is no fault"),
    Scenario.PROVISIONING: ("provisioning", "the VM is still being set up: the agent reports when that is done"),
    Scenario.VM_NOT_RUNNING: ("vm-not-running", "the VM does not run: nothing in it can be repaired"),
}


def before_any_change(diagnosis: Diagnosis) -> Refusal | None:
    """What speaks against any change; None when nothing does."""
    facts, verdict = diagnosis.facts, diagnosis.verdict
    vm = facts.vm
    if vm is None:
        return Refusal(
            "vm-not-known",
            "the VM's model was not read: what a repair would cost this VM is not known",
            _again(facts) if facts.target.subscription else verdict.next_steps,
        )
    if vm.power and not vm.running:
        return Refusal("vm-not-running", f"the VM is {vm.power}: nothing in it can be repaired", verdict.next_steps)
    if vm.provisioning in AT_WORK:
        why = f"Azure is at work on the VM ({vm.provisioning}): a second change on top could make it worse"
        return Refusal("vm-updating", why, (NextStep("wait until that has ended, then ask again", _command(facts)),))
    if verdict.scenario in _NO_FAULT:
        code, why = _NO_FAULT[verdict.scenario]
        return Refusal(code, why, () if verdict.scenario is Scenario.HEALTHY else verdict.next_steps)
    if verdict.scenario is Scenario.AGENT_STOPPED and vm.provision_vm_agent is False:
        return Refusal(*_NO_FAULT[Scenario.NO_AGENT_EXPECTED], verdict.next_steps)
    if verdict.scenario is Scenario.UNCERTAIN or verdict.confidence is Confidence.WEAK:
        return Refusal("uncertain", _what_would_settle(verdict), verdict.next_steps)
    return None


def may_resume(refusal: Refusal | None, facts: Facts) -> bool:
    """Whether a broken-off repair is gone on with: by root through a channel, however well the guest looks by now."""
    in_the_way = refusal is not None and refusal.code in ("vm-not-known", "vm-not-running", "vm-updating")
    root = facts.guest is not None and facts.guest.complete and facts.guest.root is True
    return root and not in_the_way and no_channel(facts) is None


def _what_would_settle(verdict: Verdict) -> str:
    """What it may be, what was not seen, and what to do about it first."""
    open_ = " or ".join(one.value for one in verdict.candidates)
    missing = list(dict.fromkeys(f"{reason.channel} ({reason.what})" for reason in verdict.not_checked))
    parts = [f"the evidence does not settle what is wrong{f': {open_}' if open_ else ''}"]
    parts += [f"not known: {'; '.join(missing)}"] if missing else []
    parts += [f"what would settle it: {verdict.next_steps[0].action}"] if verdict.next_steps else []
    return "; ".join(parts)


def in_the_guest(facts: Facts, verdict: Verdict) -> Refusal | None:
    """What speaks against a change in the guest, where its own word is there or not."""
    guest = facts.guest
    if guest is None:
        return Refusal("nobody-inside", "nobody could look inside the guest", verdict.next_steps)
    if not guest.complete:
        return Refusal(
            "answer-not-whole", "the guest's answer is not whole: a rule may be missing in it", _again(facts)
        )
    if guest.root is not True:
        login = diagnose_again(facts, "--ssh-user root")
        why = "the look inside was not root's, and only root may change anything"
        return Refusal(
            "not-root", why, (NextStep("log in as root, or as a user who may sudo without a password", login),)
        )
    return None


def stands_still(facts: Facts) -> bool:
    """The boot stopped in a maintenance shell, by the console's newest lines, and nobody answers elsewhere."""
    serial = facts.serial
    stopped = serial is not None and serial.outlook is Outlook.NOT_BOOTED and serial.state is SerialState.EMERGENCY
    return facts.guest is None and (stopped or facts.stopped is not None)


def where_it_stopped(facts: Facts, verdict: Verdict) -> Refusal | None:
    """What speaks against a change in the maintenance shell of a boot that stopped."""
    stopped = facts.stopped
    if stopped is None:
        return _nobody_in_the_shell(facts, verdict)
    if not stopped.whole:
        return Refusal("answer-not-whole", "what the maintenance shell said is not whole", _again(facts))
    if not stopped.root or stopped.stage not in ("emergency", "rescue"):
        why = "the shell at the console is not root's, or not that of a boot that stopped"
        return Refusal("not-root", why, verdict.next_steps)
    about_root = [unit for unit in stopped.failed if unit in _OF_THE_ROOT]
    if not stopped.writable or about_root:
        why = f"the root file system may be damaged ({about_root[0] if about_root else 'it is read-only'})"
        return Refusal("root-file-system", f"{why}: nothing is written to it", verdict.next_steps)
    if not stopped.plain:
        return Refusal("fstab-not-plain", "/etc/fstab is no plain file: somebody else writes it", verdict.next_steps)
    if not stopped.stopping:
        why = "the boot stopped for another reason than a line of /etc/fstab"
        failed = f": {', '.join(stopped.failed[:3])} failed" if stopped.failed else ""
        return Refusal("no-safe-cure", why + failed, verdict.next_steps)
    if not boot_cure(stopped):
        mounts = ", ".join(line.mount for line in stopped.stopping)
        return Refusal("needed-mount", f"the system itself needs what is not mounted ({mounts})", verdict.next_steps)
    return None


#: units whose failure speaks of the root file system itself
_OF_THE_ROOT = ("systemd-fsck-root.service", "systemd-remount-fs.service")


def _nobody_in_the_shell(facts: Facts, verdict: Verdict) -> Refusal:
    locked = facts.serial is not None and any(event.code == ROOT_LOCKED.code for event in facts.serial.deciding)
    if locked:
        why = (
            "the boot stopped in a maintenance shell that nobody can enter, for root is locked: repair the disk offline"
        )
        known = (*verdict.next_steps, *known_remedies(ROOT_LOCKED.named(), facts))
        offline = [step for step in known if not (step.command or "").startswith(("az serial-console", "az vm disk"))]
        at_boot_menu = [step for step in known if "boot menu" in step.action]
        return Refusal("root-locked", why, tuple(dict.fromkeys((*offline, *at_boot_menu))))
    said = facts.detail(SERIAL_CONSOLE)
    why = "the boot stopped in a maintenance shell, and nobody looked inside"
    step = NextStep(
        "log in there with root's password, and repair what the boot waits for",
        diagnose_again(facts, "--console-user", "root", "--repair"),
        effect="shows the lines of /etc/fstab for which the boot stopped, and asks before it changes any",
        risk="none known",
        downtime="none",
    )
    return Refusal("emergency-shell", f"{why} ({said})" if said else why, (step, *verdict.next_steps))


def no_channel(facts: Facts) -> Refusal | None:
    """The guest's answer came by hand: nothing can be carried back the same way but a script to paste."""
    if facts.guest_channel in CARRIERS:
        return None
    by_hand = f"{facts.guest_channel or 'no channel'} cannot carry a change into the guest"
    why = f"{by_hand}" if facts.guest_channel != PASTE else "the answer was brought by hand: no channel leads back"
    return Refusal("no-channel", why, _other_ways(facts))


def ends_its_channel(actions: Sequence[Action], facts: Facts, verdict: Verdict) -> Refusal | None:
    """A run command whose script restarts the agent is not answered, and can wedge the channel for good.

    (azure-cli#14642; learn.microsoft.com says the same of Windows.) A restart that comes from outside it does no harm.
    """
    if facts.guest_channel not in (RUN_COMMAND, MANAGED_RUN_COMMAND):
        return None
    for action in actions:
        if action.risk is Risk.AGENT_RESTART and DETACHED not in action.arguments:
            why = f"to {action.change} restarts the agent, and with it the run command that would wait for the answer"
            return Refusal("ends-its-channel", why, (*_other_ways(facts), *verdict.next_steps))
    return None


def _other_ways(facts: Facts) -> tuple[NextStep, ...]:
    script = NextStep(
        "print the repair as a script, and paste it into a root shell of the guest",
        diagnose_again(facts, "--repair", "--print-script"),
        effect="the same backed-up repair; prints only",
        risk="none known",
        downtime="none",
    )
    return (script, NextStep("give a login", _command(facts, "--ssh-user", "USER")))


def not_carried(steps: Sequence[Step], verdict: Verdict) -> Refusal | None:
    """What the guest's program does not take: more than its answer can tell of, or text that it could not compare."""
    if len(steps) > MOST_ACTIONS:
        why = f"{len(steps)} changes are more than one repair makes: a person has to look at them"
        return Refusal("too-many-changes", why, verdict.next_steps)
    for text in (text for step in steps for text in step.arguments):
        if len(text) > MOST_BYTES or not text.isascii() or not text.isprintable():
            why = f"its text is too long or holds other characters than printable ASCII: {text[:120]}"
            return Refusal("text-not-carried", why, verdict.next_steps)
    return None


def of_a_rule(rules: tuple[BlockingRule, ...], verdict: Verdict) -> Refusal | None:
    """The first blocking rule that may not be touched. To remove only the others would help nobody."""
    for rule in rules:
        if rule.tool in MANAGED_BY:
            owner = MANAGED_BY[rule.tool]
            return Refusal("rule-is-managed", f"{owner} writes this rule anew: {rule.rule}", verdict.next_steps)
        if rule_cure(rule) is None:
            return Refusal(
                "no-exact-undo", f"no exact way back is known for what blocks: {rule.rule}", verdict.next_steps
            )
    return None


def no_safe_cure(facts: Facts, verdict: Verdict) -> Refusal:
    """A cause that a person has to weigh; the ephemeral OS disk is named where it is what forbids the cure."""
    vm = facts.vm
    if vm is not None and vm.ephemeral_os_disk and verdict.scenario in _FROM_OUTSIDE:
        return Refusal(*EPHEMERAL, verdict.next_steps)
    cause = f"{verdict.cause.title} ({verdict.cause.code})" if verdict.cause else verdict.summary
    if verdict.scenario is Scenario.PLATFORM:
        return Refusal("platform-side", f"nothing on the VM needs a change: {cause}", verdict.next_steps)
    why = f"no change is known that cures this on every VM and can be undone: {cause}"
    return Refusal("no-safe-cure", why, verdict.next_steps)


def not_tested(facts: Facts, rule: BlockingRule, verdict: Verdict) -> Refusal:
    """A rule that reads as if it blocked, where neither a test nor the agent's log says that it does."""
    missing = "; ".join(reason.what for reason in verdict.not_checked)
    why = f"whether this rule does any harm was not seen ({missing}): {rule.rule}"
    return Refusal("uncertain", why, (*_again(facts), *verdict.next_steps))


_FROM_OUTSIDE = (Scenario.PLATFORM, Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING)


def _again(facts: Facts) -> tuple[NextStep, ...]:
    return (NextStep("ask again", _command(facts)),)


def _command(facts: Facts, *more: str) -> str:
    """Shows the plan that there is then."""
    return diagnose_again(facts, "--repair", "--dry-run", *more)
