"""Scenario 1: the agent does not run, or runs and does nothing."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta

from azext_vmagent.causes import storage
from azext_vmagent.causes.access import in_guest
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.guest import GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Cause, NextStep

LINK = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/linux-azure-guest-agent"
UPDATE_LINK = "https://learn.microsoft.com/azure/virtual-machines/extensions/update-linux-agent"

MASKED, NOT_INSTALLED, CRASHES, CONFIG, CONDITION, INTERPRETER = "L03", "L04", "L05", "L25", "L40", "L43"
_CONF = "/etc/waagent.conf"
#: one turn of a crash loop: the start of Python on a slow guest
_JUST_RESTARTED = timedelta(seconds=15)
#: from the start of the daemon to its worker: seconds, a minute on a slow guest
_WORKER_STARTED = timedelta(minutes=4)


def unit_name(guest: GuestFacts) -> str:
    """The agent's unit; Debian and Ubuntu call it walinuxagent, all others waagent."""
    return (guest.service.unit or "waagent").removesuffix(".service")


def causes(guest: GuestFacts) -> tuple[Cause, ...]:
    """Why the agent does not run, the most telling first; empty when it runs, or when the guest did not say.

    What keeps it from starting outweighs that it was stopped; that it was masked or skipped outweighs both. A full disk
    and the like explain a crash, not a stop.
    """
    if not stopped(guest):
        return ()
    state, program = _service(guest), _program(guest)
    removed = tuple(cause for cause in program if cause.code == NOT_INSTALLED)
    if state.code in (MASKED, NOT_INSTALLED, CONDITION, CONFIG) or removed:
        first: tuple[Cause, ...] = removed or (state,)
        return _once((*first, state, *program))
    hindrances = silencing(guest)
    if state.code == CRASHES:
        return _once((*program, *hindrances, state))
    return _once((*program, state, *hindrances))


def _once(found: tuple[Cause, ...]) -> tuple[Cause, ...]:
    return tuple({(cause.code, cause.slug): cause for cause in found}.values())


def stopped(guest: GuestFacts) -> bool:
    """No agent runs. One that somebody started by hand, outside its service, does."""
    service = guest.service
    daemons = [process for process in guest.processes or () if not process.worker and process.state[:1] != "Z"]
    if _flaps(guest):
        return True
    if daemons and service.active_state not in ("activating", "deactivating"):
        return False
    if service.has_systemd is False:
        return guest.processes == ()
    if service.load_state == "not-found":
        return not guest.processes
    if service.running is None:
        return service.load_state == "masked" or service.unit_file_state.startswith("masked")
    return not service.running


def outside_its_service(guest: GuestFacts) -> Cause | None:
    """An agent that works and that systemd does not know: it will not come back after it ends."""
    daemons = [process for process in guest.processes or () if not process.worker and process.state[:1] != "Z"]
    if guest.service.running is not False or not daemons or stopped(guest):
        return None
    return Cause(
        "L30",
        "agent-outside-its-service",
        "The agent was started by hand; its service is not active",
        "The service finds it running and ends. Nothing starts it again.",
        str(daemons[0].pid),
    )


def _flaps(guest: GuestFacts) -> bool:
    """Caught alive a moment after one of many restarts, before its worker was there."""
    service = guest.service
    if not service.running or not service.restarts or service.restarts < 2 or guest.processes is None:
        return False
    if any(process.worker for process in guest.processes) or not service.active_since or not guest.clock:
        return False
    return guest.clock - service.active_since < _JUST_RESTARTED


