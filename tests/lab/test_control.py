"""The command line, the control socket and the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.__main__ import split
from lab.arm.settings import Settings
from lab.az import Endpoints, environment, exports, merged
from lab.control import ControlServer, ask
from lab.guests.base import LabError


@pytest.mark.parametrize(
    ("given", "own", "passed"),
    [
        (["az", "--version"], ["az"], ["--version"]),
        (["az", "--login", "cloud-shell", "vm", "list"], ["az", "--login", "cloud-shell"], ["vm", "list"]),
        (["az", "vm", "show", "--login", "x"], ["az"], ["vm", "show", "--login", "x"]),
        (["sh", "--timeout=5", "ip", "-4", "a"], ["sh", "--timeout=5"], ["ip", "-4", "a"]),
        (["az", "-h"], ["az", "-h"], []),
        (["fault", "nic-down"], ["fault", "nic-down"], []),
        ([], [], []),
    ],
)
def test_what_is_passed_on(given: list[str], own: list[str], passed: list[str]) -> None:
    assert split(given) == (own, passed)


def test_answers_and_errors_cross_the_socket(tmp_path: Path) -> None:
    def fail(reason: str) -> None:
        raise LabError(reason)

    server = ControlServer(tmp_path / "control.sock", {"double": lambda command: command * 2, "fail": fail})
    try:
        assert ask(tmp_path / "control.sock", "double", command="ab") == "abab"
        with pytest.raises(LabError, match="because"):
            ask(tmp_path / "control.sock", "fail", reason="because")
        with pytest.raises(LabError, match="does not know"):
            ask(tmp_path / "control.sock", "nothing")
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(LabError, match="is not up here"):
        ask(tmp_path / "other.sock", "status")


def test_settings() -> None:
    settings = Settings()
    settings.change("not_ready_after", "900")
    assert settings.not_ready_after == 900
    for name, value in (("nope", "1"), ("metrics_lag", "soon"), ("latency", "moon")):
        with pytest.raises(LabError):
            settings.change(name, value)


def test_nothing_of_the_users_azure_remains() -> None:
    endpoints = Endpoints("https://127.0.0.1:1", "secret", Path("/ca.pem"), "http://127.0.0.1:2", None)
    users = {"MSI_ENDPOINT": "http://users", "https_proxy": "http://proxy", "PATH": "/bin"}
    own = merged(environment(endpoints, "managed-identity", Path("/az"), Path("/b.pem")), users)
    assert own["AZURE_CONFIG_DIR"] == "/az"
    assert own["https_proxy"] == "http://proxy"
    assert "MSI_ENDPOINT" not in own
    shell = merged(environment(endpoints, "cloud-shell", Path("/az"), Path("/b.pem")), users)
    assert shell["HTTPS_PROXY"] == "http://127.0.0.1:2"
    assert "https_proxy" not in shell
    assert "IDENTITY_ENDPOINT" not in shell
    assert "unset MSI_ENDPOINT" in exports(own)
