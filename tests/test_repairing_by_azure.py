"""What Azure itself does to a VM, from the plan to what became of it, against a double of Azure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from azext_vmagent import putting_right
from azext_vmagent.channels.choice import Wish
from azext_vmagent.channels.resource_manager import Change
from azext_vmagent.evidence.asking import SourceFailed, failure
from azext_vmagent.facts.azure_refusals import AzureSaid
from azext_vmagent.flow import diagnose
from azext_vmagent.model import State, Target
from azext_vmagent.repair.consent import RepairWish
from azext_vmagent.repair.model import Permission
from tests.azure_double import NIC_ID, AzureDouble, PortOutcome, answers, http_error, metrics, raises, vm
from tests.test_putting_right import Console

TARGET = Target("00000000-0000-0000-0000-000000000000", "rg-shop", "web-03")
VNET = "/subscriptions/s/resourceGroups/rg-shop/providers/Microsoft.Network/virtualNetworks/net"
UPDATE = "az network nic ip-config update -g rg-shop --nic-name nic -n ipconfig1"


def interface(address: str = "10.0.0.4", method: str = "Dynamic", count: int = 1) -> dict[str, Any]:
    """A NIC as a plain GET brings it."""
    properties = {
        "privateIPAddress": address,
        "privateIPAllocationMethod": method,
        "primary": True,
        "subnet": {"id": f"{VNET}/subnets/default"},
    }
    return {"id": NIC_ID, "properties": {"ipConfigurations": [{"name": "ipconfig1", "properties": properties}] * count}}


class Cut(AzureDouble):
    """A running guest whose network is down, until Azure has changed something that cures it."""

    def __init__(self, method: str = "Dynamic", **doing: Any) -> None:
        super().__init__(**doing)
        self.nic = interface(method=method)
        self.machine = lambda _: vm("Ready" if self.cured else "Not Ready")
        self.counted = lambda now: metrics(now, silent_minutes=0 if self.cured else 9)
        self.port = PortOutcome.TIMED_OUT
        self.cured = False
        self.refuses: dict[int, Exception] = {}  # by the number of the change
        self.changing = self._change
        self.resources = {
            "/CheckIPAddressAvailability": answers(
                {"available": False, "availableIPAddresses": ["10.0.0.4", "10.0.0.9"]}
            ),
            NIC_ID: lambda _: self.nic,
        }

    def _change(self, change: Change) -> Any:
        refused = self.refuses.get(len(self.changes))
        if refused is not None:
            raise refused
        if change.body is not None:
            self.nic = change.body
        self.cured, self.port = True, PortOutcome.GREETING
        return "done by Azure in 9 s", None

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """What each change of the interface asked for."""
        asked = [c.body["properties"]["ipConfigurations"][0]["properties"] for c in self.changes if c.body]
        return [(one["privateIPAddress"], one["privateIPAllocationMethod"]) for one in asked]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("azext_vmagent.repairing.POLL_SECONDS", 0.0)
    monkeypatch.setattr("azext_vmagent.repairing_by_azure.POLL_SECONDS", 0.0)


def put_right(azure: AzureDouble, *allowed: Permission, wait: float = 30.0, **wish: Any) -> tuple[dict[str, Any], str]:
    found = diagnose(azure, TARGET, Wish(), 5.0)
    console = Console()
    chosen = RepairWish(**{"yes": True, "wait": wait, "allowed": frozenset(allowed)} | wish)
    told = putting_right.put_right(azure, found, chosen, 5.0, console)
    return told["repair"] | {"scenario": told["verdict"]["scenario"]}, console.text


def refused(status: int, code: str, message: str) -> Exception:
    """As the channel raises what Azure refuses."""
    failed = failure(http_error(status, code, message))
    said = AzureSaid(code, message, status, failed.missing_action, sent=status >= 500)
    return SourceFailed(failed.state, failed.detail, failed.missing_action, status, value=said)


def began(code: str, message: str = "") -> Exception:
    return SourceFailed(State.FAILED, f"{code}: {message}", value=AzureSaid(code, message, sent=True))


GOES_ON = SourceFailed(State.TIMED_OUT, "Azure has not ended it after 600 s and goes on", value=AzureSaid(sent=True))


def test_a_restart_is_sent_once_and_ends_with_azures_ready_and_a_second_look():
    azure = Cut()
    repair, text = put_right(azure, Permission.RESTART)
    assert [(c.method, c.path.rsplit("/", 1)[-1]) for c in azure.changes] == [("POST", "restart")]
    assert repair["applied"]["result"] == "applied"
    assert repair["verified"]["before"]["scenario"] == "network-down"
    assert (repair["verified"]["scenario"], repair["scenario"]) == ("healthy", "healthy")
    assert repair["verified"]["readyAfter"] is not None
    assert repair["undo"] is None
    assert "Repaired: web-03 is Ready again after" in text


@pytest.mark.parametrize("allowed", [(), (Permission.REDEPLOY,)])
def test_what_was_not_named_is_not_done_and_the_argument_is_said(allowed):
    azure = Cut()
    repair, text = put_right(azure, *allowed)
    assert azure.changes == []
    assert repair["plan"]["actions"][0]["kind"] == "restart"
    assert "--allow restart" in text


def test_metrics_of_the_minutes_before_are_waited_out_and_not_believed(monkeypatch):
    monkeypatch.setattr("azext_vmagent.repairing.AGAIN_SECONDS", 0.0)
    azure, looks = Cut(), []

    def counted(now: Any) -> Any:
        looks.append(now)
        return metrics(now, silent_minutes=0 if len(looks) > 3 else 3 if azure.cured else 9)

    azure.counted = counted
    repair, text = put_right(azure, Permission.RESTART)
    assert len(looks) == 4  # one before, and until they show a minute after it
    assert (repair["verified"]["scenario"], repair["scenario"]) == ("healthy", "healthy")
    assert "looking again in a minute" in text
    assert "Repaired: web-03 is Ready again" in text


def test_a_second_look_that_stays_in_doubt_is_not_called_a_repair():
    azure = Cut()
    azure.counted = lambda now: metrics(now, silent_minutes=3 if azure.cured else 9)
    repair, text = put_right(azure, Permission.RESTART)
    assert repair["verified"]["scenario"] == "uncertain"
    assert "Repaired" not in text
    assert "the second look is not content yet" in " ".join(text.split())


def test_no_wait_ends_when_azure_has_done_it():
    repair, text = put_right(Cut(), Permission.RESTART, wait=0)
    assert repair["applied"]["result"] == "applied"
    assert repair["verified"]["scenario"] is None
    assert "Done by Azure; the agent is not seen Ready yet" in text


def test_a_restart_that_did_not_help_is_no_repair():
    azure = Cut()
    azure.changing = lambda _: ("done by Azure in 9 s", None)
    repair, text = put_right(azure, Permission.RESTART, wait=0.01)
    assert repair["verified"]["scenario"] == "network-down"
    assert "Done by Azure, and it did not help" in text


CHANGED = {
    "updating": (vm("Not Ready", provisioningState="Updating"), "at work on the VM"),
    "deallocated": (vm("Not Ready", power="deallocated"), "is deallocated by now"),
    "ready": (vm("Ready"), "is Ready"),
    "another": (vm("Not Ready", vmId="another"), "another VM"),
    "resized": (vm("Not Ready", hardwareProfile={"vmSize": "Standard_D2s_v5"}), "were changed since"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_vm_that_is_no_longer_as_in_the_plan_is_left_alone(name):
    azure, (now, why) = Cut(), CHANGED[name]
    found = diagnose(azure, TARGET, Wish(), 5.0)
    azure.machine = answers(now)
    console = Console()
    told = putting_right.put_right(
        azure, found, RepairWish(yes=True, allowed=frozenset({Permission.RESTART})), 5.0, console
    )
    assert azure.changes == []
    assert told["repair"]["applied"]["result"] == "changed"
    assert why in console.text


def test_a_vm_that_cannot_be_read_again_is_left_alone():
    azure = Cut()
    found = diagnose(azure, TARGET, Wish(), 5.0)
    azure.machine = raises(http_error(503, "ServiceUnavailable", "later"))
    console = Console()
    putting_right.put_right(azure, found, RepairWish(yes=True, allowed=frozenset({Permission.RESTART})), 5.0, console)
    assert azure.changes == []
    assert "could not be read again" in console.text


LOCK = {"id": "/subscriptions/s/resourceGroups/rg-shop/providers/Microsoft.Authorization/locks/freeze", "name": "freeze",
        "properties": {"level": "ReadOnly"}}  # fmt: skip
DELETE_LOCK = LOCK | {"name": "keep", "properties": {"level": "CanNotDelete"}}
SCOPE = "The scope '/x' cannot perform write operation because following scope(s) are locked: '/subscriptions/s/resourceGroups/rg-shop'. Please remove the lock and try again."
POLICY = """Resource 'nic' was disallowed by policy. Policy identifiers: '[{"policyAssignment":{"name":"Fixed networks","id":"/a"},"policyDefinition":{"name":"No NIC changes","id":"/d"}}]'."""
NO_RIGHT = "The client 'x' does not have authorization to perform action 'Microsoft.Compute/virtualMachines/restart/action' over scope '/x'"
NO_JOIN = "The client 'x' with object id 'x' has permission to perform action 'Microsoft.Network/networkInterfaces/write' on scope '/n'; however, it does not have permission to perform action(s) 'Microsoft.Network/virtualNetworks/subnets/join/action' on the linked scope(s) '/s' (respectively) or the linked scope(s) are invalid."
REFUSALS = {
    "lock": (refused(409, "ScopeLocked", SCOPE), ["«freeze» (ReadOnly) on the resource group rg-shop", "az lock list -g rg-shop", "Owner"]),
    "policy": (refused(403, "RequestDisallowedByPolicy", POLICY), ["«Fixed networks», «No NIC changes»", "exemption"]),
    "right": (refused(403, "AuthorizationFailed", NO_RIGHT), ["lacks the right Microsoft.Compute/virtualMachines/restart/action", "Virtual Machine Contributor"]),
    "linked right": (refused(403, "LinkedAuthorizationFailed", NO_JOIN), ["lacks the right Microsoft.Network/virtualNetworks/subnets/join/action", "Network Contributor"]),
    "conflict": (refused(409, "Conflict", "conflict with a concurrent request"), ["another operation on the VM", "activity-log"]),
    "deallocated": (refused(409, "OperationNotAllowed", "the VM is either deallocated or marked to be deallocated"), ["is deallocated"]),
    "throttled": (refused(429, "TooManyRequests", "x"), ["throttles"]),
    "unknown": (refused(400, "SomethingNew", "words of tomorrow"), ["SomethingNew", "words of tomorrow"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("permission", [Permission.RESTART, Permission.RESET_NIC])
def test_what_azure_refuses_is_said_with_what_leads_on_and_nothing_was_done(name, permission):
    azure, (error, said) = Cut(), REFUSALS[name]
    azure.refuses = {1: error}
    azure.resources["/Microsoft.Authorization/locks"] = answers({"value": [DELETE_LOCK, LOCK]})
    repair, text = put_right(azure, permission)
    assert len(azure.changes) == 1
    assert (repair["applied"]["result"], repair["verified"]["scenario"]) == ("refused", None)
    assert "nothing was done" in repair["applied"]["detail"]
    shown = " ".join(text.split())
    for words in said:
        assert words in shown
    assert "keep" not in shown  # a lock against deleting forbids none of this


def test_a_lock_whose_name_may_not_be_read_is_told_by_its_scope():
    azure = Cut()
    azure.refuses = {1: REFUSALS["lock"][0]}
    _, text = put_right(azure, Permission.RESTART)
    assert "a lock forbids it: on the resource group rg-shop" in text


def test_no_room_on_redeploy_says_that_the_vm_may_be_off_and_how_to_start_it():
    azure = Cut()
    azure.machine = lambda _: vm("Not Ready", hardwareProfile={"vmSize": "Standard_L8s_v3"})
    azure.refuses = {1: began("AllocationFailed", "We do not have sufficient capacity for the requested VM size.")}
    found = diagnose(azure, TARGET, Wish(), 5.0)
    step = next(s for s in found.verdict.next_steps if (s.command or "").startswith("az vm restart"))
    redeploy = replace(step, command="az vm redeploy -g rg-shop -n web-03")
    found = replace(found, verdict=replace(found.verdict, next_steps=(redeploy,)))
    console = Console()
    told = putting_right.put_right(
        azure, found, RepairWish(yes=True, wait=30, allowed=frozenset({Permission.REDEPLOY})), 5.0, console
    )
    assert told["repair"]["applied"]["result"] == "failed"
    assert "no room for a VM of size Standard_L8s_v3 in japaneast" in " ".join(console.text.split())
    assert told["repair"]["applied"]["nextSteps"][0]["command"] == "az vm start -g rg-shop -n web-03"
    assert any(
        "local NVMe disks of a Standard_L8s_v3" in lost for lost in told["repair"]["plan"]["actions"][0]["loses"]
    )


def test_an_end_that_azure_does_not_reach_in_time_is_said_and_nobody_looks_again():
    azure = Cut()
    azure.refuses = {1: GOES_ON}
    repair, text = put_right(azure, Permission.RESTART)
    assert (repair["applied"]["result"], repair["verified"]["scenario"]) == ("going-on", None)
    assert "Not over: Azure has not ended it" in text
    assert repair["applied"]["nextSteps"][0]["command"] == "az vm wait -g rg-shop -n web-03 --updated"


@pytest.mark.parametrize(
    "lost",
    [
        SourceFailed(State.FAILED, "the connection failed", value=AzureSaid(sent=True)),
        refused(503, "ServiceUnavailable", "later"),
    ],
)
def test_an_answer_that_was_lost_is_not_sent_again(lost):
    azure = Cut()
    azure.refuses = {1: lost}
    repair, text = put_right(azure, Permission.RESTART, wait=0.01)
    assert len(azure.changes) == 1
    assert repair["applied"]["result"] == "unknown"
    assert "whether Azure took it up is not known" in " ".join(text.split())


# -- the network interface -------------------------------------------------------------------------------------------------


def test_a_reset_gives_another_address_then_the_old_one_then_the_old_way_of_getting_it():
    azure = Cut()
    repair, text = put_right(azure, Permission.RESET_NIC)
    assert azure.addresses == [("10.0.0.9", "Static"), ("10.0.0.4", "Static"), ("10.0.0.4", "Dynamic")]
    assert {c.path for c in azure.changes} == {NIC_ID}
    assert repair["applied"]["result"] == "applied"
    assert "10.0.0.4 (Dynamic) again" in repair["applied"]["detail"]
    assert "Repaired: web-03 is Ready again" in text


def test_a_fixed_address_stays_a_fixed_one():
    azure = Cut(method="Static")
    put_right(azure, Permission.RESET_NIC)
    assert azure.addresses == [("10.0.0.9", "Static"), ("10.0.0.4", "Static")]


def test_all_else_of_the_interface_is_sent_back_as_it_was():
    azure = Cut()
    azure.nic["properties"]["enableIPForwarding"] = True
    put_right(azure, Permission.RESET_NIC)
    assert all(c.body and c.body["properties"]["enableIPForwarding"] is True for c in azure.changes)


NOT_RESET = {
    "no free address": ({"availableIPAddresses": []}, interface(), "no free address"),
    "nonsense for an address": ({"availableIPAddresses": ["10.0.0.9; rm", "::1", 7]}, interface(), "no free address"),
    "two configurations": ({"availableIPAddresses": ["10.0.0.9"]}, interface(count=2), "2 configurations"),
    "no address": ({"availableIPAddresses": ["10.0.0.9"]}, interface(address=""), "does not say which address"),
}


@pytest.mark.parametrize("name", NOT_RESET)
def test_an_interface_that_cannot_be_reset_is_left_alone(name):
    available, found, why = NOT_RESET[name]
    azure = Cut()
    azure.nic, azure.resources["/CheckIPAddressAvailability"] = found, answers(available)
    repair, text = put_right(azure, Permission.RESET_NIC)
    assert azure.changes == []
    assert repair["applied"]["result"] == "refused"
    assert why in " ".join(text.split())


def test_the_missing_right_to_ask_for_a_free_address_is_named():
    azure = Cut()
    action = "Microsoft.Network/virtualNetworks/CheckIPAddressAvailability/read"
    error = http_error(403, "AuthorizationFailed", f"does not have authorization to perform action '{action}' over")
    azure.resources["/CheckIPAddressAvailability"] = raises(error)
    repair, _ = put_right(azure, Permission.RESET_NIC)
    assert azure.changes == []
    assert action in repair["applied"]["detail"]


BOTH = f"{UPDATE} --private-ip-address 10.0.0.4 && {UPDATE} --set privateIpAllocationMethod=Dynamic"
HALF = {
    "the first goes on": (1, GOES_ON, BOTH),
    "the first fails under way": (1, began("InternalError"), BOTH),
    "the way back is refused": (2, refused(409, "Conflict", "x"), BOTH),
    "the way back goes on": (2, GOES_ON, BOTH),
    "a lock in between": (2, refused(409, "ScopeLocked", SCOPE), BOTH),
    "only the method is missing": (3, refused(429, "TooManyRequests", "x"), f"{UPDATE} --set privateIpAllocationMethod=Dynamic"),
}  # fmt: skip


@pytest.mark.parametrize("name", HALF)
def test_a_reset_that_is_half_done_prints_exactly_what_finishes_it(name):
    number, error, finish = HALF[name]
    azure = Cut()
    azure.refuses = {number: error}
    repair, text = put_right(azure, Permission.RESET_NIC)
    assert len(azure.changes) == number
    assert repair["applied"]["result"] == "half-done"
    assert finish in [step["command"] for step in repair["applied"]["nextSteps"]]
    assert "10.0.0.4 (Dynamic) before" in " ".join(text.split())
    assert "Not repaired" in text


def test_an_interface_that_somebody_else_changes_meanwhile_is_not_changed_on_top():
    azure = Cut()
    change = azure._change

    def meddle(one: Change) -> Any:
        done = change(one)
        azure.nic = interface("10.0.0.77", "Static")
        return done

    azure.changing = meddle
    repair, _ = put_right(azure, Permission.RESET_NIC)
    assert len(azure.changes) == 1
    assert repair["applied"]["result"] == "half-done"
    assert "somebody else" in repair["applied"]["detail"]


def test_the_way_back_waits_until_azure_is_at_rest():
    azure = Cut()
    looks: list[str] = []

    def machine(_: Any) -> dict[str, Any]:
        busy = len(azure.changes) == 1 and looks.count("busy") < 2
        looks.append("busy" if busy else "rest")
        return vm("Not Ready", provisioningState="Updating" if busy else "Succeeded")

    azure.machine = machine
    put_right(azure, Permission.RESET_NIC, wait=0)
    assert looks.count("busy") == 2
    assert len(azure.addresses) == 3
