"""Scenario 1: the agent's service does not run, by systemd's word."""

from __future__ import annotations

from azext_vmagent.causes.agent_signs import complains, console_line
from azext_vmagent.causes.catalogue.agent_steps import (
    GUIDE,
    REINSTALL,
    REPORTS_AGAIN,
    SEE_WHY,
    START,
    UPDATE,
    UPDATE_AGENT,
)
from azext_vmagent.causes.known_cause import KnownCause, Remedy, Variant
from azext_vmagent.causes.signs import inside
from azext_vmagent.facts.serial_signature import DONE, STATUS, SYSTEMD
from azext_vmagent.model import Scenario

_UNIT = r"(?:waagent|walinuxagent)\.service"
_STARTED = ("Linux Agent", DONE + r"Started .{0,60}Azure Linux Agent")

STOPPED = KnownCause(
    code="L01",
    slug="agent-stopped",
    title="The agent's service is stopped",
    scenario=Scenario.AGENT_STOPPED,
    means="Somebody or something stopped the service of the Azure Linux agent (waagent.service, on Debian and Ubuntu "
    "walinuxagent.service). It starts again at the next boot. Until then the VM works as before, but Azure hears "
    "nothing from it: no extension and no run command is carried out.",
    looks_like=(
        "systemctl is-active waagent: inactive",
        "Active: inactive (dead) since …",
        "SSH and every other service of the VM work",
    ),
    not_to_confuse=(
        "L02: it is disabled as well, so that it is gone after a restart, too.",
        "L05: it does not stay stopped by itself, it crashes at every start.",
        "L28: the service is active and the agent does nothing.",
    ),
    signs=(inside("service"),),
    remedies=(
        Remedy(
            "start the agent in the guest",
            "systemctl start {unit}",
            effect=REPORTS_AGAIN,
            undo="systemctl stop {unit}",
        ),
        Remedy("if it does not stay up, update the agent", effect="replaces a broken agent", link=UPDATE),
    ),
    links=(GUIDE, UPDATE),
    sources=("linux-azure-guest-agent.md, scenario 1",),
)

DISABLED = KnownCause(
    code="L02",
    slug="agent-disabled",
    title="The agent is stopped and does not start at boot",
    scenario=Scenario.AGENT_STOPPED,
    means="The agent's unit is disabled: nothing starts it when the VM boots. It went unnoticed as long as the agent "
    "still ran; since the last restart it is gone. Hardening scripts and presets disable it, and so do people who "
    "wanted to switch it off for a moment.",
    looks_like=(
        "systemctl is-enabled waagent: disabled",
        "Loaded: loaded (/usr/lib/systemd/system/waagent.service; disabled; …)",
        "Active: inactive (dead)",
    ),
    not_to_confuse=(
        "L01: enabled and stopped: it comes back at the next boot.",
        "L03: masked: it cannot even be started by hand.",
    ),
    signs=(inside("service"),),
    covers=("L01",),
    remedies=(
        Remedy(
            "let it start at boot, and start it now",
            "systemctl enable --now {unit}",
            effect=REPORTS_AGAIN,
            undo="systemctl disable --now {unit}",
        ),
    ),
    links=(GUIDE,),
    sources=("WALA#2646", "vmassist: tux.md, Agent configurations"),
)

MASKED = KnownCause(
    code="L03",
    slug="agent-masked",
    title="The agent's unit is masked",
    scenario=Scenario.AGENT_STOPPED,
    means="The unit's file is a link to /dev/null, so that nothing can start it: no boot, no person, no other "
    "service. "
    "Somebody masked it on purpose; Debian also leaves a mask behind when the package is removed.",
    looks_like=(
        "systemctl is-enabled waagent: masked",
        "Loaded: masked (Reason: Unit waagent.service is masked.)",
        "Failed to start waagent.service: Unit waagent.service is masked.",
    ),
    not_to_confuse=(
        "L02: only disabled: it can be started by hand.",
        "L04: the package is gone and its mask is left.",
    ),
    signs=(inside("service"),),
    covers=("L01",),
    remedies=(
        Remedy(
            "take the mask off, let it start at boot, and start it now",
            "systemctl unmask {unit} && systemctl enable --now {unit}",
            effect=REPORTS_AGAIN,
            undo="systemctl mask --now {unit}",
        ),
    ),
    links=(GUIDE,),
    sources=("vmassist.sh, service states", "systemctl(1), mask"),
)