def _service(guest: GuestFacts) -> Cause:
    """What systemd says about a service that does not run."""
    service, unit = guest.service, f"{unit_name(guest)}.service"
    if service.load_state == "masked" or service.unit_file_state.startswith("masked"):
        return Cause(MASKED, "agent-masked", "The agent's unit is masked", "Nothing can start a masked unit.", unit)
    if service.load_state == "not-found":
        return _not_installed(guest, "There is no waagent or walinuxagent unit.")
    if service.has_systemd is False:
        return Cause("L01", "agent-stopped", "The agent does not run", "No process of the agent is there.")
    if service.condition_met is False:
        return _condition(guest, unit)
    if service.result == "oom-kill":
        return Cause(
            "L29", "agent-out-of-memory", "The agent was killed for lack of memory", "systemd: oom-kill.", unit
        )
    if "start request repeated too quickly" in _since_start(guest).lower() or service.result == "start-limit-hit":
        detail = f"It failed too often in too short a time (exit status {service.exit_status}); systemd waits for you."
        return Cause(
            CRASHES, "start-limit-hit", "systemd has given up starting the agent", detail, _changed(guest) or unit
        )
    if service.active_state == "failed" or service.sub_state == "auto-restart" or _flaps(guest):
        why = service.result or service.sub_state
        detail = f"systemd: {service.active_state} ({why}), exit status {service.exit_status}"
        if service.restarts:
            detail += f", {service.restarts} restarts"
        if service.result == "signal":
            return Cause(CRASHES, "agent-killed", "The agent was killed by a signal", detail, unit)
        return Cause(CRASHES, "agent-crashes", "The agent's service fails to start", detail, _changed(guest) or unit)
    if service.unit_file_state == "disabled":
        return Cause(
            "L02", "agent-disabled", "The agent is stopped and does not start at boot", "The unit is disabled.", unit
        )
    return Cause("L01", "agent-stopped", "The agent's service is stopped", f"{unit} is {service.active_state}.", unit)


def _changed(guest: GuestFacts) -> str | None:
    """The drop-in that changes what the unit starts, or as whom: the first suspect of an unexplained crash."""
    for line in reversed(guest.service.drop_in_lines):
        key, _, value = line.setting.partition("=")
        if key.strip() in ("ExecStart", "ExecStartPre", "User", "RootDirectory", "RootImage") and value.strip():
            return f"{line.path}: {line.setting}"
    return None


def _not_installed(guest: GuestFacts, detail: str) -> Cause:
    removed = [line for line in guest.program.packages if not line.endswith(" installed")]
    if removed:
        detail += f" The package was removed: {removed[0]}."
    culprit = removed[0].split()[0] if removed else None
    return Cause(NOT_INSTALLED, "agent-not-installed", "The agent is not installed", detail, culprit)


def _condition(guest: GuestFacts, unit: str) -> Cause:
    """The unit's condition that is not met; upstream's unit wants waagent.conf and an executable waagent."""
    condition = guest.service.unmet_condition
    if not condition:
        skipped = [found[1] for line in guest.journal if (found := _UNMET.search(line))]
        condition = skipped[-1] if skipped else ""
    path = condition.partition("=")[2].lstrip("|!")
    if path == _CONF:
        return _config_missing()
    if path.endswith("/waagent"):
        return _not_executable(path)
    name = condition.partition("=")[0]
    written = [line for line in guest.service.drop_in_lines if name and line.setting.startswith(name)]
    culprit = f"{written[-1].path}: {written[-1].setting}" if written else condition or unit
    detail = f"systemd skips the start: {condition} is not met." if condition else "systemd skips the start."
    return Cause(CONDITION, "agent-condition-failed", "A condition of the agent's unit is not met", detail, culprit)


#: systemd from version 250 on
_UNMET = re.compile(r"unmet condition check \((\w+=[^)]*)\)")


def _config_missing() -> Cause:
    return Cause(
        CONFIG,
        "agent-config-missing",
        "The agent's configuration is missing",
        "Without it the agent ends at once.",
        _CONF,
    )


def _not_executable(path: str) -> Cause:
    return Cause(
        CONFIG, "agent-not-executable", "The agent's program is not executable", "Its execute bit is gone.", path
    )


