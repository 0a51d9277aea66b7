"""Which change in the guest cures which cause: the one place that says so, for the printed command and for the plan.

A cure is a list of steps, each a stable kind with its arguments; ``by_hand`` writes it for root's shell, and
``repair/actions/`` describes each kind. Only what is right for every VM, is undone exactly and touches nothing else is
a cure: for all other causes there is none here, and the remedies of the catalogue are for a person. Pure.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from azext_vmagent.causes.agent import unit_name
from azext_vmagent.causes.catalogue.agent_steps import APT_AGAIN
from azext_vmagent.causes.catalogue.network_interface import DOWN, NO_ADDRESS, NO_ROUTES, STATIC_ADDRESS
from azext_vmagent.facts.boot_stop import BootStop, FstabLine
from azext_vmagent.facts.firewall_facts import WIRE_RANGE, BlockingRule
from azext_vmagent.facts.guest_facts import GuestFacts
from azext_vmagent.facts.rules import address_range
from azext_vmagent.model import Cause

START, ENABLE, UNMASK, RESET = "start-agent", "enable-agent", "unmask-agent", "reset-start-limit"
THAW, RESTART, NO_DISABLE_FILE = "thaw-agent", "restart-agent", "remove-disable-file"
EXECUTABLE, REINSTALL, SETTING = "restore-executable", "reinstall-agent", "remove-unit-setting"
REMOVE_RULE, ALLOW, ROUTE, POLICY_RULE = "remove-rule", "allow-wire-server", "remove-route", "remove-policy-rule"
UP, RENEW, BACK_TO_DHCP = "interface-up", "renew-dhcp", "back-to-dhcp"
FSTAB_LINE, GO_ON = "fstab-line-harmless", "continue-boot"
DISABLE_FILE = "/var/lib/waagent/disable_agent"
#: the order in which changes are made: what leads to the server first, the agent last
ORDER = (
    UP, BACK_TO_DHCP, POLICY_RULE, ROUTE, RENEW, REMOVE_RULE, ALLOW,
    UNMASK, SETTING, EXECUTABLE, REINSTALL, NO_DISABLE_FILE, THAW, RESET, ENABLE, START, RESTART, FSTAB_LINE, GO_ON,
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
    if guest.service.has_systemd is False:
        return ()
    by_slug = _BY_SLUG.get(cause.slug) or _BY_CODE.get(cause.code)
    if by_slug is not None:
        return by_slug(cause, guest)
    unit = _unit(guest)
    kinds = {
        "L01": (START,),
        "L02": (ENABLE, START),
        "L03": (UNMASK, ENABLE, START),
        "L28": (THAW,) if guest.service.frozen else (RESTART,),
        "L29": (START,),
        "L41": (NO_DISABLE_FILE, RESTART),
    }.get(cause.code, ())
    return tuple(Step(kind, () if kind == NO_DISABLE_FILE else (unit,)) for kind in kinds)


def _unit(guest: GuestFacts) -> str:
    return f"{unit_name(guest)}.service"


def _crashed(cause: Cause, guest: GuestFacts) -> tuple[Step, ...]:
    """Not where a drop-in changes what is started: it would fail again."""
    return () if ": " in (cause.culprit or "") else (Step(RESET, (_unit(guest),)), Step(START, (_unit(guest),)))


def _made_executable(cause: Cause, guest: GuestFacts) -> tuple[Step, ...]:
    path = cause.culprit or ""
    return (Step(EXECUTABLE, (path,)), *_started(_unit(guest), guest)) if _AGENTS_PROGRAM.fullmatch(path) else ()


def _interpreted(cause: Cause, guest: GuestFacts) -> tuple[Step, ...]:
    """An execute bit comes back. Where the agent's program asks for a Python that is not there, the package brings the
    program back; a Python of the distribution's own that is gone takes the package managers with it.
    """
    program, path = guest.program, cause.culprit or ""
    if program.interpreter_state == "not-executable" and _PYTHON.fullmatch(path):
        return (Step(EXECUTABLE, (path,)), *_started(_unit(guest), guest))
    named_by_hand = program.interpreter_state == "missing" and path not in _DISTRIBUTIONS_PYTHON
    return _reinstalled(cause, guest) if named_by_hand else ()


def _reinstalled(_cause: Cause, guest: GuestFacts) -> tuple[Step, ...]:
    package = _package(guest)
    if package is None:
        return ()
    if guest.service.load_state != "not-found":
        return (Step(REINSTALL, package), *_started(_unit(guest), guest))
    unit = "walinuxagent.service" if package[0] == "apt-get" else "waagent.service"
    return (Step(REINSTALL, package), Step(ENABLE, (unit,)), Step(START, (unit,)))


def _with_openssl(_cause: Cause, guest: GuestFacts) -> tuple[Step, ...]:
    package = _package(guest)
    return (Step(REINSTALL, (package[0], "openssl")), *_again(guest)) if package else ()


def _without_setting(cause: Cause, guest: GuestFacts) -> tuple[Step, ...]:
    """Takes out the lines of drop-ins that say so: those of the administrator, not a package's and not a slice's."""
    unit, culprit = _unit(guest), cause.culprit or ""
    key = culprit.partition(": ")[2].partition("=")[0].strip()
    lines = [line for line in guest.service.drop_in_lines if line.setting.partition("=")[0].strip() == key]
    folder = re.compile(
        rf"/(?:etc|run)/systemd/system(?:\.control)?/{re.escape(unit)}\.d/[\w.@-]{{1,80}}\.conf", re.ASCII
    )
    if not key or not lines or not all(folder.fullmatch(line.path) and "***" not in line.setting for line in lines):
        return ()
    return (*(Step(SETTING, (unit, line.path, line.setting)) for line in lines), *_again(guest))


def _again(guest: GuestFacts) -> tuple[Step, ...]:
    return (Step(RESTART, (_unit(guest),)),) if guest.service.running else _started(_unit(guest), guest)


_BY_SLUG: dict[str, Callable[[Cause, GuestFacts], tuple[Step, ...]]] = {"agent-not-executable": _made_executable}
_BY_CODE: dict[str, Callable[[Cause, GuestFacts], tuple[Step, ...]]] = {
    "L04": _reinstalled,
    "L05": _crashed,
    "L06": _reinstalled,
    "L21": _with_openssl,
    "L25": _reinstalled,
    "L40": _without_setting,
    "L43": _interpreted,
    "N22": _without_setting,
}
#: where a distribution puts it; what lies elsewhere is somebody's own
_AGENTS_PROGRAM = re.compile(r"/usr/(?:[A-Za-z0-9_-]{1,40}/){1,4}waagent", re.ASCII)
_PYTHON = re.compile(r"/usr/(?:bin|libexec)/(?:platform-)?python[0-9.]{0,5}", re.ASCII)
_DISTRIBUTIONS_PYTHON = ("/usr/bin/python3", "/usr/bin/python", "/usr/bin/python2", "/usr/libexec/platform-python")


def _started(unit: str, guest: GuestFacts) -> tuple[Step, ...]:
    failed = guest.service.active_state in ("failed", "activating")  # the next try may be the last that systemd makes
    return (*((Step(RESET, (unit,)),) if failed else ()), Step(START, (unit,)))


def _package(guest: GuestFacts) -> tuple[str, str] | None:
    """The package manager that the distribution comes with, and the agent's package there."""
    known = next((name for line in guest.program.packages for name in line.split()[:1] if name in _ON_DEBIAN), "")
    for names, manager, usual in _PACKAGES:
        if re.search(names, guest.distribution):
            return manager, usual or known or _ON_DEBIAN[0]
    return None