NOT_INSTALLED = KnownCause(
    code="L04",
    slug="agent-not-installed",
    title="The agent is not installed",
    scenario=Scenario.AGENT_STOPPED,
    means="There is no unit waagent or walinuxagent, or its program is gone together with its package. It was "
    "removed "
    "(by hand, or by a clean-up of «unused» packages), or the disk came from elsewhere and never had it. Azure "
    "cannot "
    "hear from such a VM, and no extension can be installed.",
    looks_like=(
        "Unit waagent.service could not be found.",
        "systemctl status ends with exit code 4",
        "which waagent prints nothing",
        "dpkg: rc walinuxagent (removed, configuration left)",
    ),
    not_to_confuse=(
        "P03: an image that has no agent by design; then nothing is wrong.",
        "L25: the package is there and only its program is missing.",
    ),
    signs=(inside("service", "agent's program"),),
    covers=("L01", "L03", "L05"),
    remedies=REINSTALL,
    links=(UPDATE, GUIDE),
    sources=("vmassist.sh, service states", "vmassist: tux.md"),
)

CRASHES = KnownCause(
    code="L05",
    slug="agent-crashes",
    title="The agent's service fails to start",
    variants=(
        Variant("start-limit-hit", "systemd has given up starting the agent"),
        Variant("agent-killed", "The agent was killed by a signal"),
        Variant("agent-start-failed", "systemd could not start the agent"),
        Variant("agent-crash-loop", "The agent's daemon crashes and starts over"),
    ),
    scenario=Scenario.AGENT_STOPPED,
    means="The agent ends with an error each time it is started. systemd starts it again some times and then gives "
    "up; "
    "from then on it waits for a person. This is what is seen, not why: the journal's last lines before each end "
    "tell "
    "that, mostly a Python that cannot run the agent, a full disk, or a drop-in that changes what is started.",
    looks_like=(
        "waagent.service: Start request repeated too quickly.",
        "waagent.service: Failed with result 'exit-code'.",
        "[FAILED] Failed to start Azure Linux Agent.",
        "Active: activating (auto-restart) (Result: exit-code)",
        "WARNING Daemon Daemon ended with exception -- Sleep 15 seconds and restart daemon",
    ),
    not_to_confuse=(
        "L06, L07, L08, L09, L43: the reason is known, it is the agent's Python.",
        "L01: it was stopped and would run.",
        "One «Daemon ended with exception» in an agent that went on to work is over.",
    ),
    signs=(
        inside("service"),
        *complains("Daemon ended with exception", at_start=True),
        console_line(
            "Linux Agent",
            STATUS + r"Failed to start .{0,60}Azure Linux Agent",
            until=_STARTED,
            variant="agent-start-failed",
        ),
        console_line(
            "repeated too quickly",
            SYSTEMD + _UNIT + r": [Ss]tart request repeated too quickly",
            variant="start-limit-hit",
        ),
    ),
    remedies=(
        SEE_WHY,
        Remedy(
            "when the reason is mended, let systemd try again",
            "systemctl reset-failed {unit}; systemctl start {unit}",
            effect=REPORTS_AGAIN,
            undo="systemctl stop {unit}",
        ),
        UPDATE_AGENT,
    ),
    links=(GUIDE, UPDATE),
    sources=("WALA#804", "WALA daemon/main.py", "systemd.unit(5), StartLimitIntervalSec"),
)

