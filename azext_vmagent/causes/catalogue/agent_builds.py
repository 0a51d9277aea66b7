"""Scenario 1: the agent's builds and installations: given up, known to be broken, damaged, twice there, too old."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azext_vmagent.causes.agent_signs import complains
from azext_vmagent.causes.catalogue.agent_steps import (
    AGENT,
    GUIDE,
    REINSTALL,
    RESTART,
    SEE_LOG,
    UPDATE,
    UPDATE_AGENT,
    VM_ASSIST,
)
from azext_vmagent.causes.known_cause import Kind, KnownCause, Need, Remedy, Scene, Seen, Sign
from azext_vmagent.causes.signs import agent_says, guest_shows, guest_word, serial_line, vm_model
from azext_vmagent.facts.guest_facts import GuestFacts
from azext_vmagent.facts.instance_view import VmFacts
from azext_vmagent.model import Scenario

_PYTHON_2 = re.compile(r"/python2(?:\.\d)?$")
_OLD = re.compile(
    r"^(?:CentOS|Red Hat|Oracle|Scientific)\D{0,40}[67]\b|^Ubuntu 1[2-6]\.|^Debian GNU/Linux [789]\b"
    r"|^SUSE Linux Enterprise Server 1[12]\b"
)


def _python_2(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest or GuestFacts()
    interpreter = guest.program.interpreter
    old = _OLD.search(guest.distribution) is not None
    if _PYTHON_2.search(interpreter) or (old and interpreter.endswith("/python")):
        what = f"the unit starts the agent with {interpreter}"
        yield guest_word(scene.facts, what, "", guest.distribution or None, interpreter)


PYTHON_2 = KnownCause(
    code="L11",
    slug="python-2",
    title="The agent runs with Python 2, on a distribution past its end of life",
    kind=Kind.STATE,
    means="Every distribution that is still supported runs the agent with Python 3. Python 2 as the system's Python "
    "means that the distribution's maintenance has ended: no fixes of the agent's package, old openssl, and newer "
    "agents and extensions that no longer start. By itself it silences no agent.",
    looks_like=(
        "INFO Daemon Python: 2.7.5",
        "ExecStart=/usr/bin/python2 -u /usr/sbin/waagent -daemon",
        "CentOS Linux 7, Red Hat Enterprise Linux 6, Ubuntu 16.04",
    ),
    not_to_confuse=("L08: the Python is too new for the agent, not too old.",),
    signs=(
        guest_shows(_python_2, "system", "service", "agent's program"),
        *agent_says(
            "Python: 2.",
            r"(?:INFO|Daemon|ExtHandler) Python: (?P<culprit>2\.\d[\d.]{0,4})",
            "the agent says which Python runs it",
        ),
    ),
    remedies=(
        Remedy(
            "move the workload to a supported release",
            effect="a Python, an openssl and an agent that are maintained",
            risk="an upgrade in place can fail: take a snapshot of the OS disk first",
            link="azure/virtual-machines/linux/endorsed-distros",
        ),
    ),
    links=("troubleshoot/azure/virtual-machines/linux/linux-and-open-source-technology-support", VM_ASSIST),
    sources=("vmassist.sh, Python status", "vmassist: tux.md, Regarding old distributions"),
)

GIVEN_UP = KnownCause(
    code="L12",
    slug="agent-build-blacklisted",
    title="A build of the agent was given up after crashing again and again",
    scenario=Scenario.AGENT_STOPPED,
    means="The daemon runs the newest build of the agent that Azure has sent it. A build that ends more than three "
    "times "
    "in five minutes is marked as bad in its folder's error.json and never tried again. The daemon falls back to an "
    "older build; when none is left that works, nothing reports to Azure.",
    looks_like=(
        "Agent WALinuxAgent-2.10.0.8 restarted more than 3 times in 300 seconds",
        "Agent WALinuxAgent-2.10.0.8 is permanently blacklisted",
        "Agent WALinuxAgent-2.2.12 is blacklisted - skipping download",
        "Attempted enough update retries for version: … but still agent not recovered from bad state",
    ),
    not_to_confuse=(
        "«Blacklisting the agent … since a downgrade was requested»: Azure asked for the older version.",
        "L09: the build crashed because distutils is missing; mend that first.",
    ),
    signs=(
        *complains(
            "restarted more than",
            r"Agent (?P<culprit>WALinuxAgent-\S{1,20}) restarted more than \d+ times in \d+ seconds",
            "a build of the agent crashes again and again",
            at_start=True,
        ),
        *complains(
            "blacklisted",
            r"Agent (?P<culprit>WALinuxAgent-\S{1,20}) is (?:perm[ae]n[ae]ntly blacklisted|blacklisted - skipping)",
            "a build of the agent was given up",
            at_start=True,
        ),
        *complains(
            "Attempted enough update retries",
            r"Attempted enough update retries for version: (?P<culprit>\S{1,20})",
            "updates to a version were given up",
            at_start=True,
        ),
    ),
    covers=("L05",),
    remedies=(
        SEE_LOG,
        Remedy(
            "see which builds are marked, and why they ended",
            "grep -H . /var/lib/waagent/WALinuxAgent-*/error.json",
            effect="reads only",
        ),
        Remedy(
            "when the reason is mended, let them be tried again",
            "rm -f /var/lib/waagent/WALinuxAgent-*/error.json && systemctl restart {unit}",
            effect="the newest build is tried again",
        ),
    ),
    links=(UPDATE, GUIDE),
    sources=("WALA#319", "WALA#3123", "WALA#746", "WALA ga/guestagent.py, ga/update.py"),
)

_BAD = re.compile(r"^(?:2\.1\.[56]|2\.2\.(?:11|19))(?:\.\d|\D|$)")


def _bad_version(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """The goal state agent by its heartbeat; else what is installed, which a newer build may have replaced."""
    guest = scene.facts.guest or GuestFacts()
    beat = (
        re.search(r"Agent WALinuxAgent-(\S{1,20}) is running", guest.log.heartbeat.text)
        if guest.log.heartbeat
        else None
    )
    installed = [words[1] for words in (line.split() for line in guest.program.packages) if len(words) > 2]
    for version in [beat[1]] if beat else [guest.program.version, *installed]:
        if _BAD.match(version):
            yield guest_word(scene.facts, f"the agent's version is {version}", "", version, version)
            return


def _reported(vm: VmFacts) -> str | None:
    version = vm.agent_version or ""
    return f"the agent reported version {version}" if _BAD.match(version) else None


def _version_known(vm: VmFacts) -> bool:
    return bool(vm.agent_version) and vm.agent_version != "Unknown"


KNOWN_BAD = KnownCause(
    code="L26",
    slug="agent-version-known-bad",
    title="This version of the agent is known to stop reporting",
    scenario=Scenario.AGENT_STOPPED,
    means="The versions 2.1.5 and 2.1.6 do not know the kind of storage that newer platforms use for the status, and "
    "2.2.11 and 2.2.19 can lose the goal state that they keep in a file and never fetch it again. Such an agent runs "
    "and reports nothing more, or handles no extension.",
    looks_like=(
        "WALinuxAgent-2.2.11 running on …",
        "[ProtocolError] /var/lib/waagent/ExtensionsConfig.1.xml is missing.",
        "[ProtocolError] /var/lib/waagent/GoalState.1.xml is missing.",
        "Unknown is an unsupported blob type",
    ),
    not_to_confuse=(
        "W16, P16: merely old, or told not to update itself.",
        "L33: a newer agent that cannot refresh its goal state.",
    ),
    signs=(
        Sign(Need.GUEST, _bad_version),
        vm_model(_reported, "properties.instanceView.vmAgent.vmAgentVersion", _version_known),
        *complains(
            ".xml is missing",
            r"/(?P<culprit>(?:GoalState|ExtensionsConfig)\.\d{1,6}\.xml) is missing",
            "the agent misses the goal state that it has stored",
        ),
        *complains("is an unsupported blob type", r"(?P<culprit>\w{1,30}) is an unsupported blob type"),
        serial_line(
            "Linux Agent Version",
            r"Azure Linux Agent Version: ?(?P<culprit>(?:2\.1\.[56]|2\.2\.(?:11|19))(?:\.\w{1,4})?)(?:\s|$)",
            "the agent says its version at its start",
        ),
    ),
    remedies=(UPDATE_AGENT, RESTART),
    links=(
        "troubleshoot/azure/virtual-machines/linux/linux-agent-cannot-process-extensions",
        "troubleshoot/azure/virtual-machines/linux/linux-vm-extension-status-not-reported",
        UPDATE,
    ),
    sources=("linux-agent-cannot-process-extensions.md", "WALA#727", "WALA#585", "WALA#945"),
)

STATE_DAMAGED = KnownCause(
    code="L27",
    slug="agent-state-damaged",
    title="The agent cannot read a state file of its own",
    scenario=Scenario.AGENT_STOPPED,
    means="The agent keeps notes about each of its builds in error.json. A power loss or a full disk can leave such "
    "a "
    "file empty or cut; the agent cannot read it, and some versions end over it and start again without end, with "
    "steady load on processor and disk.",
    looks_like=(
        "Agent WALinuxAgent-2.2.12 failed loading error state: Expecting value: line 1 column 1 (char 0)",
        "failed with exception: 'NoneType' object has no attribute 'is_sentinel'",
    ),
    not_to_confuse=("L12: the file is well and says that the build is bad.", "L16: the disk is full now."),
    signs=complains(
        "failed loading error state",
        r"Agent (?P<culprit>WALinuxAgent-\S{1,20}) failed loading error state: (?:Expecting|No JSON object|Extra data"
        r"|Unterminated|Invalid|'\w{1,12}' codec)",
        "the agent cannot read the notes on one of its builds",
    ),
    covers=("L05",),
    remedies=(
        Remedy(
            "delete the file and restart the agent, which makes a new one",
            "rm -f /var/lib/waagent/{culprit}/error.json && systemctl restart {unit}",
            effect=RESTART.effect,
        ),
    ),
    links=(GUIDE, AGENT),
    sources=("WALA#828", "WALA ga/guestagent.py"),
)


def _two(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest or GuestFacts()
    program = guest.program
    installed = [line for line in program.packages if line.endswith(" installed")]
    names = {line.split()[0] for line in installed}
    if installed and program.path.startswith(("/usr/local/", "/opt/", "/root/", "/home/")):
        what = "the unit starts a waagent that is not the installed package's"
        yield guest_word(scene.facts, what, "packages", installed[0], program.path)
    elif len(names) > 1:
        yield guest_word(scene.facts, "two packages bring the agent", "packages", ", ".join(sorted(names)))
    daemons = [p for p in guest.processes or () if not p.worker and p.state[:1] != "Z"]
    if len({p.command for p in daemons}) > 1:
        what = "two daemons of the agent run, from different places"
        yield guest_word(scene.facts, what, "processes", daemons[1].command, str(daemons[1].pid))


TWO_AGENTS = KnownCause(
    code="L32",
    slug="two-agents-installed",
    title="The agent is installed twice",
    scenario=Scenario.AGENT_STOPPED,
    means="The agent was installed from GitHub (or with pip) beside the distribution's package. Program, module and "
    "unit "
    "then come from different versions: one overwrites the other's files, a Python finds the wrong module, or two "
    "daemons stand in each other's way, until an update of either breaks both.",
    looks_like=(
        "ExecStart=/usr/bin/python3 -u /usr/local/sbin/waagent -daemon while the package is installed",
        "dpkg -S /usr/sbin/waagent: no path found matching pattern",
        "two lines with «waagent -daemon» in ps",
    ),
    not_to_confuse=(
        "L30: one installation, and an agent started by hand.",
        "The folders WALinuxAgent-* in /var/lib/waagent are the agent's own updates.",
    ),
    signs=(Sign(Need.GUEST, _two),),
    remedies=(
        Remedy(
            "see which package owns program and module",
            "ls -l /usr/sbin/waagent /usr/local/sbin/waagent; dpkg -S /usr/sbin/waagent || rpm -qf "
            "/usr/sbin/waagent; "
            "pip3 list 2>/dev/null | grep -i walinuxagent",
            effect="reads only",
        ),
        Remedy(
            "remove the one that did not come from the distribution, then install the package again",
            effect="one program, one module, one unit",
        ),
        *REINSTALL,
    ),
    links=(VM_ASSIST, UPDATE),
    sources=("vmassist: tux.md, Custom sources", "vmassist.sh, owner of unit and program"),
)
