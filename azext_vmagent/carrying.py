"""Carries one script into the guest, through the way that looked inside. One branch for each way that can.

Nothing is decided about the repair here: the script is whole, and what comes back is the guest's own record.
"""

from __future__ import annotations

from azext_vmagent.channels.choice import Wish
from azext_vmagent.evidence.asking import ask_all
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.reading import SSH, Facts
from azext_vmagent.flow import Azure, Diagnosis, login_of
from azext_vmagent.model import Answer

_NO_LOGIN = "a change in the guest is carried through SSH: add --ssh-user USER, or print it: --print-script"


def why_not(facts: Facts, wish: Wish) -> str | None:
    """Why nothing can be carried into this guest with this login, and what to add; None when it can."""
    return None if facts.guest_channel == SSH and wish.ssh_user else _NO_LOGIN


def carry(azure: Azure, before: Diagnosis, script: str, deadline: Deadline) -> Answer:
    """Run the script as root in the guest; ``value`` is what it printed. Never raises for what the way does."""
    login = login_of(before.facts, before.wish)
    return next(iter(ask_all({SSH: lambda: azure.ssh(login, script, deadline)}, deadline)))
