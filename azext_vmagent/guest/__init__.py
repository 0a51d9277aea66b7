"""The scripts that run inside the guest, as text."""

from __future__ import annotations

from pathlib import Path

from azext_vmagent.facts.probe_answer import posix_checksum

#: history expansion of an interactive shell would take an exclamation mark for itself, even in a here-document
_MARK, _STANDS_FOR_MARK = "!", "@21@"
_REPAIR = ("repair", "repair_files", "repair_agent", "repair_network", "repair_interface", "repair_boot")
_PASTE = """\
# Paste all of this at once into a root shell in the virtual machine: sh, dash, bash or busybox. Another user gets sudo.
# It reads, changes nothing, and ends within 8 seconds. Copy what it prints (from vmagent-probe to end) to a file, then:
#   az vm agent-diagnose -g RESOURCE_GROUP -n VM --probe-output FILE
command sh -c '
p=$(sed "s/@21@/$(printf "\\041")/g")
case $(printf "%s\\n" "$p" | cksum 2>/dev/null):${{#p}} in
    "{checksum} {size}":*|:{length})
        if [ "$(id -u)" = 0 ] || [ -z "$(command -v sudo)" ]; then printf "%s\\n" "$p" | sh
        else printf "%s\\n" "$p" | sudo sh; fi ;;
    *) echo "vmagent: the paste was damaged on the way (it lost or gained bytes): nothing was run, paste it again" ;;
esac' <<'END_OF_VMAGENT_PROBE' || :
{script}END_OF_VMAGENT_PROBE
"""
_PASTE_POWERSHELL = """\
# Paste all of this at once into a PowerShell that was started as administrator in the virtual machine. It reads,
# changes nothing, and ends within 8 seconds. Copy what it prints (from vmagent-probe to end) to a file, then:
#   az vm agent-diagnose -g RESOURCE_GROUP -n VM --probe-output FILE
& {{
$text = @'
{script}
'@
$text = $text.Replace("`r", "")
$sum = 0
foreach ($letter in $text.ToCharArray()) {{ $sum = ($sum * 31 + [int]$letter) % 1000003 }}
if ($text.Length -eq {length} -and $sum -eq {sum}) {{ & ([scriptblock]::Create($text)) }}
else {{ Write-Output "vmagent: the paste was damaged on the way: nothing was run, paste it again" }}
}}

"""


def probe_script() -> str:
    """The POSIX sh probe, to be run as root; it takes no parameters and prints at most 4,096 bytes."""
    return (Path(__file__).parent / "probe.sh").read_text(encoding="ascii")


def windows_probe_script() -> str:
    """The PowerShell probe, to be run as SYSTEM or elevated; the same promises."""
    return (Path(__file__).parent / "probe.ps1").read_text(encoding="ascii")


def emergency_script() -> str:
    """The look at a boot that stopped, for its maintenance shell; it takes no parameters and changes nothing."""
    return (Path(__file__).parent / "emergency.sh").read_text(encoding="ascii")


def repair_program() -> str:
    """The POSIX sh program that carries out a plan; it calls nothing yet: ``main`` wants the plan on its input."""
    folder = Path(__file__).parent
    return "".join((folder / f"{part}.sh").read_text(encoding="ascii") for part in _REPAIR)


def windows_repair_program() -> str:
    """The PowerShell program that carries out a plan; it holds none yet: ``$data = @()`` is where the plan goes."""
    return (Path(__file__).parent / "repair.ps1").read_text(encoding="ascii")


def windows_paste_script() -> str:
    """The PowerShell probe as one text that is pasted once into an interactive PowerShell, which stays open afterwards.

    Without comments and empty lines: a console without PSReadLine takes an empty line for the end of the input. A paste
    that lost a byte is not run: its checksum says so.
    """
    script = without_comments(windows_probe_script())
    return _PASTE_POWERSHELL.format(script=script, length=len(script), sum=powershell_sum(script))


def without_comments(script: str) -> str:
    """A PowerShell text without lines that hold only a comment, and without empty ones; no line end at its end."""
    lines = [line.rstrip() for line in script.splitlines()]
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))


def powershell_sum(text: str) -> int:
    """What the pasted text reckons over itself: it fits an int of PowerShell."""
    total = 0
    for letter in text:
        total = (total * 31 + ord(letter)) % 1000003
    return total


def paste_script() -> str:
    """The sh probe as one text that is pasted once into an interactive shell, which stays alive afterwards.

    Plain text, for whoever pastes into a root shell wants to read it first; no tabs (they complete), no exclamation
    marks, no long lines. A paste that lost a byte on a slow console is not run: its checksum says so.
    """
    script = probe_script()
    return _PASTE.format(
        checksum=posix_checksum(script.encode("ascii")),
        size=len(script),
        length=len(script) - 1,
        script=script.replace(_MARK, _STANDS_FOR_MARK),
    )
