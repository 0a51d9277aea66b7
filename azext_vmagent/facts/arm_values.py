"""Reading JSON from Azure without trusting its shape: a value of the wrong type reads as «not said»."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

_FRACTION = re.compile(r"\.(\d{6})\d+")


def child(value: Any, *keys: str) -> Any:
    """The value under nested keys, or None. Keys are matched as written first, then without regard to case.

    >>> child({"properties": {"vmId": "a"}}, "properties", "vmid")
    'a'
    """
    for key in keys:
        if not isinstance(value, dict):
            return None
        if key in value:
            value = value[key]
            continue
        folded = key.lower()
        value = next((item for name, item in value.items() if isinstance(name, str) and name.lower() == folded), None)
    return value


def text(value: Any, *keys: str) -> str:
    """Text under nested keys, or "" for anything else."""
    found = child(value, *keys)
    return found if isinstance(found, str) else ""


def flag(value: Any, *keys: str) -> bool | None:
    """A boolean under nested keys, also one written as text, or None."""
    found = child(value, *keys)
    if isinstance(found, str):
        return {"true": True, "false": False}.get(found.lower())
    return found if isinstance(found, bool) else None


def items(value: Any, *keys: str) -> Iterator[dict[str, Any]]:
    """The objects of a list under nested keys; anything else in it is skipped."""
    found = child(value, *keys)
    if isinstance(found, list):
        yield from (item for item in found if isinstance(item, dict))


def moment(value: Any, *keys: str) -> datetime | None:
    """A UTC time under nested keys, or None. Azure writes up to 7 digits of a second, ``Z`` or an offset, or no zone.

    >>> moment({"time": "2023-08-11T09:13:01.1234567Z"}, "time")
    datetime.datetime(2023, 8, 11, 9, 13, 1, 123456, tzinfo=datetime.timezone.utc)
    """
    written = text(value, *keys).strip()
    if not written:
        return None
    if written[-1] in "Zz":
        written = written[:-1] + "+00:00"
    written = _FRACTION.sub(r".\1", written)
    written = re.sub(r"\.(\d{1,5})(?=\+|-|$)", lambda part: "." + part[1].ljust(6, "0"), written)
    try:
        found = datetime.fromisoformat(written)
        return found.replace(tzinfo=timezone.utc) if found.tzinfo is None else found.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
