"""What keeps the program that the agent's unit starts from coming up: its files, its Python, what that printed."""

from __future__ import annotations

import re
from datetime import timedelta

from azext_vmagent.causes.catalogue import agent_runtime, agent_service
from azext_vmagent.facts.guest import GuestFacts
from azext_vmagent.model import Cause

CONF = "/etc/waagent.conf"
#: one turn of a crash loop: the start of Python on a slow guest
JUST_RESTARTED = timedelta(seconds=15)

_INTERPRETER = {"missing": "It is not there.", "not-executable": "It is not executable.", "broken": ""}
_IMPORTS = (
    (re.compile(r"No module named '?distutils"), agent_runtime.NO_DISTUTILS),
    (
        re.compile(r"_supported_dists|No module named '?(?:imp|crypt)\b"),
        agent_runtime.TOO_OLD,
    ),
    (
        re.compile(r"name 'distro' is not defined"),
        agent_runtime.PYTHON_SHADOWED,
    ),
    (
        re.compile(r"No module named '?([\w.]+)|cannot import name '?(\w+)|No package metadata was found for (\S+)"),
        agent_runtime.MODULE_MISSING,
    ),
)


def program_causes(guest: GuestFacts) -> tuple[Cause, ...]:
    """What keeps the program that the unit starts from coming up."""
    program = guest.program
    found: list[Cause] = []
    if program.state == "missing" and guest.service.load_state != "not-found":
        if program.packages and all(line.endswith(" installed") for line in program.packages):
            found.append(agent_service.INCOMPLETE.named("Its unit is left.", program.path, "agent-program-missing"))
        else:
            found.append(not_installed(guest, f"{program.path} is not there."))
    elif program.state == "not-executable":
        found.append(not_executable(program.path))
    if program.interpreter_state in _INTERPRETER:
        found.append(
            agent_runtime.INTERPRETER.named(
                _INTERPRETER[program.interpreter_state] or program.error, program.interpreter
            )
        )
    error = program.error if program.interpreter_state == "failed" else ""
    untried = program.interpreter_state not in ("failed", "ok") and guest.service.running is not True
    other_python = (
        "PYTHON" in guest.service.environment
    )  # the unit's Python looks elsewhere than the one that was tried
    if flaps(guest) or untried or other_python:
        error = error or _import_error(since_start(guest))
    if error and "No space left" not in error:
        found.append(_import_cause(error, program.path, program.interpreter))
    if guest.config_present is False:
        found.append(config_missing())
    return tuple(found)


def _import_cause(error: str, path: str, interpreter: str) -> Cause:
    for pattern, known in _IMPORTS:
        match = pattern.search(error)
        if match:
            named = next((group for group in match.groups() if group), None)
            return known.named(f"{interpreter or 'python'}: {error}", named or interpreter or None)
    return agent_runtime.MODULE_MISSING.named(error, path or None, "agent-program-fails")


def _import_error(text: str) -> str:
    lines = [line for line in text.splitlines() if _IMPORT_LINE.search(line)]
    return lines[-1].partition("]: ")[2] if lines else ""


_IMPORT_LINE = re.compile(r"]: (ModuleNotFoundError|ImportError|\w*PackageNotFoundError|NameError)\b")


def flaps(guest: GuestFacts) -> bool:
    """Caught alive a moment after one of many restarts, before its worker was there."""
    service = guest.service
    if not service.running or not service.restarts or service.restarts < 2 or guest.processes is None:
        return False
    if any(process.worker for process in guest.processes) or not service.active_since or not guest.clock:
        return False
    return guest.clock - service.active_since < JUST_RESTARTED


def not_installed(guest: GuestFacts, detail: str) -> Cause:
    """No agent is there; what the package manager remembers of it is added."""
    removed = [line for line in guest.program.packages if not line.endswith(" installed")]
    if removed:
        detail += f" The package was removed: {removed[0]}."
    culprit = removed[0].split()[0] if removed else None
    return agent_service.NOT_INSTALLED.named(detail, culprit)


def config_missing() -> Cause:
    """There is no waagent.conf."""
    return agent_service.INCOMPLETE.named("Without it the agent ends at once.", CONF)


def not_executable(path: str) -> Cause:
    """The agent's program has lost its execute bit."""
    return agent_service.INCOMPLETE.named("Its execute bit is gone.", path, "agent-not-executable")


def since_start(guest: GuestFacts) -> str:
    """The journal since systemd last started the unit: what is older may be healed."""
    starts = [at for at, line in enumerate(guest.journal) if ": Started " in line]
    return "\n".join(guest.journal[starts[-1] if starts else 0 :])
