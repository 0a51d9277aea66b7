"""The matrix of repairs on the real guest, as data: which fault is put right by what, and where the right act is to refuse.

``test_repairs.py`` carries the rows out and records what it saw; ``tools/repair_table.py`` makes docs/repaired.md of it.
"""

from __future__ import annotations

from dataclasses import dataclass

SERVICE, RUNTIME, FIREWALL = "agent service", "runtime", "firewall"
ROUTE, INTERFACE, BOOT = "route", "interface", "boot"
FAMILIES = (SERVICE, RUNTIME, FIREWALL, ROUTE, INTERFACE, BOOT)
#: ways in
SSH, CONSOLE = "ssh", "console"
#: what the guest has before the fault
FIREWALLD, PACKAGES = "firewalld", "packages"

IP = "168.63.129.16"
_OUT = f"-d {IP}/32 -p tcp -m multiport --dports 80,32526 -m owner --uid-owner 0 -j ACCEPT"
_UFW = "/etc/ufw/user.rules"


@dataclass(frozen=True)
class Repair:
    """A fault that is put right.

    ``kinds`` are the plan's actions without the forgetting of failed starts, which systemd's pace decides. ``gone`` and
    ``new`` are patterns, one for each line that the repair takes from the listings of rules and routes or adds to
    them; no other line may differ (``as_before``: from before the fault, not from what the fault left). A VM that was
    restarted (``allow``) lost what no file held: there the files are compared. ``has``: firewalld runs, or there is a
    package source that the guest reaches. ``silent``: the platform notices the fault, and within ``settles`` seconds
    more the guest's own kernel does.
    """

    fault: str
    family: str
    cause: str
    kinds: tuple[str, ...]
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    login: str = SSH
    allow: tuple[str, ...] = ()
    as_before: bool = False
    has: str = ""
    silent: bool = True
    settles: int = 0

    @property
    def name(self) -> str:
        """Unique: the fault, with the way in or what was allowed where it is not SSH alone."""
        more = [f"by-{self.login}"] if self.login != SSH else []
        return "-".join([self.fault, *more, *self.allow])


@dataclass(frozen=True)
class Refusal:
    """A guest or a VM that is left alone: ``code`` says why, ``step`` is a part of what the first next step says.

    ``before`` is an az command that somebody gave just before; ``inside``: the guest can be looked at from the side;
    ``silent``: the platform has noticed that the agent says nothing.
    """

    fault: str
    code: str
    step: str
    login: str = SSH
    allow: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    inside: bool = True
    silent: bool = False

    @property
    def name(self) -> str:
        """Unique among the refusals."""
        return "-".join([self.fault or "healthy", *(["refused", self.code] if self.before or self.allow else [])])


