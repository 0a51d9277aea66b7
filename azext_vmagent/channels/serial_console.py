"""Serial console: a way into the guest that needs neither its agent nor its network.

Without credentials it is a look: Enter is pressed once, at a login prompt only, and what comes back is judged. With a
user and a password it logs in, becomes root, runs the probe and logs out. The script travels in short lines, each of
them acknowledged with the number of characters received so far, and answers in numbered lines; both carry gzip's
checksum. Nothing is written in the guest: the shell is replaced by one that reads the script into a variable, keeps no
history, and ends by itself when nobody talks to it any more. Everything printed on a console, the login's lines
too, also goes into the boot diagnostics log.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import re
import secrets
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from azext_vmagent.channels.console_line import Line, LineLost, Screen
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
#: from the first line of the script to the last of the answer; a healthy guest needs some ten seconds
SESSION_SECONDS = 75.0
ANSWER_TRIES = 3

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
) -> Said:
    """Log in, run a script as root, log out; (line for people, its stdout). Raises SourceFailed.

    ``reach`` opens a line: once, and once more when it broke half way, to log out. ``insist``: press Enter also where
    nothing tells at what.
    """
    session = _Session(Screen(reach(), deadline), login, reach)
    try:
        session.log_in(log, insist)
        return session.probe(script)
    finally:
        session.log_out()


class _Session:
    """One login at one console."""

    def __init__(self, screen: Screen, login: ConsoleLogin, reach: Callable[[], Line]) -> None:
        self._screen, self._login, self._reach = screen, login, reach
        self._mark = f"v{secrets.token_hex(4)}"
        #: whether we are logged in, and whether our own shell is there and reads lines
        self._inside = self._reads = False

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

    # -- the probe -----------------------------------------------------------------------------------------------------

    def probe(self, script: str) -> Said:
        """From a shell to the script's output."""
        screen, mark = self._screen, self._mark
        lives = int(min(screen.deadline.remaining(), SESSION_SECONDS)) + LINGER_SECONDS
        screen.type(_loader(mark, lives) + _ENTER)
        if not self._told("go", LOGIN_SECONDS):
            raise SourceFailed(
                State.FAILED,
                f"logged in, but the shell does not run a script: {self._quoted(screen.text)}",
                value=self._seen(),
            )
        self._reads = True
        self._send_in_slices(_runner())
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
            self._send_in_slices(_packed(script))
        else:
            self._send_lines(script)
        if self._told("run|damaged", 15) != "run":
            raise SourceFailed(State.GARBLED, "the script did not reach the guest whole", value=self._seen())
        return f"{how}, at the console as {self._login.user}", self._answer(word)

    def _told(self, words: str, seconds: float) -> str | None:
        """The guest's next word, of those given."""
        pattern = re.compile(f"<{self._mark}:({words})>")
        found = self._screen.wait(lambda text: pattern.search(_joined(text)) or self._is_out(text), seconds)
        return found[1] if isinstance(found, re.Match) else None

    def _is_out(self, text: str) -> bool:
        """The session is over: the login prompt is back."""
        if self._inside and _last(text) is Prompt.LOGIN:
            self._inside = False
        return not self._inside

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
                lambda text, end=end: end.search(_joined(text)) or self._is_out(text), SESSION_SECONDS
            )
            self._reads = isinstance(found, re.Match)
            if not isinstance(found, re.Match):
                raise SourceFailed(
                    State.TIMED_OUT, "logged in, but the probe did not finish in time", value=self._seen()
                )
            text = _unpacked(self._lines(int(found[1])), how)
            if text is not None:
                return text
            self._screen.type("again" + _ENTER)
        raise SourceFailed(
            State.GARBLED, "the probe's answer was damaged on the way, several times", value=self._seen()
        )

    def _lines(self, count: int) -> list[str | None]:
        found = dict(re.findall(rf"<{self._mark}:(\d+):([A-Za-z0-9+/=]*)>", _joined(self._screen.text)))
        return [found.get(str(number)) for number in range(1, min(count, 10_000) + 1)]

    # -- out -----------------------------------------------------------------------------------------------------------

    def log_out(self) -> None:
        """Leave the console at its login prompt, whatever happened, and hang up."""
        try:
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
            self._screen.type("." + _ENTER)
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


# -- what runs in the guest: POSIX sh ----------------------------------------------------------------------------------


def _loader(mark: str, seconds: int) -> str:
    """One command line for whatever shell the user has: no backslash, no quote inside the quotes, a blank in front.

    It replaces that shell, so that nothing enters its history and leaving it is logging out. It ends after
    ``seconds`` in any case. Lines are read up to a dot, each acknowledged by the length so far; then they are run.
    """
    return (
        f" exec env HISTFILE= ENV= LC_ALL=C sh -c 'm={mark};stty -echo;(sleep {seconds};kill -9 $$)& k=$!;"
        'trap "kill $k" EXIT;echo "<$m:go>";p=;'
        'while IFS= read -r l&&[ "$l" != . ];do p=$p$l;echo "<$m:${#p}>";done;eval "$p"\''
    )


def _runner() -> str:
    """Become root, take the script, run it, print its answer in numbered lines until told to stop. One line of sh."""
    return _RUNNER.replace("\n", "")


_RUNNER = r"""
w(){ echo "<$m:$1>";};
r=;
if [ "$(id -u)" != 0 ];then
 r="sudo -n";
 if ! sudo -n true >/dev/null 2>&1;then
  w ask;IFS= read -r s;r=pw;
  printf "%s\n" "$s"|sudo -kSp "" true >/dev/null 2>&1||{ w nosudo;exit;};
 fi;
fi;
b=;
if command -v base64 >/dev/null&&command -v gzip >/dev/null;then
 w gz;
 while IFS= read -r l&&[ "$l" != . ];do b=$b$l;w ${#b};done;
 b=$(printf %s "$b"|base64 -d 2>/dev/null|gzip -dc 2>/dev/null)||{ w damaged;exit;};
 pack(){ gzip -c|base64;};
else
 n=$(printf "\n_");n=${n%_};
 w raw;
 while IFS= read -r l&&[ "$l" != .END ];do b=$b$l$n;w ${#b};done;
 pack(){ od -An -v -tx1|tr -d " ";};
fi;
w run;
go(){
 if [ "$r" = pw ];then printf "%s\n" "$s" "$b"|sudo -kSp "" sh -s;else printf "%s\n" "$b"|$r sh -s;fi 2>/dev/null;
};
o=$(go|pack);
e(){ i=0;for l in $o;do i=$((i+1));w "$i:$l";done;w "end:$i:${#o}";};
e;
while IFS= read -r l&&[ "$l" = again ];do e;done;
exit
"""


def _packed(script: str) -> str:
    return base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()


def _unpacked(lines: list[str | None], how: str) -> str | None:
    """The output, or None when a line is missing or the whole does not fit its checksum."""
    if not lines or None in lines:
        return None
    whole = "".join(line or "" for line in lines)
    try:
        if how == "gz":
            return zlib.decompress(base64.b64decode(whole, validate=True), 31).decode("utf-8", "replace")
        return bytes.fromhex(whole).decode("utf-8", "replace")
    except (ValueError, binascii.Error, zlib.error):
        return None