_INTERPRETER = {"missing": "It is not there.", "not-executable": "It is not executable.", "broken": ""}
_IMPORTS = (
    (re.compile(r"No module named '?distutils"), "L09", "distutils-missing", "The agent's Python lacks distutils"),
    (
        re.compile(r"_supported_dists"),
        "L08",
        "agent-too-old-for-python",
        "The agent is too old for the Python that it is started with",
    ),
    (
        re.compile(r"name 'distro' is not defined"),
        "L07",
        "python-shadowed",
        "Another Python than the distribution's starts the agent",
    ),
    (
        re.compile(r"No module named '?([\w.]+)|cannot import name '?(\w+)|No package metadata was found for (\S+)"),
        "L06",
        "agent-module-missing",
        "The agent's Python cannot import the agent",
    ),
)


def _program(guest: GuestFacts) -> tuple[Cause, ...]:
    """What keeps the program that the unit starts from coming up."""
    program = guest.program
    found: list[Cause] = []
    if program.state == "missing" and guest.service.load_state != "not-found":
        if program.packages and all(line.endswith(" installed") for line in program.packages):
            found.append(
                Cause(
                    CONFIG, "agent-program-missing", "The agent's program is missing", "Its unit is left.", program.path
                )
            )
        else:
            found.append(_not_installed(guest, f"{program.path} is not there."))
    elif program.state == "not-executable":
        found.append(_not_executable(program.path))
    if program.interpreter_state in _INTERPRETER:
        found.append(
            Cause(
                INTERPRETER,
                "interpreter-broken",
                "The agent's interpreter cannot be started",
                _INTERPRETER[program.interpreter_state] or program.error,
                program.interpreter,
            )
        )
    error = program.error if program.interpreter_state == "failed" else ""
    untried = program.interpreter_state not in ("failed", "ok") and guest.service.running is not True
    other_python = (
        "PYTHON" in guest.service.environment
    )  # the unit's Python looks elsewhere than the one that was tried
    if _flaps(guest) or untried or other_python:
        error = error or _import_error(_since_start(guest))
    if error and "No space left" not in error:
        found.append(_import_cause(error, program.path, program.interpreter))
    if guest.config_present is False:
        found.append(_config_missing())
    return tuple(found)


def _import_cause(error: str, path: str, interpreter: str) -> Cause:
    for pattern, code, slug, title in _IMPORTS:
        match = pattern.search(error)
        if match:
            named = next((group for group in match.groups() if group), None)
            return Cause(code, slug, title, f"{interpreter or 'python'}: {error}", named or interpreter or None)
    return Cause("L06", "agent-program-fails", "The agent's program fails as soon as it starts", error, path or None)


def _import_error(text: str) -> str:
    lines = [line for line in text.splitlines() if _IMPORT_LINE.search(line)]
    return lines[-1].partition("]: ")[2] if lines else ""


_IMPORT_LINE = re.compile(r"]: (ModuleNotFoundError|ImportError|\w*PackageNotFoundError|NameError)\b")


def _since_start(guest: GuestFacts) -> str:
    """The journal since systemd last started the unit: what is older may be healed."""
    starts = [at for at, line in enumerate(guest.journal) if ": Started " in line]
    return "\n".join(guest.journal[starts[-1] if starts else 0 :])


def silencing(guest: GuestFacts) -> tuple[Cause, ...]:
    """What can silence an agent that runs, or make it crash: it is there now; that it did is for the verdict to say."""
    found = tuple(cause for cause in storage.causes(guest) if cause.code != storage.NO_EXEC)
    if guest.program.openssl is False and guest.config.get("OS.OpensslPath", "None") == "None":
        found += (
            Cause(
                "L21",
                "openssl-missing",
                "openssl is missing",
                "The agent makes and reads its certificates with it.",
                "openssl",
            ),
        )
    return found


