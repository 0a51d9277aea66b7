"""What the guest said about itself, as types; ``facts/guest.py`` reads them from the probe's text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from azext_vmagent.facts.firewall_facts import RuleAnalysis
from azext_vmagent.facts.guest_repair import AtWork, LastRepair

if TYPE_CHECKING:
    from azext_vmagent.facts.windows_facts import WindowsFacts
#: an agent's goal state, status and log need some hundred KiB; extensions some MiB
FULL_KIB = 512
FULL_INODES = 16

#: names that Linux gives to interfaces of its own making, and Azure's second face of an accelerated one (enP…)
_NOT_AZURES = re.compile(
    r"(lo|enP.*|tun.*|tap.*|wg.*|tailscale.*|ppp.*|virbr.*|dummy.*|bond.*|team.*|ip6?tnl.*|sit.*|gre.*|cni.*|azure.*)"
)


class Connect(str, Enum):
    """How a connection to the Wire Server ended, told apart by errno (verified in a network namespace, Linux 6.18)."""

    OK = "ok"
    REFUSED = "refused"
    TIMED_OUT = "timed-out"
    NO_ROUTE = "no-route"
    UNREACHABLE = "network-unreachable"
    DENIED = "denied"
    BLACKHOLE = "blackhole"
    RESET = "reset"
    FAILED = "failed"
    NO_TOOL = "no-tool"
    NOT_SAID = "not-said"


@dataclass(frozen=True)
class WireTest:
    """One HTTP GET to the Wire Server, as root, without proxy. ``status`` when HTTP was spoken (any status is OK)."""

    port: int
    outcome: Connect
    status: int | None = None
    tool: str | None = None
    detail: str = ""

    @property
    def blocked(self) -> bool:
        """The server was not reached, and a tool was there to try."""
        return self.outcome not in (Connect.OK, Connect.NO_TOOL, Connect.NOT_SAID)


@dataclass(frozen=True)
class DropInLine:
    """One setting in a unit's drop-in file: ``IPAddressDeny=168.63.129.16``."""

    path: str
    setting: str


@dataclass(frozen=True)
class ServiceFacts:
    """The agent's unit as ``systemctl show`` prints it; empty strings where systemd said nothing.

    ``unit`` is None when neither name exists or there is no systemctl (see ``has_systemd``). ``unmet_condition`` is the
    condition that kept it from starting (``ConditionPathExists=/etc/waagent.conf``), ``slice_deny`` the addresses that
    a slice around it denies. ``queued``: systemd has a job for the unit that has not ended, as while a boot is not
    through; ``at_work`` are the units whose jobs run meanwhile (``cloud-final.service``).
    """

    has_systemd: bool | None = None
    unit: str | None = None
    load_state: str = ""
    active_state: str = ""
    sub_state: str = ""
    unit_file_state: str = ""
    result: str = ""
    restarts: int | None = None
    exit_code: str = ""
    exit_status: int | None = None
    condition_met: bool | None = None
    fragment_path: str = ""
    main_pid: int | None = None
    active_since: datetime | None = None
    inactive_since: datetime | None = None
    ip_address_deny: str = ""
    private_network: bool | None = None
    drop_ins: str = ""
    environment: str = ""
    ip_address_allow: str = ""
    network_namespace: str = ""
    address_families: str = ""
    frozen: bool = False
    slice_deny: dict[str, str] = field(default_factory=dict)
    unmet_condition: str = ""
    drop_in_lines: tuple[DropInLine, ...] = ()
    queued: bool = False
    at_work: tuple[str, ...] = ()

    @property
    def running(self) -> bool | None:
        """Active and running; None when systemd did not say."""
        return self.active_state == "active" if self.active_state else None


