"""Every cause that the guest's own word names, whatever the verdict makes of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from azext_vmagent.causes import agent, agent_hindrances, agent_idle, boot, network, unit_network, windows, wire_server
from azext_vmagent.facts.guest_facts import Connect, GuestFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Cause


def named_inside(facts: Facts) -> dict[str, tuple[Cause, ...]]:
    """The causes by code; empty when nobody looked inside."""
    guest = facts.guest
    if guest is None:
        return {}
    found = _windows(guest) if guest.windows is not None else _linux(facts, guest)
    by_code: dict[str, tuple[Cause, ...]] = {}
    for cause in dict.fromkeys(found):
        by_code[cause.code] = (*by_code.get(cause.code, ()), cause)
    return by_code


def _linux(facts: Facts, guest: GuestFacts) -> Iterator[Cause]:
    yield from agent.causes(guest)
    yield from agent_hindrances.silencing(guest)
    yield from agent_hindrances.limiting(guest)
    maybe = (
        agent_idle.wedged_cause,
        agent_idle.something_else,
        agent_idle.without_worker,
        agent_idle.waits_for_cloud_init,
    )
    yield from _there(look(guest) for look in (*maybe, agent.outside_its_service))
    yield from _there((agent_idle.silent_cause(facts), agent_idle.clock_off(facts)))
    yield from _there((boot.hung_disk_cause(guest, facts.serial),))
    if _out_of_reach(guest):
        yield from wire_server.causes(guest)
        yield from _there((network.inside_cause(guest, facts.network.private_address if facts.network else None),))
    elif guest.log.failures or not any(process.worker for process in guest.processes or ()):
        yield from _there((unit_network.unit_cut_off(guest),))


def _windows(guest: GuestFacts) -> Iterator[Cause]:
    yield from _there((windows.service_cause(guest), windows.proxy_cause(guest)))
    yield from windows.side_causes(guest, guest.clock)
    if _out_of_reach(guest):
        yield from windows.wire_causes(guest)
    yield from windows.agent_only_causes(guest)
    named = windows.log_cause(guest)
    yield from _there((named[0] if named else None,))


def _out_of_reach(guest: GuestFacts) -> bool:
    """A rule or a route counts where the test of the Wire Server, as root, did not get through."""
    return guest.root is True and any(
        guest.outcome(port) not in (Connect.OK, Connect.NOT_SAID, Connect.NO_TOOL) for port in (80, 32526)
    )


def _there(found: Iterable[Cause | None]) -> Iterator[Cause]:
    return (cause for cause in found if cause is not None)