#: Ubuntu's name, and Debian's
_ON_DEBIAN = ("walinuxagent", "waagent")
_PACKAGES = (
    ("Debian|Ubuntu", "apt-get", ""),
    ("SUSE|SLES", "zypper", "python-azure-agent"),
    ("Red Hat|CentOS|Alma|Rocky|Oracle|Fedora", "dnf", "WALinuxAgent"),
)


def rule_cure(rule: BlockingRule) -> Step | None:
    """What takes this rule or route back, or lets root past one that covers more than the Wire Server.

    None where somebody else's program would write it anew, or where no exact way back is known. The arguments are those
    of ``guest/repair_network.sh``: the tool first, and no command, only what the rule is.

    >>> drop = "ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP"
    >>> rule = BlockingRule("firewalld-direct", drop, "filter OUTPUT", "drop", (80,),
    ...     f"firewall-cmd --direct --remove-rule {drop}", False)
    >>> rule_cure(rule).kind, rule_cure(rule).arguments[:4]
    ('remove-rule', ('firewalld-direct', 'runtime', 'ipv4', 'filter'))
    """
    if rule.undo is None or rule.tool in MANAGED_BY or rule.tool in _NOT_RESTORED:
        return None
    words = shlex.split(rule.undo)
    by_tool = {"ufw": _ufw, "ip-route": _route, "firewalld-panic": _panic}.get(rule.tool)
    if by_tool is not None:
        return by_tool(rule, words)
    return _firewalld(rule, words) if rule.tool.startswith("firewalld-") else _kernel(rule, words)


