"""Scenario 3, Linux: the agent waits for the network, or lost it when it worked on it itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from azext_vmagent.causes.catalogue.network_interface import (
    LINUX_NETWORK,
    LOG_IN,
    LOOK,
    RENEW,
    RESET,
    RESET_NIC,
    from_boot,
)
from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign
from azext_vmagent.causes.signs import agent_says, only_when, said_in_log, serial_line, serial_words, unrecovered
from azext_vmagent.facts.agent_log import GOAL_STATE_FETCHED
from azext_vmagent.facts.guest_facts import LogLine
from azext_vmagent.facts.reading import AGENT_LOG, Facts
from azext_vmagent.model import Scenario

_RIGHT_AFTER = timedelta(minutes=10)


def _silent_after_hostname(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """The agent published a new host name, and its run of failures began right after."""
    log = scene.facts.agent_log
    if log is None or not log.wire_server.failures:
        return
    first = log.wire_server.first_failure or log.wire_server.failures[0]
    for change in log.search("Detected hostname change"):
        if _follows(first, change):
            yield said_in_log("the network was lost right after the agent published a host name", AGENT_LOG, change)
            yield said_in_log("the first failure after it", AGENT_LOG, first)


def _follows(later: LogLine, earlier: LogLine) -> bool:
    if later.time is None or earlier.time is None:
        return False
    return timedelta(0) <= later.time - earlier.time <= _RIGHT_AFTER


def _agent_fails(facts: Facts) -> bool:
    """The agent does not reach the Wire Server now, by its own log."""
    guest, log = facts.guest, facts.agent_log
    return bool((guest is not None and guest.log.failures) or (log is not None and log.wire_server.failures))


_NOT_RESTARTED = r"failed to restart (?P<culprit>(?!systemd)[\w.-]{1,16}): return code (?!127\b)"
_REACHED = re.compile("ire server endpoint:|" + GOAL_STATE_FETCHED.pattern)
_UP_AGAIN = re.compile("restart successfully brought|" + GOAL_STATE_FETCHED.pattern)
_RESTART = agent_says(
    "failed to restart",
    _NOT_RESTARTED,
    "the interface did not come up again",
    recovered_by=GOAL_STATE_FETCHED,
    on_console=False,
)

AGENT_WAITS = KnownCause(
    code="I14",
    slug="agent-waits-for-network",
    title="The agent waits for an address",
    scenario=Scenario.NETWORK_DOWN,
    means="At its start the agent found no IPv4 address on any interface. It says so every ten seconds, tries to "
    "start the interface, and does nothing else until there is one. The cause lies in the guest's network.",
    looks_like=("waagent.log and console: INFO Waiting for network. INFO Try to start network interface.",),
    not_to_confuse=(
        "Once or twice at a start: the address came a moment later.",
        "I01, I02, I07: what is wrong with the interface.",
        "L14: it waits for cloud-init.",
    ),
    signs=(
        from_boot(),
        unrecovered(serial_words("network")),
        *agent_says(
            "Try to start network interface",
            what="the agent finds no address on any interface",
            recovered_by=_REACHED,
            on_console=False,
        ),
    ),
    covers=("N24",),
    remedies=(LOG_IN, LOOK, RESET_NIC),
    links=(LINUX_NETWORK, RESET),
    sources=("WALinuxAgent common/dhcp.py: wait_for_network",),
)


HOSTNAME_RESTART = KnownCause(
    code="I11",
    slug="network-lost-on-hostname",
    title="Publishing the host name took the network away",
    scenario=Scenario.NETWORK_DOWN,
    means="When the host name changes, the agent tells DHCP of it by restarting NetworkManager and the interface. On "
    "some systems both work on the interface at once, and the address is lost: about every tenth first boot of some "
    "images.",
    looks_like=(
        "waagent.log: EnvMonitor: Detected hostname change: template -> web-03, and no answer from then on",
        "waagent.log: The primary network interface eth0 operational state is 'down'.",
        "waagent.log: Network Manager restart failed to bring network interface eth0 into 'up' and 'connected' state",
    ),
    not_to_confuse=(
        "«Detected hostname change» at a first boot that goes on well: the usual case.",
        "I17: the agent restarted the interface for another reason.",
    ),
    signs=(
        Sign(Need.AGENT_LOG, _silent_after_hostname),
        *agent_says(
            "Network Manager restart failed to bring",
            r"Network Manager restart failed to bring network interface (?P<culprit>[\w.-]{1,16}) into",
            "the interface did not come up again after the host name was published",
            recovered_by=_UP_AGAIN,
        ),
        *agent_says(
            "The primary network interface",
            r"The primary network interface (?P<culprit>[\w.-]{1,16}) operational state is '(?!up')\w{1,16}'",
            "the interface is not up after the host name was published",
            recovered_by=_UP_AGAIN,
        ),
    ),
    covers=("I07", "N09", "N24"),
    remedies=(
        LOG_IN,
        Remedy("ask DHCP again", RENEW, effect="address and routes as Azure gave them"),
        Remedy(
            "keep the agent from publishing host names, or update it",
            "sed -i 's/^Provisioning.MonitorHostName=.*/Provisioning.MonitorHostName=n/' /etc/waagent.conf && "
            "systemctl restart {unit}",
            effect="Azure's DNS learns a new host name at the next lease only",
            undo="sed -i 's/^Provisioning.MonitorHostName=.*/Provisioning.MonitorHostName=y/' /etc/waagent.conf && "
            "systemctl restart {unit}",
        ),
    ),
    links=("azure/virtual-machines/extensions/update-linux-agent", RESET),
    sources=("WALA#3356", "WALA#3008", "WALinuxAgent common/osutil/redhat.py"),
)


AGENT_TOOK_IT_DOWN = KnownCause(
    code="I17",
    slug="interface-not-restarted",
    title="The agent restarted the interface and it did not come up again",
    scenario=Scenario.NETWORK_DOWN,
    means="To publish a host name or to renew a lease, the agent takes the interface down and up (ifdown eth0 && ifup "
    "eth0). The second half fails, and the network is gone until somebody brings it up.",
    looks_like=(
        "waagent.log: Command: [ifdown eth0 && ifup eth0], return code: [1]",
        "waagent.log: failed to restart eth0: return code 1; exceeded restart retries",
    ),
    not_to_confuse=(
        "«return code 127»: there is no ifdown, nothing was taken down.",
        "I11: NetworkManager and the agent worked on it at once.",
    ),
    signs=(
        *(only_when(_agent_fails, sign) for sign in _RESTART),
        unrecovered(serial_line("failed to restart", _NOT_RESTARTED, "the interface did not come up again")),
    ),
    covers=("N09", "N24"),
    remedies=(LOG_IN, Remedy("bring it up", f"ip link set eth0 up && {{ {RENEW}; }}"), RESET_NIC),
    links=("azure/virtual-machines/extensions/update-linux-agent", RESET),
    sources=("WALA#2129", "WALA#585", "WALinuxAgent common/osutil/default.py: restart_if"),
)
