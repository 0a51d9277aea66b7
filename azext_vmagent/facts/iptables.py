"""``iptables-save`` lines as rules. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from types import MappingProxyType

from azext_vmagent.facts.rules import (
    Action,
    Chain,
    Condition,
    Range,
    Rule,
    Table,
    address_range,
    mark_pair,
    never,
    number_range,
)

Sets = Mapping[str, Sequence[str]]
_NO_SETS: Sets = MappingProxyType({})

_LONG = {
    "--destination": "-d",
    "--dst": "-d",
    "--source": "-s",
    "--src": "-s",
    "--protocol": "-p",
    "--proto": "-p",
    "--in-interface": "-i",
    "--out-interface": "-o",
    "--fragment": "-f",
    "--jump": "-j",
    "--goto": "-g",
    "--match": "-m",
    "--destination-port": "--dport",
    "--destination-ports": "--dports",
    "--source-port": "--sport",
    "--source-ports": "--sports",
    "--state": "--ctstate",
}
_FIELDS = {
    "-d": "daddr",
    "--dst-range": "daddr",
    "-s": "saddr",
    "--src-range": "saddr",
    "--dport": "dport",
    "--dports": "dport",
    "--sport": "sport",
    "--sports": "sport",
    "--ports": "port",
    "--uid-owner": "uid",
    "--gid-owner": "gid",
    "-p": "proto",
    "--ctproto": "proto",
    "--ctstate": "state",
    "--ctdir": "direction",
    "--ctorigdst": "origdaddr",
    "--ctorigdstport": "origdport",
    "-i": "iif",
    "-o": "oif",
    "--dst-type": "dsttype",
    "--src-type": "srctype",
}
_NAMED = frozenset({"proto", "state", "direction", "iif", "oif", "dsttype", "srctype"})
_IGNORED = frozenset({"--reject-with", "--to-destination", "--to-ports", "--to-source", "--random", "--persistent"})
#: matches whose options say all; any other match alone already asks for something
_PLAIN_MATCHES = frozenset(
    {
        *("tcp", "udp", "comment", "multiport", "owner", "conntrack", "state", "iprange", "addrtype"),
        *("mark", "connmark", "set", "limit"),
    }
)
_TCP_FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ALL": 63, "NONE": 0}
_ACTIONS = {
    "ACCEPT": Action.ACCEPT,
    "DROP": Action.DROP,
    "REJECT": Action.REJECT,
    "DNAT": Action.DIVERT,
    "REDIRECT": Action.DIVERT,
    "RETURN": Action.RETURN,
}
_HARMLESS = {
    *("LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "TCPMSS", "TCPOPTSTRIP", "CHECKSUM", "MARK", "CONNMARK", "CONNSECMARK"),
    *("SECMARK", "CLASSIFY", "DSCP", "TTL", "CT", "NOTRACK", "MASQUERADE", "SNAT", "SET", "TEE", "IDLETIMER"),
}
_HOOKS = {"INPUT": "input", "OUTPUT": "output", "PREROUTING": "prerouting", "POSTROUTING": "postrouting"}


def words(text: str) -> list[str]:
    """The words of a rule as the shell sees them; a rule with broken quotes is split at its spaces.

    >>> words('-A OUTPUT -m comment --comment "no wire" -j DROP')[-3:]
    ['no wire', '-j', 'DROP']
    """
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def rule(text: str, arguments: list[str], chains: frozenset[str] = frozenset(), sets: Sets = _NO_SETS) -> Rule:
    """One rule from its words without ``-A CHAIN``. ``chains`` tells a jump to a chain from a target.

    >>> sorted(c.subject for c in rule("", words("-d 168.63.129.16/32 -p tcp -m tcp --dport 80 -j DROP")).conditions)
    ['daddr', 'dport', 'proto']
    """
    conditions: set[Condition] = set()
    action, target, negated, module = Action.PASS, "", False, ""
    at = 0
    while at < len(arguments):
        word = _LONG.get(arguments[at], arguments[at])
        if word == "!":
            negated, at = True, at + 1
            continue
        at += 1
        if word in ("--comment", "--log-prefix"):
            at += 1
            continue
        given = list(takewhile(lambda other: not other.startswith("-") and other != "!", arguments[at:]))
        at += len(given)
        if word in ("-j", "-g"):
            target = given[0] if given else ""
            action = _action(target, word, chains)
        elif word == "-m":
            module = given[0] if given else ""
            if module not in _PLAIN_MATCHES:
                conditions.add(Condition("unknown", text=f"-m {module}"))
        elif word == "--match-set":
            conditions.add(_set_condition(given, negated, sets))
        elif word not in _IGNORED:
            conditions.add(_condition(word, given, negated, module))
        negated = False
    return Rule(text, frozenset(conditions), action, target)


def _action(target: str, word: str, chains: frozenset[str]) -> Action:
    if target in chains:
        return Action.GOTO if word == "-g" else Action.JUMP
    if target in _HARMLESS:
        return Action.PASS
    return _ACTIONS.get(target, Action.OPAQUE)


def _condition(word: str, given: list[str], negated: bool, module: str) -> Condition:
    text = " ".join(["!"] * negated + [word, *given])
    name = _FIELDS.get(word)
    if word == "--syn":
        return Condition("flags", frozenset({(23, 2)}), negated, text)
    if word == "--tcp-flags" and len(given) == 2:
        mask, wanted = (sum({_TCP_FLAGS.get(flag, 0) for flag in part.split(",")}) for part in given)
        return Condition("flags", frozenset({(mask, wanted)}), negated, text)
    if word == "-f":
        return Condition("fragment", frozenset({"yes"}), negated, text)
    if word == "--socket-exists":
        return Condition("socket", frozenset({"yes"}), negated, text)
    if word == "--mark" and len(given) == 1 and (mark := mark_pair(given[0])):
        return Condition("ctmark" if module == "connmark" else "mark", frozenset({mark}), negated, text)
    if name is None or len(given) != 1:
        return Condition("unknown", negated=negated, text=text)
    parts = given[0].split(",")
    if name in _NAMED:
        keep = parts if name in ("iif", "oif") else [part.lower() for part in parts]
        return Condition(name, frozenset(keep), negated, text)
    ranges = frozenset(_range(name, part) for part in parts)
    known = frozenset(found for found in ranges if found is not None)
    return Condition(name, known, negated, text) if len(known) == len(ranges) else Condition("unknown", text=text)


def _set_condition(given: list[str], negated: bool, sets: Sets) -> Condition:
    """A match against an ipset as a condition on what the set holds; unknown if its members are not."""
    text = " ".join(["!"] * negated + ["--match-set", *given])
    members = sets.get(given[0]) if len(given) == 2 else None
    if members is None:
        return Condition("unknown", text=text)
    directions = given[1].split(",")
    found = [_member(member, directions) for member in members]
    if any(parts is None for parts in found):
        return Condition("unknown", text=text)
    combined = frozenset(parts for parts in found if parts)
    if not combined:
        return never(negated, text)
    return Condition("combined", frozenset(), negated, text, combined)


def _member(member: str, directions: list[str]) -> tuple[Condition, ...] | None:
    """What a packet must have to be this member of a set: ``168.63.129.16,tcp:80`` of a hash:ip,port.

    >>> [part.subject for part in _member("168.63.129.16,tcp:80", ["dst", "dst"]) or ()]
    ['daddr', 'proto', 'dport']
    """
    words_ = member.split()
    if not words_ or "nomatch" in words_:
        return None
    found = []
    parts = words_[0].split(",")
    if len(parts) > len(directions):
        return None
    for part, direction in zip(parts, directions, strict=False):
        side = {"src": "s", "dst": "d"}.get(direction)
        protocol, mark, port = part.rpartition(":")
        if side is None:
            return None
        if (address := address_range(part)) is not None:
            found.append(Condition(f"{side}addr", frozenset({address})))
        elif (ports := number_range(port, "-")) is not None and (protocol.isalpha() or not mark):
            if mark:
                found.append(Condition("proto", frozenset({protocol})))
            found.append(Condition(f"{side}port", frozenset({ports})))
        else:
            return None
    return tuple(found)


def ipsets(lines: Iterable[str]) -> dict[str, list[str]]:
    """The members of each set in the probe's lines ``NAME TYPE MEMBER; MEMBER; …``; a list of sets holds its sets'.

    >>> ipsets(["bad hash:net 10.0.0.0/8; 168.63.0.0/16", "all list:set bad"])["all"]
    ['10.0.0.0/8', '168.63.0.0/16']
    """
    found: dict[str, list[str]] = {}
    lists: dict[str, list[str]] = {}
    for line in lines:
        name, kind, members = [*line.split(" ", 2), "", ""][:3]
        held = [member.strip() for member in members.split(";") if member.strip()]
        (lists if kind == "list:set" else found)[name] = held
    for name, held in lists.items():
        if all(one in found for one in held):
            found[name] = [member for one in held for member in found[one]]
    return found


def _range(name: str, text: str) -> Range | None:
    if name in ("daddr", "saddr", "origdaddr"):
        return address_range(text)
    if name in ("uid", "gid"):
        return (0, 0) if text == "root" else number_range(text, "-")
    return {"http": (80, 80)}.get(text) or number_range(text, ":")


def tables(tool: str, lines: Iterable[str], sets: Sets = _NO_SETS) -> list[Table]:
    """The tables in lines ``TABLE -A CHAIN …`` and ``TABLE -P CHAIN POLICY`` as the probe sends them.

    >>> [table] = tables("iptables", ["filter -P OUTPUT DROP", "filter -A OUTPUT -o lo -j ACCEPT"])
    >>> table.chains["OUTPUT"].policy.action.value, len(table.chains["OUTPUT"].rules)
    ('drop', 1)
    """
    listed: dict[str, list[tuple[str, str, str]]] = {}
    policies: dict[tuple[str, str], Rule] = {}
    for line in lines:
        name, _, text = line.partition(" ")
        word, _, rest = text.partition(" ")
        chain, _, _ = rest.partition(" ")
        if word == "-P" and rest.split()[1:2] in (["DROP"], ["REJECT"]):
            policies[name, chain] = Rule(text, frozenset(), Action.DROP, policy=True)
            listed.setdefault(name, [])
        elif word == "-A" and chain:
            listed.setdefault(name, []).append((chain, text, rest))
    return [_table(tool, name, found, policies, sets) for name, found in listed.items()]


def _table(
    tool: str, name: str, found: list[tuple[str, str, str]], policies: dict[tuple[str, str], Rule], sets: Sets
) -> Table:
    own = frozenset(chain for chain, _, _ in found)
    rules: dict[str, list[Rule]] = {chain: [] for table, chain in policies if table == name}
    for chain, text, rest in found:
        rules.setdefault(chain, []).append(rule(text, words(rest)[1:], own, sets))
    chains = {
        chain: Chain(chain, _HOOKS.get(chain, ""), tuple(members), policies.get((name, chain)), nat=name == "nat")
        for chain, members in rules.items()
    }
    return Table(tool, "ip", name, chains)
