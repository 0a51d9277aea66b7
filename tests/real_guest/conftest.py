"""The laboratory that most of these tests use: one real guest for each module, nothing else set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.laboratory import Laboratory, laboratory


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with laboratory(tmp_path_factory.mktemp("lab"), "--guest", "real") as made:
        yield made
