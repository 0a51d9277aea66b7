"""Lists with pages, boot diagnostics and its SAS addresses, network, metrics and health."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests

from lab.arm.boot_diagnostics import signed
from lab.arm.times import parse, zulu
from tests.lab.standin import StandIn, standing


def test_lists_come_in_pages(tmp_path: Path) -> None:
    with standing(tmp_path, ("a", "b", "c")) as standin:
        standin.cloud.settings.page_size = 2
        path = (
            f"/subscriptions/{standin.cloud.subscription}/providers/Microsoft.Compute/virtualMachines?statusOnly=true"
        )
        first = standin.get(path)
        second = standin.get(first["nextLink"])
        assert [vm["name"] for vm in first["value"] + second["value"]] == ["a", "b", "c"]
        assert "nextLink" not in second
        assert "vmAgent" not in first["value"][0]["properties"]["instanceView"]


def test_expanding_a_list_is_refused(standin: StandIn) -> None:
    path = standin.vm_path.rpartition("/")[0]
    assert standin.call("GET", path + "?$expand=instanceView").status_code == 400
    assert standin.get(path)["value"][0]["id"] == standin.vm_path


def log_address(standin: StandIn) -> str:
    answer = standin.call("POST", standin.vm_path + "/retrieveBootDiagnosticsData?sasUriExpirationTimeInMinutes=5")
    return str(answer.json()["serialConsoleLogBlobUri"])


def test_the_serial_log_is_a_page_blob_behind_a_sas_address(standin: StandIn) -> None:
    address = log_address(standin)
    answer = requests.get(address, verify=str(standin.ca))
    assert len(answer.content) % 512 == 0
    assert answer.content.rstrip(b"\0") == standin.guest.log
    part = requests.get(address, verify=str(standin.ca), headers={"Range": "bytes=4-9"})
    assert (part.status_code, part.content) == (206, standin.guest.log[4:10])


def test_sas_addresses_are_checked(standin: StandIn) -> None:
    address = log_address(standin)
    forged = requests.get(address.replace("sig=", "sig=A"), verify=str(standin.ca))
    assert (forged.status_code, forged.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")
    path = address.partition("?")[0].removeprefix(standin.cloud.base_url)
    old = requests.get(signed(standin.cloud, path, time.time() - 60), verify=str(standin.ca))
    assert old.status_code == 403
    assert b"Signed expiry time" in old.content
    with_token = requests.get(address, verify=str(standin.ca), headers={"Authorization": "Bearer x"})
    assert with_token.status_code == 403


def test_no_blob_of_a_vm_that_is_off(standin: StandIn) -> None:
    standin.guest.power = "deallocated"
    answer = requests.get(log_address(standin), verify=str(standin.ca))
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (404, "BlobNotFound")


def test_boot_diagnostics_can_be_off(standin: StandIn) -> None:
    standin.call(
        "PATCH", standin.vm_path, {"properties": {"diagnosticsProfile": {"bootDiagnostics": {"enabled": False}}}}
    )
    assert standin.call("POST", standin.vm_path + "/retrieveBootDiagnosticsData").status_code == 400


def test_a_nic_shows_ids_unless_expanded(standin: StandIn) -> None:
    nic_id = standin.get(standin.vm_path)["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
    plain = standin.get(nic_id)["properties"]
    assert list(plain["networkSecurityGroup"]) == ["id"]
    assert list(plain["ipConfigurations"][0]["properties"]["publicIPAddress"]) == ["id"]
    full = standin.get(nic_id + "?$expand=ipConfigurations/publicIPAddress,networkSecurityGroup")["properties"]
    assert full["ipConfigurations"][0]["properties"]["publicIPAddress"]["properties"]["ipAddress"] == "127.0.30.4"
    rules = full["networkSecurityGroup"]["properties"]
    assert rules["securityRules"][0]["properties"]["destinationPortRange"] == "22"
    assert len(rules["defaultSecurityRules"]) == 6


def test_a_private_vm_has_no_public_address(standin: StandIn) -> None:
    standin.vm.public = False
    nic = standin.get(
        standin.vm_path.replace("Microsoft.Compute/virtualMachines/vm1", "Microsoft.Network/networkInterfaces/vm1-nic")
    )
    assert "publicIPAddress" not in nic["properties"]["ipConfigurations"][0]["properties"]


def metrics(standin: StandIn, query: str) -> requests.Response:
    return standin.call("GET", f"{standin.vm_path}/providers/Microsoft.Insights/metrics?{query}", version="2023-10-01")


def test_metrics_of_whole_minutes(standin: StandIn) -> None:
    standin.cloud.settings.metrics_lag = 180
    answer = metrics(
        standin, "metricnames=Percentage%20CPU,Network%20Out%20Total&aggregation=Average,Total&interval=PT1M"
    ).json()
    assert [one["name"]["value"] for one in answer["value"]] == ["Percentage CPU", "Network Out Total"]
    data = answer["value"][1]["timeseries"][0]["data"]
    assert 60 <= len(data) <= 62
    assert all(list(one) == ["timeStamp"] for one in data[-3:]), "not ingested yet"
    with_value = [one for one in data if "total" in one]
    assert with_value[0]["total"] == 500.0
    gaps = [one for one in data[:-4] if "total" not in one]
    assert gaps
    assert all(parse(one["timeStamp"]) % 600 == 0 for one in gaps)


def test_coarser_grains_add_up(standin: StandIn) -> None:
    end = int(time.time() // 3600) * 3600 - 3600
    span = f"{zulu(end - 3600)}/{zulu(end)}"
    answer = metrics(
        standin, f"metricnames=Network%20In%20Total&timespan={span}&interval=PT1H&aggregation=total,count"
    ).json()
    assert answer["value"][0]["timeseries"][0]["data"] == [
        {"timeStamp": span.partition("/")[0], "total": 54000.0, "count": 54}
    ]


@pytest.mark.parametrize("query", ["metricnames=Nope", "interval=PT2M", "timespan=yesterday", "aggregation=median"])
def test_bad_questions_about_metrics(standin: StandIn, query: str) -> None:
    answer = metrics(standin, query)
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")


def test_health_follows_the_power_not_the_agent(standin: StandIn) -> None:
    path = standin.vm_path + "/providers/Microsoft.ResourceHealth/availabilityStatuses/current"
    standin.guest.silent_for = None
    assert standin.get(path)["properties"]["availabilityState"] == "Available"
    standin.guest.power = "deallocated"
    assert standin.get(path)["properties"]["title"] == "Stopped and deallocated"
