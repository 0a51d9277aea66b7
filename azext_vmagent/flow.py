"""The whole story on one screen: outside evidence, one look inside, the verdict.

``diagnose`` asks through ``Azure`` (the one seam to the outside world; tests put a recorded one there) and hands pure
stages what came back. It always ends inside the budget, with a verdict that may be partial; only a VM that cannot be
named at all is an error.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Protocol

from azext_vmagent.causes.catalogue import every_cause, serial_signatures
from azext_vmagent.causes.findings import findings
from azext_vmagent.causes.known_cause import Finding
from azext_vmagent.channels import choice
from azext_vmagent.channels.choice import Wish
from azext_vmagent.channels.resource_manager import Change
from azext_vmagent.channels.run_command import PATIENCE_SECONDS as AGENT_PATIENCE_SECONDS
from azext_vmagent.channels.serial_console import ConsoleLogin
from azext_vmagent.channels.ssh import PATIENCE_SECONDS, SshLogin
from azext_vmagent.evidence.asking import NotAsked, Said, SourceFailed, ask_all, one_line
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.boot_stop import is_boot_stop
from azext_vmagent.facts.guest import is_probe_answer
from azext_vmagent.facts.guest_windows import is_windows_answer
from azext_vmagent.facts.instance_view import parse_vm
from azext_vmagent.facts.port import NetworkFacts, PortFacts, parse_nic
from azext_vmagent.facts.reading import (
    HOST_METRICS,
    INSTANCE_VIEW,
    MANAGED_RUN_COMMAND,
    NETWORK,
    PASTE,
    PORT,
    RESOURCE_HEALTH,
    RUN_COMMAND,
    SCREENSHOT,
    SERIAL_CONSOLE,
    SERIAL_LOG,
    Facts,
    read,
    told,
)
from azext_vmagent.guest import emergency_script, probe_script, windows_probe_script
from azext_vmagent.model import Answer, Evidence, State, Target, Verdict
from azext_vmagent.verdict.decide import decide
from azext_vmagent.verdict.naming import name_causes
from azext_vmagent.verdict.signs import one_key_would_tell, one_more_minute_would_tell

#: what the outside evidence may take at most, so that something is left for the look inside
OUTSIDE_SECONDS = 25.0
#: the end of the budget is kept for the verdict itself
RESERVE_SECONDS = 0.5
MINUTE = timedelta(minutes=1)
#: the minute after the newest one was over and not yet there when we asked: metrics lag by more than that, by how
#: much more is not known
LAG_MARGIN = timedelta(seconds=20)
SSH_PORT, RDP_PORT = 22, 3389
#: with less time than this nobody is asked inside: a run command could only be left behind
LEAST_INSIDE_SECONDS = 1.0
#: the channel ends a moment before the flow stops listening, so that its own words on the time-out are heard
CHANNEL_RESERVE_SECONDS = 0.2
#: a session at the console is ended in time to log out
LOG_OUT_SECONDS = 5.0
#: connecting, and as long as a slow guest needs to answer Enter
LOOK_SECONDS = 30.0


class Azure(Protocol):
    """What the flow asks of the world outside. Every call may raise; ``ask_all`` turns that into an answer."""

    def virtual_machine(self, target: Target, deadline: Deadline) -> Said:
        """VM GET with its instance view."""

    def serial_log(self, target: Target, deadline: Deadline) -> Said:
        """The serial log's bytes."""

    def screenshot(self, target: Target, deadline: Deadline) -> Said:
        """The console's screenshot, a ``Screenshot``."""

    def host_metrics(self, target: Target, now: datetime, deadline: Deadline) -> Said:
        """24 hours of platform metrics."""

    def resource_health(self, target: Target, deadline: Deadline) -> Said:
        """The current availability status."""

    def network_interface(self, nic_id: str, deadline: Deadline) -> Said:
        """A NIC, expanded."""

    def probe_port(self, address: str, port: int, deadline: Deadline, rdp: bool) -> PortFacts:
        """A look at a TCP port."""

    def run_command(self, target: Target, script: str, deadline: Deadline) -> Said:
        """A script's stdout, through the agent."""

    def managed_run_command(self, target: Target, location: str, script: str, deadline: Deadline) -> Said:
        """A script's stdout, through the agent and a resource that is gone afterwards."""

    def ssh(self, login: SshLogin, script: str, deadline: Deadline) -> Said:
        """A script's stdout, through OpenSSH."""

    def look_at_console(self, target: Target, log: bytes, deadline: Deadline) -> Said:
        """What Enter at the serial console's login prompt brings."""

    def serial_console(
        self,
        target: Target,
        log: bytes,
        login: ConsoleLogin,
        script: str,
        deadline: Deadline,
        insist: bool,
        steady: bool = False,
    ) -> Said:
        """A script's stdout, through a login at the serial console."""

    def maintenance_shell(
        self,
        target: Target,
        log: bytes,
        login: ConsoleLogin,
        script: str,
        deadline: Deadline,
        goes_on: Callable[[str], bool] | None = None,
    ) -> Said:
        """A script's stdout, through root's login where a boot stopped; ``goes_on`` judges whether it goes on then."""

    def resource(self, path: str, params: dict[str, str], deadline: Deadline) -> Said:
        """GET of anything at the resource manager; its JSON object."""

    def change(self, change: Change, deadline: Deadline, progress: Callable[[float], None]) -> Said:
        """One change by Azure itself, sent once and followed until it is over."""

    def in_cloud_shell(self) -> bool:
        """Whether this runs in Azure Cloud Shell, which has no route into the VNet."""


