"""Serial console: a way into the guest that needs neither its agent nor its network.

Without credentials it is a look: Enter is pressed once, at a login prompt only, and what comes back is judged. With a
user and a password it logs in, becomes root, runs the probe and logs out. The script travels in short lines, each of
them acknowledged with the number of characters received so far, and answers in numbered lines; both carry gzip's
checksum. Nothing is written in the guest: the shell is replaced by one that reads the script into a variable, keeps no
history, and ends by itself when nobody talks to it any more. Everything printed on a console, the login's lines
too, also goes into the boot diagnostics log.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from azext_vmagent.channels.console_line import Line, LineLost, Screen
from azext_vmagent.channels.console_shell import loader, packed, runner, unpacked
from azext_vmagent.evidence.asking import Said, SourceFailed, one_line
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.console import (
    ConsoleLook,
    Look,
    Prompt,
    Resting,
    answer_to_enter,
    prompt_of,
    resting,
    without_kernel,
)
from azext_vmagent.model import State

#: a getty answers at once; a busy guest, or one that swaps, may take seconds
ENTER_SECONDS = 12.0
#: what a console that was just attached may have to say by itself
SETTLE_SECONDS = 1.0
#: PAM delays a wrong password by 2 to 4 s, a busy guest starts a shell in ten
LOGIN_SECONDS = 30.0
#: a prompt may look like nothing we know: after this long what is typed ahead will do
SHELL_SECONDS = 12.0
#: a tty takes 4,095 characters a line at most
SLICE = 900
#: the guest's end of a session that lost its client lives this much longer than the session could
LINGER_SECONDS = 15
#: from the first line of the probe to the last of its answer; a healthy guest needs some ten seconds
SESSION_SECONDS = 75.0
ANSWER_TRIES = 3
GOES_ON = "the guest goes on with it by itself, and a second run goes on from there"

_ENTER, _KILL_LINE, _INTERRUPT, _END = "\r", "\x15", "\x03", "\x04"


@dataclass(frozen=True)
class ConsoleLogin:
    """Who logs in. The password is in no representation of this object."""

    user: str
    password: str = field(repr=False)


def look(line: Line, log: bytes, deadline: Deadline) -> Said:
    """Press Enter once if the console stands at a login prompt; (line for people, ConsoleLook)."""
    screen = Screen(line, deadline)
    found = _standing(screen, log)
    if found.prompt is not Prompt.LOGIN:
        seen = ConsoleLook(Look.NOT_PRESSED, found.text, _now())
        return f"attached, no key pressed: the console shows {_shown(found)}", seen
    return _pressed(screen)


def _pressed(screen: Screen) -> Said:
    if screen.deadline.remaining() < ENTER_SECONDS:
        raise SourceFailed(State.TIMED_OUT, "too little time left to wait for an answer to Enter: --timeout gives more")
    began = time.monotonic()
    screen.type(_ENTER)
    screen.wait(lambda text: resting(text.encode()).prompt in (Prompt.LOGIN, Prompt.PASSWORD), ENTER_SECONDS, 0.2)
    found = answer_to_enter(screen.text, _now(), time.monotonic() - began)
    return _LOOKS[found.look].format(at=f"{found.at:%H:%M:%SZ}", seconds=found.seconds, text=found.text), found


_LOOKS = {
    Look.FRESH_PROMPT: "a fresh login prompt appeared after Enter at {at}",
    Look.SILENT: "no answer to Enter at the login prompt within {seconds:.0f} s",
    Look.MOVED_ON: "no prompt after Enter, but the console goes on: {text}",
    Look.OTHER_PROMPT: "Enter was answered at {at} with another prompt: {text}",
}


def _standing(screen: Screen, log: bytes) -> Resting:
    """Where the console stands: what it says by itself after attaching, else the end of its log."""
    screen.wait(lambda _: False, SETTLE_SECONDS)
    return resting(log + without_kernel(screen.text).encode())


def _shown(found: Resting) -> str:
    return {
        Prompt.SHELL: f"somebody's shell («{found.text}»)",
        Prompt.PASSWORD: "a password prompt",
        Prompt.TYPED: f"a login prompt at which somebody is typing («{found.text}»)",
        Prompt.NONE: "nothing",
    }.get(found.prompt, f"«{found.text}»")


def run(
    reach: Callable[[], Line],
    log: bytes,
    login: ConsoleLogin,
    script: str,
    deadline: Deadline,
    insist: bool = False,
    steady: bool = False,
) -> Said:
    """Log in, run a script as root, log out; (line for people, its stdout). Raises SourceFailed.

    ``reach`` opens a line: once, and again when it broke half way. ``insist``: press Enter also where nothing tells at
    what. ``steady``: the script is not to be stopped half way; it has all the time that there is, goes on without us,
    and its answer is fetched through another line.
    """
    session = Session(Screen(reach(), deadline), login, reach, steady)
    try:
        session.log_in(log, insist)
        return session.carry_out(script)
    finally:
        session.log_out()


class Session:
    """One login at one console. ``last_word`` is the line that ends our shell."""

    last_word = "."
    #: what our shell does when it ends
    _at_end = ""

    def __init__(self, screen: Screen, login: ConsoleLogin, reach: Callable[[], Line], steady: bool = False) -> None:
        """``steady`` as for ``run``."""
        self._screen, self._login, self._reach, self._steady = screen, login, reach, steady
        self._seconds = screen.deadline.remaining() if steady else SESSION_SECONDS
        self._mark = f"v{secrets.token_hex(4)}"
        #: whether we are logged in, our own shell is there and reads lines, and the script has begun and not yet ended
        self._inside = self._reads = self._works = False

    def _quoted(self, text: str) -> str:
        """The guest's last line, without the password, should the guest have echoed it."""
        line = resting(text.encode()).text
        return f"«{one_line(line.replace(self._login.password, '***'), 100)}»"

    # -- in ------------------------------------------------------------------------------------------------------------

    def log_in(self, log: bytes, insist: bool) -> None:
        """From a login prompt to a shell."""
        self._reach_login(log, insist)
        screen = self._screen
        screen.type(self._login.user + _ENTER)
        asked = screen.wait(_known, LOGIN_SECONDS, 0.2)
        if asked is Prompt.SHELL:
            self._inside = True
            return
        if asked is not Prompt.PASSWORD:
            raise SourceFailed(
                State.FAILED,
                f"the login prompt took the name {self._login.user} but asked for no password: "
                f"{self._quoted(screen.text)}",
                value=self._seen(),
            )
        self._inside = True
        screen.type(self._login.password + _ENTER)
        outcome = screen.wait(_known, SHELL_SECONDS, 0.7)
        if outcome is None and not screen.text.strip():
            outcome = screen.wait(_known, LOGIN_SECONDS, 0.7)
        if outcome is Prompt.LOGIN:
            self._inside = False
            screen.type(_END)  # from login's prompt back to getty's, as it was found
            screen.wait(lambda text: _last(text) is Prompt.LOGIN, 3)
            raise SourceFailed(
                State.DENIED,
                f"the guest refuses the login of {self._login.user} on the console: a wrong password, or an account "
                "that has none (root is locked on most Azure images)",
                value=self._seen(),
            )
        if outcome is Prompt.PASSWORD:
            raise SourceFailed(
                State.DENIED,
                f"after the password the guest asks for more ({self._quoted(screen.text)}): an expired password or a "
                "second factor, which takes a person",
                value=self._seen(),
            )

    def _reach_login(self, log: bytes, insist: bool) -> None:
        screen = self._screen
        found = _standing(screen, log)
        unknown = found.prompt in (Prompt.NONE, Prompt.OTHER)
        if found.prompt not in (Prompt.LOGIN, Prompt.TYPED) and not (unknown and insist):
            end = "; log out there first" if found.prompt is Prompt.SHELL else ""
            more = "; --serial-console always presses Enter all the same" if unknown else ""
            raise SourceFailed(
                State.FAILED,
                f"no key pressed: the console shows {_shown(found)}, not a login prompt{end}{more}",
                value=ConsoleLook(Look.NOT_PRESSED, found.text, _now()),
            )
        if found.prompt is Prompt.TYPED:
            screen.line.send(_KILL_LINE)
        said, seen = _pressed(screen)
        if seen.look is Look.OTHER_PROMPT and prompt_of(seen.text) is Prompt.PASSWORD:
            # login's own prompt, which follows a wrong password, takes an empty name for one: an empty password ends it
            screen.type(_ENTER)
            if screen.wait(lambda text: _last(text) is Prompt.LOGIN, LOGIN_SECONDS, 0.2):
                return
        if seen.look is not Look.FRESH_PROMPT:
            state = State.TIMED_OUT if seen.look is Look.SILENT else State.FAILED
            raise SourceFailed(state, said, value=seen)

    def _seen(self) -> ConsoleLook:
        return ConsoleLook(Look.FRESH_PROMPT, "", _now(), pressed=True)

    # -- the script ----------------------------------------------------------------------------------------------------

    def carry_out(self, script: str) -> Said:
        """From a shell to the script's output."""
        screen, mark = self._screen, self._mark
        lives = int(min(screen.deadline.remaining(), self._seconds)) + LINGER_SECONDS
        screen.type(loader(mark, lives, self._at_end) + _ENTER)
        if not self._told("go", LOGIN_SECONDS):
            raise SourceFailed(
                State.FAILED,
                f"logged in, but the shell does not run a script: {self._quoted(screen.text)}",
                value=self._seen(),
            )
        self._reads = True
        self._send_in_slices(runner(self._steady))
        how = "root"
        word = self._told("ask|gz|raw|nosudo", 15)
        if word == "ask":
            how = "root through sudo with the password"
            screen.type(self._login.password + _ENTER)
            word = self._told("gz|raw|nosudo", 15)
        elif self._login.user != "root":
            how = "root through sudo"
        if word not in ("gz", "raw"):
            why = "may not become root with sudo" if word == "nosudo" else f"got no answer from sudo ({word})"
            raise SourceFailed(State.DENIED, f"logged in as {self._login.user}, who {why}", value=self._seen())
        if word == "gz":
            self._send_in_slices(packed(script))
        else:
            self._send_lines(script)
        self._works = True
        return f"{how}, at the console as {self._login.user}", self._answer_whatever_happens(word)

    def _answer_whatever_happens(self, how: str, lines: int = ANSWER_TRIES) -> str:
        """The answer; a steady script's through another line where this one breaks, for the guest keeps it."""
        try:
            if lines == ANSWER_TRIES:
                self._see_it_begin()
            return self._answer(how)
        except LineLost as exc:
            if not self._steady or lines <= 1:
                raise self._going_on(exc) from exc
        except SourceFailed as exc:
            raise self._going_on(exc) from exc
        self._ask_through_another_line()
        return self._answer_whatever_happens(how, lines - 1)

    def _see_it_begin(self) -> None:
        if self._told("run|damaged", 15) != "run":
            self._works = False
            raise SourceFailed(State.GARBLED, "the script did not reach the guest whole", value=self._seen())

    def _ask_through_another_line(self) -> None:
        self._screen.line.close()
        try:
            self._screen.line = self._reach()
            self._screen.type("again" + _ENTER)
        except SourceFailed as exc:
            raise self._going_on(exc) from exc

    def _going_on(self, exc: SourceFailed) -> SourceFailed:
        """The failure, with what becomes of a script that nobody listens to."""
        if not (self._steady and self._works):
            return exc
        return SourceFailed(exc.state, f"{exc.detail}; {GOES_ON}", value=exc.value)

    def _told(self, words: str, seconds: float) -> str | None:
        """The guest's next word, of those given."""
        pattern = re.compile(f"<{self._mark}:({words})>")
        found = self._screen.wait(lambda text: pattern.search(_joined(text)) or self._is_out(text), seconds)
        return found[1] if isinstance(found, re.Match) else None

    def _is_out(self, text: str) -> bool:
        """The session is over: the login prompt is back."""
        if self._inside and self._at_its_prompt(text):
            self._inside = False
        return not self._inside

    def _at_its_prompt(self, text: str) -> bool:
        """The console stands where it was found."""
        return _last(text) is Prompt.LOGIN

    def _send_in_slices(self, text: str) -> None:
        """Lines that a tty in canonical mode takes, each when the guest has read the one before."""
        for start in range(0, len(text), SLICE):
            part = text[start : start + SLICE]
            self._screen.type(part + _ENTER)
            self._told(str(start + len(part)), 3)
        self._screen.type("." + _ENTER)

    def _send_lines(self, script: str) -> None:
        """For a guest without base64 or gzip: the script as it is."""
        sent = 0
        for one in script.splitlines():
            self._screen.type(one + _ENTER)
            sent += len(one) + 1
            self._told(str(sent), 3)
        self._screen.type(".END" + _ENTER)

    def _answer(self, how: str) -> str:
        """The script's output, asked for again when a line of it was damaged on the way."""
        for _ in range(ANSWER_TRIES):
            end = re.compile(rf"<{self._mark}:end:(\d+):(\d+)>")
            found = self._screen.wait(
                lambda text, end=end: end.search(_joined(text)) or self._is_out(text), self._seconds
            )
            self._reads = isinstance(found, re.Match)
            if not isinstance(found, re.Match):
                raise SourceFailed(
                    State.TIMED_OUT, "logged in, but the script did not finish in time", value=self._seen()
                )
            self._works = False
            text = unpacked(self._lines(int(found[1])), how)
            if text is not None:
                return text
            self._screen.type("again" + _ENTER)
        raise SourceFailed(
            State.GARBLED, "the script's answer was damaged on the way, several times", value=self._seen()
        )

    def _lines(self, count: int) -> list[str | None]:
        found = dict(re.findall(rf"<{self._mark}:(\d+):([A-Za-z0-9+/=]*)>", _joined(self._screen.text)))
        return [found.get(str(number)) for number in range(1, min(count, 10_000) + 1)]

    # -- out -----------------------------------------------------------------------------------------------------------

    def log_out(self) -> None:
        """Leave the console at its login prompt, whatever happened, and hang up.

        A steady script that is still at work is left alone: its session ends by itself.
        """
        try:
            if not (self._steady and self._works):
                self._leave()
        except LineLost:
            self._leave_through_another_line()
        except SourceFailed:
            return  # somebody else has the console now; what we left there ends by itself
        finally:
            self._screen.line.close()

    def _leave_through_another_line(self) -> None:
        with contextlib.suppress(SourceFailed):  # should it fail too: what runs in the guest ends by itself
            self._screen.line.close()
            self._screen.line = self._reach()
            self._reads = False
            self._leave()

    def _leave(self) -> None:
        if not self._inside or self._is_out(self._screen.text):
            return
        self._screen.deadline = Deadline.after(4)
        if self._reads:
            self._screen.type(self.last_word + _ENTER)
            if self._screen.wait(lambda text: _last(text) is Prompt.LOGIN, 4):
                return
        for key, seconds in ((_INTERRUPT, 1), (_END, 3)):  # apart: an interrupt throws away what was typed behind it
            self._screen.type(key)
            if self._screen.wait(lambda text: _last(text) is Prompt.LOGIN, seconds):
                return


def _known(text: str) -> Prompt | None:
    """What followed a name or a password: the login prompt again, a question, a shell; None for anything else yet."""
    last = _last(text)
    if last in (Prompt.LOGIN, Prompt.PASSWORD, Prompt.SHELL):
        return last
    return None


def _last(text: str) -> Prompt:
    return resting(without_kernel(text).encode()).prompt


def _joined(text: str) -> str:
    """Console text as one line without the kernel's: a terminal breaks lines anywhere."""
    return re.sub(r"[\r\n]", "", without_kernel(text.replace("\r\n", "\n").replace("\r\n", "\n")))


def _now() -> datetime:
    return datetime.now(timezone.utc)
