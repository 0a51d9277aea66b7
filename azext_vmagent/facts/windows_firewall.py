"""Which Windows Firewall rule keeps the agent from the Wire Server. Pure.

Rules are the registry's strings, ``v2.30|Action=Block|Active=TRUE|Dir=Out|…|``: [MS-GPFAS] 2.2.2.19 gives their
grammar, [MS-FASP] 2.2.34 their order (block beats allow; allow beats the profile's default). The packet is the agent's:
TCP from SYSTEM in the agent's own service to port 80 or 32526. A field that cannot be judged makes the rule undecided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from azext_vmagent.facts.firewall_facts import WIRE_PORTS, WIRE_SERVER, BlockingRule, RuleAnalysis, UndecidedRule
from azext_vmagent.facts.rules import address_range, number_range
from azext_vmagent.facts.windows_facts import FirewallProfile

TOOL = "windows-firewall"
PROFILE_TOOL = "windows-firewall-profile"
#: undoes a profile that blocks what no rule allows, without opening anything else
ALLOW_WIRE_SERVER = (
    "New-NetFirewallRule -Name AzureWireServer -DisplayName 'Azure Wire Server' -Direction Outbound -Action Allow "
    f"-Protocol TCP -RemoteAddress {WIRE_SERVER} -RemotePort 80,32526"
)
_PROFILES = ("domain", "private", "public")
_WIRE = address_range(WIRE_SERVER) or (0, 0)
#: Windows' dynamic ports since Vista: where the agent's connections start from
_DYNAMIC = (49152, 65535)
_AGENT_PROGRAMS = ("waappagent.exe", "windowsazureguestagent.exe")
_PROBE_PROGRAMS = ("powershell.exe", "pwsh.exe")
_AGENT_SERVICES = ("*", "rdagent", "windowsazureguestagent")
#: who SYSTEM is: itself, Administrators, Everyone, Authenticated Users ([MS-DTYP] 2.4.2.4)
_SYSTEM_SIDS = ("SY", "S-1-5-18", "BA", "S-1-5-32-544", "WD", "S-1-1-0", "AU", "S-1-5-11")
#: fields that say nothing about which packets match
_SILENT = frozenset(
    ("name", "desc", "embedctxt", "edge", "defer", "lsm", "lom", "skipver", "pcross", "action", "active", "dir")
)


@dataclass(frozen=True)
class StoredRule:
    """A rule as stored: ``store`` is local, gpo or mdm, ``name`` the registry value's (the rule's id)."""

    store: str
    name: str
    text: str


@dataclass(frozen=True)
class WindowsRules:
    """The analysis, with the rules that block only the agent's or only the probe's own program kept apart."""

    analysis: RuleAnalysis
    agent_only: tuple[BlockingRule, ...] = ()
    probe_only: tuple[BlockingRule, ...] = ()


@dataclass(frozen=True)
class Scene:
    """What a rule is judged against. ``active`` are the connected networks' profiles, None when not known.

    ``build`` is Windows' build number, ``source`` the address that connections to the Wire Server leave from;
    ``enforced`` is False when the firewall's service does not run.
    """

    profiles: Sequence[FirewallProfile]
    active: Sequence[str] | None = None
    source: str = ""
    build: int | None = None
    enforced: bool | None = None


def profiles_in_force(rows: Iterable[Mapping[str, object]]) -> tuple[FirewallProfile, ...]:
    """The three profiles, Group Policy's values before the local ones, Windows' defaults where neither says.

    ``StandardProfile`` is the private one (MS-GPFAS 2.2.3).
    """
    said: dict[tuple[str, str], Mapping[str, object]] = {}
    for row in rows:
        name = str(row.get("name", "")).removesuffix("Profile").lower().replace("standard", "private")
        said[(str(row.get("store")), name)] = {**said.get((str(row.get("store")), name), {}), **_set_values(row)}
    found = []
    for name in _PROFILES:
        policy, local = said.get(("gpo", name), {}), said.get(("local", name), {})
        merged = {**local, **policy}
        found.append(
            FirewallProfile(
                name,
                enabled=merged.get("on", 1) != 0,
                blocks_outbound=merged.get("out", 0) == 1,
                merges_local=policy.get("merge", 1) != 0,
                by_policy="out" in policy,
            )
        )
    return tuple(found)


def _set_values(row: Mapping[str, object]) -> dict[str, object]:
    return {key: row[key] for key in ("on", "out", "merge") if isinstance(row.get(key), int)}


def firewall_rules(rules: Sequence[StoredRule], scene: Scene, missing: tuple[str, ...] = ()) -> WindowsRules:
    """The rules and profile defaults that keep the agent from the Wire Server."""
    blocks: list[BlockingRule] = []
    agent_only: list[BlockingRule] = []
    probe_only: list[BlockingRule] = []
    undecided: list[UndecidedRule] = []
    allowed: dict[int, bool | None] = dict.fromkeys(WIRE_PORTS, False)
    to_all: set[int] = set()
    for rule in rules:
        fields = rule_fields(rule.text)
        if fields is None:
            continue
        verdict = _judge(rule, fields, scene)
        if verdict is None:
            continue
        ports, doubt, bound = verdict
        if _one(fields, "action") == "allow":
            for port in ports:
                if bound != "probe":
                    allowed[port] = True if not doubt else allowed[port] or None
                if bound != "agent":
                    to_all.add(port)
        elif _one(fields, "action") == "block" and ports:
            where = f"{_STORES.get(rule.store, rule.store)}, {_title(fields, rule)}"
            undo, place = _undo(rule, fields, scene), (rule.store, rule.name)
            found = BlockingRule(TOOL, rule.text, where, "block", ports, undo, True, place=place)
            if doubt:
                undecided.append(UndecidedRule(TOOL, rule.text, where, doubt, ports))
            else:
                {"agent": agent_only, "probe": probe_only}.get(bound, blocks).append(found)
    default, doubts = _defaults(scene, allowed, bool(missing))
    if any(profile.enabled and profile.blocks_outbound for profile in scene.profiles):
        probe_only += _not_for_the_probe(tuple(port for port in WIRE_PORTS if allowed[port] and port not in to_all))
    return WindowsRules(
        RuleAnalysis(
            blocks=(*blocks, *default),
            undecided=(*undecided, *doubts),
            listed=() if "firewall" in missing else (TOOL,),
            missing=missing,
        ),
        tuple(agent_only),
        tuple(probe_only),
    )


_STORES = {"local": "local rules", "gpo": "Group Policy", "mdm": "device management"}


def rule_fields(text: str) -> dict[str, list[str]] | None:
    """The fields of a rule string, names in lower case; None for what Windows does not take for a rule either.

    >>> rule_fields("v2.10|Action=Block|Active=TRUE|Dir=Out|RA4=168.63.129.16|")["ra4"]
    ['168.63.129.16']
    """
    parts = text.split("|")
    if not re.fullmatch(r"v\d+\.\d+", parts[0]):
        return None
    found: dict[str, list[str]] = {}
    for part in parts[1:]:
        key, mark, value = part.partition("=")
        if mark:
            found.setdefault(key.lower(), []).append(value)
    return found


def _one(fields: Mapping[str, Sequence[str]], key: str) -> str:
    values = fields.get(key)
    return values[0].lower() if values else ""


def _title(fields: Mapping[str, Sequence[str]], rule: StoredRule) -> str:
    name = fields["name"][0] if fields.get("name") else rule.name
    return f"«{name}»"


def _judge(
    rule: StoredRule, fields: Mapping[str, Sequence[str]], scene: Scene
) -> tuple[tuple[int, ...], str, str] | None:
    """(ports, doubt, whom it is bound to), or None when the rule does not meet the agent's packets."""
    if _one(fields, "active") != "true" or _one(fields, "dir") != "out":
        return None
    bound = _bound_to(fields)
    if bound == "other":
        return None
    answers = {
        f"{key}={','.join(fields[key])}": test(fields[key], scene) for key, test in _TESTS.items() if key in fields
    }
    answers["which profile is in force"] = _profile(rule, fields, scene)
    answers[f"remote address {','.join([*fields.get('ra4', ()), *fields.get('ra42', ())])}"] = _addresses(fields)
    ports, unsure = _ports(fields)
    if "cut" in fields:  # the probe says that more fields followed: what did not match so far may do so there
        answers = {what: answer or None for what, answer in answers.items()}
        ports = WIRE_PORTS
    if False in answers.values():
        return None
    doubts = [what for what, answer in answers.items() if answer is None]
    doubts += [f"{key}={','.join(fields[key])}" for key in fields if key not in _KNOWN]
    doubts += ["the firewall's service does not run"] if scene.enforced is False else []
    return ports, "; ".join([*doubts, unsure] if unsure else doubts), bound