REPAIRS = (
    Repair("agent-stopped", SERVICE, "L01", ("start-agent",)),
    Repair("agent-disabled", SERVICE, "L02", ("enable-agent", "start-agent")),
    Repair("agent-masked", SERVICE, "L03", ("unmask-agent", "enable-agent", "start-agent")),
    Repair("agent-start-limit", SERVICE, "L05", ("start-agent",)),
    Repair("agent-disabled-by-file", SERVICE, "L41", ("remove-disable-file", "restart-agent")),
    Repair("agent-condition", SERVICE, "L40", ("remove-unit-setting", "start-agent")),
    Repair("agent-package-removed", SERVICE, "L04", ("reinstall-agent", "enable-agent", "start-agent"), has=PACKAGES),
    Repair("agent-config-missing", SERVICE, "L25", ("reinstall-agent", "start-agent"), has=PACKAGES),
    Repair("agent-not-executable", RUNTIME, "L25", ("restore-executable", "start-agent")),
    Repair("agent-halted", RUNTIME, "L28", ("restart-agent",)),
    Repair("agent-worker-halted", RUNTIME, "L28", ("restart-agent",)),
    Repair("agent-frozen", RUNTIME, "L28", ("thaw-agent",)),
    Repair("agent-unit-ip-deny", RUNTIME, "N22", ("remove-unit-setting", "restart-agent")),
    Repair("agent-unit-private-network", RUNTIME, "N22", ("remove-unit-setting", "restart-agent")),
    Repair("agent-module-missing", RUNTIME, "L06", ("reinstall-agent", "start-agent"), has=PACKAGES),
    Repair("agent-interpreter-missing", RUNTIME, "L43", ("reinstall-agent", "start-agent"), has=PACKAGES),
    Repair("openssl-missing", RUNTIME, "L21", ("reinstall-agent", "start-agent"), has=PACKAGES),
    Repair("wire-server-iptables", FIREWALL, "N02", ("remove-rule",), (f"-A OUTPUT -d {IP}/32 -j DROP", f"ip daddr {IP} counter drop")),
    Repair(
        "wire-server-iptables-reject", FIREWALL, "N02", ("remove-rule",),
        (f"-A OUTPUT -d {IP}/32 -j REJECT --reject-with icmp-port-unreachable", f"ip daddr {IP} counter reject"),
    ),
    Repair("wire-server-iptables-cidr", FIREWALL, "N02", ("allow-wire-server",), new=(f"-A OUTPUT {_OUT}", f".*{IP}.*accept")),
    Repair("wire-server-iptables-policy", FIREWALL, "N02", ("allow-wire-server",), new=(f"-A OUTPUT {_OUT}", f".*{IP}.*accept")),
    Repair("wire-server-iptables-raw", FIREWALL, "N02", ("remove-rule",), (f"-A OUTPUT -d {IP}/32 -j DROP", f"ip daddr {IP} counter drop")),
    Repair(
        "wire-server-iptables-mangle", FIREWALL, "N02", ("remove-rule",),
        (f"-A OUTPUT -d {IP}/32 -p tcp -m owner --uid-owner 0 -j DROP", f".*ip daddr {IP} .*skuid 0 counter drop"),
    ),
    Repair(
        "wire-server-replies", FIREWALL, "N02", ("remove-rule",),
        (f"-A INPUT -s {IP}/32 -p tcp -j DROP", f".*ip saddr {IP} .*counter drop"),
    ),
    Repair("wire-server-ipset", FIREWALL, "N02", ("allow-wire-server",), new=(f"-A OUTPUT {_OUT}", f".*{IP}.*accept")),
    Repair(
        "wire-server-32526", FIREWALL, "N02", ("remove-rule",),
        (f"-A OUTPUT -d {IP}/32 -p tcp -m tcp --dport 32526 -j DROP", f".*ip daddr {IP} tcp dport 32526 counter drop"),
        silent=False,
    ),
    Repair(
        "wire-server-nft-table", FIREWALL, "N03", ("remove-rule",), (rf"ip daddr {IP} tcp dport \{{ 80, 32526 \}} counter drop",)
    ),
    Repair("wire-server-nft-set", FIREWALL, "N03", ("allow-wire-server",), new=(f'.*{IP}.*accept comment "azure-vmagent"',)),
    Repair("wire-server-agent-rules", FIREWALL, "N04", ("allow-wire-server",), new=(f"-A OUTPUT {_OUT}", f".*{IP}.*accept")),
    Repair("wire-server-agent-rules-order", FIREWALL, "N04", ("allow-wire-server",), new=(f"-A OUTPUT {_OUT}", f".*{IP}.*accept")),
    Repair(
        "wire-server-ufw", FIREWALL, "N03", ("remove-rule",),
        (
            f"ip daddr {IP} counter drop", f"-A ufw-user-output -d {IP}/32 -j DROP",
            f"{_UFW}:### tuple ### deny any any {IP} any 0.0.0.0/0 out", f"{_UFW}:-A ufw-user-output -d {IP} -j DROP",
        ),
    ),
    Repair(
        "wire-server-ufw-default", FIREWALL, "N03", ("allow-wire-server",),
        new=(
            f".*ip daddr {IP} tcp dport .* accept", f"-A ufw-user-output -d {IP}/32 .*--dports 80,32526 -j ACCEPT",
            f"{_UFW}:### tuple ### allow tcp 80,32526 {IP} any 0.0.0.0/0 out", f"{_UFW}:-A ufw-user-output .*-d {IP} -j ACCEPT",
        ),
    ),
    Repair(
        "wire-server-firewalld", FIREWALL, "N01", ("remove-rule",),
        (f"-A OUTPUT -d {IP}/32 -j DROP", f"ip daddr {IP} counter drop", f"ipv4 filter OUTPUT 0 -d {IP}/32 -j DROP"),
        has=FIREWALLD,
    ),
    Repair(
        "wire-server-firewalld-policy", FIREWALL, "N03", ("allow-wire-server",),
        new=tuple(
            line
            for port in (80, 32526)
            for line in (
                f"ip daddr {IP} tcp dport {port} accept",
                *[f"rule family=.ipv4. destination address=.{IP}/32. port port=.{port}. protocol=.tcp. accept"] * 2,
                f".*/lockdown.xml: +<port port=.{port}. protocol=.tcp./>",
                ".*/lockdown.xml: +<rule family=.ipv4.>",
                f".*/lockdown.xml: +<destination address=.{IP}/32./>",
                ".*/lockdown.xml: +<accept/>",
                ".*/lockdown.xml: +</rule>",
            )
        ),
        has=FIREWALLD,
    ),
    Repair(
        "wire-server-firewalld-rich-rule", FIREWALL, "N03", ("remove-rule",),
        (
            f"ip daddr {IP} drop", ".*/policies/outgoing.xml: +<rule family=.ipv4.>",
            f".*/policies/outgoing.xml: +<destination address=.{IP}./>", ".*/policies/outgoing.xml: +<drop/>",
            ".*/policies/outgoing.xml: +</rule>", f"rule family=.ipv4. destination address=.{IP}. drop",
            f"rule family=.ipv4. destination address=.{IP}. drop",
        ),
        has=FIREWALLD,
    ),
    Repair("wire-server-blackhole", ROUTE, "N08", ("remove-route",), (f"blackhole {IP}",)),
    Repair("wire-server-unreachable", ROUTE, "N08", ("remove-route",), (f"unreachable {IP}",)),
    Repair("wire-server-prohibit", ROUTE, "N08", ("remove-route",), (f"prohibit {IP}",)),
    Repair("nic-down", INTERFACE, "I01", ("interface-up", "renew-dhcp"), login=CONSOLE, as_before=True),
    Repair("dhcp-lost", INTERFACE, "I07", ("renew-dhcp",), login=CONSOLE, as_before=True),
    Repair("wrong-address", INTERFACE, "I05", ("back-to-dhcp",), login=CONSOLE, as_before=True),
    Repair("wrong-gateway", INTERFACE, "N08", ("back-to-dhcp",), login=CONSOLE, as_before=True),
    Repair("agent-masked", SERVICE, "L03", ("unmask-agent", "enable-agent", "start-agent"), login=CONSOLE),
    Repair("agent-not-executable", RUNTIME, "L25", ("restore-executable", "start-agent"), login=CONSOLE),
    Repair("wire-server-blackhole", ROUTE, "N08", ("remove-route",), (f"blackhole {IP}",), login=CONSOLE),
    Repair("nic-down", INTERFACE, "I01", ("restart",), allow=("restart",)),
    Repair("dhcp-lost", INTERFACE, "I01", ("restart",), allow=("restart",)),
    Repair("kernel-panic", BOOT, "B09", ("restart",), allow=("restart",)),
    Repair("guest-paused", BOOT, "B23", ("restart",), allow=("restart",)),
    Repair("cpu-pegged", BOOT, "B38", ("restart",), allow=("restart",)),
    Repair("root-frozen", BOOT, "B24", ("restart",), allow=("restart",), settles=40),
)  # fmt: skip

