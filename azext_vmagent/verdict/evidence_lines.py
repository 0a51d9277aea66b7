"""The sentences that a verdict rests on: one fact, one ``Reason``. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from azext_vmagent.facts.console import ConsoleLook, Look
from azext_vmagent.facts.durations import age
from azext_vmagent.facts.guest import Connect, GuestFacts
from azext_vmagent.facts.host_metrics import HostMetrics
from azext_vmagent.facts.instance_view import AgentStatus, ExtensionFacts, VmFacts
from azext_vmagent.facts.port import PortFacts
from azext_vmagent.facts.reading import (
    HOST_METRICS,
    INSTANCE_VIEW,
    PASTE,
    PORT,
    RESOURCE_HEALTH,
    SERIAL_CONSOLE,
    SERIAL_LOG,
    Facts,
    port_line,
)
from azext_vmagent.facts.serial_log import SerialEvent, SerialLogFacts
from azext_vmagent.model import Cause, Reason, Scenario, Since

#: as long as it takes to copy an answer from one window into another
FRESH = timedelta(minutes=15)
#: the Windows service that writes WaAppAgent.log
LOG_WRITER = "WindowsAzureGuestAgent"

#: more event or history files than an agent that is well ever keeps (it purges at 1,000 events)
MANY_FILES = 2000

_TELLS = {
    Connect.REFUSED: "is refused",
    Connect.TIMED_OUT: "times out",
    Connect.NO_ROUTE: "ends with «no route to host»",
    Connect.UNREACHABLE: "ends with «network is unreachable»",
    Connect.DENIED: "is denied by the kernel",
    Connect.BLACKHOLE: "falls into a blackhole route",
    Connect.RESET: "is reset",
    Connect.FAILED: "fails",
}


def agent_word(vm: VmFacts) -> Reason:
    """The platform's word on the agent, its message verbatim."""
    said = "no agent status at all" if vm.agent is AgentStatus.ABSENT else f"agent {vm.agent.value}"
    return Reason(f"Azure shows: {said}", INSTANCE_VIEW, excerpt=vm.agent_message or None)


def service(guest: GuestFacts, channel: str) -> Reason:
    """The agent's unit as systemd sees it."""
    found = guest.service
    if found.unit is None and guest.processes:
        return Reason(f"the agent's process {guest.processes[0].pid} runs", channel, "processes")
    if found.unit is None and found.has_systemd is False:
        return Reason("no process of the agent is there", channel, "processes")
    if found.unit is None:
        return Reason("there is no waagent or walinuxagent unit", channel, "systemd")
    states = f"{found.active_state} ({found.sub_state})" if found.sub_state else found.active_state or found.load_state
    since = found.active_since if found.running else found.inactive_since
    return Reason(
        f"{found.unit} is {states}, {found.unit_file_state or 'no unit file state'}", channel, found.unit, time=since
    )


def wire(guest: GuestFacts, channel: str) -> tuple[Reason, ...]:
    """The tests of the Wire Server's two ports, in one line each outcome."""
    lines = []
    for port, test in sorted(guest.wire.items()):
        if test.outcome is Connect.OK:
            lines.append(Reason(f"tcp/{port} of 168.63.129.16 answers root (HTTP {test.status})", channel, test.tool))
        elif test.blocked:
            lines.append(Reason(f"tcp/{port} to 168.63.129.16 {_TELLS[test.outcome]} from root", channel, test.tool))
    return tuple(lines)


def metadata(guest: GuestFacts, channel: str) -> tuple[Reason, ...]:
    """Another address of the platform answers while the Wire Server does not: the guest's network works."""
    if guest.metadata is not Connect.OK or not any(test.blocked for test in guest.wire.values()):
        return ()
    return (Reason("169.254.169.254 (instance metadata) answers: the guest's network works", channel, "tcp/80"),)


def wire_log(guest: GuestFacts, channel: str) -> tuple[Reason, ...]:
    """The newest line of waagent.log that shows the Wire Server out of reach."""
    if not guest.log.failures:
        return ()
    newest = guest.log.failures[-1]
    return (
        Reason(
            "newest failure in the agent's log", channel, "/var/log/waagent.log", newest.line, newest.text, newest.time
        ),
    )


def rules(guest: GuestFacts, channel: str) -> tuple[Reason, ...]:
    """Each rule that blocks, verbatim."""
    return tuple(
        Reason(
            f"{block.tool.replace('-', ' ')} rule blocks it ({block.where})", channel, block.tool, excerpt=block.rule
        )
        for block in guest.rules.blocks
    )


_SHOWS_CAUSE = {
    "L05": r"Failed with result|repeated too quickly|Main process exited",
    "L06": r"Module|Import|PackageNotFound|Error:",
    "L07": r"NameError",
    "L08": r"_supported_dists",
    "L09": r"distutils",
    "L16": r"Errno 28|No space left",
    "L17": r"Errno 28|No space left",
    "L21": r"openssl",
    "L23": r"decrypt|unknown cipher|PFX",
    "L25": r"waagent.conf|Permission denied|No such file|203/EXEC",
    "L29": r"oom|Killed|out of memory",
    "L31": r"Errno 30|[Rr]ead-only file",
    "L40": r"unmet condition",
    "L43": r"203/EXEC|No such file|Permission denied",
}


