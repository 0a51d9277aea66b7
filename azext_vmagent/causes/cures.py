"""Which change in the guest cures which cause: the one place that says so, for the printed command and for the plan.

A cure is a list of steps, each a stable kind with its arguments; ``by_hand`` writes it for root's shell, and
``repair/actions/`` describes each kind. Only what is right for every VM, is undone exactly and touches nothing else is
a cure: for all other causes there is none here, and the remedies of the catalogue are for a person. Pure.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from azext_vmagent.causes.agent import unit_name
from azext_vmagent.causes.catalogue.network_interface import DOWN, NO_ADDRESS, NO_ROUTES
from azext_vmagent.facts.firewall_facts import BlockingRule
from azext_vmagent.facts.guest_facts import GuestFacts
from azext_vmagent.model import Cause

START, ENABLE, UNMASK, RESET = "start-agent", "enable-agent", "unmask-agent", "reset-start-limit"
THAW, RESTART, NO_DISABLE_FILE = "thaw-agent", "restart-agent", "remove-disable-file"
EXECUTABLE, REINSTALL = "restore-executable", "reinstall-agent"
REMOVE_RULE, ALLOW, ROUTE, POLICY_RULE = "remove-rule", "allow-wire-server", "remove-route", "remove-policy-rule"
UP, RENEW = "interface-up", "renew-dhcp"
#: the order in which changes are made: what leads to the server first, the agent last
ORDER = (
    UP, POLICY_RULE, ROUTE, RENEW, REMOVE_RULE, ALLOW,
    UNMASK, EXECUTABLE, REINSTALL, NO_DISABLE_FILE, THAW, RESET, ENABLE, START, RESTART,
)  # fmt: skip
#: whoever owns these rules writes them anew: a change belongs there
MANAGED_BY = {"csf": "ConfigServer Firewall (csf)"}
#: a queue of traffic control cannot be saved and put back as it was
_NOT_RESTORED = ("traffic-control",)


@dataclass(frozen=True)
class Step:
    """One change in the guest. ``arguments`` may hold what the guest printed: data, never a shell's text."""

    kind: str
    arguments: tuple[str, ...] = ()


def agent_cure(cause: Cause, guest: GuestFacts) -> tuple[Step, ...]:
    """What starts or wakes the agent again; empty where no change is right for every VM."""
    unit = f"{unit_name(guest)}.service"
    if guest.service.has_systemd is False:
        return ()
    if cause.slug == "agent-not-executable" and cause.culprit:
        return (Step(EXECUTABLE, (cause.culprit,)), *_started(unit, guest))
    if cause.code == "L05" and ": " in (cause.culprit or ""):  # a drop-in changes what is started: it would fail again
        return ()
    if cause.code in ("L04", "L06", "L25"):
        package = _package(guest)
        return (Step(REINSTALL, package), *_started(unit, guest)) if package else ()
    kinds = {
        "L01": (START,),
        "L02": (ENABLE, START),
        "L03": (UNMASK, ENABLE, START),
        "L05": (RESET, START),
        "L28": (THAW,) if guest.service.frozen else (RESTART,),
        "L29": (START,),
        "L41": (NO_DISABLE_FILE, RESTART),
    }.get(cause.code, ())
    first = {NO_DISABLE_FILE: ("/var/lib/waagent/disable_agent", unit)}
    return tuple(Step(kind, first.get(kind, (unit,))) for kind in kinds)


def _started(unit: str, guest: GuestFacts) -> tuple[Step, ...]:
    failed = guest.service.active_state == "failed"
    return (*((Step(RESET, (unit,)),) if failed else ()), Step(START, (unit,)))


def _package(guest: GuestFacts) -> tuple[str, str] | None:
    """The package manager that the distribution comes with, and the agent's package there."""
    known = next((line.split()[0] for line in guest.program.packages if line.split()), "")
    for names, manager, usual in _PACKAGES:
        if re.search(names, guest.distribution):
            named = known if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+_-]*", known, re.ASCII) else ""
            return manager, (named or usual or unit_name(guest)) if manager == "apt" else usual
    return None


_PACKAGES = (
    ("Debian|Ubuntu", "apt", ""),
    ("SUSE|SLES", "zypper", "python-azure-agent"),
    ("Red Hat|CentOS|Alma|Rocky|Oracle|Fedora", "dnf", "WALinuxAgent"),
)


def rule_cure(rule: BlockingRule) -> Step | None:
    """What takes this rule or route back, or lets root past one that covers more than the Wire Server.

    None where somebody else's program would write it anew, or where no exact way back is known.

    >>> drop = "ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP"
    >>> rule = BlockingRule("firewalld-direct", drop, "filter OUTPUT", "drop", (80,),
    ...     f"firewall-cmd --direct --remove-rule {drop}", False)
    >>> rule_cure(rule).kind, rule_cure(rule).arguments[:2]
    ('remove-rule', ('firewalld-direct', 'runtime'))
    """
    if rule.undo is None or rule.tool in MANAGED_BY or rule.tool in _NOT_RESTORED:
        return None
    words, permanent = _runtime_words(rule.undo)
    kind = _kind(words)
    if kind is None:
        return None
    stays = "permanent" if permanent or rule.stays else "runtime" if rule.stays is False else "unknown"
    return Step(kind, (rule.tool, stays, rule.rule, *words))


