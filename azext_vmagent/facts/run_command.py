"""What the run command handler wrapped around a script's output. Pure."""

from __future__ import annotations

import re
from typing import Any

_EXIT = re.compile(r"exit status[= ](\d+)")


def is_powershell(script: str) -> bool:
    """Whether a script is for PowerShell: its first line says so in PowerShell's own words.

    >>> is_powershell("#Requires -Version 4.0"), is_powershell("#!/bin/sh")
    (True, False)
    """
    return script[:9].lower() == "#requires"


def command_id(script: str) -> str:
    """Which of Azure's built-in commands runs a script."""
    return "RunPowerShellScript" if is_powershell(script) else "RunShellScript"


def run_command_output(value: Any) -> tuple[str, str, int | None]:
    """The script's stdout, stderr and exit code from the operation's statuses. Raises KeyError, IndexError, TypeError.

    Linux has one status whose message holds both streams; Windows has one for each, ``ComponentStatus/StdOut/…`` and
    ``…/StdErr/…``, and tells no exit code (learn.microsoft.com, REST «Virtual Machines - Run Command», its sample).

    >>> run_command_output([{"code": "ComponentStatus/StdOut/succeeded", "message": "hello"}])
    ('hello', '', None)
    """
    streams = {str(one["code"]).split("/")[1]: str(one.get("message") or "") for one in value if _is_stream(one)}
    if "StdOut" in streams or "StdErr" in streams:
        return streams.get("StdOut", ""), streams.get("StdErr", ""), None
    return run_command_streams(str(value[0]["message"]))


def _is_stream(one: Any) -> bool:
    return isinstance(one, dict) and str(one.get("code")).startswith("ComponentStatus/Std")


def run_command_streams(message: str) -> tuple[str, str, int | None]:
    """The script's stdout, stderr and exit code from the handler's one message; the code is None when it says nothing.

    Shape: azure-cli's recording test_vm_run_command_e2e.yaml. A message without the markers is all stdout. The script's
    own output may hold a marker: the first ``[stdout]`` and the last ``[stderr]`` are the handler's.

    >>> run_command_streams("Enable succeeded: \\n[stdout]\\nhello\\n[stderr]\\n")
    ('hello\\n', '', 0)
    >>> run_command_streams("Enable failed: command terminated with exit status=3\\n[stdout]\\n\\n[stderr]\\nno\\n")
    ('\\n', 'no\\n', 3)
    """
    head, mark, rest = message.partition("[stdout]")
    if not mark:
        return message, "", None
    body = rest.lstrip("\r").removeprefix("\n")
    out, mark, err = body.rpartition("[stderr]")
    if not mark:
        out, err = body, ""
    exit_code = _EXIT.search(head)
    code = int(exit_code.group(1)) if exit_code else 0 if "succeeded" in head else None
    return out, err.lstrip("\r").removeprefix("\n"), code
