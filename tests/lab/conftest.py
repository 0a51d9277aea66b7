"""Fixtures of the laboratory's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.standin import StandIn, standing


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[StandIn]:
    with standing(tmp_path) as one:
        yield one
