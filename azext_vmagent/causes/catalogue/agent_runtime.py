"""Scenario 1: the agent's program cannot start or breaks: its Python, its modules, its versions."""

from __future__ import annotations

from azext_vmagent.causes.agent_signs import complains, printed
from azext_vmagent.causes.catalogue.agent_steps import (
    GUIDE,
    REINSTALL,
    RESTART,
    SEE_WHY,
    UPDATE,
    VM_ASSIST,
)
from azext_vmagent.causes.known_cause import KnownCause, Remedy, Variant
from azext_vmagent.causes.signs import inside, serial_line
from azext_vmagent.model import Scenario

_SETTLED_BY = ("service", "agent's program")
_WHICH_PYTHON = Remedy(
    "see which Python the unit starts, and whether it can import the agent",
    "systemctl cat {unit} | grep ExecStart; ls -l /usr/bin/python3 /usr/bin/python; "
    "/usr/bin/python3 -c 'import azurelinuxagent; print(azurelinuxagent.__file__)'",
    effect="reads only",
)
_OWN_PYTHON = Remedy(
    "let /usr/bin/python3 be the distribution's own again, and start other software with its own path",
    effect="the agent finds its modules; so do apt, dnf and cloud-init",
    risk="software that relied on the other Python must name it by its path",
)

MODULE_MISSING = KnownCause(
    code="L06",
    slug="agent-module-missing",
    title="The agent's Python cannot import the agent",
    variants=(Variant("agent-program-fails", "The agent's program fails as soon as it starts"),),
    scenario=Scenario.AGENT_STOPPED,
    means="The program that the unit starts is only a few lines; the agent itself is the Python module "
    "azurelinuxagent. "
    "The Python that is used does not find it: a new minor version of Python has another module folder, "
    "/usr/bin/python "
    "was pointed elsewhere, the module's files were deleted, or the agent was installed for another Python. The "
    "agent "
    "ends before it can write a line to its own log.",
    looks_like=(
        "ModuleNotFoundError: No module named 'azurelinuxagent'",
        "ImportError: No module named azurelinuxagent.agent",
        "importlib.metadata.PackageNotFoundError: No package metadata was found for WALinuxAgent",
    ),
    not_to_confuse=(
        "L09: what is missing is distutils, which Python 3.12 took out.",
        "L07: the agent's module is found and the module distro is not.",
        "An extension's traceback about a missing module: the agent is well.",
    ),
    signs=(
        inside(*_SETTLED_BY),
        *complains(
            "azurelinuxagent",
            r"(?:ModuleNotFoundError|ImportError): No module named "
            r"'?(?P<culprit>azurelinuxagent[\w.]{0,40})",
            at_start=True,
        ),
        *printed(
            "No package metadata",
            r"PackageNotFoundError: No package metadata was found for "
            r"(?P<culprit>WALinuxAgent)",
        ),
        *printed(
            "o module named",
            r"(?:ModuleNotFoundError|ImportError): No module named "
            r"'?(?P<culprit>(?!distutils|imp\b|crypt\b|azurelinuxagent)[\w.]{1,60})",
        ),
        *printed("annot import name", r"ImportError: cannot import name '?(?P<culprit>\w{1,60})"),
    ),
    covers=("L05",),
    remedies=(SEE_WHY, _WHICH_PYTHON, *REINSTALL),
    links=(GUIDE, VM_ASSIST, UPDATE),
    sources=("WALA#2310", "WALA#1499", "WALA#322", "vmassist: tux.md, Loading modules"),
)

PYTHON_SHADOWED = KnownCause(
    code="L07",
    slug="python-shadowed",
    title="Another Python than the distribution's starts the agent",
    scenario=Scenario.AGENT_STOPPED,
    means="Somebody installed a Python of their own (from source, pyenv, Anaconda, a newer package) and pointed "
    "/usr/bin/python3 or the PATH at it. It lacks the modules that the distribution's Python brings, above all "
    "distro, "
    "with which the agent finds out what system it is on, so the agent ends at once.",
    looks_like=(
        "NameError: name 'distro' is not defined",
        "/usr/bin/python3 is a link to /usr/local/bin/python3.9",
    ),
    not_to_confuse=(
        "L08: the agent is too old for the distribution's own Python.",
        "L06: it is the agent's own module that is not found.",
        "L10: the daemon starts; its worker is started with a Python from the PATH.",
    ),
    signs=(
        inside(*_SETTLED_BY),
        *printed("distro", r"NameError: (?:global )?name 'distro' is not defined"),
    ),
    covers=("L05",),
    remedies=(_WHICH_PYTHON, _OWN_PYTHON, *REINSTALL),
    links=(VM_ASSIST, GUIDE, UPDATE),
    sources=("WALA#3207", "WALA#1753", "vmassist: tux.md, Python issues"),
)