@dataclass(frozen=True)
class Diagnosis:
    """Everything one run produced. ``seconds`` by step, in the order they ended; ``total`` of the whole."""

    facts: Facts
    verdict: Verdict
    answers: tuple[Answer, ...]
    total: float = 0.0
    wish: Wish = field(default_factory=Wish)
    findings: tuple[Finding, ...] = ()


Watch = Callable[[Answer], None]


@dataclass(frozen=True)
class Clock:
    """Wall time; another one makes a test of the long wait short."""

    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    sleep: Callable[[float], None] = time.sleep


def diagnose(
    azure: Azure,
    target: Target,
    wish: Wish,
    timeout: float,
    watch: Watch = lambda _: None,
    clock: Clock = Clock(),
) -> Diagnosis:
    """Ask, look inside once, decide. Raises SourceFailed when the VM itself cannot be named: missing or denied."""
    started = time.monotonic()
    deadline = Deadline(started + timeout - RESERVE_SECONDS)
    evidence = _outside(azure, target, wish, deadline, watch, clock)
    evidence = _inside(azure, evidence, wish, deadline, watch)
    facts = read(evidence, serial_signatures())
    verdict = decide(facts, wish)
    if choice.look_at_console(facts, wish, one_key_would_tell(verdict)):
        evidence = _look_at_console(azure, evidence, deadline, watch)
        facts = read(evidence, serial_signatures())
        verdict = decide(facts, wish)
    if one_more_minute_would_tell(facts, verdict):
        evidence = _one_more_minute(azure, facts, evidence, deadline, watch, clock)
        facts = read(evidence, serial_signatures())
        verdict = decide(facts, wish)
    return _named_causes(facts, verdict, wish, started)


def judge(evidence: Evidence, wish: Wish, started: float) -> Diagnosis:
    """The diagnosis that this evidence allows, nobody being asked any more. ``started`` is by ``time.monotonic()``."""
    facts = read(evidence, serial_signatures())
    return _named_causes(facts, decide(facts, wish), wish, started)


def _named_causes(facts: Facts, verdict: Verdict, wish: Wish, started: float) -> Diagnosis:
    found = findings(facts, every_cause())
    verdict = name_causes(verdict, facts, wish, found)
    return Diagnosis(facts, verdict, tuple(facts.answers.values()), time.monotonic() - started, wish, found)


