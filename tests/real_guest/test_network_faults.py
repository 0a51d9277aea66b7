"""Everything between a running agent and the Wire Server, and the network itself, broken in the real guest one by one.

Each fault is diagnosed by the real `az`, through SSH where the guest's network lives, else by the probe's answer brought
by hand as from the serial console. The culprit must be named verbatim, and healing must leave the guest's rules, routes
and queueing as they were.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from azext_vmagent.guest import probe_script
from tests.laboratory import Laboratory, cause, laboratory, offered, said, scenario

pytestmark = [pytest.mark.real_guest, pytest.mark.every_fault]

IP = "168.63.129.16"
OWN_DROP = f"-A OUTPUT -d {IP}/32 -p tcp -m conntrack --ctstate INVALID,NEW -j DROP"

#: fault: (cause, the culprit verbatim, what the remedy's command holds)
BLOCKS = {
    "wire-server-iptables": ("N02", f"-A OUTPUT -d {IP}/32 -j DROP", "iptables -t filter -D OUTPUT"),
    "wire-server-iptables-reject": (
        "N02", f"-A OUTPUT -d {IP}/32 -j REJECT --reject-with icmp-port-unreachable", "iptables -t filter -D OUTPUT",
    ),
    "wire-server-iptables-cidr": ("N02", "-A OUTPUT -d 168.63.0.0/16 -p tcp -j DROP", "-t filter -I OUTPUT"),
    "wire-server-iptables-policy": ("N02", "-P OUTPUT DROP", "iptables -t filter -I OUTPUT"),
    "wire-server-iptables-raw": ("N02", f"-A OUTPUT -d {IP}/32 -j DROP", "iptables -t raw -D OUTPUT"),
    "wire-server-iptables-mangle": (
        "N02", f"-A OUTPUT -d {IP}/32 -p tcp -m owner --uid-owner 0 -j DROP", "iptables -t mangle -D OUTPUT",
    ),
    "wire-server-replies": ("N02", f"-A INPUT -s {IP}/32 -p tcp -j DROP", "iptables -t filter -D INPUT"),
    "wire-server-ipset": ("N02", "-A OUTPUT -m set --match-set bad dst -j DROP", "iptables -t filter -I OUTPUT"),
    "wire-server-nft-table": ("N03", f"ip daddr {IP} tcp dport {{ 80, 32526 }} counter drop", "nft delete rule inet"),
    "wire-server-nft-set": ("N03", "ip daddr @bad counter reject", "nft insert rule inet blocklist outgoing"),
    "wire-server-agent-rules": ("N04", OWN_DROP, "iptables -t security -I OUTPUT"),
    "wire-server-agent-rules-order": ("N04", OWN_DROP, "iptables -t security -I OUTPUT"),
    "wire-server-blackhole": ("N08", f"blackhole {IP}", f"ip route del blackhole {IP}"),
    "wire-server-unreachable": ("N08", f"unreachable {IP}", f"ip route del unreachable {IP}"),
    "wire-server-prohibit": ("N08", f"prohibit {IP}", f"ip route del prohibit {IP}"),
    "wire-server-ip-rule": ("N08", "blackhole default table 100", "ip route del blackhole default table 100"),
    "wire-server-netem": ("N23", "netem 30: dev eth0 parent 1:4 limit 1000 loss 100%", "tc qdisc del dev eth0 parent"),
    "wire-server-ufw": ("N03", f"deny any any {IP} any 0.0.0.0/0 out", f"ufw delete deny out to {IP}"),
    "wire-server-ufw-default": ("N03", "-P OUTPUT DROP", f"ufw allow out proto tcp to {IP} port 80,32526"),
}  # fmt: skip

FIREWALLD = {
    "wire-server-firewalld": ("N01", f"ipv4 filter OUTPUT 0 -d {IP}/32 -j DROP", "firewall-cmd --direct --remove-rule"),
    "wire-server-firewalld-policy": ("N03", "policy lockdown target DROP", "--policy lockdown --add-rich-rule"),
    "wire-server-firewalld-rich-rule": (
        "N03", f'policy outgoing: rule family="ipv4" destination address="{IP}" drop', "--remove-rich-rule",
    ),
}  # fmt: skip

#: fault: (scenario, cause, culprit), by the guest's own word; SSH is dead in all of them
CUT_OFF = {
    "nic-down": ("network-down", "I01", "eth0"),
    "dhcp-lost": ("network-down", "I07", "eth0"),
    "wrong-address": ("network-down", "I05", "eth0 10.0.0.77/24"),
    "wrong-gateway": ("network-down", "N08", "default via 10.0.0.254 dev eth0"),
    "outgoing-policy-drop": ("wire-server-blocked", "N02", "-P OUTPUT DROP"),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with laboratory(tmp_path_factory.mktemp("lab"), "--guest", "real") as made:
        made.lab("set", "not_ready_after=3600")  # the platform's word is not what is tried here
        yield made


@pytest.fixture(scope="module")
def as_it_was(lab: Laboratory) -> str:
    return network_of(lab)


#: what the agent lets in where it has to ask DHCP itself, and leaves there (osutil/default.py: allow_dhcp_broadcast)
AGENTS_OWN = re.compile(r"^.*\budp .*dport 68 .*(?:accept|ACCEPT)\n", re.MULTILINE)
#: a table of iptables that holds no rule, as its first rule leaves it behind: no change of the network
EMPTY_TABLE = re.compile(
    r"^table \S+ \S+ \{\n(?:\tchain \S+ \{\n\t\ttype .* policy accept;\n\t\}\n\n?)+\}\n", re.MULTILINE
)


def network_of(lab: Laboratory) -> str:
    """All that a fault of ours may change in the guest's network."""
    seen = lab.lab(
        "sh",
        "nft -s list ruleset 2>/dev/null; iptables-save | grep '^[-:]' | grep -v '^:[A-Z]* ACCEPT '; iptables-legacy-save;"
        " ip -4 route show table all; ip -4 rule; ip -4 -o addr | cut -d'\\' -f1; tc qdisc show; ipset save",
    )
    return unchanged(seen)


