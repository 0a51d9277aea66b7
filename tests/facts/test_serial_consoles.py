"""Short consoles of many systems, good and sick: what the log alone says of each.

``@kernel`` stands for a kernel's banner, ``@running`` for nine services that started.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from azext_vmagent.facts.serial_log import parse_serial_log

SHORT = {
    "@kernel": ["[    0.000000] Linux version 5.14.0-427.el9.x86_64 (mockbuild@example) (gcc) #1 SMP"],
    "@running": [f"[  OK  ] Started unit{at}.service - Unit {at}." for at in range(9)],
}
ROWS = Path(__file__).parent / "serial" / "consoles.jsonl"


def consoles() -> list[dict[str, Any]]:
    return [json.loads(row) for row in ROWS.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("row", consoles(), ids=lambda row: row["what"])
def test_what_a_console_says(row: dict[str, Any]) -> None:
    lines = [line for piece in row["lines"] for line in SHORT.get(piece, [piece])]
    facts = parse_serial_log("\r\n".join(lines).encode())
    assert facts.outlook.value == row["outlook"]
    assert facts.state.value == row.get("state", facts.state.value)
