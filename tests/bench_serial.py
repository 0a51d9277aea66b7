"""Measures the serial log reader: outlooks on labelled logs, time per megabyte on them and on hostile text.

``python -m tests.bench_serial [FOLDER ...]`` where a folder holds logs and an ``index.jsonl`` (``file``, ``decidable``,
``label_scenario``); without arguments ``../shared/serial-logs`` beside the repository, if it is there.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from azext_vmagent.causes.catalogue import serial_signatures
from azext_vmagent.facts.serial_lines import SIGNATURES
from azext_vmagent.facts.serial_log import parse_serial_log
from azext_vmagent.facts.serial_signature import Kind, Signature, signature

MEGABYTE = 1 << 20
REPOSITORY = Path(__file__).resolve().parents[1]
RECORDED = REPOSITORY / "tests" / "facts" / "serial" / "recorded"
OUTLOOKS = ("healthy", "network_down", "not_booted", "booting", "unknown")
ORDINARY_MS, HOSTILE_MS, DOUBLED = 50.0, 200.0, 2.3
"""The goals: an ordinary megabyte, a hostile one, and how much longer twice the text may take."""

MORE_SIGNATURES = tuple(
    signature(Kind.CAUSE, f"{first}{second} has failed", rf"^{first}{second} has failed", "measured only")
    for first in ("quux", "xyzzy", "plugh", "waldo", "grault", "garply")
    for second in "abcdefghij"
)
"""As many more as the catalogue of causes may bring."""


def processor_ms(data: bytes, known: Sequence[Signature] = (), repeats: int = 5) -> float:
    """The least processor time of a few runs, in milliseconds."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        parse_serial_log(data, known)
        best = min(best, time.process_time() - begin)
    return best * 1000


