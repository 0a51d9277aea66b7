"""The serial console's service: who gets a session, and what passes through it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import requests
import websocket

from lab.arm import identity
from tests.lab.standin import StandIn

CONNECT = "/providers/Microsoft.SerialConsole/serialPorts/0/connect"
SERVICE = "/providers/Microsoft.SerialConsole/consoleServices/default"


def address(standin: StandIn) -> str:
    answer = standin.call("POST", standin.vm_path + CONNECT)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["connectionString"]
    return url


def token(standin: StandIn) -> str:
    return identity.token(standin.cloud, "https://management.azure.com/")


def opened(standin: StandIn, url: str | None = None) -> websocket.WebSocket:
    return websocket.create_connection(url or address(standin), timeout=5, sslopt={"ca_certs": str(standin.ca)})


def attached(standin: StandIn) -> websocket.WebSocket:
    """As the newest az serial-console does it: the first message is the cue for the token."""
    client = opened(standin)
    client.recv()
    client.send(token(standin))
    until(lambda: standin.cloud.consoles.of("vm1"))
    return client


def until(condition: Callable[[], object], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def line(standin: StandIn, number: int = -1):
    until(lambda: standin.guest.lines)
    standin.guest.lines[number].settimeout(5)
    return standin.guest.lines[number]


def text(client: websocket.WebSocket) -> str:
    received = client.recv()
    return received if isinstance(received, str) else received.decode()


def test_text_passes_both_ways_and_the_journal_keeps_what_was_typed(standin: StandIn) -> None:
    client = attached(standin)
    client.send("\r")
    assert line(standin).recv(10) == b"\r"
    line(standin).sendall("fake login: é".encode())
    assert text(client) == "fake login: é"
    client.close()
    until(lambda: standin.cloud.consoles.of("vm1") is None)
    until(lambda: any(e.get("typed") == "\r" for e in standin.cloud.journal.entries()))


def test_a_utf8_character_cut_in_half_by_the_line_arrives_whole(standin: StandIn) -> None:
    client = attached(standin)
    first, second = "é".encode()[:1], "é".encode()[1:]
    line(standin).sendall(b"a" + first)
    assert text(client) == "a"
    line(standin).sendall(second)
    assert text(client) == "é"


@pytest.mark.parametrize("cue", ["first-message", "none"])
def test_the_token_as_soon_as_the_socket_is_open_is_taken_too_and_never_reaches_the_guest(
    standin: StandIn, cue: str
) -> None:
    standin.cloud.settings.change("console_cue", cue)
    client, key = opened(standin), token(standin)
    client.send(key)
    if cue == "first-message":
        client.recv()
        client.send(key)  # the client that sends it at once sends it on the first message as well
    client.send("x")
    assert line(standin).recv(100) == b"x"


def test_the_oldest_clients_put_the_token_into_the_query(standin: StandIn) -> None:
    client = opened(standin, f"{address(standin)}?authorization={token(standin)}")
    line(standin).sendall(b"hello")
    assert text(client) == "hello"


def test_without_a_good_token_there_is_no_session(standin: StandIn) -> None:
    client = opened(standin)
    client.recv()
    client.send("not a token")
    assert client.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    assert not standin.guest.lines


def test_a_second_user_takes_the_session_over(standin: StandIn) -> None:
    first = attached(standin)
    line(standin)
    second = attached(standin)
    assert first.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    until(lambda: len(standin.guest.lines) == 2)
    line(standin).sendall(b"for the second")
    assert text(second) == "for the second"


def test_a_second_user_is_refused_where_the_platform_does_that(standin: StandIn) -> None:
    standin.cloud.settings.change("console_second", "refused")
    first = attached(standin)
    second = opened(standin)
    second.recv()
    second.send(token(standin))
    assert "Another user is connected" in text(second)
    assert second.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    line(standin).sendall(b"still here")
    assert text(first) == "still here"


def test_the_connection_can_be_lost_half_way(standin: StandIn) -> None:
    standin.cloud.injections.add("cut:10@/client")
    client = attached(standin)
    line(standin).sendall(b"12345")
    assert text(client) == "12345"
    line(standin).sendall(b"67890abc")
    with pytest.raises((websocket.WebSocketException, OSError)):
        text(client)


def test_what_connect_refuses(standin: StandIn) -> None:
    def refusal() -> tuple[int, str]:
        answer = standin.call("POST", standin.vm_path + CONNECT)
        return answer.status_code, answer.json()["error"]["message"]

    assert standin.call("POST", f"/subscriptions/{standin.cloud.subscription}{SERVICE}/disableConsole").ok
    assert "not enabled for this subscription" in refusal()[1]
    assert standin.get(f"/subscriptions/{standin.cloud.subscription}{SERVICE}")["properties"]["disabled"] is True
    assert standin.call("POST", f"/subscriptions/{standin.cloud.subscription}{SERVICE}/enableConsole").ok
    standin.vm.boot_diagnostics = False
    assert "boot diagnostics" in refusal()[1]
    standin.vm.boot_diagnostics = True
    standin.guest.power = "deallocated"
    assert "to be running" in refusal()[1]
    standin.guest.power = "running"
    standin.cloud.injections.add("denied*1@serialPorts")
    assert "Microsoft.SerialConsole/serialPorts/connect/action" in refusal()[1]
    assert refusal_is_over(standin)


def refusal_is_over(standin: StandIn) -> bool:
    return standin.call("POST", standin.vm_path + CONNECT).status_code == 200


def test_admin_commands_need_a_session(standin: StandIn) -> None:
    url = address(standin).replace("wss", "https").replace("/client", "/adminCommand/reset")

    def reset() -> int:
        bearer = {"Authorization": f"Bearer {token(standin)}"}
        return requests.post(
            url, headers=bearer, json={"command": "reset"}, verify=str(standin.ca), timeout=5
        ).status_code

    assert reset() == 404
    client = attached(standin)
    line(standin)
    assert reset() == 200
    assert standin.guest.steps == ["restart"]
    client.close()