def _bound_to(fields: Mapping[str, Sequence[str]]) -> str:
    """Whose packets alone it is for: agent, probe or other; empty for everyone's."""
    bound = ""
    if fields.get("app"):
        program = fields["app"][0].lower().replace("/", "\\").rpartition("\\")[2]
        bound = "agent" if program in _AGENT_PROGRAMS else "probe" if program in _PROBE_PROGRAMS else "other"
    if fields.get("svc"):
        bound = "agent" if _one(fields, "svc") in _AGENT_SERVICES and bound in ("", "agent") else "other"
    return bound


def _profile(rule: StoredRule, fields: Mapping[str, Sequence[str]], scene: Scene) -> bool | None:
    """Whether one of the profiles that the rule is for is connected, switched on and heeds the rule's store."""
    named = {value.lower() for value in fields.get("profile", ())} or set(_PROFILES)
    heeds = {
        profile.name
        for profile in scene.profiles
        if profile.enabled and (profile.merges_local or rule.store != "local") and profile.name in named
    }
    if scene.active is not None:
        return bool(heeds & set(scene.active))
    return True if heeds == set(_PROFILES) else None if heeds else False


def _addresses(fields: Mapping[str, Sequence[str]]) -> bool | None:
    """Whether the remote addresses hold 168.63.129.16. None of any kind means any; IPv6 alone is not ours.

    Keywords: the Azure address is also DNS and DHCP server of most guests, so those two may well mean it.
    """
    values = [value for key in ("ra4", "ra42") for value in fields.get(key, ())]
    if not values:
        return not (fields.get("ra6") or fields.get("ra62"))
    unsure = False
    for value in values:
        found = address_range(value)
        if found is not None and found[0] <= _WIRE[0] <= found[1]:
            return True
        if found is None and value.lower() not in ("localsubnet", "wins", "defaultgateway", "ply2renders"):
            unsure = True
    return None if unsure else False


