"""What the run command handler wrapped around a script's output. Pure."""

from __future__ import annotations

import re

_EXIT = re.compile(r"exit status[= ](\d+)")


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
