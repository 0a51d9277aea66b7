"""What would settle an open question: the cheapest way to more evidence, given what was tried. Pure."""

from __future__ import annotations

from azext_vmagent.causes import boot
from azext_vmagent.causes.access import diagnose_again, ssh_login, vm_arguments
from azext_vmagent.channels.choice import Wish
from azext_vmagent.facts.reading import SSH, Facts
from azext_vmagent.facts.ssh_words import NO_CLIENT
from azext_vmagent.model import NextStep, Scenario, State


def settle(facts: Facts, wish: Wish, candidates: tuple[Scenario, ...]) -> tuple[NextStep, ...]:
    """The cheapest things that would settle it."""
    steps = []
    if Scenario.AGENT_STOPPED in candidates:
        steps.append(_look_inside(facts, wish))
        if facts.guest is None and not (facts.vm is not None and facts.vm.windows):
            steps.append(_by_hand(facts))
    looked = facts.console is not None and facts.console.pressed
    if (Scenario.OS_NOT_RUNNING in candidates or Scenario.NETWORK_DOWN in candidates) and not looked:
        steps.append(
            NextStep(
                "attach to the serial console and press Enter once: a fresh login prompt means 3, silence means 4",
                f"az serial-console connect {vm_arguments(facts)}",
                effect="changes nothing in the guest; whoever is connected to its console is disconnected",
                downtime="none",
                link=boot.CONSOLE_LINK,
            )
        )
    if Scenario.OS_NOT_RUNNING in candidates or Scenario.NETWORK_DOWN in candidates:
        steps.append(
            NextStep(
                "ask again in 3 minutes, when the host metrics cover the silence",
                diagnose_again(facts),
                effect="reads only",
                downtime="none",
            )
        )
    return tuple(steps)


def _by_hand(facts: Facts) -> NextStep:
    """For whoever has a shell there that this command has no way to: a console, a hypervisor's, somebody else's."""
    return NextStep(
        f"or paste the probe into any root shell there and give back its answer: "
        f"{diagnose_again(facts, '--probe-output FILE')}",
        "az vm agent-diagnose --print-probe",
        effect="reads only",
        downtime="none",
    )


def _look_inside(facts: Facts, wish: Wish) -> NextStep:
    """How to get the guest's own word, given what was tried."""
    if facts.vm is not None and facts.vm.windows:
        return NextStep(
            "paste the probe into a PowerShell that was started as administrator (RDP, Bastion), and give its answer "
            f"back: {diagnose_again(facts, '--probe-output FILE')}",
            "az vm agent-diagnose --print-probe powershell",
            effect="reads only",
            downtime="none",
            link="https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/windows-azure-guest-agent",
        )
    if facts.guest is not None:
        return NextStep("ask again: the guest was too slow to say it", diagnose_again(facts), effect="reads only")
    login = ssh_login(facts, wish)
    if login is not None and facts.state(SSH) in (State.DENIED, State.FAILED, State.TIMED_OUT):
        return NextStep("make this login work, then ask again", f"{login} id", effect="reads only", downtime="none")
    if facts.detail(SSH) == NO_CLIENT:
        client = "install an OpenSSH client on this machine, then ask again"
        return NextStep(client, diagnose_again(facts), effect="reads only", downtime="none")
    host = "" if facts.network is None or facts.network.public_address else " --ssh-host ADDRESS"
    return NextStep(
        "look inside through SSH: settles it in about 5 s",
        diagnose_again(facts, f"--ssh-user USER{host}"),
        effect="reads only",
        downtime="none",
    )
