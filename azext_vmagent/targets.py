"""Which VMs are meant, and whether the arguments make sense; every refusal says what to write instead."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from azext_vmagent.channels.choice import NEVER, Wish
from azext_vmagent.facts.guest import is_probe_answer
from azext_vmagent.facts.paste import pasted_answer
from azext_vmagent.guest import paste_script, windows_paste_script
from azext_vmagent.model import Target

if TYPE_CHECKING:
    from azure.cli.core import AzCli

    from azext_vmagent.repair.consent import RepairWish

MINIMUM_SECONDS = 5
#: the probe answers 4 KB; the rest is a terminal's log around it
MOST_PASTED = 1 << 20
PASSWORD_VARIABLE = "AZURE_VMAGENT_CONSOLE_PASSWORD"


def resolve(cli_ctx: AzCli, group: str | None, names: list[str] | None, ids: list[str] | None) -> list[Target]:
    """The targets in the order given. Raises azclierror argument errors."""
    from azure.cli.core.azclierror import MutuallyExclusiveArgumentError, RequiredArgumentMissingError
    from azure.cli.core.commands.client_factory import get_subscription_id

    listed = " ".join(ids or ()).split()
    if listed:
        if names:
            raise MutuallyExclusiveArgumentError(
                "--ids and --name name the virtual machine twice.", "Give either --ids, or --resource-group and --name."
            )
        return [_parse(text) for text in listed]
    if not (group and names and all(names)):
        raise RequiredArgumentMissingError(
            "Which virtual machine? The arguments --resource-group/-g and --name/-n, or --ids, are required.",
            "az vm agent-diagnose -g MyResourceGroup -n MyVm",
        )
    return [Target(get_subscription_id(cli_ctx), group, name) for name in names]


def _parse(text: str) -> Target:
    from azure.cli.core.azclierror import InvalidArgumentValueError
    from azure.mgmt.core.tools import parse_resource_id

    parts = parse_resource_id(text)
    kind = (parts.get("namespace", "").lower(), parts.get("type", "").lower())
    if kind != ("microsoft.compute", "virtualmachines") or "resource_group" not in parts or "child_type_1" in parts:
        raise InvalidArgumentValueError(
            f"'{text[:120]}' is not the resource id of a virtual machine.",
            'List them with: az vm list -g MyResourceGroup --query "[].id" -o tsv',
        )
    return Target(parts["subscription"], parts["resource_group"], parts["name"])


def one_only(found: list[Target], probe_output: str | None) -> None:
    """Raise MutuallyExclusiveArgumentError for one guest's answer and several virtual machines."""
    from azure.cli.core.azclierror import MutuallyExclusiveArgumentError

    if probe_output is not None and len(found) > 1:
        raise MutuallyExclusiveArgumentError(
            "--probe-output holds the answer of one guest, and --ids names several.", "Ask for each on its own."
        )


def repair_wish(
    repair: bool,
    dry_run: bool,
    yes: bool,
    allow: list[str] | None,
    found: list[Target],
    undo: bool = False,
    print_script: bool = False,
    wait: float = 900.0,
) -> RepairWish | None:
    """What the user said about a repair, None without ``--repair`` and ``--undo``. Raises azclierror errors."""
    from azure.cli.core.azclierror import (
        InvalidArgumentValueError,
        MutuallyExclusiveArgumentError,
        RequiredArgumentMissingError,
    )

    from azext_vmagent.repair.consent import RepairWish
    from azext_vmagent.repair.model import Permission

    if repair and undo:
        raise MutuallyExclusiveArgumentError(
            "--repair makes a change and --undo takes the last one back.", "Give one of them."
        )
    if not repair and not undo:
        said = (("--dry-run", dry_run), ("--yes", yes), ("--allow", allow), ("--print-script", print_script))
        given = [name for name, value in said if value]
        if given:
            raise RequiredArgumentMissingError(
                f"{' and '.join(given)} {'says' if len(given) == 1 else 'say'} how to repair, and no repair was asked"
                " for.",
                "Add --repair.",
            )
        return None
    if len(found) > 1 and (undo or print_script):
        option = "--undo takes back the repair of" if undo else "--print-script prints the repair of"
        raise InvalidArgumentValueError(
            f"{option} one virtual machine, and several are named.",
            "Give each on its own: --ids ID, or --resource-group/-g and --name/-n.",
        )
    if len({target.id.lower() for target in found}) < len(found):
        raise InvalidArgumentValueError(
            "A virtual machine is named twice, and would be repaired twice.", "Name each once."
        )
    if wait < 0:
        raise InvalidArgumentValueError(f"--wait-timeout {wait:.0f} is no time.", "Give seconds, 0 for none.")
    return RepairWish(dry_run, yes, frozenset(Permission(name) for name in allow or ()), undo, print_script, wait)


def probe_to_paste(shell: str) -> str:
    """What ``--print-probe`` prints. Raises InvalidArgumentValueError for a shell that no script is there for."""
    from azure.cli.core.azclierror import InvalidArgumentValueError

    scripts = {"sh": paste_script, "powershell": windows_paste_script}
    if shell in scripts:
        return scripts[shell]()
    raise InvalidArgumentValueError(f"--print-probe {shell}: there is no such script yet.", "Give sh or powershell.")


