"""Two laboratories on one machine: what a guest of one answers must not be taken for the other's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.guests.loopback import LoopbackNetwork


@pytest.fixture
def first() -> Iterator[LoopbackNetwork]:
    network = LoopbackNetwork()
    yield network
    network.close()


def test_two_laboratories_have_no_address_in_common(first: LoopbackNetwork) -> None:
    second = LoopbackNetwork()
    try:
        mine = {first.address(index) for index in range(50)}
        assert len(mine) == 50
        assert mine.isdisjoint(second.address(index) for index in range(50))
    finally:
        second.close()


def test_addresses_are_had_again_after_the_end(first: LoopbackNetwork) -> None:
    second = LoopbackNetwork()
    number = second.number
    second.close()
    third = LoopbackNetwork()
    try:
        assert third.number <= number
    finally:
        third.close()
