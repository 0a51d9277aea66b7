"""The judges of the stand-in: az's own commands, unmodified, on the real guest with the real agent."""

from __future__ import annotations

import pytest

from tests.laboratory import Laboratory

pytestmark = pytest.mark.real_guest

VM = ("-g", "lab", "-n", "vm1")


def test_a_run_command_is_executed_by_the_real_agent_in_the_guest(lab: Laboratory) -> None:
    call = lab.az("vm", "run-command", "invoke", *VM, "--command-id", "RunShellScript", "--scripts", "id -u; hostname")
    message = call.document()["value"][0]["message"]
    assert message.startswith("Enable succeeded")
    assert "\n0\n" in message


def test_what_az_shows_is_what_the_agent_reported(lab: Laboratory) -> None:
    view = lab.az("vm", "get-instance-view", *VM, "-o", "json").document()["instanceView"]
    assert view["vmAgent"]["vmAgentVersion"] == "2.7.3.0"
    assert view["vmAgent"]["statuses"][0]["displayStatus"] == "Ready"
    assert view["osName"] == "debian"
    listed = lab.az("vm", "list", "-g", "lab", "-d", "-o", "json").document()
    assert [(vm["name"], vm["powerState"]) for vm in listed] == [("vm1", "VM running")]


def test_the_serial_log_the_metrics_and_a_raw_call_answer(lab: Laboratory) -> None:
    log = lab.az("vm", "boot-diagnostics", "get-boot-log", *VM)
    assert log.code == 0, log
    assert "login:" in log.stdout
    vm_id = lab.az("vm", "show", *VM, "--query", "id", "-o", "tsv").stdout.strip()
    metrics = lab.az("monitor", "metrics", "list", "--resource", vm_id, "--metric", "Network Out Total", "-o", "json")
    data = metrics.document()["value"][0]["timeseries"][0]["data"]
    assert any(sample.get("total") for sample in data)
    raw = lab.az("rest", "--method", "get", "--url", f"{vm_id}?api-version=2024-11-01", "-o", "json")
    assert raw.document()["name"] == "vm1"


def test_power_operations_are_those_of_the_real_machine(lab: Laboratory) -> None:
    assert lab.az("vm", "restart", *VM).code == 0
    lab.wait_for_agent("Ready")
    assert lab.az("vm", "deallocate", *VM).code == 0
    assert lab.status()["power"] == "deallocated"
    assert lab.diagnose("vm1")["verdict"]["scenario"] == "vm-not-running"
    assert lab.az("vm", "start", *VM).code == 0
    lab.wait_for_agent("Ready")
    assert lab.az("vm", "redeploy", *VM).code == 0
    lab.wait_for_agent("Ready")
