"""Packet filter rules in one shape, whichever tool listed them, and the walk of one packet through them.

Pure. A match that cannot be judged from its text is neither true nor false: the walk carries the doubt along, so that a
rule behind it is reported as undecided instead of being blamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

Range = tuple[int, int]
ANY_ADDRESS: Range = (0, 2**32 - 1)
#: ``net.ipv4.ip_local_port_range`` of an unchanged Linux: where the server's replies go
EPHEMERAL: Range = (32768, 60999)
_DEPTH = 24


class Action(str, Enum):
    """What a rule does with a packet that matches. DIVERT is DNAT or REDIRECT; OPAQUE may do anything."""

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"
    DIVERT = "divert"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"
    PASS = "pass"
    OPAQUE = "opaque"


BLOCKING = (Action.DROP, Action.REJECT, Action.DIVERT)


@dataclass(frozen=True)
class Condition:
    """One match. ``values`` are inclusive integer ranges (addresses, ports, ids), names, or combinations of both.

    ``subject`` is daddr, saddr, origdaddr, dport, sport, port (either), origdport, uid, gid (ranges); proto, state,
    direction, oif, iif, dsttype, srctype, family, socket, fragment (names); mark, ctmark (pairs of value and mask);
    flags (pairs of mask and value, in TCP's bits); several of them with « . » between, as in nft's concatenations
    (``combined``); or unknown.
    """

    subject: str
    values: frozenset[Range] | frozenset[str] = frozenset()
    negated: bool = False
    text: str = field(default="", compare=False)
    combined: frozenset[tuple[Condition, ...]] = frozenset()


@dataclass(frozen=True)
class Rule:
    """One rule as listed. ``handle`` is nft's; ``policy`` marks the chain's policy, shown as a last rule."""

    text: str
    conditions: frozenset[Condition]
    action: Action
    target: str = ""
    handle: str = ""
    policy: bool = False


@dataclass(frozen=True)
class Chain:
    """``hook`` is input, output, prerouting, postrouting, ingress or egress for a base chain, empty for one that is
    jumped to.

    ``nat`` chains see only the first packet of a connection; those of a network device only what passes ``devices``.
    """

    name: str
    hook: str = ""
    rules: tuple[Rule, ...] = ()
    policy: Rule | None = None
    nat: bool = False
    devices: frozenset[str] | None = None


@dataclass(frozen=True)
class Table:
    """One table of one tool (iptables, iptables-legacy, nft). ``family`` is nft's; ip for iptables."""

    tool: str
    family: str
    name: str
    chains: Mapping[str, Chain]


@dataclass(frozen=True)
class Packet:
    """What is known of a packet; a range that is wider than one value means «one of these».

    ``server`` is the address and port that the connection was made to, on the packet's way back as well. ``flags`` are
    TCP's bits (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32), ``sure_flags`` those that are known. ``oif`` and ``iif``
    are None where not known, empty where there is none. ``marked`` are the bits of the mark that some rule may have
    set: the others are 0, as the kernel makes them.
    """

    daddr: Range
    saddr: Range
    dport: Range
    sport: Range
    server: tuple[Range, Range]
    state: str
    flags: int
    sure_flags: int
    uid: int | None
    oif: str | None
    iif: str | None
    dsttype: str = "unicast"
    srctype: str = "local"
    inbound: bool = False
    marked: int = 0


@dataclass(frozen=True)
class Hit:
    """The rule that decided, and the chain it is in. ``doubt`` is empty when it decides for sure."""

    rule: Rule
    chain: str
    doubt: str = ""


@dataclass
class _Walk:
    table: Table
    packet: Packet
    skipped: frozenset[Rule]
    doubt: str = ""
    doubtful: list[Hit] = field(default_factory=list)


def address_range(text: str) -> Range | None:
    """The addresses that ``text`` names, None if it is no IPv4 address, network or range.

    >>> address_range("168.63.129.0/24") == address_range("168.63.129.0-168.63.129.255")
    True
    """
    try:
        if "-" in text:
            low, _, high = text.partition("-")
            return int(IPv4Address(low)), int(IPv4Address(high))
        network = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None
    return int(network.network_address), int(network.broadcast_address)


def number_range(text: str, separator: str) -> Range | None:
    """``"80"`` or ``"1:1023"`` as an inclusive range, open ends filled; None if it is neither.

    >>> number_range(":1023", ":")
    (0, 1023)
    """
    low, mark, high = text.partition(separator)
    if not mark:
        return (int(text), int(text)) if text.isdecimal() else None
    if (low and not low.isdecimal()) or (high and not high.isdecimal()):
        return None
    return int(low or 0), int(high or 2**32 - 1)


def mark_pair(text: str) -> Range | None:
    """The value and mask of ``0x1/0xff``; without a mask all 32 bits count. None if it is neither.

    >>> mark_pair("0x4000/0x4000"), mark_pair("7")
    ((16384, 16384), (7, 4294967295))
    """
    value, _, mask = text.partition("/")
    try:
        return int(value, 0), int(mask or "0xffffffff", 0)
    except ValueError:
        return None


def never(negated: bool, text: str) -> Condition:
    """What no packet of ours satisfies, such as membership in an empty set."""
    return Condition("fragment", frozenset({"yes"}), negated, text)


def judge(condition: Condition, packet: Packet) -> bool | None:
    """Whether the packet satisfies the condition; None when its text does not tell."""
    found = _judge_plain(condition, packet)
    return None if found is None else found is not condition.negated


def _judge_plain(condition: Condition, packet: Packet) -> bool | None:
    subject, values = condition.subject, condition.values
    if condition.combined:
        return _any(_all(judge(part, packet) for part in parts) for parts in condition.combined)
    ranges = {
        "daddr": packet.daddr,
        "saddr": packet.saddr,
        "dport": packet.dport,
        "sport": packet.sport,
        "origdaddr": packet.server[0],
        "origdport": packet.server[1],
    }
    if subject in ranges:
        return _within(ranges[subject], values)
    if subject == "port":
        return _any(_within(port, values) for port in (packet.dport, packet.sport))
    if subject in ("uid", "gid"):
        return False if packet.uid is None else _within((packet.uid, packet.uid), values)
    if subject in ("oif", "iif"):
        return _interface(packet.oif if subject == "oif" else packet.iif, values)
    if subject in ("mark", "ctmark"):
        return _any(_mark(value, packet) for value in values if isinstance(value, tuple))
    if subject == "flags":
        return _any(_flags(value, packet) for value in values if isinstance(value, tuple))
    names = {
        "proto": {"tcp", "6", "all", "ip"},
        "state": {packet.state},
        "direction": {"reply" if packet.inbound else "original"},
        "family": {"ipv4", "ip", "4"},
        "dsttype": {packet.dsttype},
        "srctype": {packet.srctype},
        "socket": {"yes"},
        "fragment": {"no"},
    }.get(subject)
    return None if names is None else bool(names & values)


def _any(answers: Iterable[bool | None]) -> bool | None:
    """True when one is, else unknown when one is."""
    found = set(answers)
    return True if True in found else None if None in found else False


def _all(answers: Iterable[bool | None]) -> bool | None:
    found = set(answers)
    return False if False in found else None if None in found else True


def _mark(value: Range, packet: Packet) -> bool | None:
    wanted, mask = value
    if wanted & mask & ~packet.marked or wanted & ~mask:  # asks for a bit that nobody sets
        return False
    return None if mask & packet.marked else True


def _flags(value: Range, packet: Packet) -> bool | None:
    mask, wanted = value
    if (packet.flags ^ wanted) & mask & packet.sure_flags:
        return False
    return True if not mask & ~packet.sure_flags else None


def _within(wanted: Range, values: Iterable[Range | str]) -> bool | None:
    ranges = [value for value in values if isinstance(value, tuple)]
    if any(low <= wanted[0] and wanted[1] <= high for low, high in ranges):
        return True
    return None if any(low <= wanted[1] and wanted[0] <= high for low, high in ranges) else False


def _interface(name: str | None, values: Iterable[Range | str]) -> bool | None:
    patterns = [value for value in values if isinstance(value, str)]
    if {"*", "+"} & set(patterns):
        return True
    if name is None:
        return False if all(pattern == "lo" for pattern in patterns) else None
    return any(name.startswith(p[:-1]) if p.endswith(("+", "*")) else name == p for p in patterns)


def _matches(rule: Rule, packet: Packet) -> tuple[bool | None, str]:
    unsure = ""
    for condition in rule.conditions:
        found = judge(condition, packet)
        if found is False:
            return False, ""
        if found is None:
            unsure = unsure or condition.text or condition.subject
    return (None, unsure) if unsure else (True, "")


def decide(table: Table, chain: Chain, packet: Packet, skipped: frozenset[Rule]) -> tuple[Hit | None, list[Hit]]:
    """The rule of this base chain that blocks the packet for sure, and those that may.

    ``skipped`` are rules to pass over, so that a caller can ask what blocks once the first one is gone.
    """
    walk = _Walk(table, packet, skipped)
    hit = _through(walk, chain, 0)
    if hit is None and chain.policy is not None and chain.policy not in skipped:
        hit = _settle(walk, chain.policy, chain.name, "")
    return (hit if hit is not None and hit.rule.action in BLOCKING and not hit.doubt else None), walk.doubtful


def _settle(walk: _Walk, rule: Rule, chain: str, unsure: str) -> Hit:
    doubt = unsure or walk.doubt
    hit = Hit(rule, chain, doubt)
    if doubt and rule.action in (*BLOCKING, Action.OPAQUE):
        walk.doubtful.append(hit)
    return hit


def _through(walk: _Walk, chain: Chain, depth: int) -> Hit | None:
    if depth > _DEPTH:
        walk.doubt = walk.doubt or "the chains are nested too deeply"
        return None
    for rule in chain.rules:
        if rule in walk.skipped:
            continue
        matched, unsure = _matches(rule, walk.packet)
        if matched is False or rule.action is Action.PASS:
            continue
        if rule.action in (Action.JUMP, Action.GOTO):
            hit = _jump(walk, rule, unsure, depth)
            if hit is not None or (matched and rule.action is Action.GOTO):
                return hit
        elif rule.action is Action.OPAQUE:
            walk.doubtful.append(
                Hit(rule, chain.name, unsure or f"what {rule.target or 'its target'} does is not known")
            )
        elif matched and rule.action is Action.RETURN:
            return None
        elif matched:
            return _settle(walk, rule, chain.name, "")
        elif rule.action in BLOCKING:
            _settle(walk, rule, chain.name, unsure)
        else:
            walk.doubt = walk.doubt or f"an earlier rule may let it pass: {unsure}"
    return None


def _jump(walk: _Walk, rule: Rule, unsure: str, depth: int) -> Hit | None:
    target = walk.table.chains.get(rule.target)
    if target is None:
        return None
    before = walk.doubt
    walk.doubt = before or unsure
    hit = _through(walk, target, depth + 1)
    if not unsure:
        return hit
    accepted = hit is not None and hit.rule.action is Action.ACCEPT
    walk.doubt = before or (f"an earlier rule may let it pass: {unsure}" if accepted else "")
    return None