def _ports(fields: Mapping[str, Sequence[str]]) -> tuple[tuple[int, ...], str]:
    values = [value for key in ("rport", "rport2_10") for value in fields.get(key, ())]
    if not values:
        return WIRE_PORTS, ""
    ranges = [number_range(value, "-") for value in values]
    ports = tuple(port for port in WIRE_PORTS if any(r is not None and r[0] <= port <= r[1] for r in ranges))
    words = [value for value, r in zip(values, ranges, strict=True) if r is None and value.lower() not in _WEB_KEYWORDS]
    return (WIRE_PORTS, f"remote port {','.join(words)}") if words and not ports else (ports, "")


#: keywords of RPort that stand for tcp/443
_WEB_KEYWORDS = ("iptlsout", "iphttpsout")


def _protocol(values: Sequence[str], _scene: Scene) -> bool | None:
    return any(value in ("6", "256") for value in values)


def _local_ports(values: Sequence[str], _scene: Scene) -> bool | None:
    ranges = [r for r in (number_range(value, "-") for value in values) if r is not None]
    if any(low <= _DYNAMIC[0] and high >= _DYNAMIC[1] for low, high in ranges):
        return True
    return None if any(low <= _DYNAMIC[1] and high >= _DYNAMIC[0] for low, high in ranges) else False


def _local_addresses(values: Sequence[str], scene: Scene) -> bool | None:
    source = address_range(scene.source)
    ranges = [r for r in (address_range(value) for value in values) if r is not None]
    if source is None or len(ranges) < len(values):
        return None
    return any(low <= source[0] <= high for low, high in ranges)


def _interface_type(values: Sequence[str], _scene: Scene) -> bool | None:
    return any(value.lower() == "lan" for value in values)


