"""Run Command and the other long-running operations: headers, polling bodies, conflicts."""

from __future__ import annotations

import time

import pytest
import requests

from lab.guests.base import LabError, RunCommandResult
from tests.lab.standin import StandIn

BODY = {"commandId": "RunShellScript", "script": ["echo hello", "true"]}


def run(standin: StandIn) -> requests.Response:
    return standin.call("POST", standin.vm_path + "/runCommand", BODY)


def error(answer: requests.Response) -> tuple[int, str, str]:
    body = answer.json()["error"]
    return answer.status_code, body["code"], body["message"]


def test_accepted_then_polled_then_fetched(standin: StandIn) -> None:
    answer = run(standin)
    assert (answer.status_code, answer.content) == (202, b"")
    body = standin.finish(answer)
    assert body["status"] == "Succeeded"
    assert body["startTime"] <= body["endTime"]
    result = standin.get(answer.headers["Location"])
    assert body["properties"]["output"] == result
    assert result["value"][0] == {
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Provisioning succeeded",
        "message": "Enable succeeded: \n[stdout]\nhello\n\n[stderr]\n",
        "time": None,
    }
    assert standin.guest.scripts == [["echo hello", "true"]]


def test_a_script_that_fails_is_a_result(standin: StandIn) -> None:
    standin.guest.answers = RunCommandResult(False, 3, "Enable failed: ...")
    answer = run(standin)
    assert standin.finish(answer)["status"] == "Succeeded"
    assert standin.get(answer.headers["Location"])["value"][0]["code"] == "ProvisioningState/failed/3"


def test_a_silent_agent_leaves_it_in_progress_and_the_vm_updating(standin: StandIn) -> None:
    standin.guest.answers = None
    answer = run(standin)
    body = standin.call("GET", answer.headers["Azure-AsyncOperation"]).json()
    assert sorted(body) == ["name", "startTime", "status"]
    assert standin.call("GET", answer.headers["Location"]).status_code == 202
    view = standin.get(standin.vm_path + "/instanceView")
    assert view["statuses"][0]["code"] == "ProvisioningState/updating"
    assert error(run(standin)) == (
        409,
        "Conflict",
        "Run command extension execution is in progress. Please wait for completion before invoking a run command.",
    )


def test_the_platform_gives_up_in_the_end(standin: StandIn) -> None:
    standin.guest.answers = None
    standin.cloud.settings.run_command_limit = 0.1
    body = standin.finish(run(standin))
    assert body["status"] == "Failed"
    assert body["error"]["code"] == "VMAgentStatusCommunicationError"
    state = standin.get(standin.vm_path)["properties"]["provisioningState"]
    assert state == "Failed"


def test_refused_when_the_vm_is_off(standin: StandIn) -> None:
    standin.guest.power = "stopped"
    assert error(run(standin))[2] == "Cannot modify extensions in the VM when the VM is not running."
    standin.guest.power = "deallocated"
    assert error(run(standin))[:2] == (409, "OperationNotAllowed")


def test_refused_when_extensions_are_not_allowed(standin: StandIn) -> None:
    standin.vm.allow_extension_operations = False
    assert error(run(standin))[:2] == (409, "OperationNotAllowed")


def test_a_power_operation_pre_empts_it(standin: StandIn) -> None:
    standin.guest.answers = None
    waiting = run(standin)
    restarted = standin.call("POST", standin.vm_path + "/restart")
    assert restarted.status_code == 202
    assert standin.finish(waiting)["error"]["code"] == "OperationPreempted"
    assert standin.finish(restarted)["status"] == "Succeeded"
    assert standin.guest.steps == ["restart"]


def test_two_power_operations_conflict(standin: StandIn) -> None:
    standin.guest.gate.clear()
    first = standin.call("POST", standin.vm_path + "/deallocate")
    second = standin.call("POST", standin.vm_path + "/start")
    assert error(second)[:2] == (409, "Conflict")
    assert error(run(standin))[2].startswith("The request failed due to conflict with a concurrent request.")
    standin.guest.gate.set()
    assert standin.finish(first)["status"] == "Succeeded"
    assert "vmAgent" not in standin.get(standin.vm_path + "/instanceView")


def test_redeploy_is_a_stop_and_a_start_elsewhere(standin: StandIn) -> None:
    standin.finish(standin.call("POST", standin.vm_path + "/redeploy"))
    assert standin.guest.steps == ["deallocate", "start"]


def test_latency_holds_an_operation(standin: StandIn) -> None:
    standin.cloud.settings.latency = "azure"
    answer = run(standin)
    standin.cloud.settings.latency = "azure"
    time.sleep(0.5)
    assert standin.cloud.operations.running(standin.vm)
    assert answer.headers["Retry-After"] == "10"


def test_managed_run_command(standin: StandIn) -> None:
    path = standin.vm_path + "/runCommands/probe"
    put = standin.call("PUT", path, {"location": "japaneast", "properties": {"source": {"script": "echo hello"}}})
    assert (put.status_code, put.json()["properties"]["provisioningState"]) == (201, "Creating")
    assert "Location" not in put.headers
    standin.finish(put)
    plain = standin.get(path)
    assert "instanceView" not in plain["properties"]
    view = standin.get(path + "?$expand=instanceView")["properties"]["instanceView"]
    assert (view["executionState"], view["exitCode"], view["output"]) == ("Succeeded", 0, "hello\n")
    assert [one["name"] for one in standin.get(standin.vm_path + "/runCommands")["value"]] == ["probe"]
    standin.finish(standin.call("DELETE", path))
    assert standin.call("GET", path).status_code == 404
    assert standin.call("DELETE", path).status_code == 204


# -- the channel -------------------------------------------------------------------------------------------------------

MANAGED = {"location": "japaneast", "properties": {"source": {"script": "echo"}, "asyncExecution": True}}


def test_a_managed_one_goes_beside_a_busy_action(standin: StandIn) -> None:
    standin.guest.answers = None
    run(standin)
    assert standin.call("PUT", standin.vm_path + "/runCommands/look", MANAGED).status_code == 201
    assert error(run(standin))[0] == 409


@pytest.mark.parametrize("state", ["busy", "wedged"])
def test_a_channel_that_never_becomes_free_refuses_whatever_is_restarted(standin: StandIn, state: str) -> None:
    standin.cloud.settings.change("run_command_channel", state)
    standin.finish(standin.call("POST", standin.vm_path + "/restart"))
    assert error(run(standin))[2].startswith("Run command extension execution is in progress.")
    assert standin.get(standin.vm_path + "/instanceView")["statuses"][0]["code"] == "ProvisioningState/updating"


def test_deleting_takes_an_agent_that_reports(standin: StandIn) -> None:
    path = standin.vm_path + "/runCommands/look"
    standin.finish(standin.call("PUT", path, MANAGED))
    standin.guest.silent_for = 1000.0
    answer = standin.call("DELETE", path)
    time.sleep(0.5)
    assert standin.call("GET", answer.headers["Azure-AsyncOperation"]).json()["status"] == "InProgress"
    assert standin.call("GET", path).status_code == 200
    standin.guest.silent_for = 1.0
    standin.finish(answer)
    assert standin.call("GET", path).status_code == 404


def test_the_settings_of_the_channel_are_checked(standin: StandIn) -> None:
    with pytest.raises(LabError, match="free, busy, wedged"):
        standin.cloud.settings.change("run_command_channel", "x")
