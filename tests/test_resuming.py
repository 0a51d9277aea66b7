"""What a repair says when its answer is lost, late, or somebody else's: the guest's own record counts, in text and object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from azext_vmagent import putting_right
from azext_vmagent.channels.choice import Wish
from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.facts.run_command_obstacles import BUSY, NOT_TAKEN_UP
from azext_vmagent.flow import diagnose
from azext_vmagent.model import State, Target
from azext_vmagent.repair.consent import RepairWish
from azext_vmagent.repair.plan import plan
from azext_vmagent.repair.scripts import script_for
from azext_vmagent.report.document import document
from azext_vmagent.report.layout import Style
from azext_vmagent.report.text import report
from tests.azure_double import STOPPED, WELL, AzureDouble, vm
from tests.test_putting_right import APPLIED, Console

TARGET = Target("00000000-0000-0000-0000-000000000000", "rg-shop", "web-03")
OPS = Wish(ssh_user="ops")
TIMED_OUT = SourceFailed(State.TIMED_OUT, "no answer from the agent in 240 s", cause=NOT_TAKEN_UP)
SLEEPS = (
    "vmagent-probe 1\nuid 0\nsystemd yes\nunit waagent.service LoadState=loaded\n"
    "unit waagent.service UnitFileState=enabled\nunit waagent.service ActiveState=active\nunit waagent.service MainPID=700\n"
    "disable_agent yes\nps yes\nprocess 700 S /usr/bin/python3 -u /usr/sbin/waagent -daemon\n"
    "wire 80 ok 200 curl\nwire 32526 ok 200 curl\nend 9 0\n"
)
RESTARTED = WELL.replace("end 9 0", "unit waagent.service MainPID=900\nend 9 0")


def ended(probe: str, *lines: str) -> str:
    """The probe's answer with these lines more."""
    return probe.replace("end 9 0", "\n".join([*lines, "end 9 0"]))


@dataclass
class Guest(AzureDouble):
    """One that answers each look inside with the next of ``looks`` and each repair with ``record``; it forgets nothing."""

    looks: list[str] = field(default_factory=lambda: [STOPPED, WELL])
    record: str | Exception = APPLIED
    sent: list[str] = field(default_factory=list)
    ready: str = "Ready"

    def __post_init__(self) -> None:
        self.machine = lambda _: vm(self.ready)

    def said(self, script: str) -> tuple[str, str]:
        if "END_OF_VMAGENT_REPAIR" not in script:
            return "asked", self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        self.sent.append(script)
        if isinstance(self.record, Exception):
            raise self.record
        return "asked", self.record

    def ssh(self, _login, script, _deadline):
        return self.said(script)

    def run_command(self, _target, script, _deadline):
        return self.said(script)

    def managed_run_command(self, _target, _location, script, _deadline):
        return self.said(script)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("azext_vmagent.repairing.POLL_SECONDS", 0.0)
    monkeypatch.setattr("azext_vmagent.repairing.RESTART_SECONDS", 0.0)


def repaired(guest: Guest, wish: Wish = OPS, **how: Any) -> tuple[dict[str, Any], str]:
    """The object, and all that a person reads."""
    console = Console()
    found = diagnose(guest, TARGET, wish, 5.0)
    told = putting_right.put_right(guest, found, RepairWish(**{"yes": True, "wait": 30, **how}), 5.0, console)
    return told, console.text


# -- through the agent itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", [Wish(), Wish(run_command="managed")])
def test_a_restart_through_a_run_command_is_proved_by_the_second_look_alone(wish):
    guest = Guest(looks=[SLEEPS, RESTARTED])
    told, text = repaired(guest, wish)
    [restart] = [one for one in told["repair"]["plan"]["actions"] if one["kind"] == "restart-agent"]
    assert restart["arguments"][1] == "detached"
    assert (told["repair"]["applied"]["result"], told["repair"]["verified"]["unproven"]) == ("applied", None)
    assert "Repaired: web-03" in text


def test_a_restart_that_nobody_saw_is_not_claimed():
    told, text = repaired(Guest(looks=[SLEEPS, ended(WELL, "unit waagent.service MainPID=700")]), Wish())
    assert "restarts by itself" in told["repair"]["verified"]["unproven"]
    assert told["repair"]["outcome"] == "applied"
    assert "Repaired" not in text
    assert "Applied: not proven yet: the agent restarts by itself" in text


