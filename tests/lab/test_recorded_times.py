"""Times inside recorded texts move; what only looks like one stays."""

import base64
import gzip
from datetime import datetime, timezone

import pytest

from lab.guests.rebase import shift_answer, shift_text

RECORDED_AT = datetime(2026, 11, 23, 22, 53, tzinfo=timezone.utc).timestamp()
DAY = 86400


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2026-11-23T22:50:37.440476Z INFO", "2026-12-03T22:50:37.440476Z INFO"),
        ("2026/11/23 22:50:37.123 INFO", "2026/12/03 22:50:37.123 INFO"),
        ("since Mon 2026-11-23 22:53:48 UTC; 4min", "since Thu 2026-12-03 22:53:48 UTC; 4min"),
        ("Nov 23 22:58:02 azlab waagent", "Dec  3 22:58:02 azlab waagent"),
        ("Mon Nov 23 22:58:02 UTC 2026", "Thu Dec  3 22:58:02 UTC 2026"),
        ("Mon, 23 Nov", "Mon, 23 Nov"),
        ("(1795474218)", "(1796338218)"),
        ("1795474218.25", "1796338218.25"),
        ("<Version>2015-04-05</Version>", "<Version>2015-04-05</Version>"),
        ("Debian 6.1.176-1 (2026-07-02)", "Debian 6.1.176-1 (2026-07-02)"),
        ("built 2026-07-02 10:00:00", "built 2026-07-02 10:00:00"),
        ("id 17954742180 17954", "id 17954742180 17954"),
        ("2026-13-45T22:50:37", "2026-13-45T22:50:37"),
    ],
)
def test_shift(before, after):
    assert shift_text(before, RECORDED_AT, 10 * DAY) == after


def test_a_year_may_turn_between_the_line_and_the_recording():
    new_year = datetime(2027, 1, 1, 0, 10, tzinfo=timezone.utc).timestamp()
    assert shift_text("Dec 31 23:59:00 azlab", new_year, DAY) == "Jan  1 23:59:00 azlab"


@pytest.mark.parametrize("packed", [False, True])
def test_a_probes_answer_stays_readable_and_claims_no_checksum_that_is_not_its_own(packed: bool) -> None:
    body = b"uid 0\nnow 2026-11-23T22:53:00Z\n"
    if packed:
        head, body = "vmagent-probe 1 gzip\n", base64.encodebytes(gzip.compress(body))
    else:
        head = "vmagent-probe 1\n"
    moved = shift_answer(f"[stdout]\n{head}{body.decode()}end 0.4 0 1234567\n[stderr]\n", RECORDED_AT, DAY)
    inside = moved.partition(head)[2].partition("end ")[0].encode()
    text = gzip.decompress(base64.b64decode(inside)) if packed else inside
    assert text == b"uid 0\nnow 2026-11-24T22:53:00Z\n"
    assert moved.endswith("end 0.4 0 -\n[stderr]\n")
