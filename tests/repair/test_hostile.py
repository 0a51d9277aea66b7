"""What a guest says stays data; and no plan, whatever the guest holds, flushes, switches a firewall off, or hits a bystander."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azext_vmagent.causes.cures import rule_cure
from azext_vmagent.facts.firewall import blocking_rules
from azext_vmagent.facts.firewall_facts import BlockingRule, Listings
from azext_vmagent.facts.firewall_facts import Path as WayOut
from azext_vmagent.facts.guest import Connect, Program
from azext_vmagent.facts.reading import SERIAL_CONSOLE
from azext_vmagent.repair.actions import KINDS
from azext_vmagent.repair.model import Permission, RepairPlan
from azext_vmagent.repair.plan import plan
from azext_vmagent.repair.refusals import CARRIERS
from azext_vmagent.report.document import document
from azext_vmagent.report.layout import Style
from azext_vmagent.report.repair_text import repair_lines
from tests.repair.case import blocked, diagnosis, inside, planned, refused, steps
from tests.verdict.build import READ_WHOLE, RUNS, STOPPED, UP, guest
from tests.verdict.test_honesty import anything

IP = "168.63.129.16"
EVIL = "$(reboot);`id`&&rm -rf /|'\"x"
WAY = WayOut("eth0", "10.0.0.4")


def test_a_hostile_comment_in_a_rule_is_one_argument():
    text = f"-A OUTPUT -d {IP}/32 -m comment --comment {shlex.quote(EVIL)} -j DROP"
    rules = blocking_rules(Listings(iptables=(f"filter {text}",), listed=("iptables",)), WAY).blocks
    found = steps(planned(blocked(*rules)))
    assert found == [("remove-rule", "iptables", "iptables", "filter", "OUTPUT", "-", rules[0].rule)]


def test_a_direct_rule_that_holds_another_command_is_no_second_command():
    """The words after ``&&`` are what the rule holds, not firewalld's permanent rule."""
    words = f"ipv4 filter OUTPUT 0 -d {IP}/32 -m comment --comment '&&' -j DROP"
    rule = BlockingRule(
        "firewalld-direct", words, "x", "drop", (80,), f"firewall-cmd --direct --remove-rule {words}", False
    )
    assert rule_cure(rule).arguments == ("firewalld-direct", "runtime", *shlex.split(words))
    both = replace(rule, stays=True, undo=f"{rule.undo} && firewall-cmd --permanent --direct --remove-rule {words}")
    assert rule_cure(both).arguments == ("firewalld-direct", "both", *shlex.split(words))
    other = replace(both, undo=f"{rule.undo} && firewall-cmd --permanent --direct --remove-rules ipv4 filter OUTPUT")
    assert rule_cure(other) is None


def test_a_hostile_interface_name_is_one_argument():
    down = guest(
        RUNS,
        Connect.UNREACHABLE,
        Connect.UNREACHABLE,
        interfaces=(replace(UP, name="e$(id)", admin_up=False, addresses=()),),
        default_routes=(),
    )
    found = planned(inside(down, guest_channel=SERIAL_CONSOLE))
    assert steps(found) == [("interface-up", "e$(id)"), ("renew-dhcp", "e$(id)", "dhclient")]


def test_a_program_elsewhere_is_not_made_executable():
    for path in ("/usr/sbin/../../etc/passwd", "/tmp/waagent", f"/usr/sbin/{EVIL}/waagent", "/usr/sbin/waagent\nx"):
        program = Program(path, "not-executable", "/usr/bin/python3", "ok")
        failed = replace(STOPPED, active_state="failed", result="exit-code")
        assert refused(planned(inside(guest(failed, program=program)))) == "no-safe-cure"
    program = Program("/usr/sbin/waagent", "not-executable", "/usr/bin/python3", "ok")
    assert ("restore-executable", "/usr/sbin/waagent") in steps(planned(inside(guest(STOPPED, program=program))))


def test_a_hostile_package_name_is_not_installed():
    program = Program("/usr/sbin/waagent", "missing", packages=(f"{EVIL} 1.0 removed", "curl 1.0 installed"))
    found = planned(inside(guest(STOPPED, program=program, distribution="Debian GNU/Linux 12")))
    assert steps(found)[0] == ("reinstall-agent", "apt-get", "walinuxagent")


# -- whatever the guest holds ----------------------------------------------------------------------------------------------