def test_no_wait_does_not_claim_a_restart_that_is_still_to_come():
    told, text = repaired(Guest(looks=[SLEEPS]), Wish(), wait=0)
    assert "restarts by itself" in told["repair"]["verified"]["unproven"]
    assert "Applied: not proven yet" in text
    assert "az vm agent-diagnose -g rg-shop -n web-03" in text


def test_a_busy_channel_is_named_with_what_clears_it_and_nothing_was_changed():
    busy = SourceFailed(State.FAILED, "busy: another run command is executing; it ends within 90 min", cause=BUSY)
    told, text = repaired(Guest(looks=[SLEEPS], record=busy), Wish())
    assert told["repair"]["applied"]["result"] == "not-begun"
    assert told["repair"]["applied"]["answered"] is False
    assert "Not repaired: busy: another run command is executing; it ends within 90 min" in text
    assert "has no record of it: nothing was changed" in text
    assert "--undo" not in text, "it would take back an earlier repair"


def test_undo_is_not_carried_by_a_run_command():
    guest = Guest(looks=[WELL])
    told, text = repaired(guest, Wish(), undo=True)
    assert (guest.sent, told["repair"]["outcome"]) == ([], "not-undone")
    assert "what is taken back may stop the agent or cut it off" in text


# -- the answer is lost --------------------------------------------------------------------------------------------------

VERIFIED = "repair p77 1764045000 verified"


def test_a_lost_answer_is_read_from_the_guests_own_record():
    told, text = repaired(Guest(looks=[STOPPED, ended(WELL, VERIFIED)], record=TIMED_OUT))
    applied = told["repair"]["applied"]
    assert (applied["result"], applied["answered"], applied["record"]) == ("applied", False, "p77")
    assert applied["before"] == {"record": "p77", "state": "verified", "time": "2025-11-25T04:30:00Z"}
    assert told["lastRepair"]["state"] == "verified"
    assert "Repaired: web-03" in text
    assert "no answer came (no answer from the agent in 240 s); the guest's own says: verified" in text


def test_an_answer_that_broke_off_is_none():
    half = "vmagent-repair 1\nrepair p77\nstep 1 precheck ok\nstep 1 apply ok\n"
    told, text = repaired(Guest(looks=[STOPPED, ended(WELL, VERIFIED)], record=half))
    assert (told["repair"]["applied"]["result"], told["repair"]["applied"]["answered"]) == ("applied", False)
    assert "the answer broke off; the guest's own says: verified" in text


@pytest.mark.parametrize(
    ("state", "result"), [("reverted", "reverted"), ("failed", "failed"), ("applying 1", "unknown")]
)
def test_a_lost_answer_of_what_did_not_take_is_no_repair(state, result):
    told, text = repaired(Guest(looks=[STOPPED, ended(STOPPED, f"repair p77 1764045000 {state}")], record=TIMED_OUT))
    assert told["repair"]["applied"]["result"] == result
    assert "Repaired" not in text
    assert f"the guest's own says: {state} at 2025-11-25 04:30:00 UTC" in text


def test_an_older_record_says_nothing_of_a_lost_run():
    told, _ = repaired(Guest(looks=[ended(STOPPED, VERIFIED), ended(STOPPED, VERIFIED)], record=TIMED_OUT))
    assert told["repair"]["applied"]["result"] == "not-begun"


def test_a_guest_that_is_still_at_it_or_silent_leaves_the_result_open():
    for look in (ended(STOPPED, "repairing 12 1764045000 ops"), "nothing"):
        told, text = repaired(Guest(looks=[STOPPED, look], record=TIMED_OUT))
        assert told["repair"]["applied"]["result"] == "unknown"
        assert "Repaired" not in text


# -- a later run ---------------------------------------------------------------------------------------------------------

BROKEN_OFF = "repair p77.2 1764045000 applied 1"
WENT_ON = (
    "vmagent-repair 1\nlast p77.2 1764045000 applied 1\nrepair p77.2\nstep 1 verify ok\nresult applied\nend 3 0 -\n"
)


@pytest.mark.parametrize("look", [WELL, STOPPED])
def test_a_repair_that_was_broken_off_is_gone_on_with_however_the_guest_looks(look):
    """A guest that looks well may be taken back by its own timer: nobody has confirmed the change."""
    guest = Guest(looks=[ended(look, BROKEN_OFF), ended(WELL, "repair p77.2 1764045090 verified")], record=WENT_ON)
    told, text = repaired(guest)
    assert [action["kind"] for action in told["repair"]["plan"]["actions"]] == ["resume-repair"]
    [sent] = guest.sent
    assert "\nresume last " in sent
    assert (told["repair"]["applied"]["result"], told["repair"]["applied"]["resumed"]) == ("applied", True)
    assert "went on with the repair that was broken off at 2025-11-25 04:30:00 UTC (applied 1)" in text


