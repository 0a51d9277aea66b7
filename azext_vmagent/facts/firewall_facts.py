"""What the probe lists of the guest's firewalls and routes, and what their analysis says, as types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from azext_vmagent.facts.rules import ANY_ADDRESS, Hit, Table, address_range

WIRE_SERVER = "168.63.129.16"
WIRE_PORTS = (80, 32526)
WIRE_RANGE = address_range(WIRE_SERVER) or ANY_ADDRESS


@dataclass(frozen=True)
class BlockingRule:
    """A rule that keeps root from ``ports`` of the Wire Server.

    ``tool`` is what owns it and must be used to remove it: firewalld-direct, firewalld-passthrough, firewalld-policy,
    firewalld-panic, ufw, csf, iptables, iptables-legacy, nft, traffic-control, ip-route or agent (the agent's own
    rules, half-applied).
    ``rule`` is verbatim from the listing; ``undo`` runs as root as it stands, None when there is no safe one-liner.
    ``direction`` is out, or in where it is the server's replies that are dropped. ``stays`` says whether it comes back
    after a reload or reboot (None: unknown). ``place`` is where the kernel has it: (binary, table, chain) of iptables,
    (family, table, chain, handle or "-" of the chain's policy) of nft, (store, id or profile) of Windows Firewall; its
    stores are local, gpo (Group Policy) and mdm (device management).
    """

    tool: str
    rule: str
    where: str
    action: str
    ports: tuple[int, ...]
    undo: str | None
    stays: bool | None = None
    direction: str = "out"
    place: tuple[str, ...] = ()


@dataclass(frozen=True)
class UndecidedRule:
    """A rule that may block, with the part of its text that could not be judged."""

    tool: str
    rule: str
    where: str
    because: str
    ports: tuple[int, ...]


@dataclass(frozen=True)
class RuleAnalysis:
    """What the listings say. ``own`` are the agent's own rules as seen: they let root pass and are no block;
    ``forwarding`` are rules that stop what containers and others behind the guest send to the Wire Server.

    ``complete`` is False when a listing was cut, refused or missing: then «no blocking rule» proves nothing.
    ``listed`` names the tools whose rules were seen, also when they hold none.
    """

    blocks: tuple[BlockingRule, ...] = ()
    undecided: tuple[UndecidedRule, ...] = ()
    own: tuple[str, ...] = ()
    forwarding: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Every listing that the guest has was read whole."""
        return bool(self.listed) and not self.missing

    def ports(self) -> frozenset[int]:
        """The Wire Server ports that some rule blocks for sure."""
        return frozenset(port for block in self.blocks for port in block.ports)


@dataclass(frozen=True)
class Listings:
    """What the probe listed, each line verbatim behind its key.

    ``iptables`` and ``legacy`` hold ``TABLE -A CHAIN …`` lines, ``nft`` the lines of ``facts.nft.tables``, ``direct``
    and ``passthrough`` what ``firewall-cmd --direct --get-all-…`` prints, ``permanent`` the lines of firewalld's
    direct.xml (``rule``/``passthrough`` and the element), ``policies`` name -> XML, ``ufw`` its user.rules' tuples,
    ``routes`` those that could swallow the Wire Server, ``route_rules`` the policy routing rules. ``commands`` names
    the binary of each iptables flavour, ``ipsets`` the members of the sets that rules name (``facts.iptables.ipsets``),
    ``marks`` the values that rules write into marks (what is no number may write any), ``shaping`` what traffic control
    was told (``facts.traffic_control``).
    """

    iptables: tuple[str, ...] = ()
    legacy: tuple[str, ...] = ()
    nft: tuple[str, ...] = ()
    direct: tuple[str, ...] = ()
    passthrough: tuple[str, ...] = ()
    permanent: tuple[str, ...] = ()
    policies: Mapping[str, str] = field(default_factory=dict)
    panic: bool = False
    ufw: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    route_rules: tuple[str, ...] = ()
    ipsets: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    shaping: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    commands: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Path:
    """How packets to the Wire Server leave, as far as ``ip route get`` told: device and source address."""

    device: str | None = None
    source: str | None = None
    kind: str = "unicast"


@dataclass(frozen=True)
class Found:
    """A hit with all that is needed to name its owner; one for all the ports it hits."""

    hit: Hit
    table: Table
    direction: str
    ports: tuple[int, ...]
