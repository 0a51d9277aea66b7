"""Scenario 1: the agent's service does not run, by systemd's word."""

from __future__ import annotations

from azext_vmagent.causes.known_cause import KnownCause, Remedy
from azext_vmagent.causes.signs import inside
from azext_vmagent.model import Scenario

STOPPED = KnownCause(
    code="L01",
    slug="agent-stopped",
    title="The agent's service is stopped",
    scenario=Scenario.AGENT_STOPPED,
    means="Somebody or something stopped the service of the Azure Linux agent (waagent.service, on Debian and Ubuntu "
    "walinuxagent.service). It starts again at the next boot. Until then the VM works as before, but Azure hears "
    "nothing from it: no extension and no run command is carried out.",
    looks_like=(
        "systemctl is-active waagent: inactive",
        "Active: inactive (dead) since …",
        "SSH and every other service of the VM work",
    ),
    not_to_confuse=(
        "L02: it is disabled as well, so that it is gone after a restart, too.",
        "L05: it does not stay stopped by itself, it crashes at every start.",
        "L28: the service is active and the agent does nothing.",
    ),
    signs=(inside("service"),),
    remedies=(
        Remedy(
            "start the agent in the guest",
            "systemctl start {unit}",
            effect="the agent reports again within about a minute",
            undo="systemctl stop {unit}",
        ),
        Remedy("if it does not stay up, update the agent", effect="replaces a broken agent"),
    ),
    links=(
        "troubleshoot/azure/virtual-machines/linux/linux-azure-guest-agent",
        "azure/virtual-machines/extensions/update-linux-agent",
    ),
    sources=("linux-azure-guest-agent.md, scenario 1",),
)