def test_a_repair_that_was_broken_off_is_shown_before_it_is_gone_on_with():
    guest = Guest(looks=[ended(WELL, BROKEN_OFF)])
    told, _ = repaired(guest, dry_run=True)
    assert guest.sent == []
    assert "p77.2" in told["repair"]["plan"]["actions"][0]["change"]
    assert "2025-11-25 04:30 UTC (applied 1)" in told["repair"]["plan"]["actions"][0]["change"]


def test_the_printed_script_goes_on_with_it_as_well():
    found = diagnose(Guest(looks=[ended(WELL, BROKEN_OFF)]), TARGET, OPS, 5.0)
    assert "\nresume last " in script_for(found.facts, plan(found, by_hand=True))


def test_what_was_killed_before_it_changed_anything_is_planned_anew():
    told, _ = repaired(Guest(looks=[ended(STOPPED, "repair p77 1764045000 backed-up"), WELL]))
    assert told["repair"]["plan"]["actions"][0]["kind"] == "start-agent"


def test_the_same_repair_again_says_when_it_was_applied():
    record = "vmagent-repair 1\nlast p77 1764045000 verified\nrepair p77.2\nresult nothing-to-do\nend 1 0 -\n"
    told, text = repaired(Guest(record=record))
    assert told["repair"]["applied"]["result"] == "nothing-to-do"
    assert "Nothing to do: the guest is as planned already: applied already at 2025-11-25 04:30:00 UTC" in text


def test_two_at_once_the_second_says_who_and_since_when():
    record = "vmagent-repair 1\nlocked 4711 1764045000 azureuser\nresult locked\nend 0 0 -\n"
    told, text = repaired(Guest(looks=[STOPPED, STOPPED], record=record))
    assert told["repair"]["applied"]["lockedBy"] == {
        "process": 4711,
        "since": "2025-11-25T04:30:00Z",
        "login": "azureuser",
    }
    assert "Not repaired: another repair of this guest is under way" in text
    assert "at work since 2025-11-25 04:30:00 UTC (process 4711, login azureuser)" in text
    assert "--undo" not in text


def test_nothing_is_sent_to_a_guest_that_somebody_repairs_now():
    guest = Guest(looks=[ended(STOPPED, "repairing 4711 1764045000 azureuser")])
    told, _ = repaired(guest)
    assert guest.sent == []
    assert told["repair"]["plan"]["refusal"]["code"] == "repair-under-way"
    assert "since 04:30:00 UTC (login azureuser, process 4711)" in told["repair"]["plan"]["refusal"]["why"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((VERIFIED,), "p77 of 2025-11-25 04:30:00 UTC: applied and checked in the guest; Azure's word lags"),
        ((BROKEN_OFF,), "broken off (applied 1); --repair goes on with it, --undo takes it back"),
        (("repair p77 1764045000 undone",), "p77 of 2025-11-25 04:30:00 UTC: undone"),
        (("repairing 4711 1764045000 azureuser",), "one is under way since 2025-11-25 04:30:00 UTC (login azureuser)"),
        (
            ("now 2025-11-25T05:00:00Z", "uptime 600", VERIFIED),
            "applied and checked in the guest; the VM has restarted since",
        ),
    ],
)
def test_a_plain_diagnosis_tells_of_the_last_repair_and_waits_for_nothing(lines, words):
    """After ``--no-wait``, a dropped terminal, or a reboot."""
    found = diagnose(Guest(looks=[ended(STOPPED, *lines)], ready="Not Ready"), TARGET, OPS, 5.0)
    text = " ".join(" ".join(report(found, Style(False))).split())
    assert words in text
    told = document(found)["lastRepair"]
    assert told["restartedSince"] is ("uptime 600" in lines)
    assert told["brokenOff"] is (BROKEN_OFF in lines)
    assert (told["underWay"] is not None) is lines[0].startswith("repairing")


def test_a_guest_without_a_record_has_no_last_repair():
    assert document(diagnose(Guest(looks=[WELL]), TARGET, OPS, 5.0))["lastRepair"] is None