def _firewalld(rule: BlockingRule, words: list[str]) -> Step | None:
    """A permanent rule's undo is a command and the same with --permanent: told by that, as a rule may hold any word."""
    scope = "runtime"
    if rule.stays:
        scope, half = "both", len(words) // 2 - 1
        words, twice = words[:half], words[half:]
        if twice != ["&&", *words[:1], "--permanent", *words[1:]]:
            return None
    if words[:2] == ["firewall-cmd", "--direct"] and words[2:3] in (["--remove-rule"], ["--remove-passthrough"]):
        return Step(REMOVE_RULE, (rule.tool, scope, *words[3:]))
    if words[:2] == ["firewall-cmd", "--policy"] and words[3:4] == ["--remove-rich-rule"]:
        return Step(REMOVE_RULE, (rule.tool, scope, words[2], words[4]))
    if words[:2] == ["firewall-cmd", "--policy"] and words[3:4] == ["--add-rich-rule"]:
        return Step(ALLOW, (rule.tool, scope, words[2]))
    return None


def _panic(rule: BlockingRule, words: list[str]) -> Step | None:
    return Step(REMOVE_RULE, (rule.tool,)) if words == ["firewall-cmd", "--panic-off"] else None


def _ufw(rule: BlockingRule, words: list[str]) -> Step | None:
    if words[:2] == ["ufw", "delete"]:
        return Step(REMOVE_RULE, (rule.tool, rule.rule, *words[2:]))
    return Step(ALLOW, (rule.tool, "-")) if words[:2] == ["ufw", "allow"] else None


def _route(_rule: BlockingRule, words: list[str]) -> Step | None:
    """One for the Wire Server alone: without a wider one the guest would send others' packets that it swallows now."""
    if words[:3] == ["ip", "route", "del"] and address_range("".join(words[4:5])) == WIRE_RANGE:
        return Step(ROUTE, tuple(words[3:]))
    if words[:3] == ["ip", "rule", "del"] and words[-2:-1] == ["priority"]:
        to = words[words.index("to") + 1 :][:1] if "to" in words else []
        return Step(POLICY_RULE, (words[-1], *words[3:-2])) if address_range("".join(to)) == WIRE_RANGE else None
    return None


def _kernel(rule: BlockingRule, words: list[str]) -> Step | None:
    """iptables and nft: told by the command's fixed words, which stand before any of the rule's."""
    place, text = rule.place, rule.rule
    if len(place) == 3 and words[:2] == [place[0], "-t"]:
        if words[3:4] == ["-D"]:
            return Step(REMOVE_RULE, ("iptables", *place, "-", text))
        return Step(ALLOW, ("iptables", *place, rule.direction, text)) if words[3:4] == ["-I"] else None
    if len(place) == 4 and words[:3] == ["nft", "delete", "rule"]:
        return Step(REMOVE_RULE, ("nft", *place, text.removesuffix(f" # handle {place[3]}")))
    if len(place) == 4 and words[:3] == ["nft", "insert", "rule"]:
        return Step(ALLOW, ("nft", *place, text.removesuffix(f" # handle {place[3]}"), rule.direction))
    return None


def interface_cure(cause: Cause, guest: GuestFacts, given_address: str | None = None) -> tuple[Step, ...]:
    """What brings the interface back; empty for a link without carrier.

    A static address or a wrong gateway makes way for DHCP only where the guest's own configuration says DHCP: the
    guest's program looks, for the probe does not.
    """
    primary = next(iter(guest.azure_interfaces), None)
    if primary is None:
        return ()
    renew = renewal(primary.name, guest)
    if cause.code == DOWN.code and primary.admin_up is False:
        return (Step(UP, (primary.name,)), renew)
    if cause.code == NO_ADDRESS.code:
        return () if primary.addresses else (renew,)
    by_hand_set = cause.code in (STATIC_ADDRESS.code, NO_ROUTES.code) or cause.slug == "gateway-wrong"
    return (Step(BACK_TO_DHCP, (primary.name, _dhcp_client(guest), given_address or "-")),) if by_hand_set else ()


