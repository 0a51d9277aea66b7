"""A repair of the real guest whose program is killed there: the next call makes it whole, or takes it back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.laboratory import Laboratory, scenario
from tests.real_guest.test_network_faults import network_of
from tests.real_guest.test_repair import diagnose

pytestmark = [pytest.mark.real_guest, pytest.mark.every_repair]

#: kills who holds the lock as soon as the record says the word; once there is a record it forks nothing, to be quick
_ASSASSIN = """
until ls /var/lib/azure-vmagent/repairs/*/state >/dev/null 2>&1; do sleep 0.2; done
while :; do
    for state in /var/lib/azure-vmagent/repairs/*/state; do
        [ -e "$state" ] || continue
        while read -r said; do
            [ "$said" = "$1" ] || continue
            read -r pid _ </var/lib/azure-vmagent/lock && kill -9 "$pid" && : >/run/killed
            exit
        done <"$state"
    done
done
"""
RECORD = "tail -n 1 /var/lib/azure-vmagent/repairs/*/state"
STEPS = ("prechecked", "backed-up", "applying 1", "applied 1")


@pytest.fixture
def guest(lab: Laboratory) -> Iterator[Laboratory]:
    yield lab
    lab.lab("renew")


def killed(guest: Laboratory, at: str) -> dict[str, Any]:
    """What the product says of a repair that was killed when its record had come to this word."""
    guest.in_guest(f"cat >/run/assassin <<'end'\n{_ASSASSIN}\nend\nsetsid sh /run/assassin '{at}' >/dev/null 2>&1 &")
    for _ in range(4):
        told = diagnose(guest, "--repair", "--yes", "--no-wait")
        if (told["repair"]["plan"]["refusal"] or {}).get("code") not in ("uncertain", "answer-not-whole"):
            break  # a busy machine's guest is too slow to test everything, and then nothing is changed: ask again
    assert guest.in_guest("ls /run/killed").strip() == "/run/killed", told["repair"]
    guest.in_guest("rm /run/killed /run/assassin")
    repair: dict[str, Any] = told["repair"]
    return repair


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("fault", ["agent-stopped", "wire-server-iptables"])
def test_a_second_run_makes_it_whole(guest: Laboratory, fault: str, at: str) -> None:
    rules = network_of(guest)
    guest.lab("fault", fault)
    first = killed(guest, at)
    assert (first["outcome"], first["applied"]["answered"]) == ("not-repaired", False), first
    second = diagnose(guest, "--repair", "--yes", "--wait-timeout", "240")
    assert second["repair"]["outcome"] in ("repaired", "nothing-to-do"), second["repair"]
    assert scenario(second) == "healthy"
    guest.wait_for_agent("Ready")
    assert network_of(guest) == rules


@pytest.mark.parametrize("at", ["applying 1", "applied 1"])
def test_it_can_be_taken_back_instead(guest: Laboratory, at: str) -> None:
    guest.lab("fault", "wire-server-iptables")
    broken = network_of(guest)
    killed(guest, at)
    undone = diagnose(guest, "--undo", "--yes", "--no-wait")["repair"]
    assert undone["outcome"] in ("undone", "nothing-to-do"), undone
    assert network_of(guest) == broken
