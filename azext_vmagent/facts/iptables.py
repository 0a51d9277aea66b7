"""``iptables-save`` lines as rules. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from itertools import takewhile

from azext_vmagent.facts.rules import Action, Chain, Condition, Range, Rule, Table, address_range, number_range

_LONG = {
    "--destination": "-d",
    "--dst": "-d",
    "--source": "-s",
    "--src": "-s",
    "--protocol": "-p",
    "--proto": "-p",
    "--in-interface": "-i",
    "--out-interface": "-o",
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
    "--uid-owner": "uid",
    "--gid-owner": "gid",
    "-p": "proto",
    "--ctstate": "state",
    "-i": "iif",
    "-o": "oif",
    "--dst-type": "dsttype",
}
_IGNORED = frozenset({"-m", "--reject-with", "--to-destination", "--to-ports", "--to-source"})
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
    *("SECMARK", "CLASSIFY", "DSCP", "TTL", "CT", "NOTRACK", "MASQUERADE", "SNAT"),
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


def rule(text: str, arguments: list[str], chains: frozenset[str] = frozenset()) -> Rule:
    """One rule from its words without ``-A CHAIN``. ``chains`` tells a jump to a chain from a target.

    >>> sorted(c.subject for c in rule("", words("-d 168.63.129.16/32 -p tcp -m tcp --dport 80 -j DROP")).conditions)
    ['daddr', 'dport', 'proto']
    """
    conditions: set[Condition] = set()
    action, target, negated = Action.PASS, "", False
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
        elif word not in _IGNORED:
            conditions.add(_condition(word, given, negated))
        negated = False
    return Rule(text, frozenset(conditions), action, target)


def _action(target: str, word: str, chains: frozenset[str]) -> Action:
    if target in chains:
        return Action.GOTO if word == "-g" else Action.JUMP
    if target in _HARMLESS:
        return Action.PASS
    return _ACTIONS.get(target, Action.OPAQUE)


def _condition(word: str, given: list[str], negated: bool) -> Condition:
    text = " ".join(["!"] * negated + [word, *given])
    name = _FIELDS.get(word)
    if word == "--syn" or (word == "--tcp-flags" and given == ["FIN,SYN,RST,ACK", "SYN"]):
        return Condition("syn", frozenset({"yes"}), negated, text)
    if name is None or len(given) != 1:
        return Condition("unknown", negated=negated, text=text)
    parts = given[0].split(",")
    if name in ("proto", "state", "iif", "oif", "dsttype"):
        keep = parts if name in ("iif", "oif") else [part.lower() for part in parts]
        return Condition(name, frozenset(keep), negated, text)
    ranges = frozenset(_range(name, part) for part in parts)
    known = frozenset(found for found in ranges if found is not None)
    return Condition(name, known, negated, text) if len(known) == len(ranges) else Condition("unknown", text=text)


def _range(name: str, text: str) -> Range | None:
    if name in ("daddr", "saddr"):
        return address_range(text)
    if name in ("uid", "gid"):
        return (0, 0) if text == "root" else number_range(text, "-")
    return {"http": (80, 80)}.get(text) or number_range(text, ":")


def tables(tool: str, lines: Iterable[str]) -> list[Table]:
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
    return [_table(tool, name, found, policies) for name, found in listed.items()]


def _table(tool: str, name: str, found: list[tuple[str, str, str]], policies: dict[tuple[str, str], Rule]) -> Table:
    own = frozenset(chain for chain, _, _ in found)
    rules: dict[str, list[Rule]] = {chain: [] for table, chain in policies if table == name}
    for chain, text, rest in found:
        rules.setdefault(chain, []).append(rule(text, words(rest)[1:], own))
    chains = {
        chain: Chain(chain, _HOOKS.get(chain, ""), tuple(members), policies.get((name, chain)), nat=name == "nat")
        for chain, members in rules.items()
    }
    return Table(tool, "ip", name, chains)