def unchanged(listing: str) -> str:
    """Without what is there or not by the agent's and iptables' own doing.

    >>> base = "\\t\\ttype filter hook input priority filter; policy accept;\\n"
    >>> rule = "\\t\\tmeta l4proto udp udp dport 68 counter accept\\n"
    >>> unchanged(f"table ip filter {{\\n\\tchain INPUT {{\\n{base}{rule}\\t}}\\n}}\\n0:\\tfrom all lookup local\\n")
    '0:\\tfrom all lookup local\\n'
    """
    return EMPTY_TABLE.sub("", AGENTS_OWN.sub("", listing))


@pytest.fixture
def healed(lab: Laboratory, as_it_was: str) -> Iterator[Laboratory]:
    yield lab
    lab.lab("heal")
    assert network_of(lab) == as_it_was


def inside(lab: Laboratory) -> dict[str, Any]:
    """The diagnosis through SSH. A guest on a busy machine leaves checks unfinished and says so: then it is asked again,
    as the verdict advises.
    """
    for _ in range(3):
        found = lab.inside()
        if found["verdict"]["confidence"] == "certain":
            break
    return found


def inside_by_hand(lab: Laboratory, folder: Path) -> dict[str, Any]:
    """The diagnosis of an answer that somebody brought from the guest's console; here it came through the side door."""
    script = base64.b64encode(probe_script().encode()).decode()
    for _ in range(3):
        answer = lab.in_guest(f"echo {script} | base64 -d | sh")
        assert len(answer.encode()) <= 4096
        (folder / "answer").write_text(answer)
        found = lab.diagnose("vm1", "--probe-output", str(folder / "answer"))
        if found["verdict"]["confidence"] == "certain":
            break
    assert float(answer.splitlines()[-1].split()[1]) <= 8
    return found


def assert_named(found: dict[str, Any], code: str, culprit: str, remedy: str) -> None:
    verdict = found["verdict"]
    assert (scenario(found), verdict["confidence"], cause(found)["code"]) == ("wire-server-blocked", "certain", code)
    assert culprit in cause(found)["culprit"]
    assert remedy in offered(found)


@pytest.mark.parametrize("fault", BLOCKS)
def test_a_block_is_named_with_its_undo(healed: Laboratory, fault: str) -> None:
    healed.lab("fault", fault)
    assert_named(inside(healed), *BLOCKS[fault])