def _runtime_words(undo: str) -> tuple[list[str], bool]:
    """The command for the rules in force, and whether the same is to be done to firewalld's permanent ones.

    Told by the halves being the same, as a rule may hold any word.
    """
    words = shlex.split(undo)
    half = len(words) // 2
    first, second = words[:half], words[half + 1 :]
    if words[half : half + 1] == ["&&"] and second == [*first[:1], "--permanent", *first[1:]]:
        return first, True
    return words, False


def _kind(words: list[str]) -> str | None:
    """Told by the command's fixed words alone, which stand before any of the rule's."""
    program = words[0].rpartition("/")[2] if words else ""
    if program.startswith("iptables") and words[1:2] == ["-t"]:
        return {"-D": REMOVE_RULE, "-I": ALLOW}.get(words[3] if len(words) > 3 else "")
    if program == "firewall-cmd" and words[1:2] == ["--policy"]:
        return {"--remove-rich-rule": REMOVE_RULE, "--add-rich-rule": ALLOW}.get(words[3] if len(words) > 3 else "")
    return next((kind for start, kind in _KINDS if words[: len(start)] == start), None)


_KINDS = (
    (["firewall-cmd", "--direct", "--remove-rule"], REMOVE_RULE),
    (["firewall-cmd", "--direct", "--remove-passthrough"], REMOVE_RULE),
    (["firewall-cmd", "--panic-off"], REMOVE_RULE),
    (["ufw", "delete"], REMOVE_RULE),
    (["ufw", "allow"], ALLOW),
    (["nft", "delete", "rule"], REMOVE_RULE),
    (["nft", "insert", "rule"], ALLOW),
    (["ip", "route", "del"], ROUTE),
    (["ip", "rule", "del"], POLICY_RULE),
)


def interface_cure(cause: Cause, guest: GuestFacts) -> tuple[Step, ...]:
    """What brings the interface back to what Azure's DHCP says; empty for a static address and a link without carrier:
    what sets them is not seen.
    """
    primary = next(iter(guest.azure_interfaces), None)
    if primary is None:
        return ()
    renew = renewal(primary.name, guest)
    if cause.code == DOWN.code and primary.admin_up is False:
        return (Step(UP, (primary.name,)), renew)
    if cause.slug == "gateway-wrong" and cause.culprit in [line.strip() for line in guest.default_routes or ()]:
        line = cause.culprit or ""
        return (Step(ROUTE, ("ip-route", "unknown", line, "ip", "route", "del", *line.split())), renew)
    lost = (cause.code == NO_ADDRESS.code and not primary.addresses) or (
        cause.code == NO_ROUTES.code and not guest.default_routes
    )
    return (renew,) if lost else ()


def renewal(device: str, guest: GuestFacts) -> Step:
    """Ask DHCP again, by what manages this guest's network."""
    return Step(RENEW, (device, _dhcp_client(guest)))


def _dhcp_client(guest: GuestFacts) -> str:
    """What manages this guest's network, as far as its processes tell."""
    clients = guest.dhcp_clients or ()
    if "NetworkManager" in clients:
        return "NetworkManager"
    return "systemd-networkd" if any(client.startswith("systemd-network") for client in clients) else "dhclient"


def by_hand(steps: tuple[Step, ...]) -> str:
    """The steps as one line for root's shell; what the guest printed is quoted in it."""
    line = " && ".join(_line(step) for step in steps)
    return re.sub(r"systemctl enable (\S+) && systemctl start \1(?!\S)", r"systemctl enable --now \1", line)


def package_line(guest: GuestFacts) -> str | None:
    """Installs the agent's package again; None where the distribution's package manager is not known."""
    package = _package(guest)
    return _line(Step(REINSTALL, package)) if package else None


def _line(step: Step) -> str:
    first, *more = [shlex.quote(word) for word in step.arguments]
    if step.kind in _SYSTEMCTL:
        return f"systemctl {_SYSTEMCTL[step.kind]} {shlex.quote(step.arguments[0].removesuffix('.service'))}"
    if step.kind == REINSTALL:
        return _INSTALL[step.arguments[0]].replace("{}", more[0])
    if step.kind == RENEW:
        return {
            "NetworkManager": f"nmcli device reapply {first}",
            "systemd-networkd": f"networkctl reconfigure {first}",
        }.get(step.arguments[1], f"dhclient {first}")
    if step.kind == UP:
        return f"ip link set {first} up"
    if step.kind == EXECUTABLE:
        return f"chmod a+x {first}"
    if step.kind == NO_DISABLE_FILE:
        return f"rm {first}"
    return shlex.join(step.arguments[3:])


_SYSTEMCTL = {
    START: "start",
    ENABLE: "enable",
    UNMASK: "unmask",
    RESET: "reset-failed",
    THAW: "thaw",
    RESTART: "restart",
}
#: Debian keeps a deleted configuration file deleted unless told otherwise
_INSTALL = {
    "apt": "apt-get install --reinstall -y -o Dpkg::Options::=--force-confmiss {}",
    "zypper": "zypper install -f -y {}",
    "dnf": "dnf reinstall -y {} || dnf install -y {}",
}
