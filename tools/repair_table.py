"""``make repair-table``: docs/repaired.md out of what runs of ``make test-repairs`` saw; no number in it is typed.

First the newest results below build/ go into the repository's own (tests/real_guest/repaired.json), row by row. The
page is made of those alone, and a test holds it to them; a row of which nothing was seen yet is named at its end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from tests.real_guest.matrix import CONSOLE, FAMILIES, REFUSALS, REPAIRS, SSH, Refusal, Repair
from tests.real_guest.recorded import LATEST, RECORDED, Result, as_data, read, recorded

PAGE = Path(__file__).resolve().parents[1] / "docs" / "repaired.md"
ROWS: tuple[Repair | Refusal, ...] = (*REPAIRS, *REFUSALS)
_LOGINS = {SSH: "SSH", CONSOLE: "serial console"}
_HEAD = """# Repaired on the real guest

Each row is a fault made in the laboratory's real guest (Debian 12 under QEMU, the Azure Linux agent 2.7.3.0), then one
command with nothing but the VM's name and a login: `az vm agent-diagnose … --repair --yes`. In each the agent is Ready
again by the stand-in's own records, the second diagnosis (where the outcome is `applied`: a third one) finds the VM
healthy, every rule, route and address that the plan does not name reads as before, and a service and rules of
somebody else are untouched (where Azure restarted the VM: the service runs again, and every file below /etc is as
before). Never on Azure.

Seconds: *whole* of the command with both diagnoses, *change* in the guest with saving and checks (of a restart: at
Azure), *Ready* from then until Azure said so (0: by then it did; «–»: it had said so all the time). The
laboratory calls an agent silent after 12 s; Azure's own word lags more.
"""


def current(results: Mapping[str, Result]) -> dict[str, Result]:
    """Those of rows that still expect what they expected when they were run, in the order of the rows."""
    return {
        row.name: results[row.name]
        for row in ROWS
        if row.name in results and results[row.name].expected == as_data(row)
    }  # fmt: skip


def page(results: Mapping[str, Result]) -> str:
    """The page of these results."""
    seen = current(results)
    return "\n".join([_HEAD, *_repairs(seen), *_refusals(seen), *_foot(seen)]) + "\n"


def _repairs(seen: Mapping[str, Result]) -> Iterator[str]:
    repaired = [row for row in REPAIRS if row.name in seen]
    yield f"## {len(repaired)} repaired"
    yield ""
    yield "| family | fault | cause | way in | actions | outcome | whole | change | Ready |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for family in FAMILIES:
        for row in repaired:
            if row.family == family:
                yield _repair(row, seen[row.name])
    yield ""


def _repair(row: Repair, result: Result) -> str:
    way = f"no way in, `--allow {' '.join(row.allow)}`" if row.allow else _LOGINS[row.login]
    cells = (
        row.family,
        f"`{row.fault}`",
        f"[{row.cause}](causes/{row.cause}.md)",
        way,
        ", ".join(f"`{kind}`" for kind in result.kinds),
        f"`{result.outcome}`",
        _seconds(result.whole),
        _seconds(result.change),
        _seconds(result.ready),
    )
    return f"| {' | '.join(cells)} |"


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.0f}"


def _refusals(seen: Mapping[str, Result]) -> Iterator[str]:
    refused = [row for row in REFUSALS if row.name in seen]
    yield f"## {len(refused)} left alone"
    yield ""
    yield "Rules, routes, addresses, mounts, the agent's unit, the boot id and the files below /etc, /usr/sbin and"
    yield "/usr/lib/systemd are the same before and after (of a VM that is off: its power). Nothing is asked of Azure."
    yield ""
    yield "| fault | outcome | code | because | what to do instead |"
    yield "|---|---|---|---|---|"
    for row in refused:
        result = seen[row.name]
        fault = f"`{row.fault}`" if row.fault else "none"
        cells = (fault, f"`{result.outcome}`", f"`{row.code}`", result.refusal or "", result.step or "–")
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
    yield ""


def _foot(seen: Mapping[str, Result]) -> Iterator[str]:
    for date, machine in sorted({(one.date, one.machine) for one in seen.values()}):
        yield f"Recorded {date}: {machine}."
    not_seen = [f"`{row.name}`" for row in ROWS if row.name not in seen]
    if not_seen:
        yield ""
        yield f"Rows of the matrix of which no run is recorded: {', '.join(not_seen)}."
    yield ""
    yield "Made by `make repair-table` from the results of `make test-repairs` (`tests/real_guest/repaired.json`)."


def main() -> int:
    """Merge the newest results, and write both files."""
    newest = {one.name: one for one in (read(path.read_text()) for path in LATEST.glob("*.json"))}
    kept = current({**recorded(), **newest})
    lines = ",\n".join(json.dumps(asdict(one), ensure_ascii=False) for one in kept.values())
    RECORDED.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    PAGE.write_text(page(kept), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
