"""Scenario 1: the agent's service is active, or was until the kernel ended it, and Azure hears nothing."""

from __future__ import annotations

from azext_vmagent.causes.agent_signs import complains
from azext_vmagent.causes.catalogue.agent_steps import GUIDE, RESTART, SEE_LOG, START, UPDATE, UPDATE_AGENT
from azext_vmagent.causes.known_cause import Kind, KnownCause, Remedy, Where
from azext_vmagent.causes.signs import inside, serial_line
from azext_vmagent.facts.serial_signature import KERNEL
from azext_vmagent.model import Scenario

WEDGED = KnownCause(
    code="L28",
    slug="agent-wedged",
    title="The agent runs but does nothing",
    scenario=Scenario.AGENT_STOPPED,
    means="systemd calls the service active, yet the agent does no work: its log has not moved for more than an hour "
    "(it writes a heartbeat every half hour), its process was halted by a signal or a debugger, its unit is frozen, "
    "or "
    "the daemon runs without the worker that fetches goal states and reports.",
    looks_like=(
        "systemctl is-active waagent: active",
        "the newest [HEARTBEAT] line of /var/log/waagent.log is hours old",
        "ps shows the agent in state T",
        "only «waagent -daemon» and no «-run-exthandlers» in ps",
    ),
    not_to_confuse=(
        "L42: the guest's clock is wrong, so that a fresh line looks old.",
        "L41: a file tells the agent to sleep.",
        "L14: it waits for cloud-init, for half an hour at most.",
        "P06: the platform has not noticed yet that it works again.",
    ),
    signs=(inside("service", "processes", "agent log"),),
    remedies=(
        SEE_LOG,
        Remedy(
            "wake it: thaw its unit, then restart it",
            "systemctl thaw {unit}; systemctl restart {unit}",
            effect=RESTART.effect,
            risk="an extension that is being installed is interrupted",
        ),
        UPDATE_AGENT,
    ),
    links=(GUIDE, UPDATE),
    sources=("WALA#110", "WALA#972", "WALA ga/update.py, TELEMETRY_HEARTBEAT_PERIOD"),
)

OUT_OF_MEMORY = KnownCause(
    code="L29",
    slug="agent-out-of-memory",
    title="The agent was killed for lack of memory",
    scenario=Scenario.AGENT_STOPPED,
    means="The guest ran out of memory and the kernel chose the agent's process to be killed, or a leak in an old "
    "agent "
    "(2.2.18, 2.2.25, 2.2.41 are known for it) made it the biggest. systemd starts it again, unless it was told not "
    "to "
    "or it happens too often.",
    looks_like=(
        "waagent.service: A process of this unit has been killed by the OOM killer.",
        "waagent.service: Failed with result 'oom-kill'.",
        "oom-kill:constraint=CONSTRAINT_NONE,…,task_memcg=/azure.slice/walinuxagent.service,task=python3,…",
        "Agent WALinuxAgent-2.9.1.1 is reached memory limit -- exiting",
    ),
    not_to_confuse=(
        "B27: the log collector killed in its own small memory group, every hour: harmless.",
        "B26: other programs were killed; the whole guest is short of memory.",
    ),
    signs=(
        inside("service"),
        *complains(
            "killed by the OOM killer",
            r"(?P<culprit>(?:waagent|walinuxagent)\.service): A process of this unit has been killed by the OOM "
            r"killer",
            "systemd saw the kernel kill a process of the agent",
        ),
        *complains("reached memory limit", r"Agent (?P<culprit>WALinuxAgent-\S{1,20}) is reached memory limit"),
        serial_line(
            "oom-kill:",
            KERNEL + r"oom-kill:constraint=\w{1,40},.{0,400}task_memcg=/(?:[\w.-]{1,60}/){0,3}(?:waagent|walinuxagent)"
            r"\.service\S{0,80}?,task=(?P<culprit>[^,]{1,40}),",
            "the kernel killed a process of the agent for lack of memory",
        ),
    ),
    covers=("L05",),
    remedies=(
        Remedy("see what uses the memory", "free -m; ps -eo pid,rss,args --sort=-rss | head", effect="reads only"),
        START,
        Remedy("give the VM more memory, or the guest swap space", effect="the kernel needs to kill nobody"),
        UPDATE_AGENT,
    ),
    links=("troubleshoot/azure/virtual-machines/linux/create-swap-file-linux-vm", UPDATE),
    sources=("WALA#1092", "WALA#1321", "WALA#1591", "Linux mm/oom_kill.c"),
)

DISABLED_BY_FILE = KnownCause(
    code="L41",
    slug="agent-disabled-by-file",
    title="The agent sleeps because a file tells it to",
    scenario=Scenario.AGENT_STOPPED,
    means="While /var/lib/waagent/disable_agent exists, the daemon starts, writes one warning and sleeps for ever. "
    "The "
    "agent writes that file itself when the VM was created without an agent (provisionVMAgent false); an image made "
    "of "
    "such a VM carries the file along, and then it silences agents that should work.",
    looks_like=(
        "Disabling the guest agent by sleeping forever; to re-enable, remove /var/lib/waagent/disable_agent and "
        "restart",
        "systemctl is-active waagent: active, and no process with -run-exthandlers",
    ),
    not_to_confuse=(
        "P04: the VM's model says that it has no agent; then the file is meant.",
        "L28: no file, and the agent hangs.",
    ),
    signs=(
        inside("disable_agent", "processes", "service"),
        *complains(
            "Disabling the guest agent by sleeping forever",
            r"Disabling the guest agent by sleeping forever(?:; to re-enable, remove (?P<culprit>/\S{1,100}))?",
            "the agent says that it sleeps",
            at_start=True,
        ),
    ),
    covers=("L28",),
    remedies=(
        Remedy(
            "remove the file and restart the agent",
            "rm /var/lib/waagent/disable_agent && systemctl restart {unit}",
            effect=RESTART.effect,
            undo="touch /var/lib/waagent/disable_agent && systemctl restart {unit}",
        ),
        Remedy(
            "if the VM is also told to allow no extensions, allow them",
            "az vm update {vm} --set osProfile.allowExtensionOperations=true",
            where=Where.AZ,
            effect="extensions and run commands are accepted again",
            undo="az vm update {vm} --set osProfile.allowExtensionOperations=false",
        ),
    ),
    links=(GUIDE,),
    sources=("WALA daemon/main.py, sleep_if_disabled", "WALA pa/provision/default.py"),
)

CLOCK_OFF = KnownCause(
    code="L42",
    slug="clock-off",
    title="The guest's clock is wrong",
    kind=Kind.STATE,
    means="The guest's clock is ahead of ours by minutes, or behind by a day or more. Everything that the guest "
    "dates is "
    "then wrong: a fresh heartbeat looks old, certificates look expired or not yet valid. The agent reports all the "
    "same; extensions that talk to Azure over TLS may fail.",
    looks_like=(
        "date in the guest differs from the time of day",
        "log lines from the future",
        "certificate is not yet valid",
    ),
    not_to_confuse=("L28: the clock is right and the log is old.",),
    signs=(inside("system"),),
    remedies=(
        Remedy("see what sets the clock", "timedatectl; chronyc tracking", effect="reads only"),
        Remedy(
            "let chrony set it from the host's clock at once",
            "chronyc makestep || systemctl restart systemd-timesyncd",
            effect="the clock is right",
            risk="programs see a jump of time",
        ),
    ),
    links=("azure/virtual-machines/linux/time-sync",),
    sources=("azure/virtual-machines/linux/time-sync", "our laboratory"),
)
