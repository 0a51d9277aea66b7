"""Which rule of the guest's firewall keeps root from the Wire Server; ``firewall_owner`` says who owns it. Pure.

The listings are evaluated as the kernel walks them: per hook, chain by chain, first terminal rule wins, jumps
followed, policies last; for the first packet of a connection, a later one, and the replies. A rule with a match that
cannot be judged from its text is reported, never guessed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import replace

from azext_vmagent.facts import iptables, nft, traffic_control
from azext_vmagent.facts.firewall_facts import (
    WIRE_PORTS,
    WIRE_RANGE,
    WIRE_SERVER,
    BlockingRule,
    Found,
    Listings,
    Path,
    RuleAnalysis,
    UndecidedRule,
)
from azext_vmagent.facts.firewall_owner import DirectRule, forwarding_rules, own_rules, owned, panic, undecided_rule
from azext_vmagent.facts.rules import (
    ANY_ADDRESS,
    EPHEMERAL,
    Action,
    Chain,
    Hit,
    Packet,
    Rule,
    Table,
    address_range,
    decide,
    mark_pair,
)

_ROUTE_TYPES = ("blackhole", "unreachable", "prohibit")
#: stop looking for further rules behind the first ones; nobody stacks more
_MOST_BLOCKS = 8
_NO_PATH = Path()
_EVERY_BIT = 0xFFFFFFFF
_SYN, _ACK, _KNOWN_FLAGS = 2, 16, 2 | 4 | 16 | 32


def blocking_rules(listings: Listings, path: Path = _NO_PATH, answering: frozenset[int] = frozenset()) -> RuleAnalysis:
    """The rules and routes that keep root from the Wire Server.

    ``answering`` are the ports that answered the probe: a rule that diverts their packets elsewhere is then no block (a
    proxy on the guest answers in the server's place).
    """
    tables = _tables(listings)
    marked = _marked(listings.marks)
    blocks: list[Found] = []
    doubtful: list[Found] = []
    for table in tables:
        for chain in table.chains.values():
            if chain.hook and (chain.devices is None or path.device is None or path.device in chain.devices):
                found, unsure = _evaluate(table, chain, path, marked)
                blocks += found
                doubtful += unsure
    blocks = [one for one in blocks if one.hit.rule.action is not Action.DIVERT or not set(one.ports) <= answering]
    named = [owned(one, listings) for one in blocks]
    if listings.panic:
        named = [panic(), *(rule for rule in named if rule.tool != "firewalld-panic")]
    named += _route_blocks(listings, path)
    known = {one.hit.rule for one in blocks}
    undecided = [undecided_rule(one) for one in doubtful if one.hit.rule not in known]
    for loss in traffic_control.losses(listings.shaping, WIRE_SERVER, WIRE_PORTS, path.device):
        if loss.doubt:
            undecided.append(UndecidedRule("traffic-control", loss.text, loss.where, loss.doubt, loss.ports))
        else:
            way = "in" if loss.inbound else "out"
            named.append(
                BlockingRule("traffic-control", loss.text, loss.where, "drop", loss.ports, loss.undo, False, way)
            )
    return RuleAnalysis(
        blocks=tuple(dict.fromkeys(named)),
        undecided=tuple(dict.fromkeys(undecided)),
        own=tuple(dict.fromkeys(text for table in tables for text in own_rules(table))),
        forwarding=tuple(dict.fromkeys(text for table in tables for text in forwarding_rules(table))),
        listed=listings.listed,
        missing=listings.missing,
    )


def _tables(listings: Listings) -> list[Table]:
    sets = iptables.ipsets(listings.ipsets)
    found = [
        *iptables.tables("iptables", listings.iptables, sets),
        *iptables.tables("iptables-legacy", listings.legacy, sets),
        *nft.tables(listings.nft),
    ]
    if not found and listings.direct:
        found = iptables.tables("firewalld-direct", _direct_as_saved(listings.direct), sets)
    return found


def _marked(marks: Iterable[str]) -> int:
    """The bits of a packet's or a connection's mark that some rule may set; the others are 0.

    >>> hex(_marked(["0x4000", "0x1"])), hex(_marked(["jhash ip saddr mod 2"]))
    ('0x4001', '0xffffffff')
    """
    bits = 0
    for text in marks:
        pair = mark_pair(text)
        bits |= _EVERY_BIT if pair is None else pair[0]
    return bits & _EVERY_BIT


def _direct_as_saved(direct: Iterable[str]) -> list[str]:
    """firewalld's ``ipv4 TABLE CHAIN PRIORITY ARGUMENTS`` in the order of their priority, as iptables-save has them."""
    rules = [DirectRule.parse(line) for line in direct]
    return [rule.saved for rule in sorted((rule for rule in rules if rule), key=lambda rule: rule.priority)]


def _evaluate(table: Table, chain: Chain, path: Path, marked: int) -> tuple[list[Found], list[Found]]:
    inbound = chain.hook in ("input", "prerouting", "ingress")
    direction = "in" if inbound else "out"
    sure: dict[Hit, set[int]] = {}
    unsure: dict[Hit, set[int]] = {}
    for port in WIRE_PORTS:
        for packet in _packets(port, inbound, chain.nat, path, marked):
            skipped: frozenset[Rule] = frozenset()
            while len(skipped) < _MOST_BLOCKS:
                hit, doubtful = decide(table, chain, packet, skipped)
                for one in doubtful:
                    unsure.setdefault(one, set()).add(port)
                if hit is None:
                    break
                sure.setdefault(hit, set()).add(port)
                skipped |= {hit.rule}
    return (
        [Found(hit, table, direction, tuple(sorted(ports))) for hit, ports in sure.items()],
        [Found(hit, table, direction, tuple(sorted(ports))) for hit, ports in unsure.items()],
    )


def _packets(port: int, inbound: bool, nat: bool, path: Path, marked: int) -> list[Packet]:
    """Those of a connection that a chain sees: the first and a later one, or the server's first and a later reply."""
    here = address_range(path.source or "") or ANY_ADDRESS
    there = (port, port)
    local = "local" if path.kind == "local" else "unicast"
    if inbound:
        if nat:
            return []
        reply = Packet(
            here, WIRE_RANGE, EPHEMERAL, there, (WIRE_RANGE, there), "established", _SYN | _ACK, 63, None, "",
            path.device, "local", local, True, marked,
        )  # fmt: skip
        return [reply, replace(reply, flags=_ACK, sure_flags=_KNOWN_FLAGS)]
    first = Packet(
        WIRE_RANGE,
        here,
        there,
        EPHEMERAL,
        (WIRE_RANGE, there),
        "new",
        _SYN,
        63,
        0,
        path.device,
        "",
        local,
        marked=marked,
    )
    return [first] if nat else [first, replace(first, state="established", flags=_ACK, sure_flags=_KNOWN_FLAGS)]


def _route_blocks(listings: Listings, path: Path) -> list[BlockingRule]:
    """The routes and routing rules of the kind that the kernel's answer shows, in tables that some rule looks up."""
    found: list[BlockingRule] = []
    if path.kind not in _ROUTE_TYPES:
        return found
    looked_up = {m.group(1): rule for rule in listings.route_rules if (m := _LOOKUP.search(rule))}
    for line in listings.routes:
        kind, _, rest = line.partition(" ")
        to = rest.split(" ", 1)[0]
        reach = ANY_ADDRESS if to == "default" else address_range(to)
        table = _TABLE.search(line)
        if table and looked_up and table.group(1) not in (*looked_up, "local", "default"):
            continue
        if kind == path.kind and reach and reach[0] <= WIRE_RANGE[0] <= reach[1]:
            undo = f"ip route del {shlex.join(iptables.words(line))}"
            by = looked_up.get(table.group(1)) if table else None
            where = f"routing table {table.group(1)}, by the rule «{by.strip()}»" if table and by else "routing table"
            found.append(BlockingRule("ip-route", line.strip(), where, kind, WIRE_PORTS, undo, None))
    for line in listings.route_rules:
        words = line.split()
        if words and words[-1] == path.kind:
            undo = f"ip rule del {shlex.join(words[1:])} priority {shlex.quote(words[0].rstrip(':'))}"
            found.append(BlockingRule("ip-route", line.strip(), "routing rules", path.kind, WIRE_PORTS, undo, None))
    return found


_LOOKUP = re.compile(r" lookup (\S+)")
_TABLE = re.compile(r" table (\S+)")