def _outside(azure: Azure, target: Target, wish: Wish, deadline: Deadline, watch: Watch, clock: Clock) -> Evidence:
    """All that needs no guest, at once; the port waits for the address that the VM's own answer leads to."""
    now = clock.now()
    budget = deadline.at_most(OUTSIDE_SECONDS)
    machine: Future[dict[str, object] | None] = Future()
    interface: Future[NetworkFacts | None] = Future()
    log: Future[bytes] = Future()
    sources: dict[str, Callable[[], Said]] = {
        INSTANCE_VIEW: lambda: azure.virtual_machine(target, budget),
        SERIAL_LOG: lambda: azure.serial_log(target, budget),
        SCREENSHOT: lambda: _screenshot(azure, target, machine, log, budget),
        HOST_METRICS: lambda: azure.host_metrics(target, now, budget),
        RESOURCE_HEALTH: lambda: azure.resource_health(target, budget),
        NETWORK: lambda: _network(azure, machine, interface, wish, budget),
        PORT: lambda: _port(azure, machine, interface, wish, budget),
    }
    answers: dict[str, Answer] = {}
    for answer in ask_all(sources, budget):
        if answer.source == INSTANCE_VIEW:
            machine.set_result(answer.value if answer.state is State.OK else None)
            _named(answer)
        elif answer.source == SERIAL_LOG:
            log.set_result(answer.value if answer.state is State.OK else b"")
        elif answer.source == SCREENSHOT and answer.state is State.NOT_ASKED:
            continue
        answers[answer.source] = answer
        watch(told(answer, serial_signatures()))
    return Evidence(target, now, answers)


def _named(answer: Answer) -> None:
    """A VM that does not exist, or that the caller may not see, ends the command; every other failure is a result."""
    if answer.state is State.DENIED or answer.status == 404:
        raise SourceFailed(answer.state, answer.detail, answer.missing_action, answer.status)


def _screenshot(
    azure: Azure, target: Target, machine: Future[dict[str, object] | None], log: Future[bytes], budget: Deadline
) -> Said:
    """Asked of Windows, whose serial log says little, and of a guest whose log says nothing; else there is no gap."""
    vm = parse_vm(machine.result(timeout=budget.remaining()) or {})
    if vm.power and not vm.running:
        raise NotAsked(f"the VM is {vm.power}")
    if not vm.windows and log.result(timeout=budget.remaining()).strip(b"\0\r\n\t "):
        raise NotAsked("the serial log says more")
    return azure.screenshot(target, budget)


def _network(
    azure: Azure,
    machine: Future[dict[str, object] | None],
    interface: Future[NetworkFacts | None],
    wish: Wish,
    budget: Deadline,
) -> Said:
    """The primary NIC; asked only when a port is going to be looked at."""
    found = None
    try:
        vm = parse_vm(machine.result(timeout=budget.remaining()) or {})
        if not vm.nic_ids:
            raise NotAsked("the VM's network interface is not known")
        if vm.power and not vm.running:
            raise NotAsked(f"the VM is {vm.power}")
        _, nic = azure.network_interface(vm.nic_ids[0], budget)
        found = parse_nic(nic, _port_number(vm.windows, wish))
        return found.public_address or "no public address", found
    finally:
        interface.set_result(found)


def _port(
    azure: Azure,
    machine: Future[dict[str, object] | None],
    interface: Future[NetworkFacts | None],
    wish: Wish,
    budget: Deadline,
) -> Said:
    vm = parse_vm(machine.result(timeout=budget.remaining()) or {})
    if vm.power and not vm.running:
        raise NotAsked(f"the VM is {vm.power}")
    port = _port_number(vm.windows, wish)
    address = wish.ssh_host
    if address is None:
        network = interface.result(timeout=budget.remaining())
        address = network.public_address if network else None
        if address is None:
            raise NotAsked(_why_no_address(azure, network))
    found = azure.probe_port(address, port, budget, vm.windows and not wish.ssh_user)
    return "looked at", found


