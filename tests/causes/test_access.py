"""What is offered as the next command keeps the way into the guest that the user gave."""

from __future__ import annotations

import pytest

from azext_vmagent.causes.access import diagnose_again, with_login
from azext_vmagent.channels.choice import Wish
from azext_vmagent.model import NextStep
from tests.verdict.build import facts

AGAIN = "az vm agent-diagnose -g rg-shop -n web-03"
TUNNEL = Wish(ssh_user="ops", ssh_host="127.0.0.1", ssh_port=2222)


def offered(command: str | None, wish: Wish) -> str | None:
    return with_login([NextStep("do it", command)], facts(), wish)[0].command


def test_asking_again_keeps_the_login():
    assert diagnose_again(facts()) == AGAIN
    assert offered(AGAIN, TUNNEL) == f"{AGAIN} --ssh-user ops --ssh-host 127.0.0.1 --ssh-port 2222"
    assert (
        offered(f"{AGAIN} --repair --dry-run", Wish(console_user="ops"))
        == f"{AGAIN} --console-user ops --repair --dry-run"
    )
    assert offered(AGAIN, Wish()) == AGAIN


def test_what_the_command_names_itself_stays_as_it_is():
    assert (
        offered(f"{AGAIN} --ssh-user root", TUNNEL) == f"{AGAIN} --ssh-host 127.0.0.1 --ssh-port 2222 --ssh-user root"
    )
    once = offered(AGAIN, TUNNEL)
    assert offered(once, TUNNEL) == once


def test_a_key_with_a_blank_in_its_name_stays_one_word():
    wish = Wish(ssh_user="ops", ssh_key="/home/o/my key")
    once = offered(AGAIN, wish)
    assert once == f"{AGAIN} --ssh-user ops --ssh-key '/home/o/my key'"
    assert offered(once, wish) == once


@pytest.mark.parametrize(
    "command",
    [
        f"{AGAIN}2",
        f"{AGAIN} --probe-output FILE",
        "az vm agent-diagnose --print-probe",
        "az vm start -g rg-shop -n web-03",
        None,
    ],
)
def test_another_command_is_left_alone(command):
    assert offered(command, TUNNEL) == command