def renewal(device: str, guest: GuestFacts) -> Step:
    """Ask DHCP again, by what manages this guest's network."""
    return Step(RENEW, (device, _dhcp_client(guest)))


def _dhcp_client(guest: GuestFacts) -> str:
    """What manages this guest's network, as far as its processes tell."""
    clients = guest.dhcp_clients or ()
    if "NetworkManager" in clients:
        return "NetworkManager"
    return "networkd" if any(client.startswith("systemd-network") for client in clients) else "dhclient"


#: without these the guest is not itself, cannot be reached, or the record of a repair would be lost under a later mount
_NEEDED = re.compile(r"/|/usr|/etc|/var|/var/lib|/(?:boot|bin|sbin|lib|lib64|dev|proc|sys|run)(?:/.*)?")


def boot_cure(stopped: BootStop) -> tuple[Step, ...]:
    """What lets a boot go on that stopped for lines of /etc/fstab; empty where one of them may not be touched.

    ``nofail`` and no mark of a comment: the mount stays known, so that a service that needs it
    (``RequiresMountsFor=``) does not start on the empty folder and write there, and it is made again as soon as its
    disk is back (systemd.mount(5)).
    """
    steps = [_fstab_step(line) for line in stopped.stopping]
    return (*(step for step in steps if step), Step(GO_ON)) if steps and all(steps) else ()


def _fstab_step(line: FstabLine) -> Step | None:
    if _NEEDED.fullmatch(line.mount) or "\\" in line.mount:
        return None
    return Step(FSTAB_LINE, (str(line.number), line.text, line.mount))


def by_hand(steps: tuple[Step, ...]) -> str:
    """The steps as one line for root's shell; what the guest printed is quoted in it."""
    line = " && ".join(_line(step) for step in steps)
    return re.sub(r"systemctl enable (\S+) && systemctl start \1(?!\S)", r"systemctl enable --now \1", line)


def package_line(guest: GuestFacts) -> str | None:
    """Installs the agent's package again; None where the distribution's package manager is not known."""
    package = _package(guest)
    return _line(Step(REINSTALL, package)) if package else None


def _line(step: Step) -> str:
    if step.kind == NO_DISABLE_FILE:
        return f"rm {DISABLE_FILE}"
    first, *more = [shlex.quote(word) for word in step.arguments]
    if step.kind in _SYSTEMCTL:
        return f"systemctl {_SYSTEMCTL[step.kind]} {shlex.quote(step.arguments[0].removesuffix('.service'))}"
    if step.kind == REINSTALL:
        return _INSTALL[step.arguments[0]].replace("{}", more[0])
    if step.kind == RENEW:
        return {
            "NetworkManager": f"nmcli device reapply {first}",
            "networkd": f"networkctl reconfigure {first}",
        }.get(step.arguments[1], f"dhclient {first}")
    if step.kind == SETTING:
        path, text = step.arguments[1], re.sub(r"([][\\.*^$/])", r"\\\1", step.arguments[2])
        return f"sed -i {shlex.quote(f'/^[[:blank:]]*{text}$/d')} {shlex.quote(path)} && systemctl daemon-reload"
    if step.kind == BACK_TO_DHCP:
        return {
            "NetworkManager": f"nmcli connection up ifname {first}",
            "networkd": f"networkctl reconfigure {first}",
        }.get(step.arguments[1], f"ip -4 addr flush dev {first} && dhclient {first}")
    if step.kind == UP:
        return f"ip link set {first} up"
    if step.kind == EXECUTABLE:
        return f"chmod a+x {first}"
    raise KeyError(f"{step.kind}: the rule's own undo is its command")


_SYSTEMCTL = {
    START: "start",
    ENABLE: "enable",
    UNMASK: "unmask",
    RESET: "reset-failed",
    THAW: "thaw",
    RESTART: "restart",
}
_INSTALL = {
    "apt-get": APT_AGAIN + " {}",
    "zypper": "zypper install -f -y {}",
    "dnf": "dnf reinstall -y {} || dnf install -y {}",
}