def _why_no_address(azure: Azure, network: NetworkFacts | None) -> str:
    if network is None:
        return "the VM's address is not known; --ssh-host names one"
    if azure.in_cloud_shell():
        return "the VM has no public address, and Cloud Shell has no route into its network"
    private = network.private_address or "its private address"
    return (
        f"the VM has no public address; --ssh-host {private} looks there if this machine has a route into its network"
    )


def _port_number(windows: bool, wish: Wish) -> int:
    """The port that tells whether the guest lives: RDP's on Windows, unless the user has an SSH server there."""
    return RDP_PORT if windows and not wish.ssh_user else wish.ssh_port or SSH_PORT


def _inside(azure: Azure, evidence: Evidence, wish: Wish, deadline: Deadline, watch: Watch) -> Evidence:
    """One look inside the guest, through the first channel that works; the others say why they were not used."""
    facts = read(evidence, serial_signatures())
    address = login_of(facts, wish).host or None
    tried: dict[str, Answer] = {}
    for channel in choice.order(wish):
        if not choice.considered(channel, facts, wish, tried):
            continue
        refusal = choice.refusal(channel, facts, wish, address, tried)
        if refusal is None and channel != PASTE and deadline.remaining() < LEAST_INSIDE_SECONDS:
            refusal = "no time left to look inside: --timeout gives more"
        if refusal is not None:
            tried[channel] = Answer(channel, State.NOT_ASKED, refusal)
        else:
            watch(Answer("look inside", State.NOT_ASKED, f"through {channel}: {choice.why(channel, wish)}"))
            call = _channel(azure, channel, facts, wish, address, deadline)
            tried[channel] = _said_what_stays(next(iter(ask_all({channel: call}, deadline))))
        watch(told(tried[channel]))
    return replace(evidence, answers={**evidence.answers, **tried})


def _channel(
    azure: Azure, channel: str, facts: Facts, wish: Wish, address: str | None, deadline: Deadline
) -> Callable[[], Said]:
    earlier = Deadline(deadline.at - CHANNEL_RESERVE_SECONDS)
    if channel == SERIAL_CONSOLE:
        user, log, insist = console_login_of(facts, wish)
        earlier = Deadline(deadline.at - LOG_OUT_SECONDS)
        if choice.at_maintenance(facts, wish):
            return lambda: _look_at_the_stop(
                azure.maintenance_shell(facts.target, log, user, emergency_script(), earlier)
            )
        return lambda: _probe_answer(azure.serial_console(facts.target, log, user, probe_script(), earlier, insist))
    if channel == PASTE:
        return lambda: _of_this_guest(facts, _probe_answer(("pasted by hand", wish.pasted or "")))
    bounded = earlier.at_most(AGENT_PATIENCE_SECONDS)
    if channel == RUN_COMMAND:
        return lambda: _probe_answer(azure.run_command(facts.target, _script(facts), bounded))
    if channel == MANAGED_RUN_COMMAND:
        location = facts.vm.location if facts.vm else ""
        return lambda: _probe_answer(azure.managed_run_command(facts.target, location, _script(facts), bounded))
    login = _login(wish, address)
    return lambda: _probe_answer(azure.ssh(login, _script(facts), earlier.at_most(PATIENCE_SECONDS)))


def _login(wish: Wish, address: str | None) -> SshLogin:
    return SshLogin(address or "", wish.ssh_user or "", wish.ssh_port, wish.ssh_key, wish.ssh_config)


def login_of(facts: Facts, wish: Wish) -> SshLogin:
    """The SSH login that the user gave, to the address that he named or that the VM has."""
    return _login(wish, wish.ssh_host or (facts.network.public_address if facts.network else None))


def console_login_of(facts: Facts, wish: Wish) -> tuple[ConsoleLogin, bytes, bool]:
    """The login at the serial console that the user gave, what the console showed last, and whether he insists."""
    seen = facts.answers.get(SERIAL_LOG)
    log = seen.value if seen is not None and seen.state is State.OK else b""
    return ConsoleLogin(wish.console_user or "", wish.console_password), log, wish.serial_console == choice.ALWAYS


