"""How a command in a remedy is written so that it can be copied whole and run where the operator sits."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace

from azext_vmagent.channels.choice import ALWAYS, AUTO, Wish
from azext_vmagent.facts.reading import RUN_COMMAND, SERIAL_CONSOLE, Facts
from azext_vmagent.model import NextStep, Target


def vm_arguments(facts: Facts) -> str:
    """``-g RG -n VM``, quoted."""
    return f"-g {shlex.quote(facts.target.resource_group)} -n {shlex.quote(facts.target.name)}"


def az_vm(verb: str, facts: Facts, *more: str) -> str:
    """An ``az vm`` command on this VM."""
    return " ".join(["az vm", verb, vm_arguments(facts), *more])


def diagnose_again(facts: Facts, *more: str) -> str:
    """The command that asks again with more to go by."""
    return az_vm("agent-diagnose", facts, *more)


def login_arguments(wish: Wish, besides: str = "") -> tuple[str, ...]:
    """The arguments with which the same way into the guest is taken again, quoted for a shell.

    Without those that a command names already, ``besides``.
    """
    named = besides.split()
    given = (
        ("--ssh-user", wish.ssh_user),
        ("--ssh-host", wish.ssh_host),
        ("--ssh-port", wish.ssh_port and str(wish.ssh_port)),
        ("--ssh-key", wish.ssh_key),
        ("--ssh-config", wish.ssh_config),
        ("--run-command", wish.run_command if wish.run_command != AUTO else None),
        ("--serial-console", wish.serial_console if wish.serial_console != AUTO else None),
        ("--console-user", wish.console_user),
    )
    return tuple(part for name, value in given if value and name not in named for part in (name, shlex.quote(value)))


def the_same_way(facts: Facts, wish: Wish, *more: str) -> str:
    """The command that asks again with the same login, and with more besides."""
    return diagnose_again(facts, *login_arguments(wish), *more)


def with_login(steps: Iterable[NextStep], facts: Facts, wish: Wish) -> tuple[NextStep, ...]:
    """The steps, those that ask again with the login that the user gave: a copied line must not lose the way in."""
    again = diagnose_again(facts)
    return tuple(
        replace(step, command=" ".join([again, *login_arguments(wish, step.command)]) + step.command[len(again) :])
        if step.command and _asks_again(step.command, again)
        else step
        for step in steps
    )


def _asks_again(command: str, again: str) -> bool:
    """The answer of a probe that somebody carried needs no way in."""
    return command == again or (command.startswith(f"{again} ") and "--probe-output" not in command)


def undo_the_same_way(facts: Facts, wish: Wish) -> str:
    """The command that takes the last repair back with the same login: at the console, as a guest that is well again is
    not looked into there unless asked.
    """
    if facts.stopped is not None or facts.guest_channel == SERIAL_CONSOLE:
        wish = replace(wish, serial_console=ALWAYS)
    return the_same_way(facts, wish, "--undo")


def all_again(targets: Sequence[Target], wish: Wish, *more: str) -> str:
    """The command that asks for these VMs by their ids, with the same login."""
    ids = (shlex.quote(target.id) for target in targets)
    return " ".join(["az vm agent-diagnose --ids", *ids, *login_arguments(wish), *more])


def ssh_login(facts: Facts, wish: Wish) -> str | None:
    """``ssh -l ops 20.1.2.3`` as the user asked for it, or None without a user or an address."""
    address = wish.ssh_host or (facts.network.public_address if facts.network else None)
    if not wish.ssh_user or not address:
        return None
    parts = ["ssh", *(["-F", wish.ssh_config] if wish.ssh_config else []), "-l", wish.ssh_user]
    if wish.ssh_port:
        parts += ["-p", str(wish.ssh_port)]
    if wish.ssh_key:
        parts += ["-i", wish.ssh_key]
    return shlex.join([*parts, address])


def in_guest(facts: Facts, wish: Wish, command: str) -> str:
    """``command`` (one command line for root's shell in the guest) through the channel that answered.

    The line may hold text from the guest, quoted as a shell word by its maker; here the whole line is quoted once more.
    """
    if facts.guest_channel == RUN_COMMAND:
        return az_vm("run-command invoke", facts, "--command-id RunShellScript", f"--scripts {shlex.quote(command)}")
    login = ssh_login(facts, wish)
    if login is None:
        return command
    if wish.ssh_user != "root":
        command = f"sudo {command}" if _one_plain_command(command) else f"sudo sh -c {shlex.quote(command)}"
    return f"{login} {shlex.quote(command)}"


def _one_plain_command(command: str) -> bool:
    """Nothing in it that only a shell of root's own would get right: no lists, pipes, redirections or expansions."""
    return not set(command) & set(";&|<>$`(){}*?[]~#\\\n")


def in_windows(facts: Facts, command: str) -> str:
    """A PowerShell command line as the operator can run it: through Run Command where that answered.

    Everywhere else the line is for an elevated PowerShell in the guest.
    """
    if facts.guest_channel == RUN_COMMAND:
        script = f"--scripts {shlex.quote(command)}"
        return az_vm("run-command invoke", facts, "--command-id RunPowerShellScript", script)
    return command
