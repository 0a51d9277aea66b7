"""What the facts say, as yes or no: the words in which the rules of ``decide.py`` are written. Pure."""

from __future__ import annotations

from datetime import timedelta

from azext_vmagent.causes import platform
from azext_vmagent.facts.host_metrics import CpuState, NetworkTrend
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.port import PortOutcome, way_is_open
from azext_vmagent.facts.reading import SSH, Facts
from azext_vmagent.facts.screenshot import ScreenKind, Sure
from azext_vmagent.facts.serial_log import Outlook
from azext_vmagent.model import Scenario, State, Verdict


def alive(facts: Facts) -> bool:
    """The guest or its server spoke just now, or the host saw its traffic in a minute that began after we had asked.

    An older minute does not count: the guest may have broken since, and the instance view does not say when.
    """
    if greets(facts):
        return True
    return facts.guest is not None or facts.state(SSH) is State.DENIED or flows_now(facts)


def greets(facts: Facts) -> bool:
    """The SSH server greets."""
    return facts.port is not None and facts.port.outcome is PortOutcome.GREETING


def accepts_only(facts: Facts) -> bool:
    """The guest's own kernel accepts a connection, no server says a word; a middle box does so for a dead one."""
    port = facts.port
    return port is not None and port.outcome is PortOutcome.SILENT and way_is_open(port, facts.network)


def flows_now(facts: Facts) -> bool:
    """The host sees the usual traffic in a minute that began after the question."""
    metrics = facts.metrics
    return metrics is not None and metrics.network is NetworkTrend.FLOWING and metrics.covers(facts.asked_at)


def console_lives(facts: Facts) -> bool:
    """Kernel and getty answered Enter at the console just now: the OS runs, whatever its network does."""
    return facts.console is not None and facts.console.lives


def console_hangs(facts: Facts) -> bool:
    """The login prompt did not react, and the host does not see the processor work in a minute after that question."""
    metrics = facts.metrics
    works = metrics is not None and metrics.cpu is CpuState.ALIVE and metrics.covers(facts.asked_at)
    return facts.console is not None and facts.console.hangs and not works


def one_key_would_tell(verdict: Verdict) -> bool:
    """Whether Enter at the console's login prompt would tell a hanging OS from what else is still possible."""
    return (
        verdict.scenario is Scenario.UNCERTAIN
        and Scenario.OS_NOT_RUNNING in verdict.candidates
        and len(verdict.candidates) > 1
    )


def silent(facts: Facts) -> bool:
    """Azure does not show the agent Ready."""
    return facts.vm is not None and facts.vm.agent is not AgentStatus.READY


def one_more_minute_would_tell(facts: Facts, verdict: Verdict) -> bool:
    """Whether host metrics of a minute that begins after ``asked_at`` would tell 3 from 4: worth waiting for."""
    return (
        verdict.scenario is Scenario.UNCERTAIN
        and set(verdict.candidates) == {Scenario.NETWORK_DOWN, Scenario.OS_NOT_RUNNING}
        and facts.guest is None
        and facts.metrics is not None
        and facts.metrics.newest is not None
        and facts.metrics.network is not NetworkTrend.ALWAYS_LOW
        and not facts.metrics.covers(facts.asked_at)
        and not (facts.serial is not None and facts.serial.outlook is Outlook.BOOTING)
    )


def refused(facts: Facts) -> bool:
    """The port refuses: a live network stack without a server."""
    return facts.port is not None and facts.port.outcome is PortOutcome.REFUSED


def times_out(facts: Facts) -> bool:
    """Nothing at all came back from the port."""
    return facts.port is not None and facts.port.outcome is PortOutcome.TIMED_OUT


def dead_port(facts: Facts) -> bool:
    """The port times out although the way to it is known to be open."""
    return times_out(facts) and facts.port is not None and way_is_open(facts.port, facts.network)


def fell(facts: Facts) -> bool:
    """The network traffic has stopped, by the VM's own last 24 hours."""
    return facts.metrics is not None and facts.metrics.network in (NetworkTrend.FELL, NetworkTrend.FELL_JUST_NOW)


def serial_speaks_against(facts: Facts) -> bool:
    """The newest boot does not stand at a prompt with a working network."""
    against = (Outlook.NETWORK_DOWN, Outlook.NOT_BOOTED, Outlook.BOOTING)
    return facts.serial is not None and facts.serial.outlook in against


def locked(facts: Facts) -> bool:
    """The screenshot surely shows Windows' lock screen: the OS came up, and may stand still since."""
    screen = facts.screenshot
    return screen is not None and screen.kind is ScreenKind.LOCK_SCREEN and screen.sure is Sure.LIKELY


def serial_network_down(facts: Facts) -> bool:
    """The newest boot says itself that its network did not come up."""
    return facts.serial is not None and facts.serial.outlook is Outlook.NETWORK_DOWN


def young(facts: Facts) -> timedelta | None:
    """How old a VM is that was created minutes ago; None for an older one."""
    created = facts.vm.time_created if facts.vm is not None else None
    old = facts.asked_at - created if created is not None else None
    return old if old is not None and timedelta(0) <= old < platform.YOUNG else None
