"""The arguments of a repair, and the refusals that say what to write instead."""

from __future__ import annotations

import pytest
from azure.cli.core.azclierror import InvalidArgumentValueError, RequiredArgumentMissingError

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


def test_several_virtual_machines_are_repaired_only_with_yes_and_looked_at_without():
    with pytest.raises(RequiredArgumentMissingError, match="--yes") as caught:
        targets.repair_wish(True, False, False, None, TWO)
    assert "--dry-run" in str(caught.value.recommendations)
    assert targets.repair_wish(True, True, False, None, TWO) == RepairWish(dry_run=True)


def test_a_repair_is_not_carried_out_yet_and_says_so_before_anything_is_asked():
    with pytest.raises(InvalidArgumentValueError, match="does not carry it out") as caught:
        targets.repair_wish(True, False, True, None, ONE)
    assert "--dry-run" in str(caught.value.recommendations)
