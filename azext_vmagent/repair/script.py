"""The one text that carries a plan into a guest: sent through a channel as it is, or pasted into a root shell. Pure.

The program of ``guest/`` and the plan in a here-document of octal escapes, inside a here-document with the checksum of
both: nothing runs that lost a byte on the way, and no text of a guest or a user is ever part of a shell's own text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from azext_vmagent.facts.probe_answer import posix_checksum
from azext_vmagent.guest import repair_program

#: the answer's 4,096 bytes hold what can be said of so many
MOST_ACTIONS = 12
#: a terminal in line mode takes no line of 4,096 bytes; an argument is a line of five bytes for each of its own
MOST_BYTES = 800
#: after so long without a word from the program, the guest's own timer takes back a change to its network
WATCHDOG_SECONDS = 180

#: history expansion of an interactive shell would take an exclamation mark for itself, even in a here-document
_MARK, _STANDS_FOR_MARK = "!", "@21@"
_TAB, _STANDS_FOR_TAB = "\t", "@09@"
_WRAPPED = """\
# Repairs this virtual machine as planned: all is saved first under /var/lib/azure-vmagent, and each change checked.
# To be run by root in sh, dash, bash or busybox, or pasted at once into a root shell. Another user gets sudo.
# Copy what it prints (from vmagent-repair to end).
command sh -c '
p=$(sed "s/@21@/$(printf "\\041")/g; s/@09@/$(printf "\\011")/g")
case $(printf "%s\\n" "$p" | cksum 2>/dev/null):${{#p}} in
    "{checksum} {size}":*|:{length})
        if [ "$(id -u)" = 0 ] || [ -z "$(command -v sudo)" ]; then sh -c "$p" vmagent-repair "$p"
        else sudo sh -c "$p" vmagent-repair "$p"; fi ;;
    *) echo "vmagent: the script was damaged on the way (it lost or gained bytes): nothing was run, send it again" ;;
esac' <<'END_OF_VMAGENT_REPAIR'
{program}END_OF_VMAGENT_REPAIR
"""


class GuestAction(Protocol):
    """What the guest's program needs of an action: its kind and its arguments."""

    @property
    def kind(self) -> str:
        """A slug that the program knows."""

    @property
    def arguments(self) -> Sequence[str]:
        """Its data, decoded in the guest into positional parameters."""


def repair_script(actions: Sequence[GuestAction], watchdog_seconds: int = WATCHDOG_SECONDS) -> str:
    """The script that carries out these actions in order. The same actions have the same id, whenever they are sent.

    Raises ValueError for what cannot be carried: too many actions, or an argument that is empty of sense in a guest (a
    NUL, a line break) or too long.
    """
    if not 0 < len(actions) <= MOST_ACTIONS:
        raise ValueError(f"a plan has 1 to {MOST_ACTIONS} actions, not {len(actions)}")
    lines = [line for action in actions for line in ("action", _octal(action.kind), *map(_octal, action.arguments))]
    return wrapped(repair_program(), [f"plan {plan_id(actions)} {watchdog_seconds}", *lines])


def plan_id(actions: Sequence[GuestAction]) -> str:
    """The name under which the guest keeps the record of these actions."""
    content = "\n".join(text for action in actions for text in ("", action.kind, *action.arguments))
    return f"p{posix_checksum(content.encode('utf-8', 'surrogateescape'))}"


def undo_script() -> str:
    """The script that reverts the last repair of a guest, from what was saved there."""
    return wrapped(repair_program(), ["undo last 0"])


def resume_script(watchdog_seconds: int = WATCHDOG_SECONDS) -> str:
    """The script that carries on the last repair of a guest where it was killed; its plan was kept there."""
    return wrapped(repair_program(), [f"resume last {watchdog_seconds}"])


def wrapped(program: str, plan: Sequence[str]) -> str:
    """The program with its plan, in the frame that checks both before anything runs."""
    whole = f"{program}\nmain \"$@\" <<'END_OF_VMAGENT_PLAN'\n" + "\n".join([*plan, "END_OF_VMAGENT_PLAN", ""])
    return _WRAPPED.format(
        checksum=posix_checksum(whole.encode("ascii")),
        size=len(whole),
        length=len(whole) - 1,
        program=whole.replace(_MARK, _STANDS_FOR_MARK).replace(_TAB, _STANDS_FOR_TAB),
    )


def _octal(text: str) -> str:
    """The text as the octal escapes that ``printf %b`` takes back.

    >>> _octal("a'b")
    '\\\\0141\\\\0047\\\\0142'
    """
    content = text.encode("utf-8", "surrogateescape")
    if len(content) > MOST_BYTES or any(octet < 32 for octet in content):
        raise ValueError("an argument for the guest is one line of at most 800 bytes without control characters")
    return "".join(f"\\0{octet:03o}" for octet in content)
