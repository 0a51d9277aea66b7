"""``nft -a list ruleset`` as rules. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from azext_vmagent.facts.rules import Action, Chain, Condition, Range, Rule, Table, address_range, number_range

_TOKEN = re.compile(r'"[^"]*"|\{[^}]*\}|[^\s{}]+')
_HANDLE = re.compile(r"\s*# handle (\d+)\s*$")
_HOOK = re.compile(r"type (\w+) hook (\w+)")
_VERDICTS = {
    "accept": Action.ACCEPT,
    "drop": Action.DROP,
    "reject": Action.REJECT,
    "return": Action.RETURN,
    "dnat": Action.DIVERT,
    "redirect": Action.DIVERT,
    "queue": Action.OPAQUE,
}
_SELECTORS = {
    ("ip", "daddr"): "daddr",
    ("ip", "saddr"): "saddr",
    ("ip", "protocol"): "proto",
    ("tcp", "dport"): "dport",
    ("tcp", "sport"): "sport",
    ("th", "dport"): "dport",
    ("th", "sport"): "sport",
    ("ct", "state"): "state",
    ("meta", "l4proto"): "proto",
    ("meta", "nfproto"): "family",
    ("meta", "skuid"): "uid",
    ("meta", "skgid"): "gid",
    ("meta", "oifname"): "oif",
    ("meta", "iifname"): "iif",
    ("meta", "oif"): "oif",
    ("meta", "iif"): "iif",
}
_BARE_META = frozenset({"skuid", "skgid", "oifname", "iifname", "oif", "iif", "l4proto", "nfproto"})
_OTHER_PROTOCOLS = frozenset({"udp", "icmp", "icmpv6", "ip6", "sctp", "dccp", "udplite", "ah", "esp"})
_QUIET = frozenset({"counter", "notrack", "masquerade", "snat", "continue"})
_STATEMENTS = frozenset({*_VERDICTS, "jump", "goto", "counter", "log", "comment"})
_LOG_WORDS = frozenset({"prefix", "level", "flags", "group", "snaplen", "queue-threshold"})

Sets = Mapping[str, str]


@dataclass
class _Parse:
    """Where the reader is, and what it has found so far. ``branches`` are the pairs of a verdict map."""

    tokens: list[str]
    sets: Sets
    at: int = 0
    conditions: set[Condition] = field(default_factory=set)
    branches: list[tuple[Condition, Action, str]] = field(default_factory=list)
    action: Action = Action.PASS
    target: str = ""

    def take(self) -> str:
        """The next token, empty at the end."""
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""

    def peek(self) -> str:
        """The next token without taking it."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def doubt(self, text: str) -> None:
        """Notes a match that cannot be judged."""
        self.conditions.add(Condition("unknown", text=text))


def rules(text: str, sets: Sets) -> tuple[Rule, ...]:
    """One listed line as rules: a verdict map becomes one rule for each of its pairs.

    >>> [r.action.value for r in rules("ct state vmap { established : accept, invalid : drop } # handle 5", {})]
    ['accept', 'drop']
    >>> rules("ip daddr 168.63.129.16 counter drop # handle 7", {})[0].handle
    '7'
    """
    found = _HANDLE.search(text)
    handle = found.group(1) if found else ""
    parse = _Parse(_TOKEN.findall(_HANDLE.sub("", text)), sets)
    while parse.at < len(parse.tokens):
        _statement(parse)
    if parse.branches:
        return tuple(
            Rule(text, frozenset(parse.conditions | {condition}), action, target, handle)
            for condition, action, target in parse.branches
        )
    return (Rule(text, frozenset(parse.conditions), parse.action, parse.target, handle),)


def _statement(parse: _Parse) -> None:
    word = parse.take()
    if word in ("jump", "goto"):
        parse.action, parse.target = Action(word), parse.take()
    elif word in _VERDICTS:
        parse.action, parse.target = _VERDICTS[word], word
        if word in ("reject", "queue", "dnat", "redirect"):
            parse.at = len(parse.tokens)
    elif word == "counter":
        while parse.peek() in ("packets", "bytes"):
            parse.at += 2
    elif word == "comment":
        parse.take()
    elif word == "log":
        while parse.peek() in _LOG_WORDS:
            parse.at += 2
    elif word == "xt":
        if parse.take() == "target":
            parse.action, parse.target = Action.OPAQUE, parse.take()
        else:
            parse.doubt(f"xt match {parse.take()}")
    elif word not in _QUIET:
        _match(parse, word)