@dataclass(frozen=True)
class AgentProcess:
    """A process of the agent. ``state`` is ps's letter: T is stopped by a signal, D waits for a disk, Z is dead."""

    pid: int
    state: str
    command: str

    @property
    def worker(self) -> bool:
        """The one that fetches goal states and reports; the other is the daemon that starts it."""
        return "-run-exthandlers" in self.command

    @property
    def halted(self) -> bool:
        """Stopped by a signal or a debugger."""
        return self.state[:1] in ("T", "t")


@dataclass(frozen=True)
class Program:
    """What the agent's unit starts: a script and its interpreter, each ``ok``, ``missing``, ``not-executable``, …

    A ``state`` of ``other`` is a program that is not waagent: nothing is known about it.

    ``interpreter_state`` is also ``runs`` (the agent runs, nothing was tried), ``failed`` (the agent's program;
    ``error`` is the last line it printed), ``broken`` (the interpreter itself) or ``unknown`` (no python).
    ``packages`` are ``name version state`` as dpkg or rpm know them.
    """

    path: str = ""
    state: str = ""
    interpreter: str = ""
    interpreter_state: str = ""
    version: str = ""
    error: str = ""
    packages: tuple[str, ...] = ()
    openssl: bool | None = None


@dataclass(frozen=True)
class LogLine:
    """One line of a log; ``line`` is 1-based, None when only the end of a huge log was read."""

    line: int | None
    time: datetime | None
    text: str


@dataclass(frozen=True)
class LogFacts:
    """What ``/var/log/waagent.log`` says about the Wire Server.

    ``failures`` are the newest lines of the current run of failures (oldest first), ``first_failure`` its first line:
    that dates the silence. A run ends at a line that proves the Wire Server answered (``recovery``); then ``failures``
    is empty and ``past_failure`` is the newest one before it. ``host_plugin`` is the newest failure of port 32526,
    which has no recovery line in any version.
    """

    present: bool | None = None
    newest: datetime | None = None
    lines: int | None = None
    size: int | None = None
    failures: tuple[LogLine, ...] = ()
    failure_count: int = 0
    first_failure: LogLine | None = None
    past_failure: LogLine | None = None
    recovery: LogLine | None = None
    heartbeat: LogLine | None = None
    host_plugin: LogLine | None = None
    errors: tuple[LogLine, ...] = ()


@dataclass(frozen=True)
class Interface:
    """A network interface. ``admin_up`` is the UP flag, ``carrier`` the operstate's word (UP, DOWN, UNKNOWN, …)."""

    name: str
    admin_up: bool | None
    carrier: str
    addresses: tuple[str, ...] = ()
    mac: str = ""


@dataclass(frozen=True)
class Route:
    """The kernel's answer to ``ip route get 168.63.129.16``.

    ``kind`` is unicast, local (the guest itself holds the address), blackhole, unreachable, prohibit, none (no route at
    all) or unknown.
    """

    kind: str
    device: str = ""
    gateway: str = ""
    source: str = ""
    text: str = ""


@dataclass(frozen=True)
class Disk:
    """Use of one mount in percent; None where ``df`` did not say. ``free_kib`` is what root may still write."""

    mount: str
    used_percent: int | None = None
    inodes_percent: int | None = None
    read_only: bool | None = None
    free_kib: int | None = None
    free_inodes: int | None = None
    no_exec: bool = False

    @property
    def full(self) -> bool:
        """No room even for root: less than the agent needs for one status file and a line of its log."""
        return self.free_kib is not None and self.free_kib < FULL_KIB and (self.used_percent or 0) >= 99

    @property
    def out_of_inodes(self) -> bool:
        """No file can be made any more."""
        return self.free_inodes is not None and self.free_inodes < FULL_INODES and (self.inodes_percent or 0) >= 99


