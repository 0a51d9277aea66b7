"""The roles of docs/repair.md against the stand-in: with exactly these rights it works, without one it says which."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from azext_vmagent.channels.choice import Wish
from azext_vmagent.evidence.asking import ask
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.flow import Diagnosis, diagnose
from azext_vmagent.guest import probe_script
from azext_vmagent.model import Answer, State, Target
from azext_vmagent.repair.model import Permission, RepairPlan
from azext_vmagent.repair.outcome import Repaired
from azext_vmagent.repair.plan import plan
from azext_vmagent.repairing_by_azure import by_azure
from lab.arm.cloud import Cloud
from tests.live import Login, recorded

DOCUMENT = Path(__file__).parent.parent / "docs" / "repair.md"
ROLES: dict[str, list[str]] = {
    role["Name"].removeprefix("VM agent: "): role["Actions"]
    for role in (json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL))
}
LOOK, THROUGH_AGENT, CONSOLE = ROLES["diagnose"], ROLES["run command"], ROLES["serial console"]
RESTART, RESET = ROLES["restart and redeploy"], ROLES["reset the network interface"]
LOCKS = "Microsoft.Authorization/locks/read"

Live = tuple[Cloud, Login, Target]
Cut = tuple[Cloud, Login, Diagnosis]


@contextmanager
def rights(cloud: Cloud, names: list[str], without: str = "") -> Iterator[None]:
    cloud.settings.rights = ",".join(name for name in names if name != without)
    try:
        yield
    finally:
        cloud.settings.rights = "*"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("azext_vmagent.channels.run_command.POLL_SECONDS", 0.1)
    monkeypatch.setattr("azext_vmagent.channels.resource_manager.POLL_SECONDS", 0.0)
    monkeypatch.setattr("lab.latency.retry_after", lambda _: 0)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> Iterator[Live]:
    with recorded(tmp_path_factory.mktemp("healthy"), "healthy") as live:
        yield live


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> Iterator[Cut]:
    """A VM whose network is down, diagnosed by one who may look at it and no more."""
    with recorded(tmp_path_factory.mktemp("cut"), "nic-down") as (cloud, login, target), rights(cloud, LOOK):
        yield cloud, login, diagnose(login(), target, Wish(), 30.0)


def test_every_role_has_a_scope_and_no_wildcard():
    assert len(ROLES) == 5
    assert not any("*" in name for names in ROLES.values() for name in names)


# -- look ------------------------------------------------------------------------------------------------------------------


def test_with_the_role_of_looking_a_dead_network_is_seen(cut):
    _, _, found = cut
    assert found.verdict.scenario.value == "network-down"
    assert not [answer for answer in found.answers if answer.state is State.DENIED]


@pytest.mark.parametrize("missing", LOOK)
def test_without_a_right_to_look_that_evidence_is_missing_and_says_so(healthy, missing):
    cloud, login, target = healthy
    with rights(cloud, LOOK, without=missing):
        try:
            found = diagnose(login(), target, Wish(run_command="never", serial_console="never"), 10.0)
        except Exception as exc:
            assert missing.endswith("virtualMachines/read")
            assert missing in str(exc)
            return
    said = [answer.missing_action for answer in found.answers if answer.state is State.DENIED]
    assert found.verdict.scenario.value
    assert {one.lower() for one in said if one} == {missing.lower()} - set(EXPANDED)


#: what the interface leads to; whether Azure asks for these when they are expanded is not known, the stand-in does not
EXPANDED = [
    "microsoft.network/publicipaddresses/read",
    "microsoft.network/networksecuritygroups/read",
    "microsoft.network/virtualnetworks/subnets/read",
]


# -- into the guest --------------------------------------------------------------------------------------------------------


def ran(live: Live, managed: bool, without: str) -> Answer:
    """The probe through the agent, with the rights that it takes but for one."""
    cloud, login, target = live
    azure, deadline = login(), Deadline.after(20.0)
    with rights(cloud, THROUGH_AGENT, without=without):
        if managed:
            return ask("agent", lambda: azure.managed_run_command(target, "japaneast", probe_script(), deadline))
        return ask("agent", lambda: azure.run_command(target, probe_script(), deadline))


RESOURCE = [name for name in THROUGH_AGENT if "/runCommands/" in name]


@pytest.mark.parametrize("missing", ["", *(name for name in THROUGH_AGENT if name not in RESOURCE)])
def test_run_command_needs_both_its_rights(healthy, missing):
    answer = ran(healthy, False, missing)
    assert answer.state is (State.DENIED if missing else State.OK)
    assert answer.missing_action == (missing or None)


@pytest.mark.parametrize("missing", ["", *RESOURCE])
def test_the_managed_one_needs_its_three(healthy, missing):
    answer = ran(healthy, True, missing)
    if missing.endswith("/delete"):
        assert answer.state is State.OK
        assert "it could not be deleted (AuthorizationFailed" in answer.detail
    else:
        assert answer.state is (State.DENIED if missing else State.OK)
        assert answer.missing_action == (missing or None)


def test_the_console_needs_its_one(healthy):
    cloud, login, target = healthy
    path = f"{target.id}/providers/Microsoft.SerialConsole/serialPorts/0/connect?api-version=2024-07-01"
    for names, missing in ((LOOK, CONSOLE[0]), (LOOK + CONSOLE, None)):
        with rights(cloud, names):
            answer = ask("console", lambda: login().look_at_console(target, b"login: ", Deadline.after(2)))
        assert answer.missing_action == missing
    assert [e["status"] for e in cloud.journal.entries() if e["path"] == path] == [403, 200]


# -- what Azure does ---------------------------------------------------------------------------------------------------------


def done(cut: Cut, names: list[str], permission: Permission, without: str = "") -> Repaired:
    cloud, login, found = cut
    planned = plan(found, [permission])
    assert planned.permissions == {permission}
    with rights(cloud, LOOK + names, without=without):
        return by_azure(login(), found, planned, lambda _: None)


def asked(cut: Cut, since: int) -> list[str]:
    """What was sent to change something, of that only what was not refused."""
    entries = cut[0].journal.entries()[since:]
    return [e["path"].partition("?")[0] for e in entries if e["method"] in ("POST", "PUT") and (e["status"] or 0) < 400]


@pytest.mark.parametrize("missing", ["", *(name for name in RESTART if "redeploy" not in name)])
def test_a_restart_takes_its_right_and_is_followed_at_the_vm_without_the_others(cut, missing):
    before = len(cut[0].journal.entries())
    ended = done(cut, RESTART, Permission.RESTART, missing)
    if missing.endswith("restart/action"):
        assert ended.record.result.value == "refused"
        assert missing in ended.carried.detail
        assert asked(cut, before) == []
    else:
        assert ended.record.result.value == "applied"
        assert [path.rsplit("/", 1)[-1] for path in asked(cut, before)] == ["restart"]


def test_a_redeployment_takes_its_own(cut):
    cloud, login, found = cut
    (restart,) = plan(found, [Permission.RESTART]).actions
    redeploy = RepairPlan(
        (type(restart)(**{**vars(restart), "kind": "redeploy", "allow": Permission.REDEPLOY}),), "azure"
    )
    for missing, result in (("", "applied"), ("Microsoft.Compute/virtualMachines/redeploy/action", "refused")):
        with rights(cloud, LOOK + RESTART, without=missing):
            ended = by_azure(login(), found, redeploy, lambda _: None)
        assert ended.record.result.value == result
        assert missing in ended.carried.detail


@pytest.mark.parametrize("missing", ["", *RESET])
def test_a_reset_says_before_it_begins_which_right_is_missing(cut, missing):
    cloud = cut[0]
    before = len(cloud.journal.entries())
    ended = done(cut, RESET, Permission.RESET_NIC, missing)
    if missing in ("", LOCKS, "Microsoft.Network/locations/operations/read"):
        assert ended.record.result.value == "applied", ended.carried.detail
        assert len(asked(cut, before)) == 3
    else:
        assert ended.record.result.value == "refused"
        assert missing.lower() in ended.carried.detail.lower()
        assert asked(cut, before) == []
    assert (cloud.vms[0].guest.private_address, cloud.vms[0].allocation) == ("10.0.0.4", "Dynamic")


@pytest.mark.parametrize("permission", [Permission.RESTART, Permission.RESET_NIC])
@pytest.mark.parametrize("may_read", [True, False])
def test_a_lock_is_named_by_those_who_may_read_it(cut, permission, may_read):
    cloud = cut[0]
    cloud.settings.locks = "freeze"
    try:
        ended = done(cut, RESTART + RESET, permission, "" if may_read else LOCKS)
    finally:
        cloud.settings.locks = ""
    assert ended.record.result.value == "refused"
    assert "the resource group lab" in ended.carried.detail
    assert ("«freeze» (ReadOnly)" in ended.carried.detail) is may_read


def test_a_policy_against_the_interface_is_named_and_nothing_is_done(cut):
    cloud = cut[0]
    cloud.settings.policies = "fixed networks"
    try:
        ended = done(cut, RESET, Permission.RESET_NIC)
    finally:
        cloud.settings.policies = ""
    assert ended.record.result.value == "refused"
    assert "«fixed networks»" in ended.carried.detail
