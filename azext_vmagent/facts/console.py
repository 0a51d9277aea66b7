r"""What stands on a serial console, and what pressing Enter at its login prompt proved. Pure.

A prompt in an old log proves nothing; one that appears after Enter proves that kernel and getty live now. A key is
pressed at a login prompt only: at a boot menu it would start something, at a maintenance prompt it would go on, at a
shell or a password it would meddle with somebody's session. So what is not surely a login prompt is taken for none.

>>> resting(b"[    0.0] Linux version 6.1\r\nweb login: [   99.000001] eth0: link down\r\n").prompt.value
'login'
>>> resting(b"Give root password for maintenance\r\n(or press Control-D to continue): ").prompt.value
'maintenance'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from azext_vmagent.facts.console_text import clean, printable
from azext_vmagent.facts.serial_boots import split_boots

#: how much of a console is looked at: prompts stand at its end
TAIL_BYTES = 256 * 1024


class Prompt(str, Enum):
    """What a console waits for. ``TYPED``: a login prompt with something typed behind it; ``NONE``: nothing printed."""

    LOGIN = "login"
    TYPED = "typed"
    PASSWORD = "password"
    SHELL = "shell"
    MAINTENANCE = "maintenance"
    INITRAMFS = "initramfs"
    GRUB = "grub"
    WINDOWS = "windows"
    OTHER = "other"
    NONE = "none"


class Look(str, Enum):
    """How a look at the console ended."""

    FRESH_PROMPT = "fresh-prompt"
    SILENT = "silent"
    MOVED_ON = "moved-on"
    OTHER_PROMPT = "other-prompt"
    NOT_PRESSED = "not-pressed"


@dataclass(frozen=True)
class Resting:
    """Where a console stands, and the line that shows it."""

    prompt: Prompt
    text: str = ""


@dataclass(frozen=True)
class ConsoleLook:
    """One look at a console: ``text`` is what was seen last, ``at`` when, ``seconds`` how long it took or was waited.

    ``pressed`` says whether Enter was sent. ``lives``: a program in the guest answered it.
    """

    look: Look
    text: str = ""
    at: datetime | None = None
    seconds: float = 0.0
    pressed: bool = False

    @property
    def lives(self) -> bool:
        """Whether kernel and getty (or login) answered now."""
        return self.pressed and self.look in (Look.FRESH_PROMPT, Look.OTHER_PROMPT)

    @property
    def hangs(self) -> bool:
        """Whether a login prompt did not react to Enter."""
        return self.pressed and self.look is Look.SILENT


_LOGIN = re.compile(r"^ {0,2}(?!(?:[Ll]ast|[Ff]ailed|[Ii]nvalid) )[A-Za-z0-9][\w.-]{0,63} login: ?(?P<typed>.*)$")
#: what the kernel and services print on a console unasked, whatever it waits for
_NOISE = re.compile(
    r"^(?:\[ {0,6}\d{1,8}\.\d{1,6}\]|\[ {0,3}(?:OK|WARN|INFO|FAILED|\*|\*\*|\*\*\*|DEPEND) {0,3}\*{0,3} ?\]"
    r"|\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d[\d.,]*Z? (?:[A-Z]+ |- )"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S{1,80}: "
    r"|<\d{1,3}>|ci-info: |cloud-init\[|audit: |systemd\[1\]: |(?:Starting|Started|Stopping|Stopped|Finished) .*\.{3}$)"
)
#: sulogin(8) of util-linux, and its older words; «Press Enter for maintenance» asks for none
_ROOT_PASSWORD = re.compile(r"(?:^|[a-z.])Give root password for (?:system )?(?:maintenance|login)")
_OR_CONTROL_D = re.compile(r"^\(or (?:press|type) Control-D to continue\): ?")
_KERNEL = re.compile(r"\[ {0,6}\d{1,8}\.\d{6}\](?:\[[^\]\n]{1,12}\])? [^\n]{0,400}\n")
_PROMPTS: tuple[tuple[Prompt, re.Pattern[str]], ...] = (
    (
        Prompt.GRUB,
        re.compile(
            r"^grub(?: rescue)?>|GNU GRUB|BASH-like|Press enter to boot|highlighted entry|^boot: ?$", re.IGNORECASE
        ),
    ),
    (
        Prompt.MAINTENANCE,
        re.compile(
            r"root password for (?:maintenance|system maintenance)|press Control-D|^Press Enter (?:for|to)"
            r"|emergency mode|rescue mode|root account is locked|emergency shell|^sulogin",
            re.IGNORECASE,
        ),
    ),
    (Prompt.INITRAMFS, re.compile(r"^\(initramfs\)|^(?:dracut|switch_root|rdsosreport):[/\w]{0,40}#")),
    (Prompt.WINDOWS, re.compile(r"^SAC>|^EVENT: |Special Admini|^Microsoft Windows \[Version|^[A-Z]:\\.{0,200}>")),
    (
        Prompt.PASSWORD,
        re.compile(r"^(?:.{0,80} )?(?:[Pp]assword|PASSWORD|passphrase|Verification code)(?: for .{1,80})?: ?$"),
    ),
    (Prompt.SHELL, re.compile(r"^.{0,120}[#$%>❯] ?$")),
)


def prompt_of(line: str) -> Prompt:
    """What one line is, taken as the last of a console."""
    login = _LOGIN.match(line)
    if login:
        typed = login["typed"].strip()
        return Prompt.TYPED if typed and not _NOISE.match(typed) else Prompt.LOGIN
    return next((prompt for prompt, pattern in _PROMPTS if pattern.search(line)), Prompt.OTHER)


def resting(log: bytes) -> Resting:
    """Where the newest boot in a console's bytes stands: its last line that neither kernel nor a service wrote."""
    console = clean(log[-TAIL_BYTES:])
    boots = split_boots(console)
    if not boots:
        return Resting(Prompt.NONE)
    newest = boots[-1]
    for index in range(newest.end - 1, newest.first - 1, -1):
        line = console.segments[index]
        if line.strip() and not _NOISE.match(line):
            return Resting(prompt_of(line), printable(line, 120))
    return Resting(Prompt.OTHER if newest.has_start else Prompt.NONE)