def _never(_values: Sequence[str], _scene: Scene) -> bool | None:
    return False


def _users(values: Sequence[str], _scene: Scene) -> bool | None:
    """LUAuth is an SDDL string; SYSTEM matches an allowing entry for itself or for a group it is in."""
    entries = re.findall(r"\(([^()]*)\)", " ".join(values))
    parts = [entry.split(";") for entry in entries]
    if not parts or any(len(part) < 6 or part[0] not in ("A", "D") for part in parts):
        return None
    mine = [part[0] for part in parts if part[5] in _SYSTEM_SIDS]
    if "D" in mine:
        return None
    return bool(mine)


def _owner(values: Sequence[str], _scene: Scene) -> bool | None:
    return any(value in ("S-1-5-18", "SY") for value in values)


_TESTS = {
    "protocol": _protocol,
    "lport": _local_ports,
    "lport2_10": _local_ports,
    "la4": _local_addresses,
    "la6": lambda _values, _scene: None,
    "iftype": _interface_type,
    "icmp4": _never,
    "icmp6": _never,
    "apppkgid": _never,
    "luauth": _users,
    "luown": _owner,
}
_KNOWN = frozenset({*_TESTS, *_SILENT, "profile", "ra4", "ra42", "ra6", "ra62", "rport", "rport2_10", "app", "svc"})


def _defaults(
    scene: Scene, allowed: Mapping[int, bool | None], cut: bool
) -> tuple[list[BlockingRule], list[UndecidedRule]]:
    """A profile that blocks whatever no rule allows, and no rule allows the Wire Server."""
    blocks, doubts = [], []
    for profile in scene.profiles:
        known = scene.active is not None
        if not (profile.enabled and profile.blocks_outbound) or (known and profile.name not in (scene.active or ())):
            continue
        text = f"{profile.name} profile: outbound connections that no rule allows are blocked"
        where = f"{profile.name} profile" + (" (Group Policy)" if profile.by_policy else "")
        shut = tuple(port for port in WIRE_PORTS if allowed[port] is False)
        unsure = tuple(port for port in WIRE_PORTS if allowed[port] is None)
        if shut and known and not cut and scene.enforced is not False:
            undo = ALLOW_WIRE_SERVER if profile.merges_local and _has_cmdlets(scene) else None
            place = ("gpo" if profile.by_policy else "local", profile.name)
            blocks.append(BlockingRule(PROFILE_TOOL, text, where, "block", shut, undo, True, place=place))
        elif shut or unsure:
            why = "whether the profile is in force or a rule allows it is not known"
            doubts.append(UndecidedRule(PROFILE_TOOL, text, where, why, shut + unsure))
    return blocks, doubts


def _not_for_the_probe(ports: tuple[int, ...]) -> list[BlockingRule]:
    text = "outbound connections are blocked, and the rule that allows the Wire Server is for the agent alone"
    return [BlockingRule(PROFILE_TOOL, text, "profile", "block", ports, None, True)] if ports else []


def _has_cmdlets(scene: Scene) -> bool:
    """The NetSecurity cmdlets came with Windows 8 and Server 2012, build 9200."""
    return scene.build is None or scene.build >= 9200


def _undo(rule: StoredRule, fields: Mapping[str, Sequence[str]], scene: Scene) -> str | None:
    """The command that switches this one rule off; None where policy would bring it back, or the name says too much.

    Both names take wildcards, so a rule that is called ``*`` must not be named in a command.
    """
    if rule.store != "local":
        return None
    if _has_cmdlets(scene):
        return None if _WILD & set(rule.name) or not rule.name else f"Disable-NetFirewallRule -Name {quoted(rule.name)}"
    name = fields["name"][0] if fields.get("name") else ""
    if not name or set(name) & (_WILD | set("\"%'`$")) or name.lower() == "all" or name.startswith("@"):
        return None
    return f"netsh advfirewall firewall set rule {quoted(f'name={name}')} dir=out new enable=no"


_WILD = set("*?[]")


def quoted(text: str) -> str:
    """A PowerShell string literal: nothing is expanded in it, and only its own quote has to be doubled.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"