def test_the_host_plugins_port_alone_is_no_silence(healed: Laboratory) -> None:
    healed.lab("fault", "wire-server-32526")
    found = inside(healed)
    assert (scenario(found), cause(found)["code"]) == ("agent-degraded", "N02")
    assert "--dport 32526 -j DROP" in cause(found)["culprit"]


def test_a_proxy_for_all_and_the_agents_own_rules_are_no_block(healed: Laboratory) -> None:
    healed.lab("fault", "proxy-set")
    found = inside(healed)
    assert (scenario(found), cause(found)) == ("healthy", {})
    assert "security -A OUTPUT" in healed.lab("sh", "iptables-save -t security | sed 's/^-A/security -A/'")


@pytest.mark.parametrize("fault", CUT_OFF)
def test_a_guest_that_is_cut_off_says_why_by_hand(healed: Laboratory, tmp_path: Path, fault: str) -> None:
    healed.lab("fault", fault)
    found = inside_by_hand(healed, tmp_path)
    assert (scenario(found), cause(found)["code"], cause(found)["culprit"]) == CUT_OFF[fault]


def test_from_outside_a_lost_address_is_scenario_3(healed: Laboratory) -> None:
    healed.lab("fault", "dhcp-lost")
    found = healed.diagnose("vm1", "--ssh-user", "azureuser")
    assert (scenario(found), found["verdict"]["number"]) == ("network-down", 3)


def test_a_guest_whose_root_file_system_hangs_is_scenario_4_though_it_greets(healed: Laboratory) -> None:
    healed.lab("fault", "root-frozen")
    time.sleep(40)  # the kernel complains of a task that waited for 10 s; it looks every 10 s
    found = healed.diagnose("vm1", "--ssh-user", "azureuser", "--timeout", "60")
    assert (scenario(found), cause(found)["code"]) == ("os-not-running", "B24")
    assert "blocked for more than" in cause(found)["culprit"] + said(found)


@pytest.fixture(scope="module")
def firewalld(lab: Laboratory) -> Iterator[None]:
    """It runs already, as on the article's VM: the faults leave it running."""
    lab.lab("sh", "--timeout", "120", "systemctl start firewalld")
    yield
    lab.lab("sh", "--timeout", "120", "systemctl stop firewalld")


@pytest.mark.usefixtures("firewalld")
@pytest.mark.parametrize("fault", FIREWALLD)
def test_what_firewalld_blocks_is_undone_by_firewalld(lab: Laboratory, fault: str) -> None:
    held = "firewall-cmd --get-policies; firewall-cmd --direct --get-all-rules; ls /etc/firewalld/policies"
    before = lab.in_guest(held)
    with lab.fault(fault):
        assert_named(inside(lab), *FIREWALLD[fault])
    assert lab.in_guest(held) == before  # a reload flushes the agent's own rules, which the agent puts back


@pytest.mark.usefixtures("firewalld")
def test_panic_mode_is_named_by_hand(lab: Laboratory, tmp_path: Path) -> None:
    with lab.fault("firewalld-panic"):
        found = inside_by_hand(lab, tmp_path)
    assert (scenario(found), cause(found)["slug"]) == ("wire-server-blocked", "firewalld-panic")


def test_a_root_device_that_is_not_there_is_scenario_4(lab: Laboratory) -> None:
    lab.lab("fault", "wrong-root")
    end = time.monotonic() + 120
    while "(initramfs)" not in lab.az("vm", "boot-diagnostics", "get-boot-log", "-g", "lab", "-n", "vm1").stdout:
        assert time.monotonic() < end
        time.sleep(2)
    found = lab.diagnose("vm1")
    assert (scenario(found), cause(found)["code"], cause(found)["culprit"]) == ("os-not-running", "B11", "/dev/vdz")
    lab.lab("heal")
    lab.wait_for_agent("Ready")


def test_a_kernel_that_panicked_is_scenario_4(lab: Laboratory) -> None:
    lab.lab("renew")
    lab.lab("fault", "kernel-panic")
    end = time.monotonic() + 60
    while "end Kernel panic" not in lab.az("vm", "boot-diagnostics", "get-boot-log", "-g", "lab", "-n", "vm1").stdout:
        assert time.monotonic() < end
        time.sleep(2)
    found = lab.diagnose("vm1")
    assert (scenario(found), found["verdict"]["confidence"]) == ("os-not-running", "certain")
    assert "Kernel panic - not syncing: sysrq triggered crash" in said(found)
    lab.lab("renew")
