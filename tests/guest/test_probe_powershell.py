"""probe.ps1 by its grammar: no PowerShell could be had where this was built, so that much is checked and no more.

The rest is care: Windows PowerShell 4.0 syntax, read-only commands, .NET calls that exist in .NET Framework 4.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tree_sitter import Language, Node, Parser
from tree_sitter_powershell import language

from azext_vmagent.guest import windows_paste_script, windows_probe_script

SCRIPT = windows_probe_script()
TREE = Parser(Language(language())).parse(SCRIPT.encode())

#: cmdlets that change nothing; New-Object makes an object in memory
READ_ONLY = {
    "Get-CimInstance",
    "Get-Command",
    "Get-Process",
    "Get-Service",
    "Get-WinEvent",
    "Get-WmiObject",
    "New-Object",
    "Write-Output",
}
#: what a .NET object may do to a machine, by the name of the call
CHANGES = re.compile(
    r"\.(Write(All\w+|Line)|Append\w*|Delete\w*|Create(SubKey|Directory|Text|File)|Move\w*|Copy\w*|Kill|Start|Stop|"
    r"Set(Value|AccessControl|EnvironmentVariable)|Invoke\w*Verb|DownloadFile|Import|Remove)\("
)


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def text(node: Node) -> str:
    return SCRIPT.encode()[node.start_byte : node.end_byte].decode()


def test_it_is_ascii_and_parses_without_a_gap():
    assert SCRIPT.isascii()
    assert [text(node) for node in nodes(TREE.root_node) if node.type == "ERROR" or node.is_missing] == []


def test_it_calls_nothing_but_what_reads():
    own = {text(node) for node in nodes(TREE.root_node) if node.type == "function_name"}
    called = {text(node) for node in nodes(TREE.root_node) if node.type == "command_name"}
    assert called - own <= READ_ONLY
    assert own <= called


def test_no_call_on_an_object_changes_the_machine():
    assert CHANGES.findall(SCRIPT) == []
    assert CHANGES.findall("[System.IO.File]::Delete($x); $key.SetValue('a', 1)".replace("::", "."))


def test_it_runs_no_program_and_no_text_of_others():
    assert not re.search(r"Invoke-|Start-Process|\bcmd\b|\.exe\b(?!['\\)|])|\biex\b|DownloadString", SCRIPT)


@pytest.mark.parametrize(
    "newer",
    [
        r"\?\?",
        r"\?\.",
        r"(?<![|&])&&",
        r"\|\|",
        r"::new\(",
        r"(?m)^\s*class\s",
        r"-Parallel\b",
        r"\[ordered\]@\{.*\?.*:.*\}",
    ],
)
def test_no_syntax_newer_than_windows_powershell_4(newer):
    code = "\n".join(line for line in SCRIPT.splitlines() if not line.lstrip().startswith("#"))
    plain = re.sub(r"'[^'\n]*'", "''", code)
    assert not re.search(newer, plain)


KEYWORDS = (  # about_Language_Keywords
    "begin break catch class continue data do dynamicparam else elseif end exit filter finally for foreach from function "
    "if in param process return switch throw trap try until using var while"
)


def test_no_key_of_a_table_is_a_keyword_and_no_variable_is_one_of_powershells_own():
    """Whether a bare keyword may be a key is not worth finding out; about_Automatic_Variables has the names."""
    keys = {text(node).strip().lower() for node in nodes(TREE.root_node) if node.type == "key_expression"}
    assert "'until'" in keys
    assert not keys & set(KEYWORDS.split())
    set_here = {
        name.lower() for name in re.findall(r"\$(\w+) \+?= |foreach \(\$(\w+) in", SCRIPT) for name in name if name
    }
    own = {
        "args",
        "error",
        "event",
        "home",
        "host",
        "input",
        "matches",
        "pid",
        "profile",
        "pwd",
        "sender",
        "this",
        "true",
    }
    assert len(set_here) > 40
    assert not set_here & own


def test_short_lines_and_a_size_that_can_be_pasted():
    assert max(map(len, SCRIPT.splitlines())) <= 120
    assert len(SCRIPT) < 40_000


def test_what_it_says_fits_where_run_command_cuts():
    width, lines = (int(re.search(rf"\${name} = (\d+)", SCRIPT)[1]) for name in ("Width", "Lines"))
    head, end = "vmagent-probe-windows 1 gzip", "end 9999 4294967295 99.9"
    assert sum(len(part) + 2 for part in (head, end)) + lines * (width + 2) <= 4096
    assert width < 80


def mixed(script: str) -> list[str]:
    """Conditions with -and and -or on one level: they bind alike in PowerShell, so ``a -or b -and c`` misleads."""
    tree = Parser(Language(language())).parse(script.encode())
    code = script.encode()
    found = []
    for node in nodes(tree.root_node):
        if node.type == "logical_expression":
            used = {code[c.start_byte : c.end_byte].decode().lower() for c in nodes_of_one_level(node)}
            if {"-and", "-or"} <= used:
                found.append(code[node.start_byte : node.end_byte].decode())
    return found


def nodes_of_one_level(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        if child.type == "logical_expression":
            yield from nodes_of_one_level(child)


def test_and_and_or_are_never_mixed_without_parentheses():
    assert mixed("if ($a -or $b -and $c) { }") == ["$a -or $b -and $c"]
    assert mixed("if ($a -or ($b -and $c)) { }") == []
    assert mixed(SCRIPT) == []


# -- the paste ---------------------------------------------------------------------------------------------------------

PASTE = windows_paste_script()


def test_the_paste_parses_and_holds_the_probe_without_an_empty_line():
    """A console without PSReadLine takes an empty line for the end of what is typed."""
    tree = Parser(Language(language())).parse(PASTE.encode())
    assert PASTE.isascii()
    assert not tree.root_node.has_error
    assert PASTE.endswith("}\n\n")
    assert "" not in PASTE.rstrip().split("\n")
    assert max(map(len, PASTE.splitlines())) <= 120


def test_the_paste_runs_only_what_came_whole():
    held = re.search(r"@'\n(.*)\n'@", PASTE, re.DOTALL)[1]
    length, total = map(int, re.search(r"-eq (\d+) -and \$sum -eq (\d+)", PASTE).groups())
    reckoned = 0
    for letter in held:
        reckoned = (reckoned * 31 + ord(letter)) % 1000003
    assert (len(held), reckoned) == (length, total)
    assert "\n'@" not in held
    assert not Parser(Language(language())).parse(held.encode()).root_node.has_error


def test_the_sum_fits_an_int_of_powershell():
    assert 1000003 * 31 + 127 < 2**31
