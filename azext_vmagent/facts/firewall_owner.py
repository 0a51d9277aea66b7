"""Who owns a rule that blocks, and what takes it back: firewalld, ufw, the agent itself, or whoever wrote it. Pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace

from azext_vmagent.facts import iptables
from azext_vmagent.facts.firewall_facts import (
    WIRE_PORTS,
    WIRE_RANGE,
    WIRE_SERVER,
    BlockingRule,
    Found,
    Listings,
    UndecidedRule,
)
from azext_vmagent.facts.rules import Action, Condition, Rule, Table, address_range


@dataclass(frozen=True)
class DirectRule:
    """A direct rule of firewalld: ``ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP``."""

    table: str
    chain: str
    priority: int
    arguments: str

    @classmethod
    def parse(cls, line: str) -> DirectRule | None:
        """The rule in a line of ``firewall-cmd --direct --get-all-rules``; None for other families and other lines."""
        family, table, chain, priority, arguments = (line.split(" ", 4) + [""] * 5)[:5]
        if family != "ipv4" or not priority.lstrip("-").isdecimal():
            return None
        return cls(table, chain, int(priority), arguments)

    @property
    def saved(self) -> str:
        """As iptables-save would have it, behind its table."""
        return f"{self.table} -A {self.chain} {self.arguments}"


def undecided_rule(found: Found) -> UndecidedRule:
    """A hit whose match could not be judged, with its owner."""
    tool = _tool(found.table, found.hit.chain)
    return UndecidedRule(tool, found.hit.rule.text, _where(found), found.hit.doubt, found.ports)


def _where(found: Found) -> str:
    family = "" if found.table.tool != "nft" else f"{found.table.family} "
    return f"{family}{found.table.name} {found.hit.chain}"


#: ConfigServer Firewall's own names for the ways out (csf.pl, doiptables)
_CSF_CHAINS = frozenset({"LOGDROPOUT", "LOCALOUTPUT", "DENYOUT", "GDENYOUT", "ALLOWOUT"})


def _tool(table: Table, chain: str) -> str:
    if chain.startswith("ufw-") or (chain == "OUTPUT" and any(name.startswith("ufw-") for name in table.chains)):
        return "ufw"
    if chain in _CSF_CHAINS:
        return "csf"
    if table.name.startswith("firewalld_policy_drop"):
        return "firewalld-panic"
    return "firewalld-policy" if table.name == "firewalld" else table.tool


def owned(found: Found, listings: Listings) -> BlockingRule:
    """Who owns the rule. firewalld's are found by their meaning, for the kernel's listing words them differently."""
    rule, table = found.hit.rule, found.table
    place = (
        (table.family, table.name, found.hit.chain, rule.handle or "-")
        if table.tool == "nft"
        else (_binary(table, listings), table.name, found.hit.chain)
    )
    plain = BlockingRule(
        table.tool, rule.text, _where(found), rule.action.value, found.ports, None, None, found.direction, place
    )
    for line in listings.direct:
        direct = DirectRule.parse(line)
        if direct and _same(found, direct.table, direct.chain, direct.arguments):
            return _unless_broad(rule, _firewalld_direct(plain, line, listings))
    if _own(rule, table, found.hit.chain):
        return replace(plain, tool="agent", undo=_agent_undo(found, listings))
    for line in listings.passthrough:
        name, chain, arguments = _passthrough(line)
        if _same(found, name, chain, arguments):
            return _unless_broad(rule, _firewalld_passthrough(plain, line, listings))
    tool = _tool(table, found.hit.chain)
    if tool == "firewalld-panic":
        return panic()
    if tool == "firewalld-policy":
        return _firewalld_policy(plain, found, listings)
    if tool == "ufw":
        return _ufw(plain, listings)
    if tool == "csf" or (rule.policy and not _CSF_CHAINS.isdisjoint(table.chains)):
        return replace(plain, tool="csf", undo=f"csf -a {WIRE_SERVER}", stays=True)
    return replace(plain, undo=_kernel_undo(found, listings))


def _unless_broad(rule: Rule, owned_rule: BlockingRule) -> BlockingRule:
    """Without a way back where it covers others too: what firewalld judges first hangs on its other rules."""
    return replace(owned_rule, undo=None) if _broad(rule) else owned_rule


def _same(found: Found, table: str, chain: str, arguments: str) -> bool:
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


def panic() -> BlockingRule:
    """firewalld's panic mode, which drops everything."""
    return BlockingRule(
        "firewalld-panic",
        "firewall-cmd --panic-on",
        "all traffic",
        "drop",
        WIRE_PORTS,
        "firewall-cmd --panic-off",
        False,
    )


#: firewalld judges a policy's allowing rules before the policy's target, which covers more than this address; no
#: reload, which would drop whatever others have set at runtime
_LET_PAST = f'rule family="ipv4" destination address="{WIRE_SERVER}/32" port port="{{}}" protocol="tcp" accept'
_POLICY_CHAIN = re.compile(r"_policy_(.+?)(?:_(pre|log|deny|allow|post))?$")


