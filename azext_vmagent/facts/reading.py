"""All facts of one diagnosis: raw answers in, typed facts out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from azext_vmagent.facts.agent_log import AgentLogFacts, parse_agent_log
from azext_vmagent.facts.boot_stop import BootStop, is_boot_stop, parse_boot_stop
from azext_vmagent.facts.console import ConsoleLook
from azext_vmagent.facts.guest import GuestFacts, parse_probe
from azext_vmagent.facts.host_metrics import HostMetrics, parse_metrics
from azext_vmagent.facts.instance_view import VmFacts, parse_vm
from azext_vmagent.facts.port import NetworkFacts, PortFacts, PortOutcome
from azext_vmagent.facts.resource_health import HealthFacts, parse_health
from azext_vmagent.facts.screenshot import Screenshot, ScreenshotFacts
from azext_vmagent.facts.serial_log import SerialLogFacts, SerialState, parse_serial_log
from azext_vmagent.facts.serial_signature import Signature
from azext_vmagent.model import Answer, Evidence, State, Target

# the names of the sources and channels, as people and the JSON contract see them
INSTANCE_VIEW = "instance view"
SERIAL_LOG = "serial log"
SCREENSHOT = "screenshot"
AGENT_LOG = "agent log"
HOST_METRICS = "host metrics"
RESOURCE_HEALTH = "resource health"
NETWORK = "network interface"
PORT = "port"
RUN_COMMAND = "run command"
MANAGED_RUN_COMMAND = "managed run command"
SSH = "ssh"
SERIAL_CONSOLE = "serial console"
PASTE = "paste"

#: in the order of their weight, should several have answered
GUEST_CHANNELS = (PASTE, SSH, RUN_COMMAND, MANAGED_RUN_COMMAND, SERIAL_CONSOLE)


@dataclass(frozen=True)
class Facts:
    """What is known about one VM. None = that source gave nothing; ``answers`` says why."""

    target: Target
    asked_at: datetime
    answers: Mapping[str, Answer] = field(default_factory=dict)
    vm: VmFacts | None = None
    serial: SerialLogFacts | None = None
    metrics: HostMetrics | None = None
    health: HealthFacts | None = None
    network: NetworkFacts | None = None
    port: PortFacts | None = None
    guest: GuestFacts | None = None
    guest_channel: str | None = None
    console: ConsoleLook | None = None
    screenshot: ScreenshotFacts | None = None
    agent_log: AgentLogFacts | None = None
    stopped: BootStop | None = None

    @property
    def windows(self) -> bool | None:
        """Whether the guest is a Windows one, by its own word, the VM's model or its agent's log; None: nobody says."""
        if self.guest is not None and (self.guest.windows is not None or self.guest.service.has_systemd is not None):
            return self.guest.windows is not None
        if self.vm is not None and self.vm.os_type:
            return self.vm.windows
        return self.agent_log.windows if self.agent_log is not None else None

    def state(self, source: str) -> State:
        """How asking that source ended."""
        answer = self.answers.get(source)
        return answer.state if answer else State.NOT_ASKED

    def detail(self, source: str) -> str:
        """The line that says how it ended."""
        answer = self.answers.get(source)
        return answer.detail if answer else "not asked"


def read(evidence: Evidence, known: Sequence[Signature] = ()) -> Facts:
    """Every fact that the evidence holds. ``known`` are the lines of a serial log that the catalogue of causes adds."""
    vm, serial = evidence.value(INSTANCE_VIEW), evidence.value(SERIAL_LOG)
    metrics, health = evidence.value(HOST_METRICS), evidence.value(RESOURCE_HEALTH)
    screenshot, agent_log = evidence.value(SCREENSHOT), evidence.value(AGENT_LOG)
    said = {name: evidence.value(name) for name in GUEST_CHANNELS}
    stopped = next((text for text in said.values() if isinstance(text, str) and is_boot_stop(text)), None)
    channel = next((name for name, text in said.items() if isinstance(text, str) and text is not stopped), None)
    console = evidence.answers.get(SERIAL_CONSOLE)
    return Facts(
        target=evidence.target,
        asked_at=evidence.collected_at,
        answers=evidence.answers,
        vm=parse_vm(vm) if vm is not None else None,
        serial=_judged(serial, tuple(known)) if serial is not None else None,
        screenshot=screenshot.facts if isinstance(screenshot, Screenshot) else None,
        agent_log=parse_agent_log(agent_log) if agent_log is not None else None,
        metrics=parse_metrics(metrics) if metrics is not None else None,
        health=parse_health(health) if health is not None else None,
        network=evidence.value(NETWORK),
        port=evidence.value(PORT),
        guest=parse_probe(evidence.value(channel)) if channel else None,
        guest_channel=channel,
        stopped=parse_boot_stop(stopped) if stopped is not None else None,
        console=console.value if console is not None and isinstance(console.value, ConsoleLook) else None,
    )


@lru_cache(maxsize=4)
def _judged(log: bytes, known: tuple[Signature, ...]) -> SerialLogFacts:
    """One diagnosis reads its evidence several times, and its log is the same each time."""
    return parse_serial_log(log, known)


def told(answer: Answer, known: Sequence[Signature] = ()) -> Answer:
    """The answer with a detail that says what was seen in it, for the step lines. ``known`` as for ``read``."""
    if answer.state is not State.OK:
        return answer
    if answer.source == SERIAL_LOG:
        return replace(answer, detail=_seen_serial(_judged(answer.value, tuple(known))))
    detail = _SEEN.get(answer.source, lambda a: a.detail)(answer)
    return replace(answer, detail=detail)


def _seen_vm(answer: Answer) -> str:
    vm = parse_vm(answer.value)
    return f"agent {vm.agent.value}, VM {vm.power or 'power state unknown'}"


_STATES = {
    SerialState.LOGIN_PROMPT: "login prompt in the newest boot",
    SerialState.EMERGENCY: "emergency mode in the newest boot",
    SerialState.PANIC: "kernel panic in the newest boot",
    SerialState.BOOTING: "the newest boot is under way",
    SerialState.SHUTTING_DOWN: "the guest is shutting down",
    SerialState.POWERED_OFF: "the guest has shut down",
    SerialState.EMPTY: "empty (a guest without a serial console writes nothing)",
    SerialState.UNKNOWN: "no prompt and no failure in the newest boot",
}


def _seen_serial(serial: SerialLogFacts) -> str:
    text = _STATES.get(serial.state, f"{serial.state.value} in the newest boot")
    return text + (f" (boot {serial.boots} in the log)" if serial.boots > 1 else "")


def _seen_screenshot(answer: Answer) -> str:
    shown = answer.value.facts.shown
    return f"{shown}; saved as {answer.value.path}" if answer.value.path else shown


def _seen_health(answer: Answer) -> str:
    health = parse_health(answer.value)
    text = (health.state or "unknown").lower()
    return f"{text}, platform event: {health.title}" if health.platform_event else f"{text}, no platform event"


def _seen_port(answer: Answer) -> str:
    return port_line(answer.value)


def port_line(port: PortFacts) -> str:
    """One look at a port, for people."""
    where = f"{port.address}:{port.port}"
    return {
        PortOutcome.GREETING: f"{port.greeting} from {where}",
        PortOutcome.REFUSED: f"{where} refuses the connection: a live network stack, no server",
        PortOutcome.TIMED_OUT: f"{where} times out",
        PortOutcome.SILENT: f"{where} accepts the connection and says nothing",
        PortOutcome.CLOSED: f"{where} closes the connection without a word",
        PortOutcome.NO_ROUTE: f"no route from here to {where}",
        PortOutcome.UNRESOLVED: f"{port.address} is not a name that resolves here",
    }[port.outcome]


def _seen_guest(answer: Answer) -> str:
    if isinstance(answer.value, ConsoleLook) or is_boot_stop(answer.value):
        return answer.detail
    guest = parse_probe(answer.value)
    return answer.detail if guest.complete else f"{answer.detail}, but the answer is not whole"


_SEEN = {
    INSTANCE_VIEW: _seen_vm,
    SCREENSHOT: _seen_screenshot,
    HOST_METRICS: lambda answer: parse_metrics(answer.value).seen,
    RESOURCE_HEALTH: _seen_health,
    PORT: _seen_port,
    SERIAL_CONSOLE: _seen_guest,
    PASTE: _seen_guest,
    SSH: _seen_guest,
    RUN_COMMAND: _seen_guest,
    MANAGED_RUN_COMMAND: _seen_guest,
}
