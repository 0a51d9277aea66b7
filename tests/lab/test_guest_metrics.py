"""Usage is booked to the minute it happened in, and what was never measured has no value."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.guests.real.image import RECIPE, appearing_whole, recipe_hash
from lab.guests.real.metrics import MinuteBook, Usage, cpu_seconds, tap_bytes

NET_DEV = """Inter-|   Receive                                 |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:  100       1    0    0    0     0          0         0   100       1    0    0    0     0       0          0
  tap0: 1111      10    0    0    0     0          0         0  2222      20    0    0    0     0       0          0
"""


def test_what_the_tap_receives_comes_first() -> None:
    assert tap_bytes(NET_DEV) == (1111, 2222)
    with pytest.raises(ValueError, match="no tap0"):
        tap_bytes("")


def test_cpu_time_is_found_behind_a_process_name_with_spaces() -> None:
    assert cpu_seconds("12 (qemu (x) y) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0") == pytest.approx(2.0)


def test_usage_across_a_minutes_end_is_shared() -> None:
    book = MinuteBook()
    book.add(600, 660, Usage(60, cpu_seconds=12, network_out=600))
    book.add(660, 750, Usage(90, network_out=900))
    first, second = book.samples(600, 720)
    assert (first.start, first.cpu_percent, first.network_out_bytes) == (600, 10.0, 600)
    assert (second.start, second.network_out_bytes) == (660, 600)


def test_a_minute_that_is_not_over_has_no_sample_yet() -> None:
    book = MinuteBook()
    book.add(600, 719, Usage(119))
    assert [sample.start for sample in book.samples(600, 1000)] == [600]


def test_a_minute_without_a_running_vm_has_no_values() -> None:
    book = MinuteBook()
    book.known_until(780)
    samples = book.samples(630, 780)
    assert [sample.start for sample in samples] == [660, 720]
    assert {sample.network_out_bytes for sample in samples} == {None}


def test_a_restored_guests_past_is_the_idle_minutes_repeated() -> None:
    book = MinuteBook()
    book.repeat_before(90_030, [Usage(60, network_out=100), Usage(60, network_out=300)])
    book.add(90_030, 90_060, Usage(30, network_out=50))
    samples = book.samples(90_000 - 24 * 3600, 90_060)
    assert len(samples) == 24 * 60 + 1
    assert {sample.network_out_bytes for sample in samples[:-1]} == {100, 300}
    assert samples[-1].network_out_bytes == pytest.approx(100)


def test_the_recipes_hash_follows_its_files(tmp_path: Path) -> None:
    (tmp_path / "build.sh").write_text("true")
    before = recipe_hash(tmp_path)
    (tmp_path / "build.sh").write_text("fals")
    assert recipe_hash(tmp_path) != before
    assert len(recipe_hash(RECIPE)) == 12


def test_a_cached_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), appearing_whole(tmp_path / "image-1") as unfinished:
        (unfinished / "disk").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with appearing_whole(tmp_path / "image-1") as unfinished:
        (unfinished / "disk").write_text("whole")
    assert (tmp_path / "image-1" / "disk").read_text() == "whole"