def _firewalld_policy(plain: BlockingRule, found: Found, listings: Listings) -> BlockingRule:
    """The policy's target or the rich rule behind a chain like ``filter_OUT_policy_NAME_deny`` (firewalld >= 0.9)."""
    name = _POLICY_CHAIN.search(found.hit.chain)
    policy = name.group(1) if name else ""
    xml = listings.policies.get(policy, "")
    quoted = shlex.quote(policy)
    target = re.search(r'<policy[^>]* target="(DROP|REJECT)"', xml)
    if name and name.group(2):
        for rule, broad in _rich_rules(xml):
            if broad:  # a denying rich rule is judged before an allowing one
                return replace(plain, tool="firewalld-policy", rule=f"policy {policy}: {rule}", stays=True)
            remove = f"--policy {quoted} --remove-rich-rule {shlex.quote(rule)}"
            undo = f"firewall-cmd {remove} && firewall-cmd --permanent {remove}"
            return replace(plain, tool="firewalld-policy", rule=f"policy {policy}: {rule}", undo=undo, stays=True)
    elif target:
        past = " ".join(f"--add-rich-rule {shlex.quote(_LET_PAST.format(port))}" for port in WIRE_PORTS)
        undo = f"firewall-cmd --policy {quoted} {past} && firewall-cmd --permanent --policy {quoted} {past}"
        rule = f"policy {policy} target {target.group(1)}"
        return replace(plain, tool="firewalld-policy", rule=rule, undo=undo, stays=True)
    return replace(plain, tool="firewalld-policy")


def _rich_rules(xml: str) -> list[tuple[str, bool]]:
    """The rich rules of a policy file that drop or reject the Wire Server by address, in firewall-cmd's words, and
    whether each covers others too.

    >>> _rich_rules('<rule family="ipv4"> <destination address="168.63.129.16/32"/> <drop/> </rule>')
    [('rule family="ipv4" destination address="168.63.129.16/32" drop', False)]
    """
    shape = r'<rule((?: [a-z]+="[\w-]+")*)>\s*<destination address="([\d./]+)"/>\s*<(drop|reject)/>\s*</rule>'
    found = re.findall(shape, xml, re.ASCII)
    return [
        (f'rule{attributes} destination address="{address}" {action}', reach != WIRE_RANGE)
        for attributes, address, action in found
        if (reach := address_range(address)) and reach[0] <= WIRE_RANGE[0] <= reach[1]
    ]


def _ufw(plain: BlockingRule, listings: Listings) -> BlockingRule:
    """The ``ufw delete …`` for the tuple behind the rule; an exception where that covers others too.

    Sample tuple: ``deny any any 168.63.129.16 any 0.0.0.0/0 out`` (action, protocol, port, to, port, from, direction).
    """
    for line in listings.ufw:
        action, protocol, port, to, *_ = [*line.split(), "", "", "", ""]
        reach = address_range(to)
        if action in ("deny", "reject") and line.endswith("out") and reach == WIRE_RANGE:
            via = "" if protocol == "any" else f" proto {shlex.quote(protocol)}"
            at = "" if port == "any" else f" port {shlex.quote(port)}"
            undo = f"ufw delete {action} out{via} to {shlex.quote(to)}{at}"
            return replace(plain, tool="ufw", rule=line, undo=undo, stays=True)
    undo = f"ufw allow out proto tcp to {WIRE_SERVER} port 80,32526"
    return replace(plain, tool="ufw", undo=undo, stays=True)


def _broad(rule: Rule) -> bool:
    """The rule is not about the Wire Server alone (a policy, a catch-all, a range or set that others are in): it
    stays, and an exception goes before it.
    """
    parts = [part for one in rule.conditions for part in (one, *(part for parts in one.combined for part in parts))]
    shared = any(word in one.text for one in rule.conditions for word in ("@", "--match-set")) or " vmap " in rule.text
    return shared or not any(_narrow(part) for part in parts)


def _narrow(condition: Condition) -> bool:
    about = condition.subject in ("daddr", "saddr", "origdaddr") and not condition.negated
    return about and condition.values == frozenset({WIRE_RANGE})


def _agent_undo(found: Found, listings: Listings) -> str | None:
    """The rule that lets root pass, put before the agent's own DROP, which goes on stopping everybody else."""
    if found.table.tool == "nft":
        return _kernel_undo(found, listings)
    place = shlex.join([_binary(found.table, listings), "-t", found.table.name, "-I", found.hit.chain])
    return f"{place} -d {WIRE_SERVER}/32 -p tcp -m owner --uid-owner 0 -j ACCEPT"


def _binary(table: Table, listings: Listings) -> str:
    named = listings.commands.get(table.tool, "")
    return named if re.fullmatch(r"(?:/[\w/.-]*/)?iptables(?:-nft|-legacy)?", named, re.ASCII) else table.tool


def _kernel_undo(found: Found, listings: Listings) -> str | None:
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


def _nft_undo(found: Found) -> str | None:
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
    return Condition("daddr", frozenset({WIRE_RANGE})) in rule.conditions


def _fields(rule: Rule) -> set[str]:
    return {condition.subject for condition in rule.conditions}


def own_rules(table: Table) -> list[str]:
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


def forwarding_rules(table: Table) -> list[str]:
    """Rules that stop what the guest forwards to the Wire Server, as a Kubernetes node does for its containers."""
    forward = table.chains.get("FORWARD")
    rules = forward.rules if forward else ()
    return [rule.text for rule in rules if rule.action in (Action.DROP, Action.REJECT) and _about_wire(rule)]
