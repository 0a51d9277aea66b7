"""The arguments of the serial console: whose password, and from where."""

from __future__ import annotations

import pytest
from azure.cli.core.azclierror import InvalidArgumentValueError, RequiredArgumentMissingError

from azext_vmagent import targets
from azext_vmagent.channels.choice import Wish

VARIABLE = "AZURE_VMAGENT_CONSOLE_PASSWORD"


def test_the_password_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv(VARIABLE, "secret")
    found = targets.at_console(Wish(ssh_user="ops"), "auto", "ops")
    assert (found.console_user, found.console_password, found.ssh_user) == ("ops", "secret", "ops")
    assert "secret" not in repr(found)


def test_on_a_terminal_it_is_asked_for(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("knack.prompting.prompt_pass", lambda text: "typed" if "ops" in text else "")
    assert targets.at_console(Wish(), "always", "ops").console_password == "typed"


def test_without_a_terminal_the_variable_is_named(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(RequiredArgumentMissingError) as caught:
        targets.at_console(Wish(), "auto", "ops")
    assert VARIABLE in str(caught.value.recommendations)


@pytest.mark.parametrize(("choice", "user"), [("never", "ops"), ("auto", None)])
def test_nobody_is_asked_for_a_password_that_nobody_needs(monkeypatch, choice, user):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert targets.at_console(Wish(), choice, user).console_password == ""


@pytest.mark.parametrize("password", ["a\rb", "a\x03", "a\nb"])
def test_a_password_that_would_press_other_keys_is_refused(monkeypatch, password):
    monkeypatch.setenv(VARIABLE, password)
    with pytest.raises(InvalidArgumentValueError) as caught:
        targets.at_console(Wish(), "auto", "ops")
    assert password not in str(caught.value)


@pytest.mark.parametrize("user", ["", "-f root", "root\r", "a b", "x;reboot", "root\n"])
def test_a_user_that_would_press_other_keys_is_refused(monkeypatch, user):
    monkeypatch.setenv(VARIABLE, "secret")
    with pytest.raises(InvalidArgumentValueError):
        targets.at_console(Wish(), "auto", user)


@pytest.mark.parametrize("user", ["root", "azureuser", "DOMAIN\\ops", "ops@example.com", "svc-1.x$"])
def test_names_that_people_have(monkeypatch, user):
    monkeypatch.setenv(VARIABLE, "secret")
    assert targets.at_console(Wish(), "auto", user).console_user == user
