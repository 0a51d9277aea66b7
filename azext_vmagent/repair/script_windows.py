"""The one text that carries a plan into a Windows guest: sent by a run command, or pasted into PowerShell. Pure.

The twin of ``script.py``: the program of ``guest/repair.ps1`` with the plan as base64 in it, inside a here-string whose
length and sum are checked first. No text of a guest or a user is ever part of PowerShell's own text.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from azext_vmagent.guest import powershell_sum, windows_repair_program, without_comments
from azext_vmagent.repair.script import MOST_ACTIONS, MOST_BYTES, WATCHDOG_SECONDS, GuestAction, plan_id

_PLACE = "$data = @()\n"
_WRAPPED = """\
# Repairs this virtual machine as planned: all is saved first under %ProgramData%\\azure-vmagent, each change checked.
# Paste all of this at once into a PowerShell that was started as administrator. Never tried on a real Windows.
# Copy what it prints (from vmagent-repair to end).
& {{
if ("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage') {{
Write-Output 'vmagent: PowerShell runs in constrained language mode: nothing was changed'
return
}}
$text = @'
{program}
'@
$text = $text.Replace("`r", "")
$sum = 0
foreach ($letter in $text.ToCharArray()) {{ $sum = ($sum * 31 + [int]$letter) % 1000003 }}
if ($text.Length -eq {length} -and $sum -eq {sum}) {{ & ([scriptblock]::Create($text)) $text }}
else {{ Write-Output "vmagent: the script was damaged on the way: nothing was run, send it again" }}
}}

"""


def windows_repair_script(actions: Sequence[GuestAction], watchdog_seconds: int = WATCHDOG_SECONDS) -> str:
    """The script that carries out these actions in order. The same actions have the same id, whenever they are sent.

    Raises ValueError for what cannot be carried: too many actions, or an argument with control characters or too long.
    """
    if not 0 < len(actions) <= MOST_ACTIONS:
        raise ValueError(f"a plan has 1 to {MOST_ACTIONS} actions, not {len(actions)}")
    lines = [line for action in actions for line in ("action", _coded(action.kind), *map(_coded, action.arguments))]
    return _wrapped([f"plan {plan_id(actions)} {watchdog_seconds}", *lines])


def windows_undo_script() -> str:
    """The script that reverts the last repair of a guest, from what was saved there."""
    return _wrapped(["undo last 0"])


def _wrapped(plan: Sequence[str]) -> str:
    data = "$data = @(\n" + ",\n".join(f"'{line}'" for line in plan) + ")\n"
    program = without_comments(windows_repair_program().replace(_PLACE, data, 1))
    return _WRAPPED.format(program=program, length=len(program), sum=powershell_sum(program))


def _coded(text: str) -> str:
    """The text in base64, whose letters mean nothing to PowerShell within single quotes.

    >>> _coded("it's")
    'aXQncw=='
    """
    content = text.encode("utf-8", "surrogateescape")
    if len(content) > MOST_BYTES or any(octet < 32 for octet in content):
        raise ValueError("an argument for the guest is one line of at most 800 bytes without control characters")
    return b64encode(content).decode("ascii")