@dataclass(frozen=True)
class GuestFacts:
    """Everything one probe learned. Defaults mean «not said»; ``missing`` names the sections that never came.

    ``complete`` is True only when both markers were there: a text without its end was cut or is still running.
    ``cut`` maps a section to the number of bytes left out for size. ``windows`` is None for a Linux guest.
    ``complete`` is True only when both markers were there and the checksum is right: else it was cut or garbled.
    ``cut`` maps a section to the number of bytes left out for size, ``mount_of`` the agent's folders to their mounts.
    ``memory_kib`` is total and available, ``proxy_agent`` the state of the Guest Proxy Agent's unit, if there is one.
    ``neighbours`` are the gateways with the kernel's word on them (REACHABLE, STALE, FAILED, …), ``dhcp_clients`` the
    processes that may ask DHCP for an address. ``last_repair`` is what a repair left there, ``repairing`` one at work.
    """

    complete: bool = False
    missing: tuple[str, ...] = ()
    cut: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None
    uid: int | None = None
    distribution: str = ""
    kernel: str = ""
    uptime: float | None = None
    clock: datetime | None = None
    utc_offset_minutes: int | None = None
    service: ServiceFacts = ServiceFacts()
    processes: tuple[AgentProcess, ...] | None = None
    disabled_by_file: bool | None = None
    config_present: bool | None = None
    config: dict[str, str] = field(default_factory=dict)
    wire: dict[int, WireTest] = field(default_factory=dict)
    rules: RuleAnalysis = field(default_factory=RuleAnalysis)
    log: LogFacts = LogFacts()
    interfaces: tuple[Interface, ...] = ()
    default_routes: tuple[str, ...] | None = None
    route: Route = Route("unknown")
    neighbours: dict[str, str] = field(default_factory=dict)
    dhcp_clients: tuple[str, ...] | None = None
    disks: tuple[Disk, ...] = ()
    journal: tuple[str, ...] = ()
    windows: WindowsFacts | None = None
    program: Program = Program()
    mount_of: dict[str, str] = field(default_factory=dict)
    file_counts: dict[str, int] = field(default_factory=dict)
    metadata: Connect = Connect.NOT_SAID
    memory_kib: tuple[int, int] | None = None
    fips: bool | None = None
    proxy_agent: str = ""
    kernel_words: tuple[str, ...] = ()
    last_repair: LastRepair | None = None
    repairing: AtWork | None = None

    @property
    def restarted_since_repair(self) -> bool:
        """The guest has booted after the last repair in it was at work."""
        if self.last_repair is None or self.clock is None or self.uptime is None:
            return False
        return self.clock - timedelta(seconds=self.uptime) > self.last_repair.time

    @property
    def root(self) -> bool | None:
        """The probe ran as root; a non-root test of the Wire Server proves nothing (the agent drops it itself)."""
        return None if self.uid is None else self.uid == 0

    @property
    def azure_interfaces(self) -> tuple[Interface, ...]:
        """The interfaces that Azure gave the VM, the first one in front."""
        return tuple(one for one in self.interfaces if not _NOT_AZURES.fullmatch(one.name))

    def agent_disks(self) -> tuple[Disk, ...]:
        """The mounts that hold the agent's folder and its log, as far as the guest said."""
        mounts = [self.mount_of[folder] for folder in ("/var/lib/waagent", "/var/log") if folder in self.mount_of]
        return tuple(disk for disk in self.disks if disk.mount in mounts)

    def outcome(self, port: int) -> Connect:
        """How the test of that port ended; NOT_SAID when there was none."""
        test = self.wire.get(port)
        return test.outcome if test else Connect.NOT_SAID

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Where the rules and the connection disagree, one sentence each; empty when they agree or one is missing."""
        ruled = self.rules.ports()
        found = [
            f"a rule blocks tcp/{port}, yet the Wire Server answers on it"
            for port in sorted(ruled)
            if self.outcome(port) is Connect.OK
        ]
        silent = [port for port, test in sorted(self.wire.items()) if test.blocked and port not in ruled]
        if self.rules.complete and not self.rules.undecided:
            found += [
                f"tcp/{port} ends {self.outcome(port).value}, yet no rule or route of the guest blocks it"
                for port in silent
                if self.route.kind == "unicast"
            ]
        return tuple(found)
