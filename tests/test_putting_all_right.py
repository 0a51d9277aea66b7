"""``--repair`` of several VMs: one plan, one consent, one after another, and an end at the first that gets worse."""

from __future__ import annotations

from typing import Any

import pytest

from azext_vmagent.flow import diagnose
from azext_vmagent.model import Target
from azext_vmagent.putting_all_right import Turn, put_all_right
from azext_vmagent.repair.consent import RepairWish
from azext_vmagent.report.document import error_document
from tests.azure_double import AzureDouble
from tests.test_putting_right import OPS, Console, Guest

YES = RepairWish(yes=True, wait=30)
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
WATCHDOG = "vmagent-repair 1\nrepair p1\nstep 1 apply ok\nresult reverted-by-watchdog\nend 3 0 -\n"
FAILED = "vmagent-repair 1\nrepair p1\nstep 1 apply failed no such unit\nresult failed\nend 3 0 -\n"


def vm_id(name: str) -> str:
    return Target(SUBSCRIPTION, "rg-shop", name).id


class Fleet:
    """VMs by name; a Guest is broken, None is well, a text could not be asked."""

    def __init__(self, **guests: Guest | str | None) -> None:
        self.order: list[str] = []
        self.guests = guests
        self.turns = [self._turn(name, guest) for name, guest in guests.items()]

    def _turn(self, name: str, guest: Guest | str | None) -> Turn:
        target = Target(SUBSCRIPTION, "rg-shop", name)
        if isinstance(guest, str):
            return Turn(target, error=error_document(target, "Forbidden", guest))
        azure = AzureDouble() if guest is None else guest.azure()
        if guest is not None:
            answer = guest.answer
            guest.answer = lambda script: self._noted(name, script, answer)  # type: ignore[method-assign]
        return Turn(target, azure, diagnose(azure, target, OPS, 5.0))

    def _noted(self, name: str, script: str, answer: Any) -> str:
        if "END_OF_VMAGENT_REPAIR" in script:
            self.order.append(f"repair {name}")
        elif self.order:
            self.order.append(f"look {name}")
        told: str = answer(script)
        return told

    def repaired(self) -> list[str]:
        return [name for name, guest in self.guests.items() if isinstance(guest, Guest) and guest.sent]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("azext_vmagent.repairing.POLL_SECONDS", 0.0)


def outcomes(rows: list[dict[str, Any]]) -> list[str | None]:
    return [(row.get("repair") or {}).get("outcome") for row in rows]


def test_one_vm_is_put_right_and_looked_at_again_before_the_next_is_touched():
    fleet, console = Fleet(a=Guest(), b=None, c=Guest()), Console()
    rows = put_all_right(fleet.turns, YES, 5.0, console)
    assert [row["vm"]["name"] for row in rows] == ["a", "b", "c"]
    assert outcomes(rows) == ["repaired", "nothing-to-do", "repaired"]
    assert fleet.order == ["repair a", "look a", "repair c", "look c"]
    assert "Plan for 2 of 3 virtual machines, one after another (no downtime, about 2 min)" in console.text
    assert "All had their turn" in console.text
    assert "2: a, c" in console.text


def test_a_vm_that_could_not_be_asked_is_a_row_and_is_not_repaired():
    fleet, console = Fleet(a="You may not read it.", b=Guest()), Console()
    rows = put_all_right(fleet.turns, YES, 5.0, console)
    assert (rows[0]["error"]["code"], outcomes(rows)) == ("Forbidden", [None, "repaired"])
    assert "You may not read it." in console.text


@pytest.mark.parametrize("terminal", [True, False])
def test_several_are_never_asked_about_and_the_command_with_yes_is_told(terminal):
    fleet, console = Fleet(a=Guest(), b=Guest()), Console(can_ask=terminal, says_yes=True)
    rows = put_all_right(fleet.turns, RepairWish(), 5.0, console)
    command = f"az vm agent-diagnose --ids {vm_id('a')} {vm_id('b')} --ssh-user ops --repair --yes"
    assert (fleet.repaired(), console.questions) == ([], [])
    assert outcomes(rows) == ["needs-consent", "needs-consent"]
    assert {row["repair"]["next"] for row in rows} == {command}
    assert "Nothing was changed: several VMs need --yes." in console.text
    assert command in console.text