def undecided(guest: GuestFacts, channel: str) -> tuple[Reason, ...]:
    """Rules that may block, with what of them could not be judged."""
    return tuple(
        Reason(f"could not be judged: {rule.because}", channel, rule.tool, excerpt=rule.rule)
        for rule in guest.rules.undecided
    )


def extensions_title(failing: Sequence[ExtensionFacts]) -> str:
    """The summary of a Ready agent with extensions that fail or never end."""
    return f"The agent is Ready; an extension is not: {', '.join(f'{e.name} ({e.state})' for e in failing)}"


def extensions(failing: Sequence[ExtensionFacts]) -> tuple[Reason, ...]:
    """One line for each of them, with what it says."""
    return tuple(Reason(f"{e.name} is {e.state}", "instance view", excerpt=e.message or None) for e in failing)


def proof(cause: Cause, guest: GuestFacts, channel: str) -> tuple[Reason, ...]:
    """What shows that cause: the fact itself, then the newest line of journal, kernel or agent's log that says so."""
    found = [*_disk_lines(cause, guest, channel), *_program_lines(cause, guest, channel)]
    if cause.code == "L28":
        found += [
            Reason(f"process {p.pid} is stopped (state {p.state})", channel, "processes", excerpt=p.command)
            for p in guest.processes or ()
            if p.halted
        ][:2]
        found += [Reason(f"{guest.service.unit} is frozen", channel, guest.service.unit)] * guest.service.frozen
    elif cause.code == "L29" and guest.memory_kib:
        total, available = guest.memory_kib
        found.append(Reason(f"{available} of {total} KiB of memory are available", channel, "/proc/meminfo"))
    elif cause.code == "L45":
        found.append(Reason(cause.detail, channel, guest.service.unit))
    elif cause.code in _FACTS or cause.slug in _FACTS:
        found.append(Reason(_FACTS.get(cause.code) or _FACTS[cause.slug], channel, cause.culprit))
    elif cause.code == "L40" and guest.service.unmet_condition:
        condition = guest.service.unmet_condition
        found.append(Reason("the condition is not met", channel, guest.service.unit, excerpt=condition))
    pattern = _SHOWS_CAUSE.get(cause.code)
    if pattern:
        found += _last_line(guest, channel, pattern)
    return tuple(found)


_FACTS = {
    "L41": "/var/lib/waagent/disable_agent exists, and the agent has no worker process",
    "agent-config-missing": "/etc/waagent.conf is not there",
    "L23": "the kernel is in FIPS mode",
    "L13": "Extensions.Enabled=n in /etc/waagent.conf",
    "L21": "there is no program openssl on root's path",
    "L44": "no process in the guest is the agent",
}


def _disk_lines(cause: Cause, guest: GuestFacts, channel: str) -> list[Reason]:
    disk = next((disk for disk in guest.disks if disk.mount == cause.culprit), None)
    if cause.code not in ("L16", "L17", "L24", "L31") or disk is None:
        return []
    flags = "".join([", read-only"] * bool(disk.read_only) + [", noexec"] * disk.no_exec)
    what = f"{disk.mount}: {disk.free_kib} KiB and {disk.free_inodes} inodes free for root{flags}"
    found = [Reason(what, channel, "df" if cause.code in ("L16", "L17") else "/proc/mounts")]
    if cause.code == "L17":
        found += [
            Reason(f"{folder} holds {count} files", channel, folder)
            for folder, count in guest.file_counts.items()
            if count > MANY_FILES
        ]
    return found


def _program_lines(cause: Cause, guest: GuestFacts, channel: str) -> list[Reason]:
    program = guest.program
    if cause.slug in ("agent-program-missing", "agent-not-executable", "agent-not-installed"):
        found = [Reason("the package manager's word", channel, "packages", excerpt=p) for p in program.packages[:1]]
        if program.path and program.state != "ok":
            state = program.state.replace("-", " ")
            found.insert(0, Reason(f"{program.path} is {state}", channel, program.path))
        return found
    if cause.code == "L43":
        state = program.interpreter_state.replace("-", " ")
        return [Reason(f"the interpreter of {program.path} is {state}", channel, program.interpreter)]
    if program.interpreter_state == "failed" and cause.code in ("L06", "L07", "L08", "L09"):
        what = "the agent's program fails when it is only asked for its version"
        return [Reason(what, channel, program.path, excerpt=program.error)]
    return []


def _last_line(guest: GuestFacts, channel: str, pattern: str) -> list[Reason]:
    for source, lines in (("journal", guest.journal), ("kernel log", guest.kernel_words)):
        shown = [line for line in lines if re.search(pattern, line)]
        if shown:
            return [Reason("newest such line", channel, source, excerpt=shown[-1])]
    logged = [line for line in guest.log.errors if re.search(pattern, line.text)]
    return [
        Reason("newest such line", channel, "/var/log/waagent.log", line.line, line.text, line.time)
        for line in logged[-1:]
    ]