def limiting(guest: GuestFacts) -> tuple[Cause, ...]:
    """What lets the agent report and keeps it from its work: extensions, and with them run commands."""
    found = tuple(cause for cause in storage.causes(guest) if cause.code == storage.NO_EXEC)
    if guest.fips and any(_NOT_DECRYPTED.search(line.text) for line in guest.log.errors):
        found += (
            Cause(
                "L23",
                "fips-certificates",
                "The agent cannot decrypt its certificates in FIPS mode",
                "Extensions with protected settings fail; agents from 2.14 on can be told to use FIPS ciphers.",
                "/proc/sys/crypto/fips_enabled",
            ),
        )
    if guest.config.get("Extensions.Enabled", "y").lower().startswith("n"):
        found += (
            Cause(
                "L13",
                "extensions-disabled",
                "The agent is told to run no extensions",
                "It reports, but runs neither extensions nor run commands.",
                f"{_CONF}: Extensions.Enabled=n",
            ),
        )
    return found


_NOT_DECRYPTED = re.compile(r"[Ff]ailed to decrypt|unknown cipher|converting PFX")


def wedged_cause(guest: GuestFacts) -> Cause | None:
    """An agent whose service runs and which does nothing all the same, or None."""
    processes = guest.processes or ()
    workers = [process for process in processes if process.worker]
    if guest.disabled_by_file and not workers:
        return Cause(
            "L41",
            "agent-disabled-by-file",
            "The agent sleeps because a file tells it to",
            "It stays active and reports nothing while the file exists.",
            "/var/lib/waagent/disable_agent",
        )
    if guest.config_present is False and processes and not workers:
        return _config_missing()
    if guest.service.frozen:
        unit = guest.service.unit or ""
        return Cause(
            "L28", "agent-wedged", "The agent's unit is frozen", f"{unit} is frozen: systemctl thaw wakes it.", unit
        )
    for process in workers or processes:
        if process.halted:
            return Cause(
                "L28",
                "agent-wedged",
                "The agent's process is halted",
                f"Process {process.pid} is stopped by a signal.",
                str(process.pid),
            )
    return None


def something_else(guest: GuestFacts) -> Cause | None:
    """A unit that is active while no process in the guest is the agent."""
    service = guest.service
    if not service.running or guest.processes != () or not service.active_since or not guest.clock:
        return None
    if guest.clock - service.active_since < _JUST_RESTARTED:
        return None
    return Cause(
        "L44",
        "unit-runs-something-else",
        "The agent's unit runs, but what it runs is not the agent",
        f"No process is waagent; the unit's is {service.main_pid}.",
        _changed(guest) or service.unit,
    )


def without_worker(guest: GuestFacts) -> Cause | None:
    """A daemon that has had minutes to start its worker, which does the agent's work."""
    service, processes = guest.service, guest.processes
    if not processes or any(process.worker for process in processes) or not service.active_since or not guest.clock:
        return None
    if guest.clock - service.active_since < _WORKER_STARTED:
        return None
    return Cause(
        "L28",
        "agent-wedged",
        "The agent's daemon runs without its worker",
        "The worker (-run-exthandlers) fetches the goal state and reports.",
        str(processes[0].pid),
    )


def waits_for_cloud_init(guest: GuestFacts) -> Cause | None:
    """A daemon that has no worker yet, as its log says that it waits for cloud-init (for at most half an hour)."""
    if any(process.worker for process in guest.processes or ()):
        return None
    for line in guest.log.errors:
        if "Waiting for cloud-init" in line.text:
            return Cause("L14", "waits-for-cloud-init", "The agent waits for cloud-init", line.text, "cloud-init")
    return None