INCOMPLETE = KnownCause(
    code="L25",
    slug="agent-config-missing",
    title="The agent's configuration is missing",
    variants=(
        Variant("agent-not-executable", "The agent's program is not executable"),
        Variant("agent-program-missing", "The agent's program is missing"),
    ),
    scenario=Scenario.AGENT_STOPPED,
    means="The agent's unit is started only if /etc/waagent.conf exists and /usr/sbin/waagent may be executed. One "
    "of "
    "them is not so: a clean-up deleted the file, a script took the execute bit away, a restore left one of them "
    "out. "
    "systemd then skips the start without calling it a failure.",
    looks_like=(
        "ConditionPathExists=/etc/waagent.conf was not met",
        "ConditionFileIsExecutable=/usr/sbin/waagent was not met",
        "Azure Linux Agent was skipped because of an unmet condition check (ConditionPathExists=/etc/waagent.conf).",
        "Condition check resulted in Azure Linux Agent being skipped.",
        "[AgentConfigError] Missing configuration in /etc/waagent.conf",
    ),
    not_to_confuse=(
        "L40: the unit has another condition, added by somebody, that is not met.",
        "L04: the whole package is gone.",
    ),
    signs=(
        inside("service", "configuration", "agent's program"),
        *complains("Missing configuration in", r"Missing configuration in (?P<culprit>/\S{1,80})", at_start=True),
        console_line(
            "was skipped because of",
            r"(?:Azure Linux Agent|" + _UNIT + r").{0,80} was skipped because of (?:an unmet|a failed) condition "
            r"check "
            r"\((?:ConditionPathExists=(?P<culprit>/etc/waagent\.conf)|ConditionFileIsExecutable=\S{0,60}/waagent)\)",
            "systemd skipped the agent's start",
            until=_STARTED,
        ),
    ),
    covers=("L01", "L05", "L40"),
    remedies=(
        Remedy("see which of the two it is", "ls -l /etc/waagent.conf /usr/sbin/waagent", effect="reads only"),
        Remedy(
            "if the execute bit is gone, set it and start the agent",
            "chmod a+x /usr/sbin/waagent && systemctl start {unit}",
            effect=REPORTS_AGAIN,
            undo="systemctl stop {unit}; chmod a-x /usr/sbin/waagent",
        ),
        *REINSTALL,
    ),
    links=(GUIDE, UPDATE),
    sources=("WALA init/waagent.service", "WALA common/conf.py, AgentConfigError"),
)

ALREADY_RUNNING = KnownCause(
    code="L30",
    slug="daemon-already-running",
    title="A second daemon refuses to start because its process id is taken",
    variants=(Variant("agent-outside-its-service", "The agent was started by hand; its service is not active"),),
    scenario=Scenario.AGENT_STOPPED,
    means="The agent writes its process id into /var/run/waagent.pid and ends at once when that id is alive. Either "
    "an "
    "agent was started by hand outside its service (it works, and nothing starts it again when it ends), or the file "
    "is left from before and another process has got that id, so that the service never comes up.",
    looks_like=(
        "INFO Daemon Daemon is already running: 7217",
        "the service is inactive (dead), its exit status 0",
        "ps shows a waagent -daemon that systemctl does not know",
    ),
    not_to_confuse=(
        "L01: stopped, and no agent runs.",
        "L32: two installations of the agent, each with a unit.",
    ),
    signs=(
        inside(),
        *complains("Daemon is already running", r"Daemon is already running: (?P<culprit>\d{1,10})", at_start=True),
    ),
    covers=("L01", "L05"),
    remedies=(
        Remedy(
            "see whose process id it is",
            'cat /var/run/waagent.pid; ps -o pid,lstart,args -p "$(cat /var/run/waagent.pid)"',
            effect="reads only",
        ),
        Remedy(
            "if that process is no agent, remove the file and start the service",
            "rm /var/run/waagent.pid && systemctl restart {unit}",
            effect=REPORTS_AGAIN,
        ),
        Remedy(
            "if it is an agent that somebody started, end it and start the service",
            "kill {culprit} && systemctl restart {unit}",
            effect="the agent runs under systemd, which starts it again when it ends",
            risk="an extension that is being installed is interrupted",
        ),
    ),
    links=(GUIDE,),
    sources=("WALA daemon/main.py, check_pid",),
)

