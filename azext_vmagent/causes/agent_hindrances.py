"""What in its guest keeps the agent from its work: storage, openssl, certificates, its own configuration."""

from __future__ import annotations

import re

from azext_vmagent.causes import storage
from azext_vmagent.causes.agent_program import CONF
from azext_vmagent.causes.catalogue import agent_goal_state, agent_provisioning, agent_storage
from azext_vmagent.facts.guest import GuestFacts
from azext_vmagent.model import Cause


def silencing(guest: GuestFacts) -> tuple[Cause, ...]:
    """What can silence an agent that runs, or make it crash: it is there now; that it did is for the verdict to say."""
    found = tuple(cause for cause in storage.causes(guest) if cause.code != agent_storage.NO_EXEC.code)
    if guest.program.openssl is False and guest.config.get("OS.OpensslPath", "None") == "None":
        found += (agent_goal_state.NO_OPENSSL.named("The agent makes and reads its certificates with it.", "openssl"),)
    return found


def limiting(guest: GuestFacts) -> tuple[Cause, ...]:
    """What lets the agent report and keeps it from its work: extensions, and with them run commands."""
    found = tuple(cause for cause in storage.causes(guest) if cause.code == agent_storage.NO_EXEC.code)
    if guest.fips and any(_NOT_DECRYPTED.search(line.text) for line in guest.log.errors):
        found += (
            agent_goal_state.FIPS.named(
                "Extensions with protected settings fail; agents from 2.14 on can be told to use FIPS ciphers.",
                "/proc/sys/crypto/fips_enabled",
            ),
        )
    if guest.config.get("Extensions.Enabled", "y").lower().startswith("n"):
        found += (
            agent_provisioning.EXTENSIONS_DISABLED.named(
                "It reports, but runs neither extensions nor run commands.", f"{CONF}: Extensions.Enabled=n"
            ),
        )
    return found


_NOT_DECRYPTED = re.compile(r"[Ff]ailed to decrypt|unknown cipher|converting PFX")