def remedies(cause: Cause, facts: Facts, wish: Wish) -> tuple[NextStep, ...]:
    """What to do about a cause of this module or of ``storage``."""
    guest = facts.guest or GuestFacts()
    unit = shlex.quote(unit_name(guest))
    culprit = shlex.quote(cause.culprit or "")
    steps = []
    look = storage.look(cause)
    if cause.code in _SHOWN_BY_JOURNAL:
        look = f"systemctl status {unit}; journalctl -u {unit} -n 50 --no-pager"
    elif cause.code == INTERPRETER:
        look = f"ls -lL {culprit}; head -n 1 {shlex.quote(guest.program.path or '/usr/sbin/waagent')}"
    if look:
        steps.append(
            NextStep(
                "see what fills it" if cause.code in (storage.DISK_FULL, storage.NO_INODES) else "see why",
                in_guest(facts, wish, look),
                effect="reads only",
                downtime="none",
                link=LINK,
            )
        )
    cure = {
        "L01": f"systemctl start {unit}",
        "L02": f"systemctl enable --now {unit}",
        "L03": f"systemctl unmask {unit} && systemctl enable --now {unit}",
        "L05": f"systemctl reset-failed {unit}; systemctl start {unit}",
        "L13": f"sed -i 's/^ *Extensions.Enabled *=.*/Extensions.Enabled=y/' {_CONF} && systemctl restart {unit}",
        "L28": f"systemctl thaw {unit}" if guest.service.frozen else f"systemctl restart {unit}",
        "L29": f"systemctl start {unit}",
        "L41": f"rm /var/lib/waagent/disable_agent && systemctl restart {unit}",
    }.get(cause.code) or storage.cure(cause, unit)
    if cause.slug == "agent-not-executable":
        cure = f"chmod a+x {culprit} && systemctl start {unit}"
    if cure:
        steps.append(
            NextStep(
                _CURES.get(cause.code, "start the agent in the guest"),
                in_guest(facts, wish, cure),
                effect="the agent reports again within about a minute",
                risk="none known",
                downtime="none",
                undo=f"systemctl stop {unit}" if cause.code not in _CURES else None,
                link=LINK,
            )
        )
    elif cause.code in _REINSTALLED:
        package = next((line.split()[0] for line in guest.program.packages), unit)
        reinstall = _reinstall(guest, shlex.quote(package))
        steps.append(
            NextStep(
                "install the agent's package again from the distribution",
                in_guest(facts, wish, reinstall) if reinstall else None,
                effect="puts program, Python module, unit and configuration back",
                downtime="none",
                link=UPDATE_LINK,
            )
        )
    elif cause.code in (storage.DISK_FULL, storage.NO_INODES):
        steps.append(
            NextStep(
                f"free at least 10 % of {cause.culprit} (or enlarge the disk), then restart the agent",
                None,
                effect="the agent can write its state and log again",
                link=storage.FULL_LINK,
            )
        )
    elif cause.code == "L21":
        steps.append(
            NextStep(
                "install the package openssl from the distribution, then restart the agent", None, link=UPDATE_LINK
            )
        )
    elif cause.code == CONDITION:
        steps.append(
            NextStep(
                "make the condition true, or take it out of the unit, then start the agent",
                in_guest(facts, wish, f"systemctl cat {unit}"),
                effect="shows the unit with its drop-ins",
                downtime="none",
            )
        )
    if cause.code in ("L01", "L02", "L03", "L05", "L28", "L41", NOT_INSTALLED):
        steps.append(
            NextStep(
                "if it does not stay up, update the agent",
                None,
                effect="replaces a broken agent",
                downtime="none",
                link=UPDATE_LINK,
            )
        )
    return tuple(steps)


_SHOWN_BY_JOURNAL = ("L05", "L06", "L29", CONDITION)
_REINSTALLED = (NOT_INSTALLED, "L06", "L07", "L08", "L09", CONFIG, INTERPRETER)
_CURES = {
    "L13": "let the agent run extensions again",
    storage.READ_ONLY: "make the file system writable again (check it first if the kernel reported errors)",
    storage.NO_EXEC: "let programs be started from it again",
}


def _reinstall(guest: GuestFacts, package: str) -> str | None:
    """Debian keeps a deleted configuration file deleted unless told otherwise."""
    for names, command in (
        ("Debian|Ubuntu", f"apt-get install --reinstall -y -o Dpkg::Options::=--force-confmiss {package}"),
        ("SUSE|SLES", "zypper install -f -y python-azure-agent"),
        ("Red Hat|CentOS|Alma|Rocky|Oracle|Fedora", "dnf reinstall -y WALinuxAgent || dnf install -y WALinuxAgent"),
    ):
        if re.search(names, guest.distribution):
            return command
    return None
