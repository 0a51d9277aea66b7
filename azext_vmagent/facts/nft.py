"""``nft -a list ruleset`` as rules. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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

_TOKEN = re.compile(r'"[^"]*"|\{[^}]*\}|[^\s{}]+')
_HANDLE = re.compile(r"\s*# handle (\d+)\s*$")
_HOOK = re.compile(r"type (\w+) hook (\w+)")
_DEVICES = re.compile(r'devices? (?:= )?(\{[^}]*\}|"[^"]*"|\S+)')
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
    ("meta", "protocol"): "family",
    ("meta", "mark"): "mark",
    ("ct", "mark"): "ctmark",
    ("ct", "direction"): "direction",
    ("ip", "version"): "family",
    ("tcp", "flags"): "flags",
    ("@nh,96,32", ""): "saddr",
    ("@nh,128,32", ""): "daddr",
    ("@th,0,16", ""): "sport",
    ("@th,16,16", ""): "dport",
}
_WORDS = frozenset({"proto", "state", "family", "oif", "iif", "dsttype", "srctype", "direction"})
_COMPARED = {"<": (0, -1), "<=": (0, 0), ">": (1, None), ">=": (0, None)}
_TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "0x0": 0}
_BARE_META = frozenset({"skuid", "skgid", "oifname", "iifname", "oif", "iif", "l4proto", "nfproto"})
_OTHER_PROTOCOLS = frozenset({"udp", "icmp", "icmpv6", "ip6", "sctp", "dccp", "udplite", "ah", "esp"})
_QUIET = frozenset({"counter", "notrack", "masquerade", "snat", "continue"})
_STATEMENTS = frozenset({*_VERDICTS, "jump", "goto", "counter", "log", "comment"})
#: statements that change nothing, and the words of theirs that take a value
_OPTIONS = {
    "counter": frozenset({"packets", "bytes"}),
    "log": frozenset({"prefix", "level", "flags", "group", "snaplen", "queue-threshold"}),
    "dup": frozenset({"to", "device"}),
}

#: the elements of each named set or map of a table, as listed
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
    elif word == "xt":
        if parse.take() == "target":
            parse.action, parse.target = Action.OPAQUE, parse.take()
        else:
            parse.doubt(f"xt match {parse.take()}")
    elif word in ("add", "update", "delete") and parse.peek().startswith("@"):
        parse.take()
        if {"limit", "quota", "ct"} & set((kept := parse.take()).split()):
            parse.doubt(f"{word} {kept}")
    elif word in _OPTIONS:
        while parse.peek() in _OPTIONS[word]:
            parse.at += 2
    elif word == "comment":
        parse.take()
    elif word not in _QUIET:
        _match(parse, word)


def _match(parse: _Parse, word: str) -> None:
    if word in _OTHER_PROTOCOLS:
        family = word == "ip6"
        parse.conditions.add(Condition("family" if family else "proto", frozenset({"ipv6" if family else word})))
        parse.at += 2 if parse.tokens[parse.at + 1 : parse.at + 2] != ["!="] else 3
        return
    names = [_selector(parse, word)]
    while parse.peek() == ".":
        parse.take()
        names.append(_selector(parse, parse.take()))
    if parse.peek() == "set":
        _skip_setting(parse)
        return
    shown = " . ".join(name or text for name, text in names)
    if any(name is None for name, _ in names) or parse.peek() == "&":
        parse.doubt(shown)
        _skip_value(parse)
        return
    operator = parse.take() if parse.peek() in ("!=", "==", *_COMPARED) else ""
    if parse.peek() == "vmap":
        parse.take()
        _branches(parse, names, parse.take())
        return
    text = parse.take()
    if names[0][0] == "flags":
        parse.conditions.add(_flags(parse, text, operator))
        return
    parse.conditions.add(_condition(names, text, operator, parse.sets))


def _selector(parse: _Parse, word: str) -> tuple[str | None, str]:
    """What is compared: our name for it, None if we have none, and its text. The word itself is taken already."""
    if word in _BARE_META:
        return _SELECTORS.get(("meta", word)), word
    if word.startswith("@"):
        return _SELECTORS.get((word, "")), word
    if word == "fib":
        side, kind = parse.tokens[parse.at : parse.at + 1], parse.tokens[parse.at + 1 : parse.at + 2]
        if kind == ["type"] and side in (["daddr"], ["saddr"]):
            parse.at += 2
            return ("dsttype" if side == ["daddr"] else "srctype"), f"fib {side[0]} type"
        return None, "fib"
    if word == "ct" and parse.peek() == "original":
        parse.take()
        if parse.peek() == "ip":
            parse.take()
        field_ = parse.take()
        return {"daddr": "origdaddr", "proto-dst": "origdport", "protocol": "proto"}.get(
            field_
        ), f"ct original {field_}"
    if word not in ("ip", "tcp", "th", "ct", "meta"):
        return None, f"{word} {parse.peek()}".strip()
    key = (word, parse.take())
    if word == "tcp":
        parse.conditions.add(Condition("proto", frozenset({"tcp"})))
    return _SELECTORS.get(key), " ".join(key)


def _skip_value(parse: _Parse) -> None:
    while parse.peek() and parse.peek() not in _STATEMENTS:
        parse.take()


def _skip_setting(parse: _Parse) -> None:
    """``set 0x1``, ``set meta mark | 0x4000``: writes, and asks for nothing."""
    parse.take()
    if parse.take() in ("meta", "ct", "ip", "tcp", "th"):
        parse.take()
    while parse.peek() in ("|", "&", "^", "or", "and", "xor", "<<", ">>", "map"):
        parse.at += 2


def _flags(parse: _Parse, text: str, operator: str) -> Condition:
    """``syn`` (any of them), ``syn / syn,ack`` (value / mask); before nft 1.0 ``& (syn | ack) == syn``, not judged."""
    value = _flag_bits(text)
    if parse.peek() == "/":
        parse.take()
        mask = _flag_bits(parse.take())
        pairs = [] if value is None or mask is None else [(mask, value)]
    elif operator == "==":
        pairs = [] if value is None else [(63, value)]
    else:
        pairs = [] if value is None else [(bit, bit) for bit in _TCP_FLAGS.values() if bit & value]
    negated = operator == "!="
    shown = f"tcp flags {text}"
    return Condition("flags", frozenset(pairs), negated, shown) if pairs else Condition("unknown", text=shown)


def _flag_bits(text: str) -> int | None:
    names = [name.strip("() ") for name in re.split(r"[,|]", text)]
    return sum({_TCP_FLAGS[name] for name in names}) if all(name in _TCP_FLAGS for name in names) else None


Names = Sequence[tuple[str | None, str]]


def _condition(names: Names, text: str, operator: str, sets: Sets) -> Condition:
    """One comparison. Several names are a concatenation; ``@name`` stands for the elements of that set."""
    shown = f"{' . '.join(name or '' for name, _ in names)} {f'{operator} ' if operator else ''}{text}"
    negated = operator == "!="
    if text.startswith("@"):
        held = sets.get(text[1:])
        if held is None:
            return Condition("unknown", text=shown)
        text = held
    values = _elements(text)
    if not values:
        return never(negated, shown)
    if len(names) > 1:
        combined = [_combined(names, value) for value in values]
        if any(parts is None for parts in combined):
            return Condition("unknown", text=shown)
        return Condition("combined", frozenset(), negated, shown, frozenset(parts for parts in combined if parts))
    name = names[0][0] or "unknown"
    if name in _WORDS:
        return Condition(name, frozenset(values), negated, shown)
    ranges = frozenset(_range(name, value) for value in values)
    known = frozenset(found for found in ranges if found is not None)
    if len(known) != len(ranges):
        return Condition("unknown", text=shown)
    if operator in _COMPARED:
        known = frozenset(_compared(operator, found) for found in known)
    return Condition(name, known, negated, shown)


def _elements(text: str) -> list[str]:
    """The members of ``{ … }`` or the value alone, without what nft adds to them (timeouts, counters, comments).

    >>> _elements('{ 10.0.0.0/8 timeout 1h expires 5m, 168.63.129.16 comment "x" }')
    ['10.0.0.0/8', '168.63.129.16']
    """
    found = []
    for member in text.strip("{} ").split(","):
        words = member.split()
        cut = next((at for at, word in enumerate(words) if word in ("timeout", "expires", "counter", "comment")), None)
        if words[:cut]:
            found.append(" ".join(words[:cut]).strip('"'))
    return found


def _combined(names: Names, value: str) -> tuple[Condition, ...] | None:
    """The parts of ``168.63.129.16 . 80``, each a condition of its own; None if one is not understood."""
    parts = value.split(" . ")
    if len(parts) != len(names):
        return None
    found = tuple(_condition([name], part.strip(), "", {}) for name, part in zip(names, parts, strict=True))
    return None if any(part.subject == "unknown" for part in found) else found


def _compared(operator: str, found: Range) -> Range:
    low, high = _COMPARED[operator]
    if high is None:
        return found[0] + low, 2**32 - 1
    return 0, found[0] + high


def _range(name: str, text: str) -> Range | None:
    if name in ("mark", "ctmark"):
        return mark_pair(text)
    if text.startswith("0x"):
        value = mark_pair(text)
        return None if value is None else (value[0], value[0])
    if name in ("daddr", "saddr", "origdaddr"):
        return address_range(text)
    return {"root": (0, 0), "http": (80, 80)}.get(text) or number_range(text, "-")


def _branches(parse: _Parse, names: Names, body: str) -> None:
    if body.startswith("@"):
        held = parse.sets.get(body[1:])
        if held is None:
            parse.doubt(f"vmap {body}")
            parse.action = Action.OPAQUE
            return
        body = held
    for pair in body.strip("{} ").split(","):
        value, _, verdict = pair.rpartition(" : ")
        word, _, target = verdict.strip().partition(" ")
        action = Action(word) if word in ("jump", "goto") else _VERDICTS.get(word, Action.PASS)
        parse.branches.append((_condition(names, value.strip(), "", parse.sets), action, target.strip()))


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
    devices = _DEVICES.search(head)
    return Chain(
        name,
        hook.group(2) if hook else "",
        found,
        policy,
        nat=bool(hook and hook.group(1) == "nat"),
        devices=frozenset(_elements(devices.group(1))) if devices else None,
    )
