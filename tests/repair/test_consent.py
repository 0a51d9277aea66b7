"""Who has to agree to what: nothing is done without consent, and nothing that restarts a VM without its name."""

from __future__ import annotations

import itertools

import pytest

from azext_vmagent.repair.consent import Consent, RepairWish, decide
from azext_vmagent.repair.model import AZURE, Action, Permission, Refusal, RepairPlan, Risk


def action(allow: Permission | None = None) -> Action:
    return Action("start-agent", "start", "x", Risk.NONE, "none", 1, "x", "x", allow=allow)


IN_GUEST = RepairPlan((action(),), "ssh")
RESTART = RepairPlan((action(Permission.RESTART),), AZURE)
REDEPLOY = RepairPlan((action(Permission.REDEPLOY),), AZURE)
REFUSED = RepairPlan(refusal=Refusal("healthy", "there is nothing to repair"))
YES = RepairWish(yes=True)


@pytest.mark.parametrize(
    ("plans", "wish", "terminal", "consent", "add"),
    [
        ([IN_GUEST], RepairWish(), True, Consent.ASK, ()),
        ([IN_GUEST], RepairWish(), False, Consent.MISSING, ("--yes",)),
        ([IN_GUEST], YES, False, Consent.GO, ()),
        ([IN_GUEST], YES, True, Consent.GO, ()),
        ([IN_GUEST], RepairWish(dry_run=True, yes=True), True, Consent.SHOW_ONLY, ()),
        ([RESTART], RepairWish(), True, Consent.MISSING, ("--allow", "restart")),
        ([RESTART], YES, True, Consent.MISSING, ("--allow", "restart")),
        ([RESTART], RepairWish(), False, Consent.MISSING, ("--yes", "--allow", "restart")),
        ([RESTART], RepairWish(dry_run=True), True, Consent.SHOW_ONLY, ("--allow", "restart")),
        ([RESTART], RepairWish(allowed=frozenset({Permission.RESTART})), True, Consent.ASK, ()),
        ([RESTART], RepairWish(yes=True, allowed=frozenset({Permission.RESTART})), False, Consent.GO, ()),
        ([RESTART], RepairWish(yes=True, allowed=frozenset({Permission.REDEPLOY})), False, Consent.MISSING, ("--allow", "restart")),
        ([REDEPLOY, RESTART], YES, True, Consent.MISSING, ("--allow", "restart", "redeploy")),
        ([IN_GUEST, IN_GUEST], RepairWish(), True, Consent.MISSING, ("--yes",)),
        ([IN_GUEST, REFUSED], YES, True, Consent.GO, ()),
        ([REFUSED], YES, True, Consent.NOTHING, ()),
        ([REFUSED, REFUSED], RepairWish(), False, Consent.NOTHING, ()),
        ([], YES, True, Consent.NOTHING, ()),
    ],
)  # fmt: skip
def test_who_is_asked_and_what_is_missing(plans, wish, terminal, consent, add):
    found = decide(plans, wish, terminal)
    assert (found.consent, found.add) == (consent, add)
    assert found.why


def test_what_is_missing_is_said_in_words():
    assert decide([IN_GUEST], RepairWish(), False).why == "there is no terminal to ask at"
    assert decide([IN_GUEST, IN_GUEST], RepairWish(), True).why == "several VMs need --yes"
    assert decide([RESTART], RepairWish(), True).why == "restart must be named"


@pytest.mark.parametrize(
    ("plans", "yes", "dry_run", "terminal", "allowed"),
    itertools.product(
        [[IN_GUEST], [RESTART], [REDEPLOY, IN_GUEST]],
        [True, False],
        [True, False],
        [True, False],
        [frozenset(), frozenset({Permission.RESTART}), frozenset(Permission)],
    ),
)
def test_a_change_goes_ahead_only_with_every_permission_and_a_yes(plans, yes, dry_run, terminal, allowed):
    found = decide(plans, RepairWish(dry_run, yes, allowed), terminal)
    needed = {permission for plan in plans for permission in plan.permissions}
    if found.consent is Consent.GO:
        assert yes
        assert not dry_run
        assert needed <= allowed
    if found.consent is Consent.ASK:
        assert terminal
        assert len(plans) == 1
        assert not dry_run
        assert needed <= allowed