def pasted(path: str) -> str:
    """The probe's answer in a file, or in what comes on standard input (``-``). Raises InvalidArgumentValueError."""
    from azure.cli.core.azclierror import InvalidArgumentValueError

    advice = "Paste what az vm agent-diagnose --print-probe prints into a root shell there, and save what it answers."
    try:
        if path == "-":
            if sys.stdin.isatty():
                sys.stderr.write("Paste the probe's answer, then end with Ctrl-D (on Windows Ctrl-Z and Enter).\n")
            raw = sys.stdin.buffer.read(MOST_PASTED + 1)
        else:
            with Path(path).expanduser().open("rb") as file:
                raw = file.read(MOST_PASTED + 1)
    except OSError as exc:
        raise InvalidArgumentValueError(f"--probe-output: {path} cannot be read: {exc.strerror}.", advice) from exc
    if len(raw) > MOST_PASTED:
        raise InvalidArgumentValueError(
            f"--probe-output: {path} is larger than a probe's answer can be.",
            "Keep only the lines from vmagent-probe to end.",
        )
    text = pasted_answer(_text(raw))
    if not is_probe_answer(text):
        raise InvalidArgumentValueError(f"--probe-output: {path} holds no answer of the probe.", advice)
    return text


def _text(raw: bytes) -> str:
    """PowerShell's redirection and Notepad write UTF-16 with a byte order mark; the answer itself is ASCII."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8-sig", "replace")


def wish(
    run_command: str,
    user: str | None,
    host: str | None,
    port: int | None,
    key: str | None,
    timeout: int,
    probe_output: str | None = None,
    config: str | None = None,
) -> Wish:
    """The channels as the user wants them. Raises InvalidArgumentValueError, RequiredArgumentMissingError."""
    from azure.cli.core.azclierror import InvalidArgumentValueError, RequiredArgumentMissingError

    if timeout < MINIMUM_SECONDS:
        raise InvalidArgumentValueError(
            f"--timeout {timeout} is too short.", f"Give {MINIMUM_SECONDS} seconds or more."
        )
    if port is not None and not 0 < port < 65536:
        raise InvalidArgumentValueError(f"--ssh-port {port} is not a port.", "Give a number from 1 to 65535.")
    for option, value in (("--ssh-user", user), ("--ssh-host", host)):
        if value is not None and (
            not value or value.startswith("-") or any(c.isspace() or not c.isprintable() for c in value)
        ):
            raise InvalidArgumentValueError(f"{option} '{value[:60]}' cannot be right.", "Give a plain name.")
    if key is not None and not Path(key).expanduser().is_file():
        raise InvalidArgumentValueError(f"--ssh-key: there is no file {key}.", "Give the path of a private key file.")
    if config is not None and not Path(config).expanduser().is_file():
        raise InvalidArgumentValueError(
            f"--ssh-config: there is no file {config}.", "az ssh config --file FILE writes one; so do you."
        )
    for option, value in (("--ssh-key", key), ("--ssh-config", config)):
        if value is not None and not user:
            raise RequiredArgumentMissingError(f"{option} needs a user to log in as.", "Add --ssh-user USER.")
    answer = pasted(probe_output) if probe_output is not None else None
    return Wish(run_command, user, host, port, _expanded(key), _expanded(config), answer)


def _expanded(path: str | None) -> str | None:
    return str(Path(path).expanduser()) if path else None


def at_console(wish: Wish, serial_console: str, user: str | None) -> Wish:
    """The wish with what the user said about the serial console. Raises azclierror argument errors."""
    from azure.cli.core.azclierror import InvalidArgumentValueError

    if user is not None and (not user or not re.fullmatch(r"[A-Za-z0-9_][\w.@\\-]{0,63}\$?", user, re.ASCII)):
        raise InvalidArgumentValueError(f"--console-user '{user[:60]}' cannot be right.", "Give a plain name.")
    password = _password(user) if user and serial_console != NEVER else ""
    return replace(wish, serial_console=serial_console, console_user=user, console_password=password)


def _password(user: str) -> str:
    """From the environment, else from the person at the terminal; never an argument, which everybody could list."""
    from azure.cli.core.azclierror import InvalidArgumentValueError, RequiredArgumentMissingError
    from knack.prompting import NoTTYException, prompt_pass

    password = os.environ.get(PASSWORD_VARIABLE, "")
    if not password:
        try:
            password = prompt_pass(f"Password of {user} on the virtual machine's console: ")
        except NoTTYException as exc:
            raise RequiredArgumentMissingError(
                "--console-user needs a password, and there is no terminal to ask for it at.",
                f"Set the environment variable {PASSWORD_VARIABLE}.",
            ) from exc
    if not password or not password.isprintable():
        raise InvalidArgumentValueError(
            f"The password of {user} is empty or holds a character that cannot be typed at a console.",
            f"Give another one, in {PASSWORD_VARIABLE} or at the prompt.",
        )
    return password
