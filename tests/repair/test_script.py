"""The one text that carries a plan into a guest."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from azext_vmagent.repair.script import MOST_ACTIONS, plan_id, repair_script, undo_script


@dataclass(frozen=True)
class Act:
    kind: str
    arguments: tuple[str, ...] = ()


HOSTILE = '-A OUTPUT -m comment --comment "$(reboot)`id`\'; END_OF_VMAGENT_PLAN" -j DROP'


def test_no_text_of_a_guest_is_part_of_the_shells_text() -> None:
    text = repair_script([Act("remove-rule", ("iptables", HOSTILE))])
    assert "reboot)" not in text
    [plan] = re.findall(r"<<'END_OF_VMAGENT_PLAN'\n(.*?)END_OF_VMAGENT_PLAN\n", text, re.DOTALL)
    for line in plan.splitlines()[1:]:
        assert re.fullmatch(r"action|(\\0[0-7]{3})*", line)
    decoded = re.sub(r"\\0([0-7]{3})", lambda found: chr(int(found[1], 8)), plan)
    assert HOSTILE in decoded


def test_it_can_be_pasted() -> None:
    text = repair_script([Act("remove-rule", ("iptables", HOSTILE * 8))])
    assert text.isascii()
    assert "!" not in text
    assert "\t" not in text
    assert max(len(line) for line in text.splitlines()) < 4096
    assert text.splitlines().count("END_OF_VMAGENT_REPAIR") == 1
    assert len(text) < 70_000  # an argument of a program has 128 KiB on Linux


def test_the_same_actions_have_the_same_id_and_others_another() -> None:
    one, other = [Act("a", ("b", "c"))], [Act("a", ("bc",))]
    assert plan_id(one) == plan_id(list(one)) != plan_id(other)
    assert re.fullmatch(r"p\d+", plan_id(one))
    assert f"plan {plan_id(one)} 30\n" in repair_script(one, watchdog_seconds=30)


@pytest.mark.parametrize("argument", ["a\nb", "a\0b", "a\x1bb", "x" * 801])
def test_what_is_no_single_line_is_not_sent(argument: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        repair_script([Act("remove-rule", (argument,))])


@pytest.mark.parametrize("number", [0, MOST_ACTIONS + 1])
def test_a_plan_has_some_actions_and_not_too_many(number: int) -> None:
    with pytest.raises(ValueError, match="actions"):
        repair_script([Act("remove-disable-file")] * number)


def test_undo_needs_no_plan() -> None:
    assert "\nundo last 0\n" in undo_script()
