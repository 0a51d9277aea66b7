"""Scenario 2, Linux: the guest's firewalls and traffic control stop what goes to the Wire Server (168.63.129.16)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from azext_vmagent.causes.catalogue.wire_server_path import AGENT, OF_THE_PLUGIN, PORTS, TEST, WIRE_SERVER
from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, Variant
from azext_vmagent.causes.signs import inside, said_in_log, serial_line, told
from azext_vmagent.facts.guest_facts import Connect, GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.facts.serial_signature import KERNEL
from azext_vmagent.model import Scenario

_ON_PURPOSE = "the rule may have been set on purpose: tell whoever hardened this VM"
#: what the kernel's log target prints of a packet that leaves for the Wire Server
_LEAVES = r".{0,40}?IN= OUT=\S{1,16} .{0,100}?DST=168\.63\.129\.16 .{0,160}?DPT=(?:80|32526)\b"


def _reaches(guest: GuestFacts) -> bool:
    return guest.root is True and all(guest.outcome(port) is Connect.OK for port in (80, 32526))


def _no_rule_hidden(facts: Facts) -> bool:
    """Root gets through, or every listing was read whole and each rule could be judged."""
    guest = facts.guest
    if guest is None or not told(*PORTS)(facts):
        return False
    return _reaches(guest) or (guest.root is True and guest.rules.complete and not guest.rules.undecided)


def _rule() -> Sign:
    return replace(inside(), settles=_no_rule_hidden)


def _panel_refuses(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """A hosting distribution, and tcp/32526 refused: csf rejects what its list of ports does not name."""
    guest = scene.facts.guest
    if guest is None or guest.rules.blocks or guest.outcome(32526) in (Connect.OK, Connect.TIMED_OUT):
        return
    if not re.search(r"(?i)cloudlinux", guest.distribution) and ".lve." not in guest.kernel:
        return
    for line in (*guest.log.failures, guest.log.host_plugin):
        if line is not None and OF_THE_PLUGIN.search(line.text) and "[Errno 111]" in line.text:
            yield said_in_log("tcp/32526 is refused on a hosting distribution", scene.facts.guest_channel or "", line)


FIREWALLD_DIRECT = KnownCause(
    code="N01",
    slug="firewalld-direct-rule",
    title="A firewalld direct rule drops the Wire Server",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="firewalld's direct interface holds a rule for the chain OUTPUT that drops what goes to 168.63.129.16, "
    "through which Azure and its agent talk. The agent runs and is never heard; SSH and all else work as before. Such "
    "rules often come from a hardening script that closes every address nobody asked for.",
    looks_like=(
        "firewall-cmd --direct --get-all-rules: ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP",
        "curl: (7) Failed to connect to 168.63.129.16 port 80: Connection timed out",
        "waagent.log: [HTTP Failed] GET http://168.63.129.16/machine/ -- IOError timed out -- 6 attempts made",
    ),
    not_to_confuse=(
        "N20: firewall-cmd --direct --get-all-passthroughs lists the agent's own rules, which let root pass.",
        "N03: a policy of firewalld, not a direct rule, drops it; firewall-cmd --direct shows nothing then.",
        "N02: iptables lists a rule that firewalld does not know.",
    ),
    signs=(_rule(),),
    covers=("N24", "P11"),
    variants=(Variant("firewalld-passthrough", "A firewalld passthrough drops the Wire Server"),),
    remedies=(
        Remedy(
            "list the direct rules, those in force and those kept for the next start",
            "firewall-cmd --direct --get-all-rules; firewall-cmd --permanent --direct --get-all-rules",
            effect="reads only",
        ),
        Remedy(
            "remove the rule in the words in which it is listed, for example",
            "firewall-cmd --direct --remove-rule ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP",
            effect="the agent reaches the Wire Server again within minutes; once more with --permanent where it is "
            "kept",
            risk=_ON_PURPOSE,
            undo="firewall-cmd --direct --add-rule ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -j DROP",
        ),
    ),
    links=(WIRE_SERVER + "#troubleshoot-connectivity", AGENT),
    sources=("linux-azure-guest-agent.md, scenario 2", "recorded in the laboratory: fault wire-server-firewalld"),
)


IPTABLES = KnownCause(
    code="N02",
    slug="iptables-rule",
    title="An iptables rule drops the Wire Server",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="A rule of the chain OUTPUT (or of INPUT, for the answers) drops or rejects what goes to 168.63.129.16, or "
    "the chain's policy is DROP and no rule lets it out. It may stand in any table: filter, mangle, raw, nat or "
    "security. The agent runs and is never heard.",
    looks_like=(
        "iptables -S OUTPUT: -A OUTPUT -d 168.63.129.16/32 -j DROP",
        "iptables -S OUTPUT: -P OUTPUT DROP",
        "curl: (7) Failed to connect to 168.63.129.16 port 80: Connection refused (a rule with REJECT)",
        "kernel: DROPPED: IN= OUT=eth0 SRC=10.0.0.4 DST=168.63.129.16 … DPT=80 (where the rule before it logs)",
    ),
    not_to_confuse=(
        "N20: the DROP with «ctstate INVALID,NEW» in the table security is the agent's own; root passes before it.",
        "N04: the agent's own rules stop root too.",
        "N19: a rule of FORWARD concerns containers, not the agent.",
        "N03: ufw or nftables wrote the rule.",
    ),
    signs=(
        _rule(),
        serial_line(
            "DST=168.63.129.16",
            KERNEL
            + r"(?!.{0,40}(?:\[UFW |Firewall: ))(?=.{0,40}(?i:drop|reject|den(?:y|ied)|block)).{1,40}?IN= OUT=\S{1,16} "
            r".{0,100}?DST=168\.63\.129\.16 .{0,160}?DPT=(?:80|32526)\b",
            "the kernel logs that it drops what goes to the Wire Server",
        ),
    ),
    covers=("N24", "P11"),
    remedies=(
        Remedy(
            "list the rules that may concern it, in every table",
            "iptables-save | grep -E '^(\\*|-P|:OUTPUT|:INPUT|-A (OUTPUT|INPUT))'",
            effect="reads only",
        ),
        Remedy(
            "let root's traffic to the Wire Server out before any other rule",
            "iptables -I OUTPUT -d 168.63.129.16/32 -p tcp -m multiport --dports 80,32526 -m owner --uid-owner 0 -j "
            "ACCEPT",
            effect="the agent is heard again, until the rules are loaded anew: add it where they are kept as well",
            risk="none known",
            undo="iptables -D OUTPUT -d 168.63.129.16/32 -p tcp -m multiport --dports 80,32526 -m owner --uid-owner 0 "
            "-j ACCEPT",
        ),
    ),
    links=(WIRE_SERVER + "#troubleshoot-connectivity", AGENT),
    sources=("linux-azure-guest-agent.md", "WALA#1258", "recorded in the laboratory: faults wire-server-iptables*"),
)


OTHER_FIREWALL = KnownCause(
    code="N03",
    slug="nftables-rule",
    title="An nftables rule drops the Wire Server",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="The guest's firewall does not let out what goes to 168.63.129.16: a rule in an nftables table, a «deny "
    "out» or a default of ufw, a policy of firewalld (0.9 and newer), or firewalld's panic mode. The agent runs and "
    "is never heard. Neither iptables nor firewall-cmd --direct need show anything of it.",
    looks_like=(
        "nft list ruleset: ip daddr 168.63.129.16 tcp dport { 80, 32526 } drop",
        "ufw status verbose: 168.63.129.16 DENY OUT Anywhere; Default: deny (incoming), deny (outgoing)",
        "firewall-cmd --info-policy NAME: target: DROP; egress-zones: ANY",
        "kernel: [UFW BLOCK] IN= OUT=eth0 SRC=10.0.0.4 DST=168.63.129.16 … PROTO=TCP DPT=80",
    ),
    not_to_confuse=(
        "N20: a table «walinuxagent» in nft list ruleset is the agent's own.",
        "N01: a direct rule of firewalld.",
        "N02: iptables shows the rule and nobody else owns it.",
        "«[UFW BLOCK] IN=eth0 OUT= SRC=168.63.129.16» is a late answer to a closed connection, and harmless.",
    ),
    signs=(
        _rule(),
        serial_line(
            "DST=168.63.129.16",
            KERNEL + r"(?:\[UFW BLOCK\]|\"?filter_OUT\w{0,60}_(?:DROP|REJECT): \"?)" + _LEAVES,
            "the kernel logs that the firewall drops what goes to the Wire Server",
        ),
    ),
    covers=("N24", "P11"),
    variants=(
        Variant("ufw-rule", "A ufw rule denies the Wire Server"),
        Variant("firewalld-policy", "A firewalld policy drops the Wire Server"),
        Variant("firewalld-panic", "firewalld is in panic mode and drops everything"),
    ),
    remedies=(
        Remedy(
            "see which of them it is",
            "nft list ruleset; ufw status verbose; firewall-cmd --query-panic; firewall-cmd --list-all-policies",
            effect="reads only",
        ),
        Remedy(
            "ufw: let tcp/80 and tcp/32526 to the Wire Server out",
            "ufw allow out proto tcp to 168.63.129.16 port 80,32526",
            effect="enough for a default of deny; a rule that denies it must be deleted: ufw delete deny out to …",
            risk=_ON_PURPOSE,
            undo="ufw delete allow out proto tcp to 168.63.129.16 port 80,32526",
        ),
        Remedy(
            "firewalld: leave panic mode, or take the DROP out of the policy that has it",
            "firewall-cmd --panic-off",
            risk=_ON_PURPOSE,
            undo="firewall-cmd --panic-on",
        ),
        Remedy("nftables: delete the rule by its handle (nft -a list ruleset shows it)", risk=_ON_PURPOSE),
    ),
    links=(WIRE_SERVER + "#troubleshoot-connectivity",),
    sources=(
        "recorded in the laboratory: faults wire-server-nft-table, wire-server-ufw, firewalld-panic",
        "firewalld.org: policies; ufw(8)",
    ),
)


AGENT_RULES = KnownCause(
    code="N04",
    slug="agent-rules-half-applied",
    title="The agent's own rules are half applied and stop root as well",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="The agent guards the Wire Server with rules of its own: DNS passes, root passes, everybody else is dropped. "
    "When the rule that lets root pass is missing, or stands behind the one that drops, the agent locks itself out. "
    "Another tool that saves, restores or reorders rules, or an agent that died between two of them, leaves it so.",
    looks_like=(
        "iptables -t security -S OUTPUT: -d 168.63.129.16/32 -p tcp -m conntrack --ctstate INVALID,NEW -j DROP, and no "
        "-m owner --uid-owner 0 -j ACCEPT before it",
        "the same rules twice, or in another order",
    ),
    not_to_confuse=(
        "N20: the rules are whole: they look like a block and let root pass.",
        "N02: the rule stands in another table or names more than this address.",
    ),
    signs=(_rule(),),
    covers=("N24", "P11"),
    remedies=(
        Remedy(
            "see the agent's rules",
            "iptables -t security -S OUTPUT; nft list table ip walinuxagent",
            effect="reads only; the order counts",
        ),
        Remedy(
            "let root pass before the rule that drops, then restart the agent, which checks its rules",
            "iptables -t security -I OUTPUT -d 168.63.129.16/32 -p tcp -m owner --uid-owner 0 -j ACCEPT && "
            "systemctl restart {unit}",
            effect="the agent is heard again within minutes",
            risk="none known",
            undo="iptables -t security -D OUTPUT -d 168.63.129.16/32 -p tcp -m owner --uid-owner 0 -j ACCEPT",
        ),
        Remedy("update the agent: newer ones check and mend their rules"),
    ),
    links=(WIRE_SERVER, "azure/virtual-machines/extensions/update-linux-agent"),
    sources=("WALA#3492", "WALA#976", "WALA#977", "WALinuxAgent ga/firewall_manager.py"),
)


HOST_FIREWALL_PANEL = KnownCause(
    code="N05",
    slug="host-firewall-panel",
    title="A hosting panel's firewall (CSF) stops what goes to the Wire Server",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="ConfigServer Firewall (csf, with cPanel/WHM, CloudLinux and the like) lets out only the ports that its list "
    "TCP_OUT names. tcp/80 is usually among them, tcp/32526 is not: the agent then gets «connection refused» when it "
    "asks for its settings, and works by half or not at all. csf writes all rules anew at each start.",
    looks_like=(
        "iptables -S: -A OUTPUT ! -o lo -j LOGDROPOUT; -A LOGDROPOUT -j REJECT",
        "waagent.log: Fetching the goal state is still failing: … GET vmSettings … [Errno 111] Connection refused",
        "kernel: Firewall: *TCP_OUT Blocked* IN= OUT=eth0 … DST=168.63.129.16 … DPT=32526",
    ),
    not_to_confuse=(
        "N02: rules that no such program owns; deleting csf's own rules lasts until its next start.",
        "N06: only tcp/32526 is out of reach, by whatever.",
        "«Firewall: *TCP_IN Blocked*» is about strangers who call, not about the agent.",
    ),
    signs=(
        _rule(),
        serial_line(
            "DST=168.63.129.16",
            KERNEL + r"Firewall: \*TCP_OUT Blocked\*" + _LEAVES,
            "csf logs that it drops what goes to the Wire Server",
        ),
        Sign(Need.GUEST, _panel_refuses),
    ),
    covers=("N24", "N06", "N21", "P11"),
    remedies=(
        Remedy(
            "allow the Wire Server in csf's own list",
            "csf -a 168.63.129.16 'Azure Wire Server'",
            effect="a line in /etc/csf/csf.allow, in force at once and after each restart",
            risk="none known",
            undo="csf -ar 168.63.129.16",
        ),
        TEST,
    ),
    links=(WIRE_SERVER,),
    sources=("WALA#2774", "csf.pl: chains LOGDROPOUT, DENYOUT; log prefixes"),
)


TRAFFIC_CONTROL = KnownCause(
    code="N23",
    slug="traffic-control",
    title="Traffic control loses what goes to the Wire Server",
    scenario=Scenario.WIRE_SERVER_BLOCKED,
    means="A queueing discipline or filter of the kernel's traffic control (tc) drops what goes to 168.63.129.16: "
    "netem with a loss, a filter with the action drop. It is set by tools that shape or spoil traffic (load and chaos "
    "tests), and no firewall shows it.",
    looks_like=(
        "tc qdisc show: qdisc netem 30: dev eth0 parent 1:4 limit 1000 loss 100%",
        "tc filter show dev eth0: match a83f8110/ffffffff at 16, action drop",
    ),
    not_to_confuse=(
        "N02: a rule drops it.",
        "netem with a delay or a small loss slows the agent down and does not silence it.",
    ),
    signs=(_rule(),),
    covers=("N24", "P11"),
    remedies=(
        Remedy("see what is set", "tc -s qdisc show; tc filter show dev eth0", effect="reads only"),
        Remedy(
            "take the discipline off the interface (here eth0: put in your own)",
            "tc qdisc del dev eth0 root",
            effect="the kernel's default comes back at once",
            risk="ends all shaping of this interface, also what was meant",
        ),
    ),
    links=(WIRE_SERVER,),
    sources=("tc-netem(8)", "recorded in the laboratory: fault wire-server-netem"),
)