REFUSALS = (
    Refusal("", "healthy", ""),
    Refusal("proxy-set", "healthy", ""),
    Refusal("agent-second-daemon", "healthy", ""),
    Refusal("clock-off", "healthy", ""),
    Refusal("root-read-only", "no-safe-cure", ""),
    Refusal("var-noexec", "no-safe-cure", ""),
    Refusal("extensions-disabled", "no-safe-cure", ""),
    Refusal("agent-start-waits", "uncertain", "ask again"),
    Refusal("just-created", "provisioning", "ask again", silent=True),
    Refusal("no-agent", "no-agent-by-design", "", silent=True),
    Refusal("deallocated", "vm-not-running", "az vm start", inside=False),
    Refusal("wire-server-netem", "no-exact-undo", "tc qdisc del"),
    Refusal("wire-server-ip-rule", "no-exact-undo", "ip route del blackhole default table 100"),
    Refusal("nic-down-ephemeral", "ephemeral-os-disk", "serial-console", allow=("reset-nic",)),
    Refusal(
        "agent-stopped", "vm-updating", "wait", before=(
            "vm", "run-command", "invoke", "-g", "lab", "-n", "vm1", "--command-id", "RunShellScript", "--scripts", "true",
            "--no-wait",
        ),
    ),
)  # fmt: skip
