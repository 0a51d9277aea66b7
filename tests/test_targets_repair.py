"""The arguments of a repair, and the refusals that say what to write instead."""

from __future__ import annotations

import pytest
from azure.cli.core.azclierror import (
    InvalidArgumentValueError,
    MutuallyExclusiveArgumentError,
    RequiredArgumentMissingError,
)

from azext_vmagent import targets
from azext_vmagent.model import Target
from azext_vmagent.repair.consent import RepairWish
from azext_vmagent.repair.model import Permission

ONE = [Target("s", "rg", "web")]
TWO = [*ONE, Target("s", "rg", "db")]


def test_without_repair_nothing_is_planned():
    assert targets.repair_wish(False, False, False, None, ONE) is None


def test_a_dry_run_may_name_what_it_would_be_allowed():
    wish = targets.repair_wish(True, True, False, ["restart", "reset-nic"], ONE)
    assert wish == RepairWish(True, False, frozenset({Permission.RESTART, Permission.RESET_NIC}))


@pytest.mark.parametrize(
    ("dry_run", "yes", "allow", "named"),
    [(True, False, None, "--dry-run"), (False, True, None, "--yes"), (False, False, ["restart"], "--allow")],
)
def test_how_to_repair_without_repair_is_an_error(dry_run, yes, allow, named):
    with pytest.raises(RequiredArgumentMissingError, match=named) as caught:
        targets.repair_wish(False, dry_run, yes, allow, ONE)
    assert "--repair" in str(caught.value.recommendations)


def test_several_virtual_machines_are_repaired_by_one_call():
    assert targets.repair_wish(True, False, True, None, TWO) == RepairWish(yes=True)
    assert targets.repair_wish(True, True, False, None, TWO) == RepairWish(dry_run=True)


@pytest.mark.parametrize("option", ["undo", "print_script"])
def test_what_is_for_one_guest_is_refused_for_several(option):
    with pytest.raises(InvalidArgumentValueError, match=f"--{option.replace('_', '-')}.* one virtual machine"):
        targets.repair_wish(option != "undo", False, True, None, TWO, **{option: True})


def test_a_machine_that_is_named_twice_is_not_repaired_twice():
    with pytest.raises(InvalidArgumentValueError, match="named twice"):
        targets.repair_wish(True, False, True, None, [*ONE, Target("S", "RG", "Web")])


def test_a_repair_and_its_undo_exclude_each_other():
    with pytest.raises(MutuallyExclusiveArgumentError, match="--undo"):
        targets.repair_wish(True, False, True, None, ONE, undo=True)
    assert targets.repair_wish(False, False, True, None, ONE, undo=True) == RepairWish(yes=True, undo=True)


def test_how_long_to_wait_is_taken_and_a_negative_time_refused():
    assert targets.repair_wish(True, False, True, None, ONE, wait=0) == RepairWish(yes=True, wait=0)
    with pytest.raises(InvalidArgumentValueError, match="--wait-timeout"):
        targets.repair_wish(True, False, True, None, ONE, wait=-1)