def asks_root_password(log: bytes) -> bool:
    """Whether the newest boot ends where sulogin asks for root's password, and for nothing else.

    >>> asks_root_password(b"Give root password for maintenance\\r\\n(or press Control-D to continue): ")
    True
    >>> asks_root_password(b"Press Enter for maintenance\\r\\n(or press Control-D to continue): ")
    False
    """
    console = clean(log[-TAIL_BYTES:])
    boots = split_boots(console)
    lines = [line for line in console.segments[boots[-1].first : boots[-1].end] if line.strip()] if boots else []
    spoken = [line for line in lines[-40:] if not _NOISE.match(line)][-2:]
    if not spoken:
        return False
    if _OR_CONTROL_D.match(spoken[-1]):
        return len(spoken) > 1 and _ROOT_PASSWORD.search(spoken[0]) is not None
    return _ROOT_PASSWORD.search(spoken[-1]) is not None and spoken[-1].rstrip().endswith((":", "maintenance"))


def answer_to_enter(received: str, at: datetime, seconds: float) -> ConsoleLook:
    """The judgement on what came after Enter was pressed once at a login prompt."""
    found = resting(without_kernel(received).encode())
    if found.prompt in (Prompt.LOGIN, Prompt.TYPED):
        return ConsoleLook(Look.FRESH_PROMPT, found.text, at, seconds, pressed=True)
    if found.prompt is Prompt.NONE:
        spoke = printable(received, 120)
        return ConsoleLook(Look.MOVED_ON if spoke else Look.SILENT, spoke, at, seconds, pressed=True)
    look = Look.MOVED_ON if found.prompt is Prompt.OTHER else Look.OTHER_PROMPT
    return ConsoleLook(look, found.text, at, seconds, pressed=True)


def without_kernel(text: str) -> str:
    """Console text with the kernel's own lines cut out: they come in the middle of what programs print."""
    return _KERNEL.sub("", text)