TOO_OLD = KnownCause(
    code="L08",
    slug="agent-too-old-for-python",
    title="The agent is too old for the Python that it is started with",
    scenario=Scenario.AGENT_STOPPED,
    means="The Python was upgraded and the agent was not. Python 3.8 took away the function with which old agents "
    "find "
    "out what distribution they run on, Python 3.12 the module imp that their start script imports, Python 3.13 the "
    "module crypt, with which they set passwords. The agent ends before it does anything.",
    looks_like=(
        "AttributeError: module 'platform' has no attribute '_supported_dists'",
        "AttributeError: module 'platform' has no attribute 'linux_distribution'",
        "ModuleNotFoundError: No module named 'imp'",
    ),
    not_to_confuse=(
        "L07: the Python is not the distribution's; then a new agent would fail as well.",
        "A DeprecationWarning about imp is harmless.",
        "An extension's own traceback about imp: the agent is well.",
    ),
    signs=(
        inside(*_SETTLED_BY),
        *printed("no attribute", r"module 'platform' has no attribute '(?:_supported_dists|linux_distribution|dist)'"),
        *printed("o module named", r"(?:ModuleNotFoundError|ImportError): No module named '?(?P<culprit>imp|crypt)\b"),
    ),
    covers=("L05",),
    remedies=(
        Remedy(
            "update the agent to a version for this Python",
            effect="2.2.53 does without the first, 2.11 without crypt",
            link=UPDATE,
        ),
        Remedy(
            "where no newer agent is offered, install the distribution's module distro (Debian, Ubuntu)",
            "apt-get install -y python3-distro && systemctl restart {unit}",
            effect="the agent asks that module instead",
        ),
        *REINSTALL,
    ),
    links=(UPDATE, VM_ASSIST),
    sources=("WALA#2589", "WALA#2911", "WALA#3070", "bosh-linux-stemcell-builder PR#285"),
)

NO_DISTUTILS = KnownCause(
    code="L09",
    slug="distutils-missing",
    title="The agent's Python lacks distutils",
    scenario=Scenario.AGENT_STOPPED,
    means="The agent compares versions with Python's module distutils. Python 3.12 no longer has it, Debian and "
    "Ubuntu "
    "keep it in a package of its own, and a half-done reinstallation of Python can lose it. The installed agent then "
    "ends at once; where only newer downloaded builds need it, each is tried three times and given up for good.",
    looks_like=(
        "ModuleNotFoundError: No module named 'distutils'",
        "ModuleNotFoundError: No module named 'distutils.version'",
        "Agent WALinuxAgent-2.10.0.8 launched with command '…' failed with exception: No module named 'distutils'",
    ),
    not_to_confuse=(
        "L12: downloaded builds were given up for another reason.",
        "An extension's traceback about distutils: the agent is well, the extension is too old.",
    ),
    signs=(
        inside(*_SETTLED_BY),
        *printed(
            "distutils",
            r"(?:ModuleNotFoundError|ImportError): No module named "
            r"'?(?P<culprit>distutils[\w.]{0,20})",
        ),
        *complains(
            "distutils",
            r"(?:^|[ =])(?:WALinuxAgent|Agent WALinuxAgent|WALA)\b.{0,300}No module named "
            r"'?(?P<culprit>distutils[\w.]{0,20})",
            "the agent finds no distutils",
        ),
    ),
    covers=("L05", "L12"),
    remedies=(
        Remedy(
            "install it on Debian and Ubuntu (up to 23.04; later as part of setuptools)",
            "apt-get install -y python3-distutils || apt-get install -y python3-setuptools",
            effect="the module is there again",
        ),
        Remedy("update the agent: from 2.11 on it does without distutils", link=UPDATE),
        Remedy(
            "let builds be tried again that were given up, then restart the agent",
            "rm -f /var/lib/waagent/WALinuxAgent-*/error.json && systemctl restart {unit}",
            effect="the agent updates itself again",
        ),
    ),
    links=(UPDATE, VM_ASSIST),
    sources=("WALA#3123", "delphix-platform PR#534", "azure-pipelines-agent#5324"),
)