def _match(parse: _Parse, word: str) -> None:
    if word in _OTHER_PROTOCOLS:
        family = word == "ip6"
        parse.conditions.add(Condition("family" if family else "proto", frozenset({"ipv6" if family else word})))
        parse.at += 2 if parse.tokens[parse.at + 1 : parse.at + 2] != ["!="] else 3
        return
    key = ("meta", word) if word in _BARE_META else (word, parse.peek())
    name = _SELECTORS.get(key)
    if word == "fib" and parse.tokens[parse.at : parse.at + 2] == ["daddr", "type"]:
        name, parse.at = "dsttype", parse.at + 2
    elif word not in _BARE_META and word in ("ip", "tcp", "th", "ct", "meta"):
        parse.take()
    if key[0] == "tcp":
        parse.conditions.add(Condition("proto", frozenset({"tcp"})))
    if parse.peek() == "set":
        parse.at += 2
        return
    if name is None:
        parse.doubt(" ".join(key))
        _skip_value(parse)
        return
    if parse.peek() == ".":
        parse.doubt(" ".join([*key, "."]))
        while parse.peek() == ".":
            parse.at += 3
        _skip_value(parse)
        return
    negated = parse.peek() == "!="
    if parse.peek() in ("!=", "=="):
        parse.take()
    if parse.peek() == "vmap":
        parse.take()
        _branches(parse, name, parse.take())
        return
    text = parse.take()
    parse.conditions.add(_condition(name, text, negated, parse.sets))


def _skip_value(parse: _Parse) -> None:
    while parse.peek() and parse.peek() not in _STATEMENTS:
        parse.take()


def _condition(name: str, text: str, negated: bool, sets: Sets) -> Condition:
    shown = f"{name} {'!= ' if negated else ''}{text}"
    if text.startswith("@"):
        held = sets.get(text[1:])
        if held is None:
            return Condition("unknown", text=shown)
        text = held
    values = [value.strip().strip('"') for value in text.strip("{} ").split(",") if value.strip()]
    if name in ("proto", "state", "family", "oif", "iif", "dsttype"):
        return Condition(name, frozenset(values), negated, shown)
    ranges = [_range(name, value) for value in values]
    known = frozenset(found for found in ranges if found is not None)
    return (
        Condition(name, known, negated, shown) if len(known) == len(set(ranges)) else Condition("unknown", text=shown)
    )


def _range(name: str, text: str) -> Range | None:
    if name in ("daddr", "saddr"):
        return address_range(text)
    return {"root": (0, 0), "http": (80, 80)}.get(text) or number_range(text, "-")


def _branches(parse: _Parse, name: str, body: str) -> None:
    if body.startswith("@"):
        parse.doubt(f"{name} vmap {body}")
        parse.action = Action.OPAQUE
        return
    for pair in body.strip("{} ").split(","):
        value, _, verdict = pair.rpartition(" : ")
        word, _, target = verdict.strip().partition(" ")
        action = Action(word) if word in ("jump", "goto") else _VERDICTS.get(word, Action.PASS)
        parse.branches.append((_condition(name, value.strip(), False, parse.sets), action, target.strip()))


def tables(lines: Iterable[str]) -> list[Table]:
    """The tables in the probe's lines, each ``KIND REST`` with kind chain, nft (a rule of that chain) or set.

    >>> [table] = tables([
    ...     "set inet x bad elements = { 168.63.0.0/16 }",
    ...     "chain inet x o type filter hook output priority 0; policy accept;",
    ...     "nft ip daddr @bad drop # handle 4",
    ... ])
    >>> table.chains["o"].hook, table.chains["o"].rules[0].action.value
    ('output', 'drop')
    """
    chains: dict[tuple[str, str], dict[str, tuple[str, list[str]]]] = {}
    sets: dict[tuple[str, str], dict[str, str]] = {}
    current: list[str] = []
    for line in lines:
        kind, _, rest = line.partition(" ")
        parts = rest.split(None, 3)
        if kind == "chain" and len(parts) >= 3:
            current = []
            head = parts[3] if len(parts) > 3 else ""
            chains.setdefault((parts[0], parts[1]), {})[parts[2]] = (head, current)
        elif kind == "set" and len(parts) > 3 and parts[3].startswith("elements = "):
            sets.setdefault((parts[0], parts[1]), {})[parts[2]] = parts[3].removeprefix("elements = ")
        elif kind == "nft":
            current.append(rest)
    return [
        Table("nft", *key, {name: _chain(name, *found, sets.get(key, {})) for name, found in members.items()})
        for key, members in chains.items()
    ]


def _chain(name: str, head: str, lines: list[str], sets: Sets) -> Chain:
    hook = _HOOK.search(head)
    policy = Rule("policy drop", frozenset(), Action.DROP, policy=True) if "policy drop" in head else None
    found = tuple(rule for line in lines for rule in rules(line, sets))
    return Chain(name, hook.group(2) if hook else "", found, policy, nat=bool(hook and hook.group(1) == "nat"))