def _script(facts: Facts) -> str:
    """The probe for this guest; a guest of unknown kind is taken for the more frequent one."""
    return windows_probe_script() if facts.vm is not None and facts.vm.windows else probe_script()


def _look_at_console(azure: Azure, evidence: Evidence, deadline: Deadline, watch: Watch) -> Evidence:
    """Press Enter at the login prompt that the log shows: without credentials, and the last thing done to the VM."""
    log = evidence.value(SERIAL_LOG) or b""
    budget = deadline.at_most(LOOK_SECONDS)
    earlier = Deadline(budget.at - CHANNEL_RESERVE_SECONDS)
    call = {SERIAL_CONSOLE: lambda: azure.look_at_console(evidence.target, log, earlier)}
    answer = next(iter(ask_all(call, budget)))
    watch(told(answer, serial_signatures()))
    return replace(evidence, answers={**evidence.answers, SERIAL_CONSOLE: answer})


def _probe_answer(said: Said) -> Said:
    """What came back, if the probe wrote it: a shell that turns logins away also prints something."""
    _, text = said
    if not is_probe_answer(text):
        raise SourceFailed(State.GARBLED, f"what came back is not the probe's answer: {one_line(text, 80)}")
    return said


def _look_at_the_stop(said: Said) -> Said:
    if not is_boot_stop(said[1]):
        raise SourceFailed(State.GARBLED, f"what came back is not the look's answer: {one_line(said[1], 80)}")
    return said


def _of_this_guest(facts: Facts, said: Said) -> Said:
    """A file may be of another VM; where it is of another system, that shows."""
    pasted = "Windows" if is_windows_answer(said[1]) else "Linux"
    if facts.vm is not None and facts.vm.os_type and facts.vm.windows is not (pasted == "Windows"):
        why = f"the pasted answer is of a {pasted} guest, and this VM's disk holds {facts.vm.os_type}"
        raise SourceFailed(State.GARBLED, why)
    return said


def _said_what_stays(answer: Answer) -> Answer:
    """A run command nobody waits for any more is said, also where only our own clock ended the wait."""
    agents = (RUN_COMMAND, MANAGED_RUN_COMMAND)
    if answer.source not in agents or answer.state is not State.TIMED_OUT or answer.cause or "queue" in answer.detail:
        return answer
    stays = "if Azure has accepted the request, it stays in the VM's queue until the agent answers or a restart"
    return replace(answer, detail=f"{answer.detail}; {stays}")


def _one_more_minute(
    azure: Azure, facts: Facts, evidence: Evidence, deadline: Deadline, watch: Watch, clock: Clock
) -> Evidence:
    """Wait for the first whole minute that began after we asked, if the budget reaches that far, and ask once more."""
    asked_at, newest = facts.asked_at, facts.metrics.newest if facts.metrics else None
    if newest is None:
        return evidence
    first_minute = datetime.fromtimestamp(math.ceil(asked_at.timestamp() / 60) * 60, timezone.utc)
    lag = max(timedelta(0), asked_at - newest - 2 * MINUTE) + LAG_MARGIN
    wait = (first_minute + MINUTE + lag - clock.now()).total_seconds()
    if wait > deadline.remaining() - 5:
        return evidence
    watch(
        Answer(
            HOST_METRICS,
            State.NOT_ASKED,
            f"waiting {wait:.0f} s for the first minute that covers now: it tells scenario 3 from 4",
        )
    )
    clock.sleep(max(0.0, wait))
    call = {HOST_METRICS: lambda: azure.host_metrics(facts.target, clock.now(), deadline)}
    answer = next(iter(ask_all(call, deadline)))
    watch(told(answer, serial_signatures()))
    if answer.state is not State.OK:
        return evidence
    return replace(evidence, answers={**evidence.answers, HOST_METRICS: answer})


def seconds_by_step(answers: tuple[Answer, ...]) -> Mapping[str, float]:
    """How long each source took, for the timings of the JSON contract."""
    return {answer.source: round(answer.seconds, 3) for answer in answers if answer.seconds is not None}
