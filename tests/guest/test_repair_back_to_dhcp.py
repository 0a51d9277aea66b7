"""What was set by hand makes way for DHCP, and only where the guest's own configuration says DHCP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from azext_vmagent.repair.record import Result
from tests.guest.namespace import lacking
from tests.guest.repairing import RepairGuest, act, repair_guest

pytestmark = [
    pytest.mark.this_machine,
    pytest.mark.skipif(bool(lacking()), reason=f"NOT TRIED against the kernel: lacking {lacking()}"),
]
#: the client of ifupdown: gives what the laboratory's DHCP would
IFUP = """echo "ifup $*" >>/run/asked
ip addr add $(cat /run/given) dev eth0
ip route add default via $(cat /run/gateway) dev eth0"""
STANZA = "auto eth0\niface eth0 inet {}\n"


@pytest.fixture
def guest() -> Iterator[RepairGuest]:
    with repair_guest() as made:
        made.sh("""
            mkdir -p /run/etc /run/etc-work
            mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc-work over /etc
            rm -rf /etc/network; mkdir -p /etc/network/interfaces.d
            ip -4 route show default | head -n 1 | sed 's/.* via \\([0-9.]*\\).*/\\1/' >/run/gateway
            ip -4 -o addr show dev eth0 | sed 's/.* inet \\([0-9./]*\\) .*/\\1/' >/run/given
        """)
        made.tool("ifdown", 'echo "ifdown $*" >>/run/asked')
        made.tool("ifup", IFUP)
        yield made


def told(guest: RepairGuest, how: str, file: str = "/etc/network/interfaces") -> None:
    guest.sh(f"cat >>{file} <<'END'\n{STANZA.format(how)}END")


def plan(guest: RepairGuest, address: str = ""):
    return act("back-to-dhcp", "eth0", "dhclient", address or guest.sh("cut -d / -f 1 /run/given").strip())


def network(guest: RepairGuest) -> str:
    return guest.sh(
        "ip -4 -o addr show dev eth0 scope global | sed 's/.* inet \\([0-9./]*\\) .*/\\1/'; ip -4 route show | sort"
    )


def wrong_gateway(guest: RepairGuest) -> None:
    guest.sh("ip route del default; ip route add default via $(sed 's/[0-9]*$/254/' /run/gateway) dev eth0")


def wrong_address(guest: RepairGuest) -> None:
    """One of another subnet, to which nobody answers."""
    guest.sh("""
        ip addr del $(cat /run/given) dev eth0
        ip addr add 10.66.0.77/24 dev eth0
        ip route add default via $(cat /run/gateway) dev eth0 onlink
    """)


def no_route(guest: RepairGuest) -> None:
    guest.sh("ip route del default")


@pytest.mark.parametrize("fault", [wrong_gateway, wrong_address, no_route])
def test_what_was_set_by_hand_goes_and_undo_puts_it_back(guest: RepairGuest, fault) -> None:
    told(guest, "dhcp")
    well = network(guest)
    fault(guest)
    before = network(guest)
    record = guest.repair(plan(guest))
    assert (record.result, record.other_rules_same) == (Result.APPLIED, True), record
    assert network(guest) == well
    assert guest.repair(plan(guest)).result is Result.NOTHING_TO_DO
    assert guest.undo().result is Result.UNDONE
    assert network(guest) == before


@pytest.mark.parametrize("how", ["static", "manual"])
def test_a_configuration_that_does_not_say_dhcp_is_left_alone(guest: RepairGuest, how: str) -> None:
    told(guest, how)
    wrong_gateway(guest)
    before = network(guest)
    assert guest.repair(plan(guest)).result is Result.FAILED
    assert network(guest) == before
    assert guest.sh("[ -e /run/asked ] && echo asked || echo no") == "no\n"


def test_two_stanzas_that_disagree_are_left_alone(guest: RepairGuest) -> None:
    told(guest, "dhcp")
    told(guest, "static", "/etc/network/interfaces.d/more")
    wrong_gateway(guest)
    before = network(guest)
    assert guest.repair(plan(guest)).result is Result.FAILED
    assert network(guest) == before


def test_a_lease_that_does_not_come_puts_the_old_state_back(guest: RepairGuest) -> None:
    told(guest, "dhcp")
    guest.tool("ifup", "exit 1")
    guest.tool("sleep", "exec /bin/sleep 0.05")
    wrong_gateway(guest)
    before = network(guest)
    assert guest.repair(plan(guest)).result is Result.REVERTED
    assert network(guest) == before


def test_another_address_than_azures_is_not_called_repaired(guest: RepairGuest) -> None:
    told(guest, "dhcp")
    guest.tool("sleep", "exec /bin/sleep 0.05")
    no_route(guest)
    assert guest.repair(plan(guest, "10.99.99.99")).result is not Result.APPLIED


@pytest.mark.parametrize("at", ["applying 1+", "applied 1", "applied 1+"])
def test_killed_half_way_an_undo_puts_it_back(guest: RepairGuest, at: str) -> None:
    told(guest, "dhcp")
    wrong_address(guest)
    before = network(guest)
    guest.killed([plan(guest)], at)
    assert guest.undo().result in (Result.UNDONE, Result.NOTHING_TO_DO)
    assert network(guest) == before
