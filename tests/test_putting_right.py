"""``--repair`` from the plan to what became of it, against a double of Azure and of the guest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from azext_vmagent import putting_right
from azext_vmagent.channels.choice import Wish
from azext_vmagent.evidence.asking import SourceFailed
from azext_vmagent.flow import Diagnosis, diagnose
from azext_vmagent.model import State, Target
from azext_vmagent.repair.consent import RepairWish
from azext_vmagent.repair.outcome import Ended
from azext_vmagent.repairing import POLL_SECONDS
from azext_vmagent.report.layout import Style
from azext_vmagent.report.repair_text import ended_lines
from azext_vmagent.report.repaired import undo_command
from tests.azure_double import STOPPED, WELL, AzureDouble, vm

TARGET = Target("00000000-0000-0000-0000-000000000000", "rg-shop", "web-03")
OPS = Wish(ssh_user="ops")
APPLIED = (
    "vmagent-repair 1\nrepair p1\nstep 1 precheck ok\nstep 1 apply ok\nstep 1 verify ok\nwire 80 200\nwire 32526 200\n"
    "other-rules same\nresult applied\nend 3 0 -\n"
)


@dataclass
class Guest:
    """A guest whose agent is stopped until a repair is carried out; what was sent is kept."""

    record: str | Exception = APPLIED
    cured: bool = False
    sent: list[str] = field(default_factory=list)
    polls: int = 0

    def azure(self) -> AzureDouble:
        return _Double(self, machine=lambda _: self._vm(), through_ssh=lambda _: "")

    def _vm(self) -> dict[str, Any]:
        self.polls += self.cured
        return vm("Ready" if self.polls > 1 else "Not Ready")

    def answer(self, script: str) -> str:
        if "vmagent-probe" in script and "END_OF_VMAGENT_REPAIR" not in script:
            return WELL if self.cured else STOPPED
        self.sent.append(script)
        if isinstance(self.record, Exception):
            raise self.record
        self.cured = self.cured or "result applied" in self.record
        return self.record


@dataclass
class _Double(AzureDouble):
    guest: Guest = field(default_factory=Guest)
    times: list[float] = field(default_factory=list)

    def __init__(self, guest: Guest, **doing: Any) -> None:
        super().__init__(**doing)
        self.guest, self.times = guest, []

    def ssh(self, _login, script, _deadline):
        return "root through sudo", self.guest.answer(script)

    def serial_console(self, _target, _log, login, script, deadline, _insist, steady=False):
        self.asked.append(f"console of {login.user}, {'steady' if steady else 'may be stopped'}")
        self.times.append(deadline.remaining())
        return "root", self.guest.answer(script)


@dataclass
class Console:
    """A person, or nobody, at the console."""

    can_ask: bool = False
    says_yes: bool = False
    shown: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def step(self, answer: Any, name: str = "") -> None:
        assert isinstance(name, str)
        self.shown.append(f"{answer.source}: {answer.detail}")

    def show(self, _found: Diagnosis, _plan: Any = None, ended: Ended | None = None) -> None:
        if ended is not None:
            self.end(ended)

    def end(self, ended: Ended) -> None:
        self.shown += ended_lines(ended, Style(False))

    def say(self, text: Callable[[Style], list[str]]) -> None:
        self.shown += text(Style(False))

    def heading(self, text: str) -> None:
        self.shown.append(text)

    def show_interrupted(self, left: list[str]) -> None:
        self.shown += left

    def confirm(self, question: str) -> bool:
        self.questions.append(question)
        return self.says_yes

    @property
    def text(self) -> str:
        return "\n".join(self.shown)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """The platform of the double needs no time to notice."""
    monkeypatch.setattr("azext_vmagent.repairing.POLL_SECONDS", 0.0)
    assert POLL_SECONDS > 0


def put_right(guest: Guest, wish: RepairWish, console: Console) -> dict[str, Any]:
    azure = guest.azure()
    found = diagnose(azure, TARGET, OPS, 5.0)
    return putting_right.put_right(azure, found, wish, 5.0, console)


def test_with_yes_the_change_is_made_once_and_the_object_says_what_became_of_it():
    guest, console = Guest(), Console()
    told = put_right(guest, RepairWish(yes=True, wait=30), console)
    assert len(guest.sent) == 1
    assert "start-agent" not in guest.sent[0].split("END_OF_VMAGENT_PLAN")[-2]  # data travel as octal escapes
    assert told["repair"]["applied"]["result"] == "applied"
    assert told["repair"]["applied"]["otherRulesSame"] is True
    assert told["repair"]["verified"]["wireServer"] == {"80": 200, "32526": 200}
    assert told["repair"]["verified"]["before"] == {"scenario": "agent-stopped", "cause": "L01"}
    assert (told["repair"]["verified"]["scenario"], told["verdict"]["scenario"]) == ("healthy", "healthy")
    assert told["repair"]["verified"]["readyAfter"] is not None
    assert told["repair"]["undo"] == "az vm agent-diagnose -g rg-shop -n web-03 --ssh-user ops --undo"
    assert (told["repair"]["outcome"], told["repair"]["next"]) == ("repaired", None)
    assert "Repaired: web-03 is Ready again after" in console.text
    assert "(was: scenario 1, agent-stopped)" in console.text
    assert "all other rules are unchanged" in console.text


def test_without_a_terminal_and_without_yes_nothing_is_sent():
    guest, console = Guest(), Console()
    told = put_right(guest, RepairWish(), console)
    assert guest.sent == []
    assert (told["repair"]["applied"], told["repair"]["plan"]["actions"][0]["kind"]) == (None, "start-agent")
    assert "Nothing was changed: there is no terminal to ask at" in console.text
    command = "az vm agent-diagnose -g rg-shop -n web-03 --ssh-user ops --repair --yes"
    assert command in console.text
    assert (told["repair"]["outcome"], told["repair"]["next"]) == ("needs-consent", command)
    assert told["repair"]["why"] == "there is no terminal to ask at"


@pytest.mark.parametrize("says_yes", [False, True])
def test_at_a_terminal_it_asks_once_and_no_means_no(says_yes):
    guest, console = Guest(), Console(can_ask=True, says_yes=says_yes)
    told = put_right(guest, RepairWish(wait=30), console)
    assert console.questions == ["Apply?"]
    assert len(guest.sent) == says_yes
    assert (told["repair"]["applied"] is not None) is says_yes
    assert told["repair"]["outcome"] == ("repaired" if says_yes else "needs-consent")


def test_a_dry_run_sends_nothing_even_with_yes():
    guest, console = Guest(), Console(can_ask=True, says_yes=True)
    told = put_right(guest, RepairWish(dry_run=True, yes=True), console)
    assert (told["repair"]["outcome"], told["repair"]["applied"]) == ("planned", None)
    assert told["repair"]["next"] == "az vm agent-diagnose -g rg-shop -n web-03 --ssh-user ops --repair"
    assert (guest.sent, console.questions) == ([], [])
    assert "Nothing was changed: --dry-run." in console.text


def test_no_wait_ends_after_the_guests_own_proof():
    guest, console = Guest(), Console()
    told = put_right(guest, RepairWish(yes=True, wait=0), console)
    assert told["repair"]["applied"]["result"] == "applied"
    assert told["repair"]["verified"]["scenario"] is None
    assert told["verdict"]["scenario"] == "agent-stopped"  # nobody looked again
    assert told["repair"]["outcome"] == "applied"
    assert "Applied: the guest proves it" in console.text


def test_a_change_that_did_not_take_is_no_repair_and_shows_the_step():
    record = (
        "vmagent-repair 1\nrepair p1\nstep 1 precheck ok\nstep 1 apply failed no such unit\nresult failed\nend 3 0 -\n"
    )
    guest, console = Guest(record), Console()
    told = put_right(guest, RepairWish(yes=True, wait=30), console)
    assert (told["repair"]["applied"]["result"], told["repair"]["undo"]) == ("failed", None)
    assert told["verdict"]["scenario"] == "agent-stopped"
    assert "Not repaired: a change did not take" in console.text
    assert "apply: failed no such unit" in console.text


def test_a_change_in_force_that_did_not_help_is_no_repair_whatever_azure_says():
    guest, console = Guest(), Console()
    guest.answer = lambda script: APPLIED if "END_OF_VMAGENT_REPAIR" in script else STOPPED
    azure = guest.azure()
    azure.machine = lambda _: vm("Ready")  # its word lags
    found = diagnose(azure, TARGET, OPS, 5.0)
    told = putting_right.put_right(azure, found, RepairWish(yes=True, wait=30), 5.0, console)
    assert told["repair"]["applied"]["result"] == "applied"
    assert told["verdict"]["scenario"] == "agent-stopped"
    assert "Repaired:" not in console.text
    assert (told["repair"]["outcome"], told["repair"]["next"]) == ("not-repaired", told["repair"]["undo"])
    assert "Not repaired: the changes are in force, and it did not help: still broken (was: scenario 1" in console.text
    assert "--undo" in console.text


def test_a_way_that_was_lost_is_said_and_the_guest_looked_at_again():
    guest, console = Guest(SourceFailed(State.FAILED, "the connection was lost")), Console()
    told = put_right(guest, RepairWish(yes=True, wait=30), console)
    assert told["repair"]["applied"]["result"] == "not-begun"
    assert "Not repaired: the connection was lost" in console.text
    assert told["repair"]["verified"]["scenario"] == "agent-stopped"


def test_what_looked_inside_some_other_way_carries_no_change():
    guest, console = Guest(), Console()
    azure = AzureDouble(machine=lambda _: vm("Not Ready"))
    found = diagnose(azure, TARGET, Wish(pasted=STOPPED), 5.0)
    told = putting_right.put_right(azure, found, RepairWish(yes=True), 5.0, console)
    assert guest.sent == []
    assert told["repair"]["plan"]["refusal"]["code"] == "no-channel"


def test_undo_asks_and_tells_that_the_last_repair_was_taken_back():
    guest = Guest("vmagent-repair 1\nrepair p1\nstep 1 undo ok\nresult undone\nend 1 0 -\n")
    console = Console(can_ask=True, says_yes=True)
    told = put_right(guest, RepairWish(undo=True, wait=30), console)
    assert len(guest.sent) == 1
    assert told["repair"]["applied"]["result"] == "undone"
    assert told["repair"]["plan"] is None
    assert told["repair"]["outcome"] == "undone"
    assert "Undone: the last repair was taken back" in console.text
    quiet = Console()
    told = put_right(guest, RepairWish(undo=True), quiet)
    assert len(guest.sent) == 1
    assert told["repair"]["outcome"] == "needs-consent"
    assert "az vm agent-diagnose -g rg-shop -n web-03 --ssh-user ops --undo --yes" in quiet.text


def test_an_undo_where_nothing_is_in_force_says_so():
    guest, console = Guest("vmagent-repair 1\nresult nothing-to-do\nend 1 0 -\n"), Console()
    told = put_right(guest, RepairWish(undo=True, yes=True), console)
    assert (told["repair"]["outcome"], told["repair"]["undo"]) == ("nothing-to-do", None)
    assert "Nothing to do: no repair of this guest is in force" in console.text


def test_the_command_that_undoes_logs_in_the_same_way():
    wish = Wish(ssh_user="ops", ssh_host="127.0.0.1", ssh_port=2222, ssh_key="/home/me/my key")
    before = diagnose(AzureDouble(), TARGET, wish, 5.0)
    assert undo_command(before) == (
        "az vm agent-diagnose -g rg-shop -n web-03 --ssh-user ops --ssh-host 127.0.0.1 --ssh-port 2222 "
        "--ssh-key '/home/me/my key' --undo"
    )


@pytest.mark.parametrize("cloud_shell", [False, True])
def test_the_wait_for_azures_word_says_what_is_waited_for_and_how_long(monkeypatch, cloud_shell):
    monkeypatch.setattr("azext_vmagent.repairing.TELL_SECONDS", 0.0001)
    guest, console = Guest(), Console()
    azure = guest.azure()
    azure.cloud_shell = cloud_shell
    guest.polls = -3
    found = diagnose(azure, TARGET, OPS, 5.0)
    putting_right.put_right(azure, found, RepairWish(yes=True, wait=30), 5.0, console)
    waits = [line for line in console.shown if line.startswith("wait: ")]
    assert "at most 30 s: the change is in force" in waits[0]
    assert ("run the same again" in waits[0]) is cloud_shell
    assert "Azure does not say Ready yet, " in waits[1]
    assert waits[-1] == "wait: Azure says Ready"


def test_what_looked_inside_at_the_console_carries_the_repair_there_and_is_not_stopped_half_way():
    guest, console = Guest(), Console()
    azure = guest.azure()
    found = diagnose(azure, TARGET, Wish(console_user="ops", console_password="secret"), 5.0)
    told = putting_right.put_right(azure, found, RepairWish(yes=True, wait=30), 5.0, console)
    assert told["repair"]["applied"]["result"] == "applied"
    assert azure.asked.count("console of ops, steady") == 1
    assert azure.times[1] > 180  # the plan's minute, saving and checking, and what a console takes
    assert told["repair"]["undo"].endswith("--serial-console always --console-user ops --undo")
    undo = Guest("vmagent-repair 1\nrepair p1\nstep 1 undo ok\nresult undone\nend 1 0 -\n")
    azure = undo.azure()
    found = diagnose(azure, TARGET, Wish(console_user="ops", console_password="secret"), 5.0)
    told = putting_right.put_right(azure, found, RepairWish(undo=True, yes=True, wait=0), 5.0, console)
    assert told["repair"]["applied"]["result"] == "undone"
