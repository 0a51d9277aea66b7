"""The maintenance shell of a boot that stopped: root's password at sulogin's prompt, one script, and out again.

Without root's password no key is pressed there. With it, Enter comes first: an empty password is refused and asked for
again, which proves that sulogin is what listens, and not somebody's shell that would keep a password in its history.
Leaving a maintenance shell makes systemd go on with the boot. So it is left to a new sulogin, at the prompt at which it
was found; only after a repair that took the shell ends, and the boot goes on.
"""

from __future__ import annotations

from collections.abc import Callable

from azext_vmagent.channels import serial_console
from azext_vmagent.channels.console_line import Line, Screen
from azext_vmagent.channels.console_shell import BACK_TO_SULOGIN, GO
from azext_vmagent.channels.serial_console import ConsoleLogin, Session
from azext_vmagent.evidence.asking import Said, SourceFailed
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.console import ConsoleLook, Look, Prompt, asks_root_password, resting, without_kernel
from azext_vmagent.model import State

#: sulogin prints its prompt at once; a slow guest starts it in a second or two
LEAVE_SECONDS = 6.0


def run(
    reach: Callable[[], Line],
    log: bytes,
    login: ConsoleLogin,
    script: str,
    deadline: Deadline,
    goes_on: Callable[[str], bool] | None = None,
) -> Said:
    """Log in where the boot stopped and run a script; (line for people, its stdout). Raises SourceFailed.

    ``goes_on`` judges the script's answer: whether the boot is to go on. With it the script is not stopped half way.
    """
    session = _Maintenance(Screen(reach(), deadline), login, reach, goes_on is not None)
    try:
        session.log_in_where_it_stopped(log)
        _, answer = session.carry_out(script)
        if goes_on is not None and goes_on(answer):
            session.last_word = GO
        return "root, in the maintenance shell of the boot that stopped", answer
    finally:
        session.log_out()


class _Maintenance(Session):
    """One login in a maintenance shell."""

    _at_end = BACK_TO_SULOGIN

    def log_in_where_it_stopped(self, log: bytes) -> None:
        """From sulogin's prompt to its shell."""
        screen = self._screen
        screen.wait(lambda _: False, serial_console.SETTLE_SECONDS)
        seen = log + without_kernel(screen.text).encode()
        if not (asks_root_password(seen) or _asks(screen.text)):  # a service may repeat on attaching what the log has
            found = resting(seen)
            raise SourceFailed(
                State.FAILED,
                f"no key pressed: the console does not ask for root's password, it shows «{found.text}»",
                value=ConsoleLook(Look.NOT_PRESSED, found.text),
            )
        screen.type("\r")
        if not screen.wait(_asks, serial_console.ENTER_SECONDS, 0.5):
            raise SourceFailed(
                State.FAILED,
                f"no password typed: Enter at the maintenance prompt brought {self._quoted(screen.text)}",
                value=self._seen(),
            )
        self._inside = True
        screen.type(self._login.password + "\r")
        if screen.wait(_shell_or_prompt, serial_console.SHELL_SECONDS, 0.7) is Prompt.MAINTENANCE:
            self._inside = False
            raise SourceFailed(
                State.DENIED, "the guest refuses root's password at the maintenance prompt", value=self._seen()
            )

    def _at_its_prompt(self, text: str) -> bool:
        return _asks(text)

    def _leave(self) -> None:
        """End of file is never typed: at sulogin's prompt it makes the boot go on.

        The word that ends our shell's reading is lost on a script that began unseen: an interrupt ends that one.
        """
        screen = self._screen
        if not self._inside or self._is_out(screen.text):
            return
        screen.deadline = Deadline.after(3 * LEAVE_SECONDS)
        if self.last_word == GO and self._reads:
            screen.type(f"{GO}\r")
            screen.wait(lambda text: "default" in text, 2)
            return
        for key in (*([f"{self.last_word}\r"] if self._reads else []), "\x03"):
            screen.type(key)
            if screen.wait(_asks, LEAVE_SECONDS):
                return
        screen.type(' exec sulogin "$(tty)"\r')
        screen.wait(_asks, LEAVE_SECONDS)


def _asks(text: str) -> bool:
    return asks_root_password(without_kernel(text).encode())


def _shell_or_prompt(text: str) -> Prompt | None:
    if _asks(text):
        return Prompt.MAINTENANCE
    last = resting(without_kernel(text).encode()).prompt
    return last if last is Prompt.SHELL else None
