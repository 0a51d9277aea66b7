"""What a Windows guest said about itself: ``probe.ps1``'s answer as typed facts. Pure; never raises on any input.

The answer is JSON between two markers, plain or gzip and base64 (``guest/probe.ps1`` has the format). Everything in it
is hostile until quoted by whoever shows it; a section of the wrong shape counts as not said.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any

from azext_vmagent.facts.agent_dates import windows_time
from azext_vmagent.facts.firewall_facts import RuleAnalysis
from azext_vmagent.facts.guest_facts import (
    AgentProcess,
    Connect,
    Disk,
    GuestFacts,
    Interface,
    LogFacts,
    LogLine,
    Route,
    ServiceFacts,
    WireTest,
)
from azext_vmagent.facts.windows_facts import (
    AGENT_SERVICES,
    START_TYPES,
    Certificate,
    WindowsEvent,
    WindowsFacts,
    WindowsService,
)
from azext_vmagent.facts.windows_firewall import Scene, StoredRule, WindowsRules, firewall_rules, profiles_in_force

MARKER = "vmagent-probe-windows "
#: a probe's answer unpacks to some 20 kB; what is larger is none
_LARGEST = 512 * 1024
_SECTIONS = {
    "who": "system",
    "services": "service",
    "wire80": "wire server 80",
    "wire32526": "wire server 32526",
    "logWaAppAgent": "agent log",
    "rules": "firewall",
    "active": "firewall profiles in force",
    "adapters": "network",
    "disk": "disk",
    "exits": "exit codes",
    "events": "events",
    "proxy": "proxy",
    "dotnet": ".NET",
    "certificates": "certificates",
}
_CHECKS = {
    "who": "system",
    "services": "service",
    "wire80": "wire server 80",
    "wire32526": "wire server 32526",
    "log": "agent log",
    "firewall": "firewall",
    "active": "firewall profiles in force",
    "adapters": "network",
    "exits": "exit codes",
    "events": "events",
}

Json = Mapping[str, Any]


def is_windows_answer(text: str) -> bool:
    """Whether ``probe.ps1`` wrote this."""
    return any(line.strip().startswith(MARKER) for line in text.splitlines())


def parse_windows_probe(text: str) -> GuestFacts:
    """The facts in ``probe.ps1``'s answer, whole, cut, empty or foreign.

    >>> facts = parse_windows_probe('vmagent-probe-windows 1 json\\n{"who":{"system":true}}\\nend 23 1657014432 1.5\\n')
    >>> facts.complete, facts.root, facts.seconds
    (True, True, 1.5)
    """
    said, complete, seconds = _opened(text)
    who = _object(said.get("who"))
    system, elevated = _flag(who.get("system")), _flag(who.get("elevated"))
    names = tuple(_texts(said.get("cut")))
    failed = {name: _text(why, 120) for name, why in _object(said.get("failed")).items()}
    late = [*_texts(said.get("late")), *failed]
    services = _services(said)
    wire = {port: test for port in (80, 32526) if (test := _wire(said.get(f"wire{port}"), port)) is not None}
    version = _object(said.get("os"))
    source, route = _source(said)
    found = _rules(said, services, source, _build(version), late, names)
    proxies, bypasses = _proxies(said)
    net = _object(said.get("dotnet"))
    log = _log(said.get("logWaAppAgent"))
    logs = [_object(said.get(f"log{name}")) for name in ("WaAppAgent", "TransparentInstaller")]
    windows = WindowsFacts(
        system=system,
        elevated=elevated,
        services=services,
        profiles=profiles_in_force(_objects(said.get("profiles"))),
        active_profiles=_active(said.get("active")),
        agent_only=found.agent_only,
        probe_only=found.probe_only,
        agent_version=_version(said, services),
        started=_time(logs[0].get("start")),
        known=tuple(line for one in logs for line in _log_lines(one.get("known"))),
        installer=_log(said.get("logTransparentInstaller")),
        events=tuple(_events(said.get("events"))),
        proxies=proxies,
        bypasses=bypasses,
        machine_config=_text(net.get("config"), 120),
        wcf_profiling=_flag(net.get("wcf")),
        enable_64bit=_int(net.get("enable64")),
        certificates=_certificates(said.get("certificates")),
        adapters_off=tuple(_off(said.get("off"))),
        without_dhcp=tuple(
            _text(one.get("name")) for one in _objects(said.get("adapters")) if _int(one.get("dhcp")) == 0
        ),
        adapter_models=tuple(_text(one.get("about"), 60) for one in _objects(said.get("adapters"))),
        persistent_routes=tuple(_texts(said.get("persistent"))),
        registry={_text(name): _text(value) for name, value in _object(said.get("registry")).items()},
        imds=_wire(said.get("imds"), 80),
        reboot_pending=bool(said["reboot"]) if isinstance(said.get("reboot"), (list, str)) else None,
        failed=failed,
    )
    return GuestFacts(
        complete=complete,
        missing=_missing(said, late),
        cut=dict.fromkeys(names, 0),
        seconds=seconds,
        uid=None if elevated is None and system is None else 0 if system or elevated else 1,
        distribution=_text(version.get("name"), 80),
        kernel=_text(version.get("build"), 40),
        uptime=float(uptime) if (uptime := _int(version.get("uptime"))) is not None else None,
        clock=_time(said.get("time")),
        service=_service(services, said),
        processes=_processes(said.get("processes")),
        wire=wire,
        rules=found.analysis,
        log=log,
        interfaces=tuple(_interfaces(said.get("adapters"))),
        default_routes=tuple(r for r in _texts(said.get("routes")) if r.startswith("0.0.0.0,"))
        if isinstance(said.get("routes"), (list, str))
        else None,
        route=route,
        disks=tuple(_disks(said.get("disk"))),
        windows=windows,
    )


def _opened(text: str) -> tuple[Json, bool, float | None]:
    """(what was said, whether it is whole, seconds). A body without its end, or that does not add up, is not whole."""
    lines = [line.strip("\r\n") for line in text.splitlines()]
    begun = next((at for at, line in enumerate(lines) if line.strip().startswith(MARKER)), None)
    if begun is None:
        return {}, False, None
    ended = next((at for at, line in enumerate(lines) if at > begun and line.strip().startswith("end ")), None)
    body = "".join(lines[begun + 1 : ended])
    bare = "".join(body.split())
    told = (lines[ended].split() + [""] * 4)[1:4] if ended is not None else ["", "", ""]
    whole = told[:2] == [str(len(bare)), str(zlib.adler32(bare.encode("utf-8", "replace")))]
    if lines[begun].split()[-1:] == ["gzip"]:
        body = _unpacked(bare)
    return _json(body), whole, _seconds(told[2])


def _unpacked(packed: str) -> str:
    try:
        engine = zlib.decompressobj(wbits=31)
        return engine.decompress(base64.b64decode(packed, validate=True), _LARGEST).decode("ascii", "replace")
    except (binascii.Error, ValueError, zlib.error):
        return ""


def _json(body: str) -> Json:
    try:
        found = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) else None


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Json]:
    """A list of objects; PowerShell may give the one object itself in place of a list of one."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _texts(value: Any) -> list[str]:
    return [_text(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _text(value: Any, most: int = 400) -> str:
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        return ""
    return "".join(character for character in str(value)[:most] if " " <= character <= "~").strip()


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _time(value: Any) -> datetime | None:
    return windows_time(_text(value))


def _missing(said: Json, late: Iterable[str]) -> tuple[str, ...]:
    absent = [name for key, name in _SECTIONS.items() if key not in said]
    return tuple(dict.fromkeys(absent + [_CHECKS[name] for name in late if name in _CHECKS]))


def _services(said: Json) -> dict[str, WindowsService]:
    exits = {_text(one.get("name")): one for one in _objects(said.get("exits"))}
    found = {}
    for one in _objects(said.get("services")):
        name = _text(one.get("name"), 40)
        found[name] = WindowsService(
            name,
            state=_text(one.get("state"), 20),
            start=START_TYPES.get(number, "") if (number := _int(one.get("start"))) is not None else "",
            path=_text(one.get("path")),
            there=_flag(one.get("there")),
            account=_text(one.get("account"), 60),
            version=_text(one.get("version"), 40),
            exit_code=_int(exits.get(name, {}).get("exit")),
            specific_code=_int(exits.get(name, {}).get("specific")),
        )
    return found


_STATES = {
    "Running": "active",
    "Stopped": "inactive",
    "StartPending": "activating",
    "StopPending": "deactivating",
    "Paused": "paused",
    "PausePending": "paused",
    "ContinuePending": "activating",
}


def _service(services: Mapping[str, WindowsService], said: Json) -> ServiceFacts:
    """The agent's two services as one unit: the first that does not run, else the one that serves goal states."""
    if not isinstance(said.get("services"), (list, dict)):
        return ServiceFacts(has_systemd=False)
    ours = [services[name] for name in AGENT_SERVICES if name in services]
    if not ours:
        return ServiceFacts(has_systemd=False, load_state="not-found")
    chosen = next((one for one in ours if one.running is False), ours[0])
    return ServiceFacts(
        has_systemd=False,
        unit=chosen.name,
        load_state="loaded",
        active_state=_STATES.get(chosen.state, chosen.state.lower()),
        unit_file_state=chosen.start,
        exit_status=chosen.exit_code,
        fragment_path=chosen.path,
    )


def _processes(value: Any) -> tuple[AgentProcess, ...] | None:
    if not isinstance(value, (list, dict)):
        return None
    return tuple(
        AgentProcess(number, "", _text(one.get("name"), 60))
        for one in _objects(value)
        if (number := _int(one.get("pid"))) is not None
    )


def _version(said: Json, services: Mapping[str, WindowsService]) -> str:
    """The agent's own word in its log first: the service's file may be that of the version before."""
    logged = _text(_object(said.get("logWaAppAgent")).get("version"), 40)
    filed = services["WindowsAzureGuestAgent"].version if "WindowsAzureGuestAgent" in services else ""
    return logged or filed or _text(_object(said.get("registry")).get("GuestAgentVersion"), 40)


def _wire(value: Any, port: int) -> WireTest | None:
    one = _object(value)
    outcome = _text(one.get("outcome"), 30)
    if outcome not in _OUTCOMES:
        return None
    code, detail = _int(one.get("code")), _text(one.get("detail"), 100)
    words = [detail] if detail else []
    words += ["connected, then silence"] if one.get("connected") is True and outcome != "ok" else []
    words += [f"Winsock error {code}"] if code is not None else []
    return WireTest(port, Connect(outcome), _int(one.get("http")), "powershell", ", ".join(words))


_OUTCOMES = frozenset(outcome.value for outcome in Connect)


def _log(value: Any) -> LogFacts:
    """The end of one log. Line numbers are not known: only its last 128 KiB are read."""
    one = _object(value)
    failures = tuple(_log_lines(one.get("failed")))
    return LogFacts(
        present=_flag(one.get("there")),
        newest=_time(one.get("newest")),
        size=_int(one.get("size")),
        failures=failures,
        failure_count=_int(one.get("count")) or len(failures),
        first_failure=next(iter(_log_lines([one.get("first")])), None),
        recovery=next(iter(_log_lines([one.get("fine")])), None),
        heartbeat=LogLine(None, beat, "heartbeat") if (beat := _time(one.get("heart"))) is not None else None,
        errors=tuple(_log_lines(one.get("errors"))),
    )


def _log_lines(value: Any) -> list[LogLine]:
    """Entries ``[TIME, LEVEL, TEXT]``."""
    rows = value if isinstance(value, list) else []
    return [
        LogLine(None, _time(row[0]), f"[{_text(row[1], 10)}] {_text(row[2])}")
        for row in rows
        if isinstance(row, list) and len(row) == 3
    ]


def _events(value: Any) -> list[WindowsEvent]:
    return [
        WindowsEvent(
            number,
            _text(one.get("who"), 60),
            max(1, _int(one.get("count")) or 1),
            _time(one.get("time")),
            _text(one.get("what"), 100),
        )
        for one in _objects(value)
        if (number := _int(one.get("id"))) in (1000, 1026, 7000, 7009, 7031, 7034)
    ]


def _certificates(value: Any) -> tuple[Certificate, ...] | None:
    if not isinstance(value, (list, dict)):
        return None
    return tuple(
        Certificate(_text(one.get("name"), 60), _time(one.get("until")), _flag(one.get("key")))
        for one in _objects(value)
    )


def _interfaces(value: Any) -> list[Interface]:
    """.NET's OperationalStatus; an adapter that was switched off is not in its list but in WMI's (``adapters_off``)."""
    found = []
    for one in _objects(value):
        state = _text(one.get("state"), 20)
        mac = _text(one.get("mac"), 12).lower()
        pairs = ":".join(mac[at : at + 2] for at in range(0, len(mac), 2))
        found.append(
            Interface(
                _text(one.get("name"), 60),
                None if not state else state != "Down",
                state.upper(),
                tuple(_texts(one.get("addresses"))),
                pairs,
            )
        )
    return found


def _off(value: Any) -> list[str]:
    """Adapters that are switched off: Win32_NetworkAdapter says code 22, or that they are not enabled."""
    return [_text(one.get("name"), 60) or _text(one.get("about"), 60) for one in _objects(value)]


def _source(said: Json) -> tuple[str, Route]:
    """The address that a connection to the Wire Server would leave from, as Windows' routing table chooses it."""
    text = _text(said.get("source"), 60)
    if not text:
        return "", Route("unknown")
    if text.startswith("error"):
        return "", Route("none" if text.split()[-1] in ("10051", "10065") else "unknown", text=text)
    return text, Route("unicast", source=text, text=text)


def _disks(value: Any) -> list[Disk]:
    one = _object(value)
    free, size = _int(one.get("free")), _int(one.get("size"))
    if free is None or size is None or size <= 0:
        return []
    return [Disk(_text(one.get("name"), 20), min(100, max(0, round(100 * (1 - free / size)))), free_kib=free)]


def _proxies(said: Json) -> tuple[dict[str, str], dict[str, str]]:
    """(where a proxy is set -> proxy, where -> hosts that pass it by); a login in a proxy's address is left out."""
    one = _object(said.get("proxy"))
    names = {"winhttp": "winhttp", "system": "system", "script": "script", "http_proxy": "http_proxy"}
    found = {name: _without_login(_text(one.get(key), 160)) for name, key in names.items() if _text(one.get(key))}
    configured = _text(_object(said.get("dotnet")).get("proxy"), 160)
    if configured:
        found["machine.config"] = _without_login(configured)
    lists = {"winhttp": "bypass", "system": "systembypass", "http_proxy": "no_proxy"}
    return found, {name: _text(one.get(key)) for name, key in lists.items() if _text(one.get(key))}


def _without_login(proxy: str) -> str:
    return re.sub(r"(^|//|;)[^\s/;]*@", r"\1***@", proxy)


def _active(value: Any) -> tuple[str, ...] | None:
    """INetFwPolicy2.CurrentProfileTypes: 1 domain, 2 private, 4 public, added up."""
    number = _int(value)
    if number is None or not 0 < number < 8:
        return None
    return tuple(name for bit, name in ((1, "domain"), (2, "private"), (4, "public")) if number & bit)


def _build(version: Json) -> int | None:
    head = _text(version.get("build"), 40).partition(".")[0]
    return int(head) if head.isdecimal() and len(head) < 9 else None


def _rules(
    said: Json,
    services: Mapping[str, WindowsService],
    source: str,
    build: int | None,
    late: Sequence[str],
    cut: Sequence[str],
) -> WindowsRules:
    if "profiles" not in said and "rules" not in said:
        return WindowsRules(RuleAnalysis(missing=("firewall",)))
    missing = [f"{name} (cut for size)" for name in cut if name in ("rules", "profiles", "active")]
    missing += [f"{name} (not answered)" for name in late if name in ("firewall", "active")]
    missing += ["some rules (too many)"] if said.get("more") else []
    missing += ["rules"] if "rules" not in said and not missing else []
    rows = said.get("rules") if isinstance(said.get("rules"), list) else []
    stored = [
        StoredRule(_text(row[0], 10), _text(row[1], 160), _text(row[2], 4000))
        for row in rows or []
        if isinstance(row, list) and len(row) == 3
    ]
    engine = services.get("mpssvc")
    scene = Scene(
        profiles_in_force(_objects(said.get("profiles"))),
        _active(said.get("active")),
        source,
        build,
        engine.running if engine else None,
    )
    return firewall_rules(stored, scene, tuple(missing))
