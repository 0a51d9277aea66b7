"""Which VMs are meant, and whether the arguments make sense; every refusal says what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from azext_vmagent.channels.choice import Wish
from azext_vmagent.model import Target

if TYPE_CHECKING:
    from azure.cli.core import AzCli

MINIMUM_SECONDS = 5


def resolve(cli_ctx: AzCli, group: str | None, name: str | None, ids: list[str] | None) -> list[Target]:
    """The targets in the order given. Raises azclierror argument errors."""
    from azure.cli.core.azclierror import MutuallyExclusiveArgumentError, RequiredArgumentMissingError
    from azure.cli.core.commands.client_factory import get_subscription_id

    listed = " ".join(ids or ()).split()
    if listed:
        if name:
            raise MutuallyExclusiveArgumentError(
                "--ids and --name name the virtual machine twice.", "Give either --ids, or --resource-group and --name."
            )
        return [_parse(text) for text in listed]
    if not (group and name):
        raise RequiredArgumentMissingError(
            "Which virtual machine? The arguments --resource-group/-g and --name/-n, or --ids, are required.",
            "az vm agent-diagnose -g MyResourceGroup -n MyVm",
        )
    return [Target(get_subscription_id(cli_ctx), group, name)]


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


def wish(run_command: str, user: str | None, host: str | None, port: int | None, key: str | None, timeout: int) -> Wish:
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
    if key is not None and not user:
        raise RequiredArgumentMissingError("--ssh-key needs a user to log in as.", "Add --ssh-user USER.")
    return Wish(run_command, user, host, port, str(Path(key).expanduser()) if key else None)
