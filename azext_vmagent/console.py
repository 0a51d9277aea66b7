"""Which stream gets what. On a plain terminal the report is the output; everywhere else the object is, and the report
goes to stderr. Scripts never see anything but the object. Only a person at a terminal is asked anything: the password
of --console-user before the work begins, and whether a plan is to be carried out.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Answer
from azext_vmagent.repair.model import RepairPlan
from azext_vmagent.repair.outcome import Ended
from azext_vmagent.report.layout import Style
from azext_vmagent.report.redaction import safe
from azext_vmagent.report.repair_text import ended_lines, repair_lines
from azext_vmagent.report.text import report, step_line

if TYPE_CHECKING:
    from azure.cli.core import AzCli


@dataclass
class Console:
    """The streams of this call. ``quiet`` after --only-show-errors."""

    cli_ctx: AzCli
    report_is_the_output: bool
    steps: bool
    quiet: bool
    verbose: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, cli_ctx: AzCli) -> Console:
        """Decide by the options given, the configured default output and the streams."""
        given = [str(p) for p in cli_ctx.data.get("safe_params") or []]
        formatted = any(p == "-o" or _abbreviates(p, "--output", 4) or _abbreviates(p, "--query", 4) for p in given)
        configured = cli_ctx.config.get("core", "output", fallback=None)
        person = sys.stdout.isatty() and not formatted and not configured
        verbose = any(_abbreviates(p, "--verbose", 5) or p == "--debug" for p in given)
        quiet = bool(cli_ctx.only_show_errors)
        return cls(cli_ctx, person and not quiet, (sys.stderr.isatty() or verbose) and not quiet, quiet, verbose)

    def step(self, answer: Answer, name: str = "") -> None:
        """Show one step as it ends, on stderr."""
        if self.steps:
            self._write(sys.stderr, [(f"{name}: " if name else "") + step_line(answer, self._style(sys.stderr))])

    @property
    def can_ask(self) -> bool:
        """Somebody is at a terminal and reads what is said there."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not self.quiet

    def confirm(self, question: str) -> bool:
        """Ask once, on stderr: the object may go to a file. «y» or «yes» is a yes; all else, and no answer, is a no."""
        self._write(sys.stderr, [f"{question} (y/N): "], end="")
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            self._write(sys.stderr, [""])
        return answer.strip().lower() in ("y", "yes")

    def heading(self, text: str) -> None:
        """What the steps that follow belong to, where steps are shown."""
        if self.steps:
            self._write(sys.stderr, [safe(text)])

    def say(self, text: Callable[[Style], list[str]]) -> None:
        """Show some lines where the report is shown."""
        if self.quiet:
            return
        stream = sys.stdout if self.report_is_the_output else sys.stderr
        self._write(stream, [*text(self._style(stream)), ""])

    def show(self, diagnosis: Diagnosis, plan: RepairPlan | None = None, ended: Ended | None = None) -> None:
        """Show the report, and the plan where there is one, with why it stays one: on stdout when it is the output."""
        if self.quiet:
            return
        stream = sys.stdout if self.report_is_the_output else sys.stderr
        style = self._style(stream)
        planned = ["", *repair_lines(plan, diagnosis.verdict, style)] if plan is not None else []
        if ended is not None:
            refused = plan is not None and plan.refusal is not None  # its words stand above
            planned += ["", *([style("Nothing was changed.", "bold")] if refused else ended_lines(ended, style))]
        self._write(stream, ["", *report(diagnosis, style), *planned, ""])

    def end(self, ended: Ended) -> None:
        """Say why nothing was changed, and what leads on."""
        self.say(lambda style: ended_lines(ended, style))

    def answer(self, found: Any, text: Callable[[Style], list[str]]) -> Any:
        """What az is to print: the object, or None where a person has been shown its text, which says the same."""
        if not self.report_is_the_output:
            return found
        self._write(sys.stdout, ["", *text(self._style(sys.stdout)), ""])
        return None

    def show_one_of_many(self, diagnosis: Diagnosis, planning: bool = False) -> None:
        """Among several VMs the rows are what matters; the reports only where they are the output, or asked for.

        The plan of a repair says of each VM what its report would: there only on demand.
        """
        if self.verbose or (self.report_is_the_output and not planning):
            self.show(diagnosis)

    def show_error(self, name: str, message: str) -> None:
        """A VM among several that could not be asked; scripts find it in its row as well."""
        stream = sys.stdout if self.report_is_the_output else sys.stderr
        if not self.quiet:
            self._write(stream, [f"{name}  {safe(message)}"])

    def show_interrupted(self, left: list[str]) -> None:
        """What an interrupted call leaves behind; said even to those who want errors only."""
        if left:
            self._write(sys.stderr, [f"interrupted: {safe(line)}" for line in left])

    def exit_with(self, code: int) -> None:
        """End the process with this code once az has printed the object."""
        from knack.events import EVENT_CLI_SUCCESSFUL_EXECUTE

        def leave(*_args: Any, **_kwargs: Any) -> None:
            sys.stdout.flush()
            raise SystemExit(code)

        self.cli_ctx.register_event(EVENT_CLI_SUCCESSFUL_EXECUTE, leave)

    def _style(self, stream: TextIO) -> Style:
        return Style(stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")

    def _write(self, stream: TextIO, lines: list[str], end: str = "\n") -> None:
        text = "\n".join(lines) + end
        encoding = stream.encoding or "utf-8"
        with self._lock:
            stream.write(text.encode(encoding, "replace").decode(encoding))
            stream.flush()


def _abbreviates(given: str, option: str, least: int) -> bool:
    """argparse takes any unambiguous beginning of an option."""
    return len(given) >= least and option.startswith(given)
