"""Which rule of the guest's firewall keeps root from the Wire Server, who owns it, and how to take it back.

Pure. The listings are evaluated as the kernel walks them: per hook, chain by chain, first terminal rule wins, jumps
followed, policies last; for the first packet of a connection, a later one, and the replies. A rule with a match that
cannot be judged from its text is reported, never guessed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from azext_vmagent.facts import iptables, nft, traffic_control
from azext_vmagent.facts.rules import (
    ANY_ADDRESS,
    EPHEMERAL,
    Action,
    Chain,
    Condition,
    Hit,
    Packet,
    Rule,
    Table,
    address_range,
    decide,
    mark_pair,
)

WIRE_SERVER = "168.63.129.16"
WIRE_PORTS = (80, 32526)
_WIRE = address_range(WIRE_SERVER) or ANY_ADDRESS
_ROUTE_TYPES = ("blackhole", "unreachable", "prohibit")
#: stop looking for further rules behind the first ones; nobody stacks more
_MOST_BLOCKS = 8
_EVERY_BIT = 0xFFFFFFFF
_SYN, _ACK, _KNOWN_FLAGS = 2, 16, 2 | 4 | 16 | 32


@dataclass(frozen=True)
class BlockingRule:
    """A rule that keeps root from ``ports`` of the Wire Server.

    ``tool`` is what owns it and must be used to remove it: firewalld-direct, firewalld-passthrough, firewalld-policy,
    firewalld-panic, ufw, iptables, iptables-legacy, nft, traffic-control, ip-route or agent (the agent's own rules,
    half-applied).
    ``rule`` is verbatim from the listing; ``undo`` runs as root as it stands, None when there is no safe one-liner.
    ``direction`` is out, or in where it is the server's replies that are dropped. ``stays`` says whether it comes back
    after a reload or reboot (None: unknown).
    """

    tool: str
    rule: str
    where: str
    action: str
    ports: tuple[int, ...]
    undo: str | None
    stays: bool | None = None
    direction: str = "out"


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
    """What the listings say. ``own`` are the agent's own rules as seen: they let root pass and are no block.

    ``complete`` is False when a listing was cut, refused or missing: then «no blocking rule» proves nothing.
    ``listed`` names the tools whose rules were seen, also when they hold none.
    """

    blocks: tuple[BlockingRule, ...] = ()
    undecided: tuple[UndecidedRule, ...] = ()
    own: tuple[str, ...] = ()
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
class _Found:
    """A hit with all that is needed to name its owner; one for all the ports it hits."""

    hit: Hit
    table: Table
    direction: str
    ports: tuple[int, ...]


def blocking_rules(listings: Listings, path: Path = Path(), answering: frozenset[int] = frozenset()) -> RuleAnalysis:
    """The rules and routes that keep root from the Wire Server.

    ``answering`` are the ports that answered the probe: a rule that diverts their packets elsewhere is then no block (a
    proxy on the guest answers in the server's place).
    """
    tables = _tables(listings)
    marked = _marked(listings.marks)
    blocks: list[_Found] = []
    doubtful: list[_Found] = []
    for table in tables:
        for chain in table.chains.values():
            if chain.hook and (chain.devices is None or path.device is None or path.device in chain.devices):
                found, unsure = _evaluate(table, chain, path, marked)
                blocks += found
                doubtful += unsure
    blocks = [one for one in blocks if one.hit.rule.action is not Action.DIVERT or not set(one.ports) <= answering]
    named = [_name(one, listings) for one in blocks]
    if listings.panic:
        named = [_panic(), *(rule for rule in named if rule.tool != "firewalld-panic")]
    named += _route_blocks(listings, path)
    known = {one.hit.rule for one in blocks}
    undecided = [_undecided(one) for one in doubtful if one.hit.rule not in known]
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
        own=tuple(dict.fromkeys(text for table in tables for text in _own_rules(table))),
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
    rules = [_DirectRule.parse(line) for line in direct]
    return [rule.saved for rule in sorted((rule for rule in rules if rule), key=lambda rule: rule.priority)]


@dataclass(frozen=True)
class _DirectRule:
    table: str
    chain: str
    priority: int
    arguments: str

    @classmethod
    def parse(cls, line: str) -> _DirectRule | None:
        family, table, chain, priority, arguments = (line.split(" ", 4) + [""] * 5)[:5]
        if family != "ipv4" or not priority.lstrip("-").isdecimal():
            return None
        return cls(table, chain, int(priority), arguments)

    @property
    def saved(self) -> str:
        return f"{self.table} -A {self.chain} {self.arguments}"


def _evaluate(table: Table, chain: Chain, path: Path, marked: int) -> tuple[list[_Found], list[_Found]]:
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
        [_Found(hit, table, direction, tuple(sorted(ports))) for hit, ports in sure.items()],
        [_Found(hit, table, direction, tuple(sorted(ports))) for hit, ports in unsure.items()],
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
            here, _WIRE, EPHEMERAL, there, (_WIRE, there), "established", _SYN | _ACK, 63, None, "", path.device,
            "local", local, True, marked,
        )  # fmt: skip
        return [reply, replace(reply, flags=_ACK, sure_flags=_KNOWN_FLAGS)]
    first = Packet(
        _WIRE, here, there, EPHEMERAL, (_WIRE, there), "new", _SYN, 63, 0, path.device, "", local, marked=marked
    )
    return [first] if nat else [first, replace(first, state="established", flags=_ACK, sure_flags=_KNOWN_FLAGS)]


def _undecided(found: _Found) -> UndecidedRule:
    tool = _tool(found.table, found.hit.chain)
    return UndecidedRule(tool, found.hit.rule.text, _where(found), found.hit.doubt, found.ports)


def _where(found: _Found) -> str:
    family = "" if found.table.tool != "nft" else f"{found.table.family} "
    return f"{family}{found.table.name} {found.hit.chain}"


def _tool(table: Table, chain: str) -> str:
    if chain.startswith("ufw-") or (chain == "OUTPUT" and any(name.startswith("ufw-") for name in table.chains)):
        return "ufw"
    if table.name.startswith("firewalld_policy_drop"):
        return "firewalld-panic"
    return "firewalld-policy" if table.name == "firewalld" else table.tool


def _name(found: _Found, listings: Listings) -> BlockingRule:
    """Who owns the rule. firewalld's are found by their meaning, for the kernel's listing words them differently."""
    rule, table = found.hit.rule, found.table
    plain = BlockingRule(
        table.tool, rule.text, _where(found), rule.action.value, found.ports, None, None, found.direction
    )
    for line in listings.direct:
        direct = _DirectRule.parse(line)
        if direct and _same(found, direct.table, direct.chain, direct.arguments):
            return _firewalld_direct(plain, line, listings)
    if _own(rule, table, found.hit.chain):
        return replace(plain, tool="agent", undo=_agent_undo(found, listings))
    for line in listings.passthrough:
        name, chain, arguments = _passthrough(line)
        if _same(found, name, chain, arguments):
            return _firewalld_passthrough(plain, line, listings)
    tool = _tool(table, found.hit.chain)
    if tool == "firewalld-panic":
        return _panic()
    if tool == "firewalld-policy":
        return _firewalld_policy(plain, found, listings)
    if tool == "ufw":
        return _ufw(plain, listings)
    return replace(plain, undo=_kernel_undo(found, listings))


def _same(found: _Found, table: str, chain: str, arguments: str) -> bool:
    if found.table.name != table or found.hit.chain not in (chain, f"{chain}_direct") or found.table.family != "ip":
        return False
    other = iptables.rule("", iptables.words(arguments))
    return other.action is found.hit.rule.action and other.conditions == found.hit.rule.conditions


def _passthrough(line: str) -> tuple[str, str, str]:
    """The table, chain and match of ``ipv4 -t security -A OUTPUT …``.

    >>> _passthrough("ipv4 -A OUTPUT -d 168.63.129.16 -j DROP")
    ('filter', 'OUTPUT', '-d 168.63.129.16 -j DROP')
    """
    words = iptables.words(line)[1:]
    table, chain, rest = "filter", "", list[str]()
    while words:
        word = words.pop(0)
        if word in ("-t", "--table") and words:
            table = words.pop(0)
        elif word in ("-A", "-I", "--append", "--insert") and words:
            chain = words.pop(0)
            if words and words[0].isdecimal():
                words.pop(0)
        else:
            rest.append(word)
    return table, chain, shlex.join(rest)


def _permanent(line: str, kind: str, listings: Listings) -> bool:
    """Whether direct.xml holds the rule too, compared by its arguments.

    Sample: ``rule rule ipv="ipv4" table="filter" chain="OUTPUT" priority="0">-d 168.63.129.16/32 -j DROP``.
    """
    arguments = line.split(" ", 4)[-1] if kind == "rule" else line.split(" ", 1)[-1]
    return any(
        kept.startswith(f"{kind} ") and kept.rpartition(">")[2].split() == arguments.split()
        for kept in listings.permanent
    )


def _firewalld_direct(plain: BlockingRule, line: str, listings: Listings) -> BlockingRule:
    words = shlex.join(iptables.words(line))
    undo = f"firewall-cmd --direct --remove-rule {words}"
    stays = _permanent(line, "rule", listings)
    if stays:
        undo += f" && firewall-cmd --permanent --direct --remove-rule {words}"
    return replace(plain, tool="firewalld-direct", rule=line, undo=undo, stays=stays)


def _firewalld_passthrough(plain: BlockingRule, line: str, listings: Listings) -> BlockingRule:
    words = shlex.join(iptables.words(line))
    undo = f"firewall-cmd --direct --remove-passthrough {words}"
    stays = _permanent(line, "passthrough", listings)
    if stays:
        undo += f" && firewall-cmd --permanent --direct --remove-passthrough {words}"
    return replace(plain, tool="firewalld-passthrough", rule=line, undo=undo, stays=stays)


def _panic() -> BlockingRule:
    return BlockingRule(
        "firewalld-panic",
        "firewall-cmd --panic-on",
        "all traffic",
        "drop",
        WIRE_PORTS,
        "firewall-cmd --panic-off",
        False,
    )


_POLICY_CHAIN = re.compile(r"_policy_(.+?)(?:_(pre|log|deny|allow|post))?$")


def _firewalld_policy(plain: BlockingRule, found: _Found, listings: Listings) -> BlockingRule:
    """The policy's target or the rich rule behind a chain like ``filter_OUT_policy_NAME_deny`` (firewalld >= 0.9)."""
    name = _POLICY_CHAIN.search(found.hit.chain)
    policy = name.group(1) if name else ""
    xml = listings.policies.get(policy, "")
    quoted = shlex.quote(policy)
    target = re.search(r'<policy[^>]* target="(DROP|REJECT)"', xml)
    if name and name.group(2):
        for rule in _rich_rules(xml):
            remove = f"--policy {quoted} --remove-rich-rule {shlex.quote(rule)}"
            undo = f"firewall-cmd {remove} && firewall-cmd --permanent {remove}"
            return replace(plain, tool="firewalld-policy", rule=f"policy {policy}: {rule}", undo=undo, stays=True)
    elif target:
        undo = f"firewall-cmd --permanent --policy {quoted} --set-target CONTINUE && firewall-cmd --reload"
        rule = f"policy {policy} target {target.group(1)}"
        return replace(plain, tool="firewalld-policy", rule=rule, undo=undo, stays=True)
    return replace(plain, tool="firewalld-policy")


def _rich_rules(xml: str) -> list[str]:
    """The rich rules of a policy file that drop or reject the Wire Server by address, in firewall-cmd's words.

    >>> _rich_rules('<rule family="ipv4"> <destination address="168.63.129.16/32"/> <drop/> </rule>')
    ['rule family="ipv4" destination address="168.63.129.16/32" drop']
    """
    shape = r'<rule((?: [a-z]+="[\w-]+")*)>\s*<destination address="([\d./]+)"/>\s*<(drop|reject)/>\s*</rule>'
    found = re.findall(shape, xml, re.ASCII)
    return [
        f'rule{attributes} destination address="{address}" {action}'
        for attributes, address, action in found
        if (reach := address_range(address)) and reach[0] <= _WIRE[0] <= reach[1]
    ]


def _ufw(plain: BlockingRule, listings: Listings) -> BlockingRule:
    """The ``ufw delete …`` for the tuple behind the rule.

    Sample tuple: ``deny any any 168.63.129.16 any 0.0.0.0/0 out`` (action, protocol, port, to, port, from, direction).
    """
    for line in listings.ufw:
        action, protocol, port, to, *_ = [*line.split(), "", "", "", ""]
        reach = address_range(to)
        if action in ("deny", "reject") and line.endswith("out") and reach and reach[0] <= _WIRE[0] <= reach[1]:
            via = "" if protocol == "any" else f" proto {shlex.quote(protocol)}"
            at = "" if port == "any" else f" port {shlex.quote(port)}"
            undo = f"ufw delete {action} out{via} to {shlex.quote(to)}{at}"
            return replace(plain, tool="ufw", rule=line, undo=undo, stays=True)
    undo = f"ufw allow out proto tcp to {WIRE_SERVER} port 80,32526"
    return replace(plain, tool="ufw", undo=undo, stays=True)


def _broad(rule: Rule) -> bool:
    """The rule is not about the Wire Server (a policy, a catch-all, a set that others are in): it stays, and an
    exception goes before it.
    """
    parts = [part for one in rule.conditions for part in (one, *(part for parts in one.combined for part in parts))]
    shared = any(word in one.text for one in rule.conditions for word in ("@", "--match-set")) or " vmap " in rule.text
    return shared or not any(_narrow(part) for part in parts)


def _narrow(condition: Condition) -> bool:
    return (
        condition.subject in ("daddr", "saddr", "origdaddr")
        and not condition.negated
        and any(isinstance(value, tuple) and value[1] - value[0] <= 2**24 for value in condition.values)
    )


def _agent_undo(found: _Found, listings: Listings) -> str | None:
    """The rule that lets root pass, put before the agent's own DROP, which goes on stopping everybody else."""
    if found.table.tool == "nft":
        return _kernel_undo(found, listings)
    place = shlex.join([_binary(found.table, listings), "-t", found.table.name, "-I", found.hit.chain])
    return f"{place} -d {WIRE_SERVER}/32 -p tcp -m owner --uid-owner 0 -j ACCEPT"


def _binary(table: Table, listings: Listings) -> str:
    named = listings.commands.get(table.tool, "")
    return named if re.fullmatch(r"(?:/[\w/.-]*/)?iptables(?:-nft|-legacy)?", named, re.ASCII) else table.tool


def _kernel_undo(found: _Found, listings: Listings) -> str | None:
    rule, table, chain = found.hit.rule, found.table, found.hit.chain
    if table.tool == "nft":
        return _nft_undo(found)
    start = [_binary(table, listings), "-t", table.name]
    if not _broad(rule):
        return shlex.join([*start, "-D", *iptables.words(rule.text)[1:]])
    if found.direction == "out":
        match = f"-d {WIRE_SERVER}/32 -p tcp -m multiport --dports 80,32526 -m owner --uid-owner 0"
    else:
        match = f"-s {WIRE_SERVER}/32 -p tcp -m multiport --sports 80,32526"
    return f"{shlex.join([*start, '-I', chain])} {match} -j ACCEPT"


def _nft_undo(found: _Found) -> str | None:
    rule, table = found.hit.rule, found.table
    names = (table.family, table.name, found.hit.chain)
    if not all(re.fullmatch(r"[A-Za-z0-9_.\-]+", name) for name in names):
        return None
    place = " ".join(names)
    if not _broad(rule):
        return f"nft delete rule {place} handle {rule.handle}" if rule.handle else None
    if found.direction == "out":
        match = f"ip daddr {WIRE_SERVER} tcp dport '{{ 80, 32526 }}' meta skuid 0"
    else:
        match = f"ip saddr {WIRE_SERVER} tcp sport '{{ 80, 32526 }}'"
    return f"nft insert rule {place} {match} accept"


def _own(rule: Rule, table: Table, chain: str) -> bool:
    """The rule is one the agent writes: table ``security``, chain OUTPUT (or its own nft table), this address only.

    Forms of 2.2.20 to 2.15 (ga/firewall_manager.py, common/utils/networkutil.py): a DNS ACCEPT, an owner-0 ACCEPT, a
    ctstate INVALID,NEW ACCEPT or DROP; in nft one rule with all of it.
    """
    place = (table.name == "security" and chain == "OUTPUT") or table.name == "walinuxagent"
    return place and _about_wire(rule) and _fields(rule) <= {"daddr", "proto", "dport", "uid", "state"}


def _about_wire(rule: Rule) -> bool:
    return Condition("daddr", frozenset({_WIRE})) in rule.conditions


def _fields(rule: Rule) -> set[str]:
    return {condition.subject for condition in rule.conditions}


def _own_rules(table: Table) -> list[str]:
    """The agent's own rules in this table, by text; those of 2.2.9 and before are a pair in ``filter``."""
    found = [rule.text for chain in table.chains.values() for rule in chain.rules if _own(rule, table, chain.name)]
    output = table.chains.get("OUTPUT")
    if table.name == "filter" and output:
        about = [rule for rule in output.rules if _about_wire(rule)]
        accepts = [r for r in about if r.action is Action.ACCEPT and _fields(r) <= {"daddr", "uid", "proto"}]
        drops = [r for r in about if r.action is Action.DROP and _fields(r) == {"daddr"}]
        if accepts and drops and output.rules.index(accepts[0]) < output.rules.index(drops[0]):
            found += [accepts[0].text, drops[0].text]
    return found


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
        if kind == path.kind and reach and reach[0] <= _WIRE[0] <= reach[1]:
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
