"""Whatever the sources say, in any combination: what a verdict must never claim, and what it must never tell to paste."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.firewall_facts import BlockingRule, RuleAnalysis
from azext_vmagent.facts.guest import (
    AgentProcess,
    Connect,
    GuestFacts,
    LogFacts,
    LogLine,
    Route,
    ServiceFacts,
    WireTest,
    parse_probe,
)
from azext_vmagent.facts.host_metrics import CpuState, HostMetrics, NetworkTrend
from azext_vmagent.facts.instance_view import AgentStatus, ExtensionFacts, VmFacts
from azext_vmagent.facts.port import NetworkFacts, PortFacts, PortOutcome
from azext_vmagent.facts.reading import (
    HOST_METRICS,
    INSTANCE_VIEW,
    NETWORK,
    PORT,
    RESOURCE_HEALTH,
    RUN_COMMAND,
    SERIAL_LOG,
    SSH,
    Facts,
)
from azext_vmagent.facts.resource_health import HealthFacts
from azext_vmagent.facts.serial_log import Outlook, SerialEvent, SerialLogFacts, SerialState
from azext_vmagent.model import Answer, Confidence, Scenario, State, Verdict
from azext_vmagent.verdict.decide import decide
from tests.verdict.build import (
    ASKED,
    DOUBT,
    DROP,
    NOT_READY,
    OPEN,
    PUBLIC,
    RUNS,
    STOPPED,
    TARGET,
    UP,
    blocked_by,
    facts,
    guest,
)

maybe = st.sampled_from
HOSTILE = (
    "x; rm -rf /",
    "$(reboot)",
    "`reboot`",
    "a\nreboot",
    "' ; reboot ; '",
    '"; reboot; "',
    "-",
    "",
    "eth0 || reboot",
)
hostile = maybe(HOSTILE)
moments = st.none() | st.integers(-120, 3).map(lambda minutes: ASKED + timedelta(minutes=minutes))

vms = st.none() | st.builds(
    VmFacts,
    power=maybe(("running", "running", "running", "", "deallocated", "starting")),
    agent=maybe(AgentStatus),
    os_type=maybe(("Linux", "Windows", "")),
    ephemeral_os_disk=st.booleans(),
    spot=st.booleans(),
    provision_vm_agent=maybe((True, None, False)),
    time_created=moments,
    extensions=st.lists(
        st.builds(ExtensionFacts, hostile, hostile, hostile, maybe(("failed", "succeeded")), hostile), max_size=1
    ).map(tuple),
)
events = st.builds(
    SerialEvent, st.integers(1, 900), hostile, hostile, hostile, st.none() | maybe(("B01", "B23", "I07")), hostile
)
serials = st.none() | st.builds(
    SerialLogFacts,
    maybe(SerialState),
    maybe(Outlook),
    st.integers(0, 3),
    st.just(900),
    st.just(1),
    moments,
    st.lists(events, max_size=3).map(tuple),
    st.none() | maybe(("B01", "B23", "B99")),
    st.none() | hostile,
    emergency=st.none() | events,
    failed_mount=st.none() | hostile,
    prompt=st.none() | events,
)
measured = st.none() | st.builds(
    HostMetrics,
    maybe(NetworkTrend),
    maybe(CpuState),
    st.just("seen"),
    moments,
    st.none() | st.floats(0, 1e6),
    fell_at=moments,
)
healths = st.none() | st.builds(
    HealthFacts, maybe(("Available", "Unavailable", "Degraded", "Unknown", "")), platform_event=st.booleans()
)
networks = st.none() | st.builds(
    NetworkFacts, maybe((PUBLIC, None)), st.just("10.0.0.4"), maybe((True, False, None)), st.just("why")
)
ports = st.none() | st.builds(PortFacts, maybe((PUBLIC, "10.0.0.4")), st.just(22), maybe(PortOutcome), hostile)
services = st.builds(
    ServiceFacts,
    maybe((True, None, False)),
    st.none() | maybe(("waagent.service", "x;reboot.service", "$(reboot).service")),
    maybe(("loaded", "masked", "not-found", "")),
    maybe(("active", "inactive", "failed", "")),
    maybe(("running", "dead", "auto-restart", "")),
    maybe(("enabled", "disabled", "")),
    condition_met=maybe((True, None, False)),
    active_since=moments,
    inactive_since=moments,
)
undos = hostile.map(lambda text: f"firewall-cmd --direct --remove-rule {shlex.quote(text)}")
rules = st.builds(
    RuleAnalysis,
    st.lists(
        st.builds(
            BlockingRule,
            maybe(("nft", "ufw", "ip-route", "new")),
            hostile,
            hostile,
            st.just("drop"),
            st.just((80,)),
            st.none() | undos,
            maybe((True, None, False)),
        ),
        max_size=2,
    ).map(tuple),
    maybe(((), (DOUBT,))),
    listed=maybe(((), ("nft",))),
    missing=maybe(((), ("iptables",))),
)
lines = st.builds(LogLine, st.none() | st.integers(1, 99), moments, hostile)
logs = st.builds(
    LogFacts,
    maybe((True, False, None)),
    moments,
    failures=st.lists(lines, max_size=1).map(tuple),
    first_failure=st.none() | lines,
)
wires = st.dictionaries(maybe((80, 32526)), maybe(Connect)).map(
    lambda told: {number: WireTest(number, outcome, None, "curl") for number, outcome in told.items()}
)
guests = st.none() | st.builds(
    GuestFacts,
    complete=st.booleans(),
    uid=maybe((0, None, 1000)),
    clock=moments,
    service=services,
    processes=maybe((None, (), (AgentProcess(7, "T", "waagent"),), (AgentProcess(7, "S", "waagent"),))),
    disabled_by_file=maybe((None, False, True)),
    wire=wires,
    rules=rules,
    log=logs,
    interfaces=st.just((UP,)),
    route=st.builds(Route, maybe(("unicast", "none", "blackhole", "unknown")), text=hostile),
)
SOURCES = (INSTANCE_VIEW, SERIAL_LOG, HOST_METRICS, RESOURCE_HEALTH, NETWORK, PORT, RUN_COMMAND, SSH)
endings = st.dictionaries(maybe(SOURCES), maybe([state for state in State if state is not State.OK]))
wishes = st.builds(
    Wish,
    maybe(("auto", "always", "never")),
    maybe((None, "ops", "root")),
    maybe((None, "jump.example")),
    maybe((None, 2222)),
    maybe((None, "/keys/it's mine")),
)


@st.composite
def anything(draw: st.DrawFn) -> Facts:
    """Any facts whose parts agree with how asking ended: what gave a value ended well."""
    inside = draw(guests)
    channel = draw(maybe((SSH, RUN_COMMAND))) if inside is not None else None
    ended = {name: Answer(name, state, draw(hostile)) for name, state in draw(endings).items() if name != channel}
    return Facts(
        replace(TARGET, resource_group=draw(maybe(("rg-shop", "rg (old)"))), name="web-03"),
        ASKED,
        ended | ({channel: Answer(channel, State.OK, "root")} if channel else {}),
        draw(vms),
        draw(serials),
        draw(measured),
        draw(healths),
        draw(networks),
        draw(ports),
        inside,
        channel,
    )


def each_verdict(test):
    """Run a test on the verdict of any facts."""
    return settings(max_examples=100)(given(anything(), wishes)(test))


def dead_port(seen: Facts) -> bool:
    return (
        seen.port is not None
        and seen.port.outcome is PortOutcome.TIMED_OUT
        and seen.network is not None
        and seen.network.path_open is True
        and seen.port.address == seen.network.public_address
    )


@each_verdict
def test_a_verdict_is_never_more_than_what_was_seen(seen: Facts, wish: Wish):
    found = decide(seen, wish)
    greeted = seen.port is not None and seen.port.outcome is PortOutcome.GREETING
    if found.scenario in (Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING):
        assert not greeted
        assert seen.guest is None
        assert seen.state(SSH) is not State.DENIED
    if found.scenario is Scenario.HEALTHY:
        assert seen.vm is not None
        assert seen.vm.agent is AgentStatus.READY
        if seen.guest is None:
            _nothing_contradicts(seen, found)
    if seen.guest is None:
        assert found.scenario not in (Scenario.AGENT_STOPPED, Scenario.WIRE_SERVER_BLOCKED)
        if found.scenario is Scenario.AGENT_DEGRADED:
            assert found.confidence is Confidence.LIKELY
            assert seen.vm is not None
            assert any(extension.state == "failed" for extension in seen.vm.extensions)
    if found.scenario is Scenario.NETWORK_DOWN and found.confidence is Confidence.CERTAIN:
        assert seen.port is not None
        assert seen.network is not None
        assert seen.network.path_open is True
    if found.scenario is Scenario.UNCERTAIN:
        assert found.candidates or found.next_steps
        assert found.confidence is Confidence.WEAK
    ruled_out = {reason.scenario for reason in found.ruled_out}
    assert found.scenario not in ruled_out
    assert ruled_out.isdisjoint(found.candidates)


def _nothing_contradicts(seen: Facts, found: Verdict) -> None:
    assert found.confidence is Confidence.WEAK
    assert not dead_port(seen)
    assert seen.serial is None or seen.serial.outlook not in (Outlook.NOT_BOOTED, Outlook.NETWORK_DOWN, Outlook.BOOTING)
    assert seen.metrics is None or seen.metrics.network not in (NetworkTrend.FELL, NetworkTrend.FELL_JUST_NOW)
    assert seen.state(RUN_COMMAND) not in (State.TIMED_OUT, State.FAILED, State.GARBLED)


@each_verdict
def test_a_next_step_is_one_shell_line_that_does_nothing_else_and_loses_no_disk(seen: Facts, wish: Wish):
    for step in decide(seen, wish).next_steps:
        if step.command is None:
            continue
        assert_does_nothing_else(step.command)
        if "redeploy" in step.command:
            assert seen.vm is not None
            assert not seen.vm.ephemeral_os_disk


@each_verdict
def test_a_time_out_on_a_way_not_known_to_be_open_changes_nothing_of_the_verdict(seen: Facts, wish: Wish):
    shut = replace(seen, port=PortFacts(PUBLIC, 22, PortOutcome.TIMED_OUT), network=replace(OPEN, path_open=None))
    without = decide(replace(shut, port=None), wish)
    found = decide(shut, wish)
    if seen.serial is not None and seen.serial.outlook is Outlook.NOT_BOOTED:
        return  # where the log shows a boot that failed, a port that is out of reach agrees with it
    assert (found.scenario, found.candidates, found.confidence) == (
        without.scenario,
        without.candidates,
        without.confidence,
    )


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "wish", [Wish(), Wish(ssh_user="root"), Wish(ssh_user="ops", ssh_key="/k; reboot", ssh_port=22)]
)
def test_what_the_guest_calls_its_unit_reaches_no_shell(text, wish):
    for service in (replace(STOPPED, unit=f"{text}.service"), replace(RUNS, unit=f"{text}.service")):
        for channel in (SSH, RUN_COMMAND):
            seen = facts(vm=NOT_READY, network=OPEN, guest=guest(service), guest_channel=channel)
            for step in decide(seen, wish).next_steps:
                if step.command:
                    assert_does_nothing_else(step.command)


@pytest.mark.parametrize("text", [t for t in HOSTILE if "\n" not in t])
@pytest.mark.parametrize(
    "lines",
    [
        "fw.list iptables iptables\nfw.iptables filter :OUTPUT ACCEPT\nfw.iptables filter -A OUTPUT -d 168.63.129.16/32 -m comment --comment {} -j DROP",
        "fw.list iptables {}\nfw.iptables filter -A OUTPUT -d 168.63.129.16/32 -j DROP",
        "fw.list nft\nfw.direct ipv4 filter OUTPUT 0 -d 168.63.129.16/32 -m comment --comment {} -j DROP",
        "fw.list iptables iptables\nfw.iptables filter -A ufw-user-output -d 168.63.129.16/32 -j DROP\nfw.ufw deny any {} 168.63.129.16 any 0.0.0.0/0 out",
        "route RTNETLINK answers: Invalid argument\nvia blackhole 168.63.129.16 dev {}\niprule 0{}: from all {} blackhole",
    ],
)
def test_rules_written_by_a_hostile_guest_reach_no_shell(lines, text):
    answer = parse_probe(
        "vmagent-probe 1\nuid 0\nsystemd yes\nunit waagent.service LoadState=loaded\nunit waagent.service ActiveState=active\n"
        "wire 80 timed-out - curl 28\nwire 32526 timed-out - curl 28\n" + lines.format(*[text] * 3) + "\nend 4 0\n"
    )
    found = decide(facts(vm=NOT_READY, guest=answer), Wish())
    for step in found.next_steps:
        if step.command:
            assert_does_nothing_else(step.command)


def test_a_rule_that_names_another_command_is_shown_whole_but_runs_only_as_data():
    rule = replace(DROP, rule="drop $(reboot)", undo="firewall-cmd --remove-rule 'drop $(reboot)'")
    found = decide(facts(vm=NOT_READY, guest=guest(RUNS, Connect.TIMED_OUT, rules=blocked_by(rule))), Wish())
    assert found.cause.culprit == "drop $(reboot)"
    assert shlex.split(found.next_steps[0].command)[-1] == "drop $(reboot)"


KNOWN = {
    "az",
    "ssh",
    "sudo",
    "systemctl",
    "journalctl",
    "firewall-cmd",
    "nft",
    "iptables",
    "iptables-legacy",
    "ufw",
    "ip",
    "tc",
    "dhclient",
    "service",
    "networkctl",
    "nmcli",
    "rm",
}


def assert_does_nothing_else(line: str, depth: int = 0) -> None:
    """Outside quotes only plain words and our own separators, each command one of ours; so in the line passed on."""
    words = shlex.split(line)
    quoted = re.compile("'[^']*'|\"[^\"]*\"")
    assert {part for part in quoted.findall(line) if part[0] == '"'} <= {'"\'"'}, line
    bare = quoted.sub("Q", line)
    for command in re.split(r" && |; ", bare):
        assert re.fullmatch(r"[A-Za-z0-9_ ./:=@,+%-]+", command), line
        assert command.split()[0] in KNOWN, line
    carries = words[0] in ("ssh", "az", "sudo") and words[:3] != ["az", "vm", "agent-diagnose"]
    if depth < 2 and carries and " " in words[-1]:
        assert_does_nothing_else(words[-1], depth + 1)


@pytest.fixture(scope="module")
def paste(tmp_path_factory):
    """A shell whose every program is ours: ssh, az and sudo hand their last words on, reboot tells that it ran."""
    programs = tmp_path_factory.mktemp("bin")
    handing_on = (
        '#!/bin/sh\nfor last; do :; done\ncase $last in *" "*) exec /bin/sh -c "$last";; esac\n',
        ("ssh", "az", "sudo", "sh"),
    )
    telling = ('#!/bin/sh\necho ran "$0"\n', ("reboot",))
    harmless = ("#!/bin/sh\n", KNOWN - {"ssh", "az", "sudo"})
    for text, names in (handing_on, telling, harmless):
        for name in names:
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)

    def run(line: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", line], env={"PATH": str(programs)}, capture_output=True, text=True, timeout=5, check=False
        )
        return done.stdout

    return run


@pytest.mark.parametrize("wish", [Wish(), Wish(ssh_user="root"), Wish(ssh_user="ops")], ids=["raw", "root", "sudo"])
@pytest.mark.parametrize(
    "text", ["x;reboot", "$(reboot)", "`reboot`", "';reboot;'", "\n reboot\n", "x&&reboot", "|reboot"]
)
def test_a_pasted_remedy_starts_nothing_that_the_guest_wrote(paste, text, wish):
    rule = replace(DROP, undo=f"firewall-cmd --direct --remove-rule {shlex.quote(text)}")
    for service in (replace(STOPPED, unit=f"{text}.service"), replace(RUNS, unit=f"{text}.service")):
        for port80 in (Connect.OK, Connect.TIMED_OUT):
            inside = guest(service, port80, rules=blocked_by(rule))
            for step in decide(facts(vm=NOT_READY, network=OPEN, guest=inside), wish).next_steps:
                assert "ran" not in paste(step.command or "")


def test_the_shell_of_this_test_would_tell(paste):
    assert "ran" in paste("ssh host 'true; reboot'")