def test_a_second_name_asks_for_yes_also_where_only_one_needs_a_change():
    fleet = Fleet(a=Guest(), b="You may not read it.")
    rows = put_all_right(fleet.turns, RepairWish(), 5.0, Console(can_ask=True, says_yes=True))
    assert (fleet.repaired(), outcomes(rows)) == ([], ["needs-consent", None])


def test_a_dry_run_shows_all_plans_and_changes_nothing():
    fleet, console = Fleet(a=Guest(), b=None), Console()
    rows = put_all_right(fleet.turns, RepairWish(dry_run=True, yes=True), 5.0, console)
    assert (fleet.repaired(), outcomes(rows)) == ([], ["planned", "nothing-to-do"])
    assert rows[0]["repair"]["next"] == f"az vm agent-diagnose --ids {vm_id('a')} --ssh-user ops --repair"
    assert "start waagent.service" in console.text
    assert "Nothing was changed: --dry-run." in console.text


def test_where_no_plan_holds_a_change_that_is_said():
    console = Console()
    rows = put_all_right(Fleet(a=None, b=None).turns, YES, 5.0, console)
    assert outcomes(rows) == ["nothing-to-do", "nothing-to-do"]
    assert "Nothing was changed: no plan holds a change." in console.text


def test_after_one_that_got_worse_no_other_is_touched_and_the_rest_is_told():
    fleet, console = Fleet(a=Guest(), b=Guest(WATCHDOG), c=Guest(), d=Guest()), Console()
    rows = put_all_right(fleet.turns, YES, 5.0, console)
    rest = f"az vm agent-diagnose --ids {vm_id('c')} {vm_id('d')} --ssh-user ops --repair --yes"
    assert fleet.repaired() == ["a", "b"]
    assert outcomes(rows) == ["repaired", "not-repaired", "not-started", "not-started"]
    assert "took the changes back" in rows[1]["repair"]["worse"]
    assert (rows[0]["repair"]["worse"], rows[3]["repair"]["worse"]) == (None, None)
    assert rows[2]["repair"]["next"] == rest
    assert "b got worse" in rows[2]["repair"]["why"]
    assert "Stopped: b got worse: the way into the guest was lost" in console.text
    assert rest in console.text


def test_one_that_did_not_take_and_is_as_before_does_not_end_it():
    fleet = Fleet(a=Guest(FAILED), b=Guest())
    assert outcomes(put_all_right(fleet.turns, YES, 5.0, Console())) == ["not-repaired", "repaired"]


def test_no_wait_goes_on_to_the_next_after_the_guests_own_proof():
    fleet, console = Fleet(a=Guest(), b=Guest()), Console()
    rows = put_all_right(fleet.turns, RepairWish(yes=True, wait=0), 5.0, console)
    assert (outcomes(rows), fleet.order) == (["applied", "applied"], ["repair a", "repair b"])


def test_ctrl_c_says_what_was_done_what_goes_on_and_the_command_for_the_rest():
    class Interrupted(Console):
        def step(self, answer: Any, name: str = "") -> None:
            super().step(answer, name)
            if name == "b":
                raise KeyboardInterrupt

    fleet, console = Fleet(a=Guest(), b=Guest(), c=Guest()), Interrupted()
    with pytest.raises(KeyboardInterrupt):
        put_all_right(fleet.turns, YES, 5.0, console)
    assert fleet.order == ["repair a", "look a", "repair b"]
    for part in ("done: a", "under way: b", "not started: c", f"the rest: az vm agent-diagnose --ids {vm_id('b')}"):
        assert part in console.text