WORKER_PYTHON = KnownCause(
    code="L10",
    slug="worker-python-wrong",
    title="The daemon cannot start its worker: the python of the PATH is the wrong one",
    scenario=Scenario.AGENT_STOPPED,
    means="The daemon starts its worker with the words «python» or «python3» and takes what the PATH gives. With "
    "another "
    "interpreter there, or none, the worker never comes up; one packaged version (2.3.1.1 of CentOS) asked for a "
    "function that does not exist. The daemon tries again without a pause: the log has grown to 15 GB and filled "
    "disks.",
    looks_like=(
        "launched with command 'python -u /usr/sbin/waagent -run-exthandlers' failed with exception: name "
        "'get_python_cmd' is not defined",
        "NameError: name 'get_python_cmd' is not defined",
        "failed with exception: [Errno 2] No such file or directory: 'python3': 'python3'",
    ),
    not_to_confuse=(
        "L07: not even the daemon starts.",
        "L20: the log is huge for another reason.",
    ),
    signs=(
        *complains(
            "failed with exception: ",
            r"launched with command '.{1,160}' failed with exception: .{0,20}(?:name '(?P<culprit>get_python_cmd)' "
            r"is not "
            r"defined|\[Errno 2\] No such file or directory: '?python[\d.]{0,5}\b)",
            "the daemon cannot start its worker",
            at_start=True,
        ),
        *complains("get_python_cmd", r"NameError: (?:global )?name '(?P<culprit>get_python_cmd)'", at_start=True),
    ),
    covers=("L20", "L12"),
    remedies=(
        Remedy(
            "see which python the daemon finds, and what the unit starts",
            "systemctl cat {unit} | grep -E 'ExecStart|Environment'; ls -l /usr/bin/python /usr/bin/python3",
            effect="reads only",
        ),
        Remedy(
            "make /usr/bin/python3 the distribution's again, free the disk of the log, and update the agent",
            effect="the worker starts",
            link=UPDATE,
        ),
        RESTART,
    ),
    links=(UPDATE, VM_ASSIST),
    sources=("WALA#2336", "WALA#2802", "WALA#2126", "AzureBuildCentOS#116"),
)

INTERPRETER = KnownCause(
    code="L43",
    slug="interpreter-broken",
    title="The agent's interpreter cannot be started",
    scenario=Scenario.AGENT_STOPPED,
    means="The Python that the agent's unit or start script names is not there, may not be executed, or does not "
    "start "
    "itself (a library is missing, its own modules are damaged). The agent's files may all be well.",
    looks_like=(
        "waagent.service: Failed at step EXEC spawning /usr/bin/python3: No such file or directory",
        "Main process exited, code=exited, status=203/EXEC",
        "/usr/bin/python3: error while loading shared libraries: libz.so.1",
    ),
    not_to_confuse=(
        "L25: it is waagent itself that may not be executed.",
        "L06: Python starts and does not find the agent's module.",
    ),
    signs=(
        inside(*_SETTLED_BY),
        serial_line(
            ".service: Failed ",
            r"(?:waagent|walinuxagent)\.service: Failed (?:at step EXEC spawning|to execute) "
            r"(?P<culprit>/\S{0,80}python[\d.]{0,5}): ",
            "systemd could not start the interpreter",
        ),
    ),
    covers=("L05", "L01"),
    remedies=(
        Remedy("see what it is", "ls -lL {culprit}; head -n 1 /usr/sbin/waagent", effect="reads only"),
        Remedy("put the distribution's Python back (its package python3), then the agent's package"),
        *REINSTALL,
    ),
    links=(VM_ASSIST, UPDATE),
    sources=("systemd.exec(5), Process exit codes", "our laboratory"),
)