def megabyte(piece: bytes) -> bytes:
    """A piece repeated to one megabyte."""
    return (piece * (MEGABYTE // len(piece) + 1))[:MEGABYTE]


def long_boot(log: bytes) -> bytes:
    """A log's kernel lines repeated, with a clock that runs on: one boot of one megabyte."""
    lines = re.findall(rb"^(?:\[ .*|\S.* systemd\[1\]: .*)\n", log, re.MULTILINE)
    lines = [line for line in lines if not re.search(rb"Linux version|eboot|ower|Reached|login:|ommand line", line)]
    ticks = itertools.count()

    def ticked(_: re.Match[bytes]) -> bytes:
        return b"[%5d.%06d]" % divmod(next(ticks) * 1000, MEGABYTE)

    return re.sub(rb"^\[ {0,6}\d+\.\d{6}\]", ticked, megabyte(b"".join(lines)), flags=re.MULTILINE)


def ordinary() -> dict[str, bytes]:
    """One megabyte each of what logs are like."""
    boots = b"".join(path.read_bytes() for path in sorted(RECORDED.glob("*.log")))
    good = long_boot((RECORDED / "agent-stopped.log").read_bytes())
    return {
        "many boots": megabyte(boots),
        "one boot": good,
        "one boot, then a prompt": good[:-20] + b"\r\nweb-03 login: ",
    }


def hostile() -> dict[str, bytes]:
    """One megabyte each of what a hostile guest could write."""
    boots = b"".join(path.read_bytes() for path in sorted(RECORDED.glob("*.log")))
    return {
        "failures without end": long_boot(boots),
        "random bytes": random.Random(1).randbytes(MEGABYTE),
        "one line": b"x" * MEGABYTE,
        "spaces": b" " * MEGABYTE,
        "carriage returns": b"\r" * MEGABYTE,
        "one letter a line": megabyte(b"a\n"),
        "shell prompts": megabyte(b"# \n"),
        "shell prompts with commands": megabyte(b"a login:\nroot@a:~# dmesg\n"),
        "near panics": megabyte(b"Kernel panic - not syncing \n"),
        "banners": megabyte(b"Linux version 6.1\n"),
        "boots": megabyte(b"[    0.000000] Linux version 6.1\na login:\n"),
        "a falling clock": megabyte(b"[   99.000000] a\n[    0.000000] b\n"),
        "network tables": megabyte(b"ci-info: | eth0 | False | . | . | . | . |\n"),
        "cylons": megabyte(b"\x1bM\r\x1b[K[\x1b[0;31m*\x1b[0m] A start job is running for /dev/x (1s / 2s)\r\r\n"),
        "escapes": b"\x1b" * MEGABYTE,
        "open escapes": megabyte(b"\x1b]0;"),
        "colours": megabyte(b"\x1b[0m"),
        "distinct words": " ".join(_words(MEGABYTE)).encode(),
    }


def _words(size: int) -> list[str]:
    source = random.Random(2)
    return ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(size // 6)]


def near_matches() -> dict[str, bytes]:
    """One megabyte each of every signature's needle, where its pattern expects it, in lines and in one line."""
    needles = {found.needle for found in SIGNATURES}
    return {
        f"{head.strip()} {needle} {'in lines' if end.strip(' ') else 'in one line'}": megabyte(
            f"{head}{needle}{end}".encode()
        )
        for needle in sorted(needles)
        for head in ("", "[    1.000000] ", "[FAILED] ")
        for end in ("\n", " ")
    }


def measure() -> None:
    """Print the time of each input, with the goals missed."""
    print("milliseconds of processor time for one megabyte, with 60 more signatures, and two megabytes against one")
    for group, goal in ((ordinary(), ORDINARY_MS), (hostile(), HOSTILE_MS)):
        for name, data in group.items():
            once, more = processor_ms(data), processor_ms(data, MORE_SIGNATURES)
            doubled = processor_ms(data + data) / once
            missed = "  MISSED" if max(once, more) > goal or doubled > DOUBLED else ""
            print(f"  {name:28} {once:7.1f} {more:7.1f}   x {doubled:.2f}{missed}")
    near = sorted(((processor_ms(data, repeats=2), name) for name, data in near_matches().items()), reverse=True)
    print(f"  near matches of each needle ({len(near)}), the slowest:")
    for once, name in near[:5]:
        print(f"    {once:7.1f}  {name}{'  MISSED' if once > HOSTILE_MS else ''}")


def score(folder: Path) -> None:
    """Print what is right among the decidable logs of a folder, the confusion, the misses, and the times."""
    confusion: Counter[tuple[str, str]] = Counter()
    misses, times, size = [], [], 0
    for row in map(json.loads, (folder / "index.jsonl").read_text(encoding="utf-8").splitlines()):
        data = (folder / row["file"]).read_bytes()
        label, said = row["label_scenario"], parse_serial_log(data, serial_signatures()).outlook.value
        spent = processor_ms(data)
        size += len(data)
        times.append((spent, len(data), row["file"]))
        if row["decidable"] == "yes":
            confusion[label, said] += 1
        if label != said:
            misses.append(f"  {row['decidable']:4} {row['file']}: label {label}, said {said}")
    decidable = sum(confusion.values())
    right = sum(count for (label, said), count in confusion.items() if label == said)
    sick = sum(count for (label, said), count in confusion.items() if said == "healthy" and label != said)
    slowest = max(times)
    print(f"{folder.name}: {right} of {decidable} decidable logs right ({100 * right / max(decidable, 1):.1f} %)")
    print(f"  sick logs called healthy: {sick}")
    print(f"  {'label, said':14}" + "".join(f"{said:>14}" for said in OUTLOOKS))
    for label in OUTLOOKS:
        print(f"  {label:14}" + "".join(f"{confusion[label, said]:14}" for said in OUTLOOKS))
    print("\n".join(misses) or "  no misses")
    throughput = size / MEGABYTE / sum(spent for spent, _, _ in times) * 1000
    print(f"  {throughput:.1f} MB/s over {len(times)} logs of {size / MEGABYTE:.1f} MB")
    print(f"  slowest: {slowest[2]}, {slowest[0]:.1f} ms for {slowest[1] / 1024:.0f} KB")


def main(arguments: list[str]) -> None:
    """Score the folders named or found, then measure."""
    folders = [Path(argument) for argument in arguments] or [REPOSITORY.parent / "shared" / "serial-logs"]
    for folder in folders:
        if (folder / "index.jsonl").exists():
            score(folder)
        else:
            print(f"NOT MEASURED: no labelled logs in {folder}")
    measure()


if __name__ == "__main__":
    main(sys.argv[1:])
