"""What the guest said about itself: the probe's text as typed facts. Pure; never raises on any input.

The probe (``guest/probe.sh``) prints one fact a line, ``key value``, in a frame that ``probe_answer.py`` takes off; the
parser takes what it knows, ignores the rest and names what is missing. All text comes from the guest and is hostile
until quoted by whoever shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isfinite

from azext_vmagent.facts.agent_dates import linux_time
from azext_vmagent.facts.firewall import blocking_rules
from azext_vmagent.facts.firewall_facts import Listings, Path
from azext_vmagent.facts.guest_facts import (
    AgentProcess,
    Connect,
    Disk,
    DropInLine,
    GuestFacts,
    Interface,
    LogFacts,
    LogLine,
    Program,
    Route,
    ServiceFacts,
    WireTest,
)
from azext_vmagent.facts.guest_repair import at_work, last_repair
from azext_vmagent.facts.guest_windows import is_windows_answer, parse_windows_probe
from azext_vmagent.facts.probe_answer import read_answer

__all__ = [
    "AgentProcess",
    "Connect",
    "Disk",
    "DropInLine",
    "GuestFacts",
    "Interface",
    "LogFacts",
    "LogLine",
    "Program",
    "Route",
    "ServiceFacts",
    "WireTest",
    "is_probe_answer",
    "parse_probe",
]

_SECTIONS = {
    "uid": "system",
    "systemd": "service",
    "disable_agent": "disable_agent",
    "conf": "configuration",
    "wire 80": "wire server 80",
    "wire 32526": "wire server 32526",
    "ip": "network",
    "log": "agent log",
    "fw.list": "firewall",
    "fw.firewalld": "firewalld",
    "disk": "disk",
}

Lines = Mapping[str, Sequence[str]]


def parse_probe(text: str) -> GuestFacts:
    """The facts in a probe's answer, whole, cut, empty or foreign.

    >>> facts = parse_probe("vmagent-probe 1\\nuid 0\\nwire 80 timed-out - curl 28 Connection timed out\\nend 4 0\\n")
    >>> facts.complete, facts.root, facts.outcome(80).value
    (True, True, 'timed-out')
    """
    if is_windows_answer(text):
        return parse_windows_probe(text)
    answer = read_answer(text)
    body = answer.lines
    said: dict[str, list[str]] = {}
    for line in body:
        key, _, value = line.partition(" ")
        said.setdefault(key, []).append(value)
    cut = {name: int(size) for name, _, size in (line.partition(" ") for line in said.get("cut", ())) if _number(size)}
    route = _route(said.get("route", []))
    wire = _wire(said.get("wire", []))
    listings = _listings(said, body, cut)
    answering = frozenset(port for port, test in wire.items() if test.outcome is Connect.OK)
    return GuestFacts(
        complete=answer.whole,
        missing=_missing(said),
        cut=cut,
        seconds=_number(answer.seconds or ""),
        uid=_int(_first(said, "uid")),
        distribution=_first(said, "os"),
        kernel=_first(said, "kernel"),
        uptime=_number(_first(said, "uptime")),
        clock=linux_time(_first(said, "now")),
        utc_offset_minutes=_offset(_first(said, "tz")),
        service=_service(said),
        processes=_processes(said),
        disabled_by_file=_yes(_first(said, "disable_agent")),
        config_present=_yes(said["conf"][0]) if said.get("conf") else None,
        config=_config(said.get("conf", [])),
        wire=wire,
        rules=blocking_rules(listings, _path(route, wire), answering),
        log=_log(said),
        interfaces=_interfaces(said),
        default_routes=tuple(said.get("default", ())) if "ip" in said else None,
        route=route,
        neighbours=_neighbours(said.get("neigh", ())),
        dhcp_clients=None if "shaping" in said.get("late", ()) else tuple(said.get("dhcp", ())),
        disks=_disks(said.get("disk", [])),
        journal=tuple(said.get("journal", ())),
        program=_program(said),
        mount_of=dict(pair for pair in (_pair(line) for line in said.get("holds", ())) if all(pair)),
        file_counts={name: int(count) for name, count in map(_pair, said.get("files", ())) if _int(count) is not None},
        metadata=_metadata(said),
        memory_kib=_memory(_first(said, "memory")),
        fips={"1": True, "0": False}.get(_first(said, "fips")),
        proxy_agent=_proxy_agent(said),
        kernel_words=tuple(said.get("dmesg", ())),
        last_repair=last_repair(_first(said, "repair")),
        repairing=at_work(_first(said, "repairing")),
    )


def is_probe_answer(text: str) -> bool:
    """Whether the probe wrote this, be it cut: a login banner or a shell's refusal is none of the guest's word.

    >>> is_probe_answer("This account is currently not available.\\n"), is_probe_answer("…cut\\nend 4 0\\n")
    (False, True)
    """
    return any(line.startswith(("vmagent-probe ", "vmagent-probe-windows ", "end ")) for line in text.splitlines())


_JOBS = {
    "system": "system",
    "wire80": "wire server 80",
    "wire32526": "wire server 32526",
    "imds": "instance metadata",
    "netfilter": "firewall",
    "firewalld": "firewalld",
    "ufw": "ufw",
    "unit": "service",
    "runtime": "agent's program",
    "service": "processes",
    "network": "network",
    "neighbours": "neighbours",
    "shaping": "traffic control",
    "agent_log": "agent log",
    "disk": "disk",
    "journal": "journal",
}


def _missing(said: Lines) -> tuple[str, ...]:
    absent = [name for key, name in _SECTIONS.items() if not _was_said(said, key)]
    slow = [_JOBS[job] for job in said.get("late", ()) if job in _JOBS]
    return tuple(dict.fromkeys(absent + slow))


def _was_said(said: Lines, key: str) -> bool:
    name, _, start = key.partition(" ")
    return any(value.split(" ", 1)[0] == start for value in said.get(name, ())) if start else name in said


def _first(said: Lines, key: str) -> str:
    values = said.get(key)
    return values[0].strip() if values else ""


def _yes(word: str) -> bool | None:
    return {"yes": True, "no": False, "true": True, "false": False}.get(word)


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) else None


def _int(text: str) -> int | None:
    return int(text) if text.isascii() and text.lstrip("-").isdecimal() and len(text) < 19 else None


def _offset(text: str) -> int | None:
    """``+0530`` in minutes east of UTC."""
    found = re.fullmatch(r"([+-])(\d\d)(\d\d)", text)
    return int(f"{found[1]}{int(found[2]) * 60 + int(found[3])}") if found else None


def _service(said: Lines) -> ServiceFacts:
    """The unit that exists; of two, the one that runs.

    Lines ``unit walinuxagent.service ActiveState=active``, or ``unit none`` (``load_state`` is then not-found).
    Neither, when systemctl did not answer in time: that proves nothing.
    """
    units: dict[str, dict[str, str]] = {}
    for line in said.get("unit", ()):
        name, _, pair = line.partition(" ")
        key, mark, value = pair.partition("=")
        if mark:
            units.setdefault(name, {})[key] = value
    has_systemd = _yes(_first(said, "systemd"))
    others = {name: told for name, told in units.items() if not name.startswith("wa")}
    units = {name: told for name, told in units.items() if name not in others}
    if not units:
        return ServiceFacts(has_systemd=has_systemd, load_state="not-found" if "none" in said.get("unit", ()) else "")
    name = max(
        units, key=lambda unit: (units[unit].get("ActiveState") == "active", units[unit].get("LoadState") == "loaded")
    )
    told = units[name]
    return ServiceFacts(
        has_systemd=has_systemd,
        unit=name,
        load_state=told.get("LoadState", ""),
        active_state=told.get("ActiveState", ""),
        sub_state=told.get("SubState", ""),
        unit_file_state=told.get("UnitFileState", ""),
        result=told.get("Result", ""),
        restarts=_int(told.get("NRestarts", "0")),
        exit_code=told.get("ExecMainCode", ""),
        exit_status=_int(told.get("ExecMainStatus", "")),
        condition_met=_yes(told.get("ConditionResult", "")),
        fragment_path=told.get("FragmentPath", ""),
        main_pid=_int(told.get("MainPID", "")) or None,
        active_since=linux_time(told.get("ActiveEnterTimestamp", "")),
        inactive_since=linux_time(told.get("InactiveEnterTimestamp", "")),
        ip_address_deny=told.get("IPAddressDeny", ""),
        private_network=_yes(told.get("PrivateNetwork", "")),
        drop_ins=told.get("DropInPaths", ""),
        environment=told.get("Environment", ""),
        ip_address_allow=told.get("IPAddressAllow", ""),
        network_namespace=told.get("NetworkNamespacePath", ""),
        address_families=told.get("RestrictAddressFamilies", ""),
        frozen=told.get("FreezerState", "") in ("frozen", "freezing", "frozen-by-parent"),
        slice_deny={unit: other["IPAddressDeny"] for unit, other in others.items() if "IPAddressDeny" in other},
        unmet_condition=_first(said, "condition"),
        drop_in_lines=tuple(DropInLine(*pair) for pair in map(_pair, said.get("dropin", ()))),
        queued=_int(told.get("Job", "0")) not in (None, 0),
        at_work=tuple(said.get("job", ())),
    )


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(" ")
    return name, value.strip()


def _proxy_agent(said: Lines) -> str:
    """Lines ``unit azure-proxy-agent.service ActiveState=active``."""
    words = [line for line in said.get("unit", ()) if line.startswith("azure-proxy-agent.service ActiveState=")]
    return words[0].partition("=")[2] if words else ""


def _program(said: Lines) -> Program:
    """Lines ``program /usr/sbin/waagent ok``, ``python /usr/bin/python3 failed 1 ImportError: …``, ``package …``."""
    path, state = _pair(_first(said, "program"))
    interpreter, told = _pair(_first(said, "python"))
    word, rest = _pair(told)
    code, error = _pair(rest) if word in ("failed", "broken") else ("", "")
    return Program(
        path=path,
        state=state,
        interpreter=interpreter,
        interpreter_state=word,
        version=rest.removeprefix("WALinuxAgent-") if word == "ok" else "",
        error=error or (f"exit status {code}" if code else ""),
        packages=tuple(said.get("package", ())),
        openssl=_yes(_first(said, "openssl")),
    )


def _metadata(said: Lines) -> Connect:
    """A line ``imds OUTCOME STATUS TOOL``: the instance metadata service, which no agent rule guards."""
    word = _first(said, "imds").partition(" ")[0]
    return Connect(word) if word in _OUTCOMES else Connect.NOT_SAID


def _memory(line: str) -> tuple[int, int] | None:
    numbers = [_int(part) for part in line.split()[:2]]
    return (numbers[0], numbers[1]) if len(numbers) == 2 and None not in numbers else None  # type: ignore[return-value]


def _processes(said: Lines) -> tuple[AgentProcess, ...] | None:
    """Lines ``process 277 S /usr/bin/python3 /usr/sbin/waagent -daemon``; None when nobody looked."""
    if "ps" not in said:
        return None
    found = [line.split(" ", 2) for line in said.get("process", ())]
    return tuple(
        AgentProcess(int(parts[0]), parts[1], parts[2].strip())
        for parts in found
        if len(parts) == 3 and _int(parts[0]) is not None
    )


def _config(lines: Sequence[str]) -> dict[str, str]:
    """``conf OS.EnableFirewall=y`` lines; the first one only says that the file is there."""
    pairs = [line.partition("=") for line in lines if "=" in line]
    return {key.strip(): value.partition("#")[0].strip().strip("\"'") for key, _, value in pairs}


def _wire(lines: Sequence[str]) -> dict[int, WireTest]:
    """Lines ``wire PORT OUTCOME STATUS TOOL DETAIL``."""
    found = {}
    for line in lines:
        port, outcome, status, tool, detail = (line.split(" ", 4) + [""] * 5)[:5]
        number = _int(port)
        if number is not None and outcome in _OUTCOMES:
            used = tool if tool != "-" else None
            found[number] = WireTest(number, Connect(outcome), _int(status), used or None, detail.strip())
    return found


_OUTCOMES = frozenset(outcome.value for outcome in Connect)


def _log(said: Lines) -> LogFacts:
    """``log yes SIZE LINES NEWEST`` and ``log.KIND LINE TIME TEXT`` lines."""
    head = (_first(said, "log").split() + [""] * 4)[:4]
    return LogFacts(
        present=_yes(head[0]),
        newest=linux_time(head[3]),
        lines=_int(head[2]),
        size=_int(head[1]),
        failures=tuple(_log_line(line) for line in said.get("log.fail", ())),
        failure_count=_int(_first(said, "log.count")) or len(said.get("log.fail", ())),
        first_failure=_one_line(said, "log.first"),
        past_failure=_one_line(said, "log.past"),
        recovery=_one_line(said, "log.ok"),
        heartbeat=_one_line(said, "log.heartbeat"),
        host_plugin=_one_line(said, "log.plugin"),
        errors=tuple(_log_line(line) for line in said.get("log.error", ())),
    )


def _one_line(said: Lines, key: str) -> LogLine | None:
    values = said.get(key)
    return _log_line(values[0]) if values else None


def _log_line(line: str) -> LogLine:
    number, time, text = (line.split(" ", 2) + [""] * 3)[:3]
    return LogLine(_int(number), linux_time(time), text)


def _interfaces(said: Lines) -> tuple[Interface, ...]:
    """Lines ``link eth0 up UP 00:0d:3a:00:00:04`` and ``addr eth0 10.0.0.4/24 dynamic``."""
    addresses: dict[str, list[str]] = {}
    for line in said.get("addr", ()):
        name, _, rest = line.partition(" ")
        addresses.setdefault(name, []).append(rest.partition(" ")[0])
    found = [(line.split(" ") + [""] * 4)[:4] for line in said.get("link", ())]
    return tuple(
        Interface(name, {"up": True, "down": False}.get(flag), state, tuple(addresses.get(name, ())), mac)
        for name, flag, state, mac in found
    )


def _path(route: Route, wire: Mapping[int, WireTest]) -> Path:
    """How packets leave. What ``ip route get`` is told may differ from what a socket meets (marks, users): its errno
    then names the kind of route.
    """
    met = {test.outcome for test in wire.values()}
    kind = route.kind
    if kind in ("unicast", "unknown"):
        kind = next((name for outcome, name in _MET.items() if outcome in met), kind)
    return Path(route.device or None, route.source or None, kind)


_MET = {Connect.BLACKHOLE: "blackhole", Connect.DENIED: "prohibit"}


def _neighbours(lines: Sequence[str]) -> dict[str, str]:
    """Lines ``neigh 10.0.0.1 dev eth0 lladdr 12:34:56:78:9a:bc REACHABLE``: a gateway and the kernel's word on it.

    >>> _neighbours(["10.0.0.254 dev eth0 FAILED"])
    {'10.0.0.254': 'FAILED'}
    """
    found = (line.split() for line in lines)
    return {words[0]: words[-1] for words in found if len(words) > 2}


def _route(lines: Sequence[str]) -> Route:
    """What ``ip route get`` said, or the errno it ended with (verified in a network namespace, Linux 6.18).

    >>> _route(["168.63.129.16 via 10.0.0.1 dev eth0 src 10.0.0.4 uid 0"]).gateway
    '10.0.0.1'
    >>> _route(["RTNETLINK answers: Invalid argument"]).kind
    'blackhole'
    """
    if not lines:
        return Route("unknown")
    text = lines[0].strip()
    for words, kind in _ROUTE_ERRORS.items():
        if words in text:
            return Route(kind, text=text)
    parts = text.split()
    told = {key: parts[at + 1] for at, key in enumerate(parts[:-1]) if key in ("via", "dev", "src")}
    kind = "unknown" if "dev" not in told else "local" if parts[0] == "local" else "unicast"
    return Route(kind, told.get("dev", ""), told.get("via", ""), told.get("src", ""), text)


_ROUTE_ERRORS = {
    "Invalid argument": "blackhole",
    "No route to host": "unreachable",
    "Permission denied": "prohibit",
    "unreachable": "none",
}


def _disks(lines: Sequence[str]) -> tuple[Disk, ...]:
    """Lines ``disk 23% 82724508 / 3% rw,noexec 249358``: use, KiB free, mount, use of inodes, mode, inodes free."""
    found = {}
    for line in lines:
        parts = line.split()
        if len(parts) in (5, 6):
            used, free, mount, inodes, mode, left = (*parts, "")[:6]
            flags = mode.split(",")
            read_only = {"ro": True, "rw": False}.get(flags[0])
            found[mount] = Disk(
                mount,
                _int(used.rstrip("%")),
                _int(inodes.rstrip("%")),
                read_only,
                _int(free),
                _int(left),
                "noexec" in flags,
            )
    return tuple(found.values())


def _listings(said: Lines, body: Sequence[str], cut: Mapping[str, int]) -> Listings:
    nft = [line.removeprefix("fw.") for line in body if line.startswith(("fw.chain ", "fw.nft ", "fw.set "))]
    lists = [line.split() for line in said.get("fw.list", ()) if line.strip()]
    running = _first(said, "fw.firewalld") == "running"
    policies = [line.partition(" ") for line in said.get("fw.policy", ())]
    jobs = {"netfilter", "firewalld", "ufw", "network", "shaping"}
    missing = [*said.get("fw.missing", ())]
    missing += [f"{name} (cut for size)" for name in cut if name in jobs]
    missing += [f"{name} (too slow)" for name in said.get("late", ()) if name in jobs]
    missing += ["a rule (too long)"] * any(
        line.startswith(("fw.", "tc ", "filter ")) and line.endswith("...") for line in body
    )
    return Listings(
        iptables=tuple(said.get("fw.iptables", ())),
        legacy=tuple(said.get("fw.iptables-legacy", ())),
        nft=tuple(nft),
        direct=tuple(said.get("fw.direct", ())),
        passthrough=tuple(said.get("fw.passthrough", ())),
        permanent=tuple(said.get("fw.permanent", ())),
        policies={name: xml for name, _, xml in policies},
        panic=_first(said, "fw.panic") in ("true", "yes"),
        ufw=tuple(said.get("fw.ufw", ())),
        routes=tuple(said.get("via", ())),
        route_rules=tuple(said.get("iprule", ())),
        ipsets=tuple(said.get("fw.ipset", ())),
        marks=tuple(said.get("fw.mark", ())),
        shaping=tuple(line for line in body if line.startswith(("tc ", "filter "))),
        listed=tuple(parts[0] for parts in lists) + (("firewalld",) if running else ()),
        missing=tuple(missing),
        commands={parts[0]: parts[1] for parts in lists if len(parts) > 1},
    )
