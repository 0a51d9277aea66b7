"""Measures the serial log reader: time per megabyte, on logs and on hostile text, and the outlook on labelled logs.

``python -m tests.bench_serial [FOLDER ...]`` where a folder holds logs and an ``index.jsonl`` (``file``, ``decidable``,
``label_scenario``); without arguments ``../shared/serial-logs`` beside the repository, if it is there.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from pathlib import Path

from azext_vmagent.facts.serial_log import parse_serial_log

MEGABYTE = 1 << 20
REPOSITORY = Path(__file__).resolve().parents[1]
RECORDED = REPOSITORY / "tests" / "facts" / "serial" / "recorded"
REPEATS = 5


def processor_ms(data: bytes) -> float:
    """The least processor time of a few runs, in milliseconds."""
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.process_time()
        parse_serial_log(data)
        best = min(best, time.process_time() - begin)
    return best * 1000


def megabyte(piece: bytes) -> bytes:
    """A piece repeated to one megabyte."""
    return (piece * (MEGABYTE // len(piece) + 1))[:MEGABYTE]


def inputs() -> dict[str, bytes]:
    """One megabyte each of what logs are like and of what a hostile guest could write."""
    boots = b"".join(path.read_bytes() for path in sorted(RECORDED.glob("*.log")))
    kernel = b"".join(line + b"\n" for line in boots.split(b"\n") if line.startswith(b"[ ") and b"0.000000" not in line)
    return {
        "many boots": megabyte(boots),
        "one boot": megabyte(kernel),
        "random bytes": random.Random(1).randbytes(MEGABYTE),
        "one line": b"x" * MEGABYTE,
        "spaces": b" " * MEGABYTE,
        "shell prompts": megabyte(b"# \n"),
        "near panics": megabyte(b"Kernel panic - not syncing \n"),
        "near failures in one line": megabyte(b"[FAILED] Failed to start "),
        "banners": megabyte(b"Linux version 6.1\n"),
        "cylons": megabyte(b"\x1bM\r\x1b[K[\x1b[0;31m*\x1b[0m] A start job is running for /dev/x (1s / 2s)\r\r\n"),
        "open escapes": megabyte(b"\x1b]0;"),
    }


def measure() -> None:
    """Print the time of each input."""
    for name, data in inputs().items():
        print(f"{name:28} {processor_ms(data):7.1f} ms/MB")


def score(folder: Path) -> None:
    """Print a confusion table of the decidable logs of a folder, the misses and the slowest log."""
    confusion: Counter[tuple[str, str]] = Counter()
    slowest = (0.0, "")
    for row in map(json.loads, (folder / "index.jsonl").read_text(encoding="utf-8").splitlines()):
        data = (folder / row["file"]).read_bytes()
        facts = parse_serial_log(data)
        slowest = max(slowest, (processor_ms(data) * MEGABYTE / max(len(data), MEGABYTE // 20), row["file"]))
        right = facts.outlook.value == row["label_scenario"]
        if row["decidable"] == "yes":
            confusion[row["label_scenario"], facts.outlook.value] += 1
        if not right:
            print(f"  {row['decidable']:4} {row['file']}: label {row['label_scenario']}, said {facts.outlook.value}")
    right = sum(count for (label, said), count in confusion.items() if label == said)
    print(f"{folder.name}: {right} of {sum(confusion.values())} decidable logs right")
    print(f"  slowest {slowest[0]:.0f} ms/MB {slowest[1]}")
    for (label, said), count in sorted(confusion.items()):
        print(f"  {label:13} said {said:13} {count}")


def main(arguments: list[str]) -> None:
    """Measure, then score the folders named or found."""
    measure()
    folders = [Path(argument) for argument in arguments] or [REPOSITORY.parent / "shared" / "serial-logs"]
    for folder in folders:
        if (folder / "index.jsonl").exists():
            score(folder)
        else:
            print(f"NOT MEASURED: no labelled logs in {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
