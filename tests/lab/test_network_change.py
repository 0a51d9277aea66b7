"""What changes an interface, and what stands in the way: rights, locks, policies, no room."""

from __future__ import annotations

import pytest

from tests.lab.standin import StandIn


def nic_of(standin: StandIn) -> dict:
    nic_id = standin.get(standin.vm_path)["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
    return standin.get(nic_id, version="2023-09-01")


def asking(nic: dict, address: str | None, method: str) -> dict:
    properties = nic["properties"]["ipConfigurations"][0]["properties"]
    properties["privateIPAddress"], properties["privateIPAllocationMethod"] = address, method
    return nic


def put(standin: StandIn, nic: dict):
    return standin.call("PUT", nic["id"], nic, version="2023-09-01")


def addressing(standin: StandIn) -> tuple[str, str]:
    properties = nic_of(standin)["properties"]["ipConfigurations"][0]["properties"]
    return properties["privateIPAddress"], properties["privateIPAllocationMethod"]


def test_another_address_restarts_a_running_vm_and_is_a_long_running_operation(standin):
    standin.guest.gate.clear()
    accepted = put(standin, asking(nic_of(standin), "10.0.0.9", "Static"))
    assert accepted.json()["properties"]["provisioningState"] == "Updating"
    assert standin.get(standin.vm_path)["properties"]["provisioningState"] == "Updating"
    assert put(standin, nic_of(standin)).status_code == 409  # one at a time
    standin.guest.gate.set()
    assert standin.finish(accepted)["status"] == "Succeeded"
    assert standin.guest.steps == ["address 10.0.0.9", "restart"]
    assert addressing(standin) == ("10.0.0.9", "Static")


def test_the_way_of_getting_it_alone_restarts_nothing(standin):
    standin.finish(put(standin, asking(nic_of(standin), "10.0.0.4", "Static")))
    assert addressing(standin) == ("10.0.0.4", "Static")
    standin.finish(put(standin, asking(nic_of(standin), "10.0.0.4", "Dynamic")))
    assert addressing(standin) == ("10.0.0.4", "Dynamic")
    assert standin.guest.steps == []


def test_a_vm_that_is_off_is_not_started_by_it(standin):
    standin.guest.power = "deallocated"
    standin.finish(put(standin, asking(nic_of(standin), "10.0.0.9", "Static")))
    assert standin.guest.steps == ["address 10.0.0.9"]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("10.0.1.9", "PrivateIPAddressNotInSubnet"),
        ("10.0.0.2", "PrivateIPAddressInReservedRange"),
        ("nonsense", "InvalidIPAddressFormat"),
    ],
)
def test_an_address_that_cannot_be_had_is_refused(standin, address, code):
    answer = put(standin, asking(nic_of(standin), address, "Static"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert standin.guest.steps == []


def free(standin: StandIn, address: str) -> dict:
    subnet = nic_of(standin)["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"]
    network = subnet.partition("/subnets/")[0]
    return standin.get(f"{network}/CheckIPAddressAvailability?ipAddress={address}", version="2023-09-01")


def test_free_addresses_are_named_where_the_asked_one_is_taken(standin):
    assert free(standin, "10.0.0.9") == {"available": True}
    assert free(standin, "10.0.0.4") == {
        "available": False,
        "availableIPAddresses": ["10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.9"],
    }
    standin.cloud.settings.free_addresses = 0
    assert free(standin, "10.0.0.9") == {"available": False, "availableIPAddresses": []}


def refusal(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_right_that_was_taken_away_is_named(standin):
    standin.cloud.settings.rights = "*/read, Microsoft.Compute/virtualMachines/start/action"
    assert standin.call("GET", standin.vm_path).status_code == 200
    assert standin.call("POST", standin.vm_path + "/start").status_code == 202
    answer = standin.call("POST", standin.vm_path + "/restart")
    assert refusal(answer) == (403, "AuthorizationFailed")
    assert "'Microsoft.Compute/virtualMachines/restart/action'" in answer.json()["error"]["message"]


def test_an_interface_needs_the_rights_on_what_it_leads_to(standin):
    standin.cloud.settings.rights = "*/read,Microsoft.Network/networkInterfaces/write"
    answer = put(standin, asking(nic_of(standin), "10.0.0.9", "Static"))
    assert refusal(answer) == (403, "LinkedAuthorizationFailed")
    assert "action(s) 'Microsoft.Network/virtualNetworks/subnets/join/action'" in answer.json()["error"]["message"]


def test_a_read_only_lock_forbids_what_is_no_read_and_can_be_listed(standin):
    standin.cloud.settings.locks = "freeze"
    group = standin.vm_path.partition("/providers/")[0]
    answer = standin.call("POST", standin.vm_path + "/restart")
    assert refusal(answer) == (409, "ScopeLocked")
    assert f"are locked: '{group}'" in answer.json()["error"]["message"]
    assert refusal(put(standin, nic_of(standin))) == (409, "ScopeLocked")
    assert standin.call("POST", standin.vm_path + "/retrieveBootDiagnosticsData").status_code == 200
    (lock,) = standin.get(f"{group}/providers/Microsoft.Authorization/locks", version="2016-09-01")["value"]
    assert (lock["name"], lock["properties"]["level"]) == ("freeze", "ReadOnly")


def test_a_policy_forbids_a_change_of_a_resource_and_not_of_its_state(standin):
    standin.cloud.settings.policies = "fixed networks"
    answer = put(standin, nic_of(standin))
    assert refusal(answer) == (403, "RequestDisallowedByPolicy")
    assert '"policyAssignment":{"name":"fixed networks"' in answer.json()["error"]["message"]
    assert standin.call("POST", standin.vm_path + "/restart").status_code == 202


def test_without_room_a_redeployed_vm_stays_off(standin):
    standin.cloud.settings.capacity = "none"
    body = standin.finish(standin.call("POST", standin.vm_path + "/redeploy"))
    assert (body["status"], body["error"]["code"]) == ("Failed", "AllocationFailed")
    assert standin.guest.power == "deallocated"
    assert standin.finish(standin.call("POST", standin.vm_path + "/start"))["status"] == "Failed"
    standin.cloud.settings.capacity = "there"
    assert standin.finish(standin.call("POST", standin.vm_path + "/start"))["status"] == "Succeeded"
