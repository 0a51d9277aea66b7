"""The words of one cause in several versions and distributions, as short consoles: each form shows it.

``@el9`` and ``@azure`` stand for the banner of a kernel. A line of ``forms.jsonl`` names the program that prints the
words, and the version or the form.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from azext_vmagent.facts.reading import SERIAL_LOG
from azext_vmagent.model import Answer, Evidence, State
from tests.causes.case import ASKED, TARGET
from tests.causes.test_cases import present

BANNERS = {
    "@el9": "[    0.000000] Linux version 5.14.0-427.el9.x86_64 (mockbuild@example) (gcc) #1 SMP",
    "@azure": "[    0.000000] Linux version 6.8.0-1015-azure (buildd@example) (gcc-13) #17-Ubuntu SMP",
}
FORMS = [json.loads(line) for line in (Path(__file__).parent / "forms.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form['code']} {form['source']}")
def test_each_form_of_its_words_shows_the_cause(form: dict[str, Any]):
    log = "\r\n".join(BANNERS.get(line, line) for line in form["lines"]).encode()
    assert form["code"] in present(Evidence(TARGET, ASKED, {SERIAL_LOG: Answer(SERIAL_LOG, State.OK, "", log)}))