CONDITION = KnownCause(
    code="L40",
    slug="agent-condition-failed",
    title="A condition of the agent's unit is not met",
    scenario=Scenario.AGENT_STOPPED,
    means="The agent's unit, or a drop-in file beside it, names a condition for its start (a file, a host name, a "
    "kernel option), and it is not met. systemd skips the start and calls that no failure, so the unit looks as if "
    "somebody had stopped it.",
    looks_like=(
        "Condition: start condition failed",
        "ConditionPathExists=/etc/azure/agent-wanted was not met",
        "waagent.service was skipped because of an unmet condition check (…)",
    ),
    not_to_confuse=("L25: the conditions that every agent's unit has.", "L01: stopped by hand."),
    signs=(
        inside("service"),
        console_line(
            "was skipped because of",
            r"(?:Azure Linux Agent|" + _UNIT + r").{0,80} was skipped because of (?:an unmet|a failed) condition "
            r"check \((?P<culprit>(?!ConditionPathExists=/etc/waagent\.conf|ConditionFileIsExecutable=)"
            r"\w{1,40}=[^)]{0,160})\)",
            "systemd skipped the agent's start",
            until=_STARTED,
        ),
    ),
    covers=("L01",),
    remedies=(
        Remedy("see the unit with its drop-ins", "systemctl cat {unit}", effect="reads only"),
        Remedy("make the condition true, or take it out of the unit, then start the agent"),
        START,
    ),
    links=(GUIDE,),
    sources=("systemd.unit(5), Conditions and Asserts",),
)

SOMETHING_ELSE = KnownCause(
    code="L44",
    slug="unit-runs-something-else",
    title="The agent's unit runs, but what it runs is not the agent",
    scenario=Scenario.AGENT_STOPPED,
    means="systemd calls the agent's unit active, yet no process in the guest is the agent. A drop-in or a changed "
    "unit starts another program under its name: a placeholder of a hardening script, a wrapper that waits for ever.",
    looks_like=(
        "systemctl is-active waagent: active",
        "ps shows no waagent",
        "ExecStart=/bin/sleep infinity in a drop-in",
    ),
    not_to_confuse=("L28: the agent's own process is there and does nothing.",),
    signs=(inside("service", "processes"),),
    remedies=(
        Remedy("see the unit with its drop-ins", "systemctl cat {unit}", effect="reads only"),
        Remedy(
            "take the line that changes ExecStart out of its file, then start the agent",
            "systemctl daemon-reload && systemctl restart {unit}",
            effect=REPORTS_AGAIN,
        ),
    ),
    links=(GUIDE,),
    sources=("systemd.service(5), ExecStart", "our laboratory"),
)

START_WAITS = KnownCause(
    code="L45",
    slug="agent-start-waits",
    title="The agent's start waits in systemd's queue for another unit",
    scenario=Scenario.AGENT_STOPPED,
    means="The agent's unit is ordered after others (cloud-init, network-online.target and what a drop-in or another "
    "unit adds), and one of them is still at work. In the first minutes of a boot that is normal. Where it never ends, "
    "the agent never starts; systemd calls the unit inactive, as if somebody had stopped it, and «systemctl start» "
    "only waits along.",
    looks_like=(
        "systemctl list-jobs --before: start waiting, waiting for job 819 (cloud-final.service/start)",
        "systemctl is-active waagent: inactive",
        "systemctl is-system-running: starting",
    ),
    not_to_confuse=(
        "L01: nobody has asked systemd to start it.",
        "L14: the agent runs already, and waits for cloud-init by itself.",
    ),
    signs=(inside("service"),),
    covers=("L01",),
    remedies=(
        Remedy("see what it waits for", "systemctl list-jobs --before", effect="reads only"),
        Remedy(
            "mend what hangs, or stop it if this VM can do without it: the agent starts by itself then",
            effect=REPORTS_AGAIN,
            risk="what is ordered after it starts without what it sets up",
        ),
    ),
    links=(GUIDE,),
    sources=("systemd.unit(5), Before=, After=", "our laboratory, faults agent-start-waits and just-created"),
)
