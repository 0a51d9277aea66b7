"""What ARM does before a resource provider sees a request, and its error bodies."""

from __future__ import annotations

import http.client
import ssl

import pytest
import requests

from lab.arm import identity
from lab.arm.errors import ArmError, action_of
from lab.arm.throttling import Bucket, Throttle
from tests.lab.standin import StandIn


def code(answer: requests.Response) -> str:
    return str(answer.json()["error"]["code"])


def test_no_token_and_wrong_tokens_are_refused(standin: StandIn) -> None:
    answer = standin.call("GET", standin.vm_path, token="")
    assert (answer.status_code, code(answer)) == (401, "AuthenticationFailed")
    assert "authorization_uri=" in answer.headers["WWW-Authenticate"]
    assert code(standin.call("GET", standin.vm_path, token="a.b.c")) == "InvalidAuthenticationToken"
    old = identity.token(standin.cloud, "x", lifetime=-5)
    assert code(standin.call("GET", standin.vm_path, token=old)) == "ExpiredAuthenticationToken"


def test_api_version_is_required(standin: StandIn) -> None:
    answer = standin.call("GET", standin.vm_path, version=None)
    assert (answer.status_code, code(answer)) == (400, "MissingApiVersionParameter")
    assert code(standin.call("GET", standin.vm_path, version="latest")) == "InvalidApiVersionParameter"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("/vm1", "/vm9"), "ResourceNotFound"),
        (("/lab/", "/nope/"), "ResourceGroupNotFound"),
        (("/subscriptions/5a", "/subscriptions/00"), "SubscriptionNotFound"),
    ],
)
def test_what_is_not_there(standin: StandIn, change: tuple[str, str], expected: str) -> None:
    answer = standin.call("GET", standin.vm_path.replace(*change))
    assert (answer.status_code, code(answer)) == (404, expected)


def test_names_are_compared_without_case(standin: StandIn) -> None:
    assert standin.get(standin.vm_path.upper().replace("/SUBSCRIPTIONS", "/subscriptions"))["name"] == "vm1"


def test_headers_every_answer_has(standin: StandIn) -> None:
    headers = standin.call("GET", standin.vm_path).headers
    assert int(headers["x-ms-ratelimit-remaining-subscription-reads"]) < 250
    assert headers["x-ms-ratelimit-remaining-resource"].startswith("Microsoft.Compute/LowCostGet3Min;")
    assert headers["x-ms-correlation-request-id"]
    assert headers["x-ms-request-id"]


def test_an_empty_bucket_is_429_with_retry_after() -> None:
    throttle = Throttle()
    throttle._buckets["reads"] = Bucket(2, 0)
    throttle.headers("GET", "/subscriptions/s")
    throttle.headers("GET", "/subscriptions/s")
    with pytest.raises(ArmError) as raised:
        throttle.headers("GET", "/subscriptions/s")
    assert raised.value.status == 429
    assert raised.value.headers["Retry-After"] == "1"


def test_connections_are_kept(standin: StandIn) -> None:
    host, _, port = standin.cloud.base_url.removeprefix("https://").partition(":")
    context = ssl.create_default_context(cafile=str(standin.ca))
    connection = http.client.HTTPSConnection(host, int(port), context=context)
    headers = {"Authorization": f"Bearer {identity.token(standin.cloud, 'x')}"}
    sockets = []
    for _ in range(3):
        connection.request("GET", f"{standin.vm_path}?api-version=2024-07-01", headers=headers)
        assert connection.getresponse().read().startswith(b"{")
        sockets.append(connection.sock)
    assert sockets[0] is not None
    assert sockets.count(sockets[0]) == 3
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "action", "scope"),
    [
        ("GET", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v",
         "Microsoft.Compute/virtualMachines/read", "/virtualMachines/v"),
        ("POST", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v/runCommand",
         "Microsoft.Compute/virtualMachines/runCommand/action", "/virtualMachines/v"),
        ("GET", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v/instanceView",
         "Microsoft.Compute/virtualMachines/instanceView/read", "/virtualMachines/v"),
        ("GET", "/x/virtualMachines/v/providers/Microsoft.Insights/metrics",
         "Microsoft.Insights/metrics/read", "/metrics"),
        ("PUT", "/x/providers/Microsoft.Compute/virtualMachines/v/runCommands/r",
         "Microsoft.Compute/virtualMachines/runCommands/write", "/runCommands/r"),
        ("GET", "/subscriptions/s/resourceGroups/g", "Microsoft.Resources/subscriptions/resourceGroups/read", "/g"),
    ],
)  # fmt: skip
def test_the_right_a_request_needs(method: str, path: str, action: str, scope: str) -> None:
    found, where = action_of(method, path)
    assert found == action
    assert where.endswith(scope)


def test_the_app_service_token_needs_its_header(standin: StandIn) -> None:
    url = f"{standin.cloud.base_url}/msi/token?api-version=2019-08-01&resource=r"
    assert requests.get(url, verify=str(standin.ca)).status_code == 401
    headers = {"X-IDENTITY-HEADER": standin.cloud.identity_header}
    token = requests.get(url, headers=headers, verify=str(standin.ca)).json()["access_token"]
    assert standin.call("GET", "/subscriptions", token=token).json()["value"][0]["tenantId"] == standin.cloud.tenant