def silenced(cause: Cause, guest: GuestFacts) -> bool:
    """The guest's own logs say that the agent ran into that cause."""
    pattern = _SHOWS_CAUSE.get(cause.code)
    return bool(pattern and _last_line(guest, "", pattern))


def serial_lines(serial: SerialLogFacts, limit: int = 4) -> tuple[Reason, ...]:
    """The lines of the newest boot that decide, the emergency line always among them."""
    events: list[SerialEvent] = list(serial.deciding[:limit])
    if serial.emergency and serial.emergency not in events:
        events = [*events[: limit - 1], serial.emergency]
    where = f"boot {serial.boots} of {serial.boots}" if serial.boots > 1 else "newest boot"
    return tuple(
        Reason(event.meaning or "newest boot", SERIAL_LOG, where, event.line, event.text, serial.boot_time)
        for event in sorted(events, key=lambda e: e.line)
    )


def prompt(serial: SerialLogFacts) -> Reason:
    """The newest boot reached its prompt: the OS booted; nothing says that it lives now."""
    line = serial.prompt.line if serial.prompt else None
    return Reason(
        "the newest boot reached a login prompt",
        SERIAL_LOG,
        None,
        line,
        serial.prompt.text if serial.prompt else None,
        serial.boot_time,
    )


def console(found: ConsoleLook) -> Reason:
    """What pressing Enter at the console's login prompt brought."""
    at = f"{found.at:%H:%M:%SZ}" if found.at else "the time of asking"
    what = {
        Look.FRESH_PROMPT: f"a fresh login prompt appeared after Enter at {at}",
        Look.OTHER_PROMPT: f"the console answered Enter at {at}",
        Look.SILENT: f"the login prompt did not react to Enter within {found.seconds:.0f} s",
        Look.MOVED_ON: f"no prompt after Enter, but the console was written to at {at}",
        Look.NOT_PRESSED: "attached to the console, no key pressed: it shows no login prompt",
    }[found.look]
    return Reason(what, SERIAL_CONSOLE, excerpt=found.text or None, time=found.at)


def port(found: PortFacts) -> Reason:
    """What the port showed."""
    return Reason(port_line(found), PORT, f"tcp/{found.port}")


def metrics(found: HostMetrics) -> Reason:
    """What the host counted."""
    return Reason(found.seen, HOST_METRICS, time=found.newest)


def health(facts: Facts) -> Reason:
    """What resource health said."""
    found = facts.health
    text = f"{found.state}: {found.title or found.summary}" if found else "unknown"
    return Reason(text, RESOURCE_HEALTH, time=found.occurred_at if found else None)


def out(scenario: Scenario, what: str, channel: str) -> Reason:
    """A scenario that is ruled out, and by what."""
    return Reason(what, channel, scenario=scenario)


def since(facts: Facts) -> Since | None:
    """What dates the silence: the guest's own word first, then the host's counters; the instance view never does."""
    guest, found = facts.guest, facts.metrics
    if guest is not None:
        if guest.service.running is False and guest.service.inactive_since:
            return Since(guest.service.inactive_since, f"{guest.service.unit} stopped (systemd)")
        stopped = guest.windows is not None and guest.service.running is False
        if stopped and guest.service.unit == LOG_WRITER and guest.log.newest:
            return Since(guest.log.newest, "newest line of WaAppAgent.log")
        if guest.log.first_failure and guest.log.first_failure.time:
            return Since(
                guest.log.first_failure.time, f"first failure in {'WaAppAgent' if guest.windows else 'waagent'}.log"
            )
    if facts.serial and facts.serial.boot_time and facts.serial.outlook.value == "not_booted":
        return Since(facts.serial.boot_time, "start of the newest boot (serial log)")
    if found is not None and found.fell_at:
        return Since(found.fell_at, "network out fell (host metrics, minute grain)")
    return None


def how_old_the_paste_is(facts: Facts) -> str | None:
    """«the pasted answer is 3 h old», by the guest's clock; None where it is now, does not say, or nothing was pasted.

    A clock that runs ahead makes an answer from the future: as little now as an old one.
    """
    if facts.guest_channel != PASTE or facts.guest is None or facts.guest.clock is None:
        return None
    old = facts.asked_at - facts.guest.clock
    if abs(old) <= FRESH:
        return None
    if old < timedelta(0):
        return f"the guest's clock is {age(-old)} ahead of this machine's, so the pasted answer's age is not known"
    return f"the pasted answer is {age(old)} old by the guest's clock"


def what_the_boot_waits_for(facts: Facts) -> tuple[Reason, ...]:
    """The lines of /etc/fstab for which a boot stopped, by the look into its maintenance shell."""
    lines = facts.stopped.stopping if facts.stopped is not None else ()
    return tuple(
        Reason(f"the boot waits for {line.mount}: {line.why}", SERIAL_CONSOLE, "/etc/fstab", line.number, line.text)
        for line in lines[:3]
    )
