"""Every fault can be found by its name and says what it is."""

from __future__ import annotations

import pytest

from lab import faults
from lab.arm.vm import LabVm
from lab.guests.base import LabError

ARTICLE = {"agent-stopped", "wire-server-firewalld", "nic-down", "fstab-emergency"}


def test_the_articles_faults_and_the_states_around_them_are_there() -> None:
    assert ARTICLE | {"deallocated", "no-agent", "just-created"} <= set(faults.names())


@pytest.mark.parametrize("name", faults.names())
def test_a_fault_says_what_it_is_and_can_be_made_and_undone(name: str) -> None:
    fault = faults.load(name)
    assert fault.SUMMARY
    assert callable(fault.inject)
    assert callable(fault.heal)


def test_an_unknown_fault_is_named_with_those_there_are() -> None:
    with pytest.raises(LabError, match=r"no fault 'nic-up'; there are .*nic-down"):
        faults.load("nic-up")


class _Refusing:
    name = "vm1"

    def shell(self, command: str, timeout: float = 60) -> tuple[int, str]:
        return 5, "Unit not found"


def test_a_command_that_fails_in_the_guest_is_an_error_with_its_output() -> None:
    with pytest.raises(LabError, match="failed in the guest with 5: Unit not found"):
        faults.load("agent-stopped").inject(LabVm(_Refusing()))  # type: ignore[arg-type]