_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
_matches = st.sampled_from(
    [f"-d {IP}/32", "-d 168.63.0.0/16", f"-d {IP}/32 -p tcp -m tcp --dport 80", "-p tcp", "-d 10.1.2.3/32", "-o lo"]
)
_targets = st.sampled_from(["DROP", "REJECT --reject-with icmp-port-unreachable", "ACCEPT", "LOG"])
_iptables = st.builds(
    lambda table, match, comment, target: (
        f"{table} -A OUTPUT {match} -m comment --comment {shlex.quote(comment or 'x')} -j {target}"
    ),
    st.sampled_from(["filter", "security", "mangle"]), _matches, _text, _targets,
)  # fmt: skip
_direct = st.builds(
    lambda match, comment, target: f"ipv4 filter OUTPUT 0 {match} -m comment --comment {shlex.quote(comment or 'x')} -j {target}",
    _matches, _text, _targets,
)  # fmt: skip
_nft = st.builds(
    lambda match, verdict, handle: f"nft {match} {verdict} # handle {handle}",
    st.sampled_from([f"ip daddr {IP}", "tcp dport 80", "ip daddr 10.0.0.0/8", "oifname lo"]),
    st.sampled_from(["drop", "reject", "accept", "counter packets 1 bytes 2 drop"]),
    st.integers(2, 99),
)
_listings = st.builds(
    lambda iptables, direct, nft, panic, routes: Listings(
        iptables=tuple(iptables),
        direct=tuple(direct),
        permanent=tuple(f'rule rule ipv="ipv4">{line.split(" ", 4)[-1]}' for line in direct[:1]),
        nft=("chain inet t o type filter hook output priority 0; policy accept;", *nft) if nft else (),
        panic=panic,
        routes=tuple(routes),
        listed=("iptables", "nft"),
    ),
    st.lists(_iptables, max_size=4),
    st.lists(_direct, max_size=2),
    st.lists(_nft, max_size=3),
    st.booleans(),
    st.lists(st.sampled_from([f"blackhole {IP}", "blackhole default", "unreachable 10.0.0.0/8"]), max_size=2),
)
_services = st.sampled_from(
    [RUNS, STOPPED, replace(STOPPED, active_state="failed"), replace(STOPPED, load_state="masked")]
)
_outcomes = st.sampled_from([Connect.OK, Connect.TIMED_OUT, Connect.REFUSED, Connect.BLACKHOLE, Connect.NOT_SAID])


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    listings=_listings,
    service=_services,
    port80=_outcomes,
    port32526=_outcomes,
    kind=st.sampled_from(["unicast", "blackhole"]),
)
def test_no_plan_flushes_or_disables_or_touches_what_does_not_block(listings, service, port80, port32526, kind):
    rules = blocking_rules(listings, replace(WAY, kind=kind))
    seen = inside(guest(service, port80, port32526, rules=replace(READ_WHOLE, blocks=rules.blocks)))
    found = planned(seen)
    assert bool(found.actions) != (found.refusal is not None)
    assert {action.kind for action in found.actions} <= KINDS | {"restart", "redeploy", "reset-nic"}
    harmful = [rule for rule in rules.blocks if all(seen.guest.outcome(port) is not Connect.OK for port in rule.ports)]
    _each_touches_one_of(found, harmful)


def _each_touches_one_of(found: RepairPlan, harmful: list[BlockingRule]) -> None:
    """Only what was found to block is named, by what it is; the guest's program knows no word that flushes or disables."""
    wanted = [cure.arguments for rule in harmful if (cure := rule_cure(rule)) is not None]
    about_rules = ("remove-rule", "allow-wire-server", "remove-route", "remove-policy-rule")
    for action in found.actions:
        if action.kind in about_rules:
            assert action.arguments in wanted
        elif action.allow is None:
            assert action.arguments == () or action.arguments[0] in ("waagent.service", "eth0", "apt-get")
        first = action.arguments[:1]
        assert first not in (("-F",), ("--flush",), ("flush",), ("disable",), ("stop",))


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seen=anything(), allowed=st.sets(st.sampled_from(Permission)))
def test_whatever_is_known_there_is_a_plan_or_a_refusal_with_a_reason(seen, allowed):
    found = diagnosis(seen)
    planned_ = plan(found, allowed)
    assert bool(planned_.actions) != (planned_.refusal is not None)
    if planned_.refusal is not None:
        assert planned_.refusal.why
    if planned_.channel == "azure":
        assert len(planned_.permissions) == len(planned_.actions) == 1
        assert not (seen.vm.ephemeral_os_disk and planned_.permissions != {Permission.RESTART})
    elif planned_.actions:
        assert seen.guest.root
        assert seen.guest_channel in CARRIERS
        assert seen.vm.running or not seen.vm.power
    for action in planned_.actions:
        assert all(argument.isascii() and argument.isprintable() for argument in action.arguments)
    json.dumps(document(found, planned_))
    repair_lines(planned_, found.verdict, Style(True))
