"""``make bench``: what the extension costs and saves, as ratios of runs made in turn on the same machine.

1. any other ``az vm`` command with the extension installed and without it;
2. a diagnosis without a guest probe against ``az vm get-instance-view``, on the stand-in with Azure-like latencies;
3. the ARM calls of that diagnosis, counted by the stand-in;
4. a diagnosis with its one look inside against the support article's questions asked by hand, one `az` command each.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.laboratory import EXTENSIONS, RECORDINGS, Call, Laboratory, arm_calls, guest_round_trips

ROUNDS = 15
#: a round by hand takes two minutes, for the same reason that it is worth replacing
ROUNDS_BY_HAND = 2
#: what the article asks of the guest: the service, the Wire Server, the firewall
QUESTIONS = (
    "systemctl status walinuxagent.service",
    'curl -sS -m 10 "http://168.63.129.16/?comp=versions"',
    "firewall-cmd --direct --get-all-rules",
)


def paired(
    first: Callable[[], object], second: Callable[[], object], rounds: int = ROUNDS
) -> list[tuple[float, float]]:
    """Seconds of both, A B A B …, after one warm-up of each."""
    first(), second()
    return [(timed(first), timed(second)) for _ in range(rounds)]


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def help_of_another_command(extensions: Path) -> Callable[[], object]:
    """``az vm list -h`` with the extensions of that folder."""
    environment = {**os.environ, "AZURE_EXTENSION_DIR": str(extensions), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "azure.cli", "vm", "list", "-h"]
    return lambda: subprocess.run(command, env=environment, cwd="/", capture_output=True, check=True)


def main() -> None:
    """Print the four."""
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as config:
        os.environ["AZURE_CONFIG_DIR"] = config
        runs = paired(help_of_another_command(EXTENSIONS), help_of_another_command(Path(empty)))
        extra = statistics.median(a - b for a, b in runs) * 1000
        print(f"az vm list -h: {extra:+.0f} ms with the extension (median of {len(runs)} pairs; goal: at most 10)")
        del os.environ["AZURE_CONFIG_DIR"]
    with tempfile.TemporaryDirectory() as folder:
        lab = Laboratory(Path(folder) / "lab")
        lab.lab("up", "--guest", "recorded", "--vm", f"web={RECORDINGS / 'agent-stopped'}", "--latency", "azure")
        try:
            vm = ("-g", "lab", "-n", "web", "-o", "none", "--only-show-errors")
            diagnosis, view = (
                (lambda: lab.az("vm", "agent-diagnose", *vm)),
                (lambda: lab.az("vm", "get-instance-view", *vm)),
            )
            runs = paired(diagnosis, view)
            ratio = statistics.median(a / b for a, b in runs)
            seconds = statistics.median(a for a, _ in runs)
            print(
                f"diagnosis without a probe: {seconds:.2f} s, {ratio:.2f} x az vm get-instance-view (goal: at most 1.5)"
            )
            lab.lab("journal", "--clear")
            diagnosis()
            print(f"ARM calls of that diagnosis: {len(arm_calls(lab.requests()))} (goal: at most 6)")
        finally:
            lab.lab("down")
    with tempfile.TemporaryDirectory() as folder:
        compare_with_the_manual_sequence(Laboratory(Path(folder) / "lab"))


def compare_with_the_manual_sequence(lab: Laboratory) -> None:
    """On a guest whose agent answers: by hand, every question is a run command of its own, and each takes 20 s at least.

    A diagnosis through Run Command takes one of them; through SSH none.
    """
    lab.lab("up", "--guest", "recorded", "--vm", f"web={RECORDINGS / 'healthy'}", "--latency", "azure")
    vm = ("-g", "lab", "-n", "web", "-o", "none", "--only-show-errors")

    def by_hand() -> None:
        answered(lab.az("vm", "get-instance-view", *vm))
        for question in QUESTIONS:
            script = ("--command-id", "RunShellScript", "--scripts", question)
            answered(lab.az("vm", "run-command", "invoke", *vm, *script))
        answered(lab.az("vm", "boot-diagnostics", "get-boot-log", *vm))

    login = ("--ssh-user", "azureuser", "--ssh-port", str(lab.status("web")["sshPort"]))
    ways: dict[str, tuple[str, ...]] = {"Run Command": (), "SSH": login}
    try:
        for name, options in ways.items():

            def diagnosis(options: tuple[str, ...] = options) -> None:
                answered(lab.az("vm", "agent-diagnose", *vm, *options))

            runs = paired(diagnosis, by_hand, ROUNDS_BY_HAND)
            ours, manual = (statistics.median(run[which] for run in runs) for which in (0, 1))
            ratio = statistics.median(b / a for a, b in runs)
            print(f"verdict through {name}: {ours:.1f} s; the same asked by hand: {manual:.1f} s, ", end="")
            print(f"{ratio:.1f} x as long (median of {len(runs)} pairs; goal: at least 3)")
            lab.lab("journal", "--clear")
            diagnosis()
            print(f"round trips into the guest: {guest_round_trips(lab.requests())} (goal: one)")
    finally:
        lab.lab("down")


def answered(call: Call) -> None:
    """A call that failed would be quick, and prove nothing."""
    if call.code != 0:
        raise SystemExit(f"az failed: {call.stderr}")


if __name__ == "__main__":
    main()
