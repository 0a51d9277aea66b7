"""Which VMs are meant, and the refusals that say what to write instead."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from azure.cli.core.azclierror import (
    InvalidArgumentValueError,
    MutuallyExclusiveArgumentError,
    RequiredArgumentMissingError,
)

from azext_vmagent import targets
from azext_vmagent.channels.choice import Wish
from azext_vmagent.model import Target

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
CLI: Any = SimpleNamespace(data={"subscription_id": SUBSCRIPTION})


def vm_id(name: str, group: str = "rg") -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"


# -- which VMs -----------------------------------------------------------------------------------------------------------


def test_group_and_name_mean_a_vm_of_the_current_subscription():
    assert targets.resolve(CLI, "rg", ["web"], None) == [Target(SUBSCRIPTION, "rg", "web")]


def test_several_names_are_of_one_group_and_keep_their_order():
    found = targets.resolve(CLI, "rg", ["web", "db"], None)
    assert [(target.resource_group, target.name) for target in found] == [("rg", "web"), ("rg", "db")]


def test_ids_keep_their_order_also_when_one_argument_holds_several_lines():
    found = targets.resolve(CLI, None, None, [f"{vm_id('b')}\n{vm_id('a')}", vm_id("c")])
    assert [target.name for target in found] == ["b", "a", "c"]


def test_an_id_may_be_written_in_any_case():
    assert targets.resolve(CLI, None, None, [vm_id("web").lower()]) == [Target(SUBSCRIPTION, "rg", "web")]


def test_a_default_group_does_not_quarrel_with_ids():
    assert targets.resolve(CLI, "default", None, [vm_id("web", "rg2")])[0].resource_group == "rg2"


def test_ids_and_a_name_would_name_the_vm_twice():
    with pytest.raises(MutuallyExclusiveArgumentError):
        targets.resolve(CLI, "rg", ["web"], [vm_id("web")])


@pytest.mark.parametrize(("group", "name"), [(None, None), ("rg", None), (None, ["web"]), ("", ["web"]), ("rg", [""])])
def test_half_a_name_is_refused_with_an_example(group, name):
    with pytest.raises(RequiredArgumentMissingError) as caught:
        targets.resolve(CLI, group, name, None)
    assert any("az vm agent-diagnose -g" in text for text in caught.value.recommendations)


@pytest.mark.parametrize("ids", [[" "], ["\n"]])
def test_blank_ids_are_refused_and_not_an_empty_success(ids):
    with pytest.raises(RequiredArgumentMissingError):
        targets.resolve(CLI, None, None, ids)


@pytest.mark.parametrize(
    "text",
    [
        "web-03",
        vm_id("web") + "/extensions/mon",
        vm_id("web").replace("virtualMachines", "disks"),
        vm_id("web").replace("Microsoft.Compute", "Microsoft.ClassicCompute"),
        f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines/web",
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines",
        "/",
    ],
)
def test_what_is_no_vms_id_is_refused_and_quoted(text):
    with pytest.raises(InvalidArgumentValueError) as caught:
        targets.resolve(CLI, None, None, [text])
    assert text[:60] in str(caught.value)


# -- channels ------------------------------------------------------------------------------------------------------------


def wish(**given: Any) -> Wish:
    return targets.wish(
        **{"run_command": "auto", "user": None, "host": None, "port": None, "key": None, "timeout": 180} | given
    )


def test_what_is_given_is_taken_as_it_is(tmp_path):
    key = tmp_path / "a key"
    key.touch()
    found = wish(user="ops", host="web.example", port=2222, key=str(key), timeout=5)
    assert found == Wish("auto", "ops", "web.example", 2222, str(key))


@pytest.mark.parametrize("value", ["", "-oProxyCommand=reboot", "a b", "a\nb", "a\x1b[2J", "\u202eops", "a\tb"])
@pytest.mark.parametrize("option", ["user", "host"])
def test_a_user_or_host_that_could_be_an_option_or_a_line_is_refused(option, value):
    with pytest.raises(InvalidArgumentValueError, match=f"--ssh-{option}"):
        wish(**{"user": "ops", option: value})


@pytest.mark.parametrize("value", ["ops", "ops@corp.example", "_apt", "fe80::1", "web-03.internal", "DOMAIN\\ops"])
def test_names_as_people_have_them_are_taken(value):
    assert wish(user=value, host=value).ssh_user == value


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port_is_refused(port):
    with pytest.raises(InvalidArgumentValueError, match="--ssh-port"):
        wish(port=port)


def test_too_short_a_time_is_refused():
    with pytest.raises(InvalidArgumentValueError, match="--timeout 4"):
        wish(timeout=4)


def test_a_key_that_is_not_there_is_refused_and_so_is_one_without_a_user(tmp_path):
    with pytest.raises(InvalidArgumentValueError, match="there is no file"):
        wish(user="ops", key=str(tmp_path / "none"))
    key = tmp_path / "key"
    key.touch()
    with pytest.raises(RequiredArgumentMissingError, match="user"):
        wish(key=str(key))


def test_a_key_under_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").touch()
    assert wish(user="ops", key="~/key").ssh_key == str(tmp_path / "key")


# -- an answer brought by hand -----------------------------------------------------------------------------------------

ANSWER = "vmagent-probe 1\nuid 0\nend 4 0\n"


def brought(path: Any) -> str | None:
    return targets.wish("auto", None, None, None, None, 60, str(path)).pasted


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_answer_in_a_file_is_read_however_the_editor_saved_it(tmp_path, encoding):
    file = tmp_path / "answer.txt"
    file.write_bytes(f"root@web:~#\r\n{ANSWER}".encode(encoding))
    assert brought(file) == ANSWER


def test_an_answer_comes_through_standard_input_too(monkeypatch):
    stdin = SimpleNamespace(buffer=io.BytesIO(ANSWER.encode()), isatty=lambda: False)
    monkeypatch.setattr(targets.sys, "stdin", stdin)
    assert brought("-") == ANSWER


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no answer"),
        (b"bash: sh: command not found\n", "holds no answer"),
        (bytes(range(256)), "holds no answer"),
        (ANSWER.encode() + b"x" * (1 << 20), "larger"),
    ],
)
def test_what_is_no_answer_is_refused_with_advice(tmp_path, content, words):
    file = tmp_path / "answer.txt"
    file.write_bytes(content)
    with pytest.raises(InvalidArgumentValueError, match=words) as caught:
        brought(file)
    assert caught.value.recommendations


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    for path in (tmp_path / "gone", tmp_path):
        with pytest.raises(InvalidArgumentValueError, match="cannot be read"):
            brought(path)


def test_one_answer_is_not_the_word_of_several_guests():
    two = [Target(SUBSCRIPTION, "rg", name) for name in "ab"]
    with pytest.raises(MutuallyExclusiveArgumentError):
        targets.one_only(two, "answer.txt")
    targets.one_only(two, None)
    targets.one_only(two[:1], "answer.txt")


def test_the_script_to_paste_needs_nothing_and_one_that_is_not_there_is_refused():
    assert targets.probe_to_paste("sh").startswith("# Paste all of this")
    assert targets.probe_to_paste("powershell").startswith("# Paste all of this at once into a PowerShell")
