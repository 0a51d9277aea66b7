"""Facts by hand, in the fewest words: a Linux VM that runs, asked at one moment, and what each source saw of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.firewall_facts import BlockingRule, RuleAnalysis, UndecidedRule
from azext_vmagent.facts.guest import Connect, GuestFacts, Interface, Route, ServiceFacts, WireTest
from azext_vmagent.facts.host_metrics import CpuState, HostMetrics, NetworkTrend
from azext_vmagent.facts.instance_view import AgentStatus, VmFacts
from azext_vmagent.facts.port import NetworkFacts, PortFacts, PortOutcome
from azext_vmagent.facts.reading import SSH, Facts
from azext_vmagent.facts.serial_log import Outlook, SerialEvent, SerialLogFacts, SerialState
from azext_vmagent.model import Answer, State, Target

ASKED = datetime(2026, 11, 24, 9, 0, 30, tzinfo=timezone.utc)
TARGET = Target("00000000-0000-0000-0000-000000000000", "rg-shop", "web-03")
PUBLIC = "203.0.113.7"

READY = VmFacts(power="running", agent=AgentStatus.READY, os_type="Linux")
NOT_READY = replace(READY, agent=AgentStatus.NOT_READY)
OPEN = NetworkFacts(PUBLIC, "10.0.0.4", True, "security rule ssh lets tcp/22 in")
UNKNOWN_WAY = replace(OPEN, path_open=None, path_reason="the subnet's security rules are not known")
CLOSED = replace(OPEN, path_open=False, path_reason="no security rule lets tcp/22 in")
WISH = Wish()


def port(outcome: PortOutcome, address: str = PUBLIC) -> PortFacts:
    return PortFacts(address, 22, outcome, "SSH-2.0-OpenSSH_8.0" if outcome is PortOutcome.GREETING else "")


def metrics(
    network: NetworkTrend, cpu: CpuState = CpuState.ALIVE, *, now: bool = False, usual: float = 400_000
) -> HostMetrics:
    newest = ASKED + timedelta(seconds=30) if now else ASKED - timedelta(minutes=2)
    fell = newest - timedelta(minutes=4) if network in (NetworkTrend.FELL, NetworkTrend.FELL_JUST_NOW) else None
    return HostMetrics(network, cpu, f"network {network.value}, cpu {cpu.value}", newest, usual, fell_at=fell)


def serial(outlook: Outlook, state: SerialState = SerialState.LOGIN_PROMPT, **more: Any) -> SerialLogFacts:
    prompt = SerialEvent(9, "web-03 login:", "login prompt") if state is SerialState.LOGIN_PROMPT else None
    return SerialLogFacts(state, outlook, 1, 10, 1, prompt=prompt, **more)


PROMPT = serial(Outlook.HEALTHY)
EMERGENCY_LINE = SerialEvent(812, "You are in emergency mode.", "systemd entered emergency mode")
EMERGENCY = serial(
    Outlook.NOT_BOOTED,
    SerialState.EMERGENCY,
    deciding=(SerialEvent(810, "Dependency failed for /data", "a mount needs a device", code="B01", culprit="/data"),),
    emergency=EMERGENCY_LINE,
    cause_code="B01",
    cause_slug="fstab-missing-device",
    failed_mount="/data",
    failed_device="/dev/disk/by-uuid/5f3b",
)
BOOTING = serial(Outlook.BOOTING, SerialState.BOOTING)
NETWORK_LINE = SerialEvent(40, "Failed to bring up eth0", "the interface did not come up")
NO_NETWORK = serial(Outlook.NETWORK_DOWN, SerialState.LOGIN_PROMPT, deciding=(NETWORK_LINE,))

RUNS = ServiceFacts(True, "waagent.service", "loaded", "active", "running", "enabled")
STOPPED = replace(RUNS, active_state="inactive", sub_state="dead")
UP = Interface("eth0", True, "UP", ("10.0.0.4/24",))
UNICAST = Route("unicast", "eth0", "10.0.0.1", "10.0.0.4")
READ_WHOLE = RuleAnalysis(listed=("iptables", "nft"))
DROP = BlockingRule(
    "firewalld-direct",
    "ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP",
    "filter OUTPUT",
    "drop",
    (80, 32526),
    "firewall-cmd --direct --remove-rule ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP",
    False,
)
DOUBT = UndecidedRule("nft", "meta mark 7 drop", "inet filter output", "meta mark", (80, 32526))


def blocked_by(*rules: BlockingRule) -> RuleAnalysis:
    return replace(READ_WHOLE, blocks=rules)


def guest(
    service: ServiceFacts = RUNS, port80: Connect = Connect.OK, port32526: Connect = Connect.OK, **more: Any
) -> GuestFacts:
    wire = {
        n: WireTest(n, outcome, 200 if outcome is Connect.OK else None, "curl")
        for n, outcome in ((80, port80), (32526, port32526))
    }
    usual: dict[str, Any] = {"uid": 0, "clock": ASKED, "interfaces": (UP,), "route": UNICAST, "rules": READ_WHOLE}
    return GuestFacts(complete=True, service=service, wire=wire, **(usual | more))


def facts(**known: Any) -> Facts:
    """What is not given was not learned; ``ended`` says how asking a source ended, ``inside`` is the guest's own word."""
    ended: dict[str, State] = known.pop("ended", {})
    found = Facts(
        TARGET, ASKED, {name: Answer(name, state, f"{name}: {state.value}") for name, state in ended.items()}, **known
    )
    if found.guest is not None and found.guest_channel is None:
        return replace(found, guest_channel=SSH)
    return found
