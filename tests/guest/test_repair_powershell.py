"""repair.ps1 by its grammar, as for probe.ps1: no PowerShell could be had where this was built."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tree_sitter import Language, Node, Parser
from tree_sitter_powershell import language

from azext_vmagent.guest import windows_repair_program
from azext_vmagent.repair.script_windows import windows_undo_script
from tests.guest.test_probe_powershell import KEYWORDS, mixed

SCRIPT = windows_repair_program()
#: all that it calls: what reads, what keeps its own record, and what changes something, each named with its use
READS = {
    "Get-Acl", "Get-ChildItem", "Get-Content", "Get-Date", "Get-Item", "Get-NetAdapter", "Get-NetIPAddress",
    "Get-Service", "New-Object", "Sort-Object", "Start-Sleep", "Test-Path", "Where-Object", "ForEach-Object",
    "Write-Output",
}  # fmt: skip
KEEPS = {"Add-Content", "New-Item", "Remove-Item", "Set-Acl", "Set-Content"}
CHANGES = {
    "Set-Service", "Disable-NetFirewallRule", "Enable-NetFirewallRule", "New-NetFirewallRule",
    "Remove-NetFirewallRule", "netsh.exe",
}  # fmt: skip
TIMER = {
    "New-ScheduledTaskAction", "New-ScheduledTaskPrincipal", "New-ScheduledTaskSettingsSet", "New-ScheduledTaskTrigger",
    "Register-ScheduledTask", "Unregister-ScheduledTask",
}  # fmt: skip


def tree(script: str) -> Node:
    return Parser(Language(language())).parse(script.encode()).root_node


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def text(node: Node) -> str:
    return SCRIPT.encode()[node.start_byte : node.end_byte].decode()


TREE = tree(SCRIPT)


def commands() -> list[str]:
    return [text(node) for node in nodes(TREE) if node.type == "command"]


def test_it_is_ascii_and_parses_without_a_gap():
    assert SCRIPT.isascii()
    assert [text(node) for node in nodes(TREE) if node.type == "ERROR" or node.is_missing] == []
    assert not tree(windows_undo_script()).has_error


def test_it_calls_nothing_but_what_is_named_here():
    own = {text(node) for node in nodes(TREE) if node.type == "function_name"}
    called = {text(node) for node in nodes(TREE) if node.type == "command_name"}
    assert called - own == READS | KEEPS | CHANGES | TIMER
    assert own <= called


def test_no_firewall_is_switched_off_and_no_rule_named_but_by_a_variable_in_the_local_store():
    assert not re.search(r"Set-NetFirewallProfile|advfirewall|-All\b|mpssvc|-DisplayName |-Group", SCRIPT)
    changing = [one for one in commands() if re.match(r"(Disable|Enable|Remove)-NetFirewallRule", one)]
    assert len(changing) == 3
    assert all(re.fullmatch(r"\w+-\w+ -PolicyStore PersistentStore -Name \$(id|ours)", one) for one in changing)


def test_what_is_not_its_own_is_not_deleted():
    assert [one for one in commands() if one.startswith("Remove-Item")] == [
        "Remove-Item -LiteralPath $run.dir -Recurse -Force"
    ]


def test_no_text_of_others_is_run():
    assert not re.search(r"Invoke-Expression|\biex\b|Start-Process|DownloadString|\bcmd\b", SCRIPT)
    (made,) = re.findall(r"\[scriptblock\]::Create\(([^)]*)\)", SCRIPT)
    assert made == "$read"  # the watchdog's own program, by the path of its folder


def test_a_path_that_holds_a_name_is_taken_literally():
    for one in commands():
        if re.match(r"(Test-Path|Get-Content|Set-Content|Add-Content|Get-Item|Remove-Item|Get-Acl|Set-Acl) ", one):
            assert " -LiteralPath " in one, one


def test_no_service_is_stopped_or_restarted():
    assert not re.search(r"(Stop|Restart|Suspend)-Service|Stop-Process|\.Stop\(|\.Kill\(|Restart-Computer", SCRIPT)


@pytest.mark.parametrize("newer", [r"\?\?", r"\?\.", r"(?<![|&])&&", r"\|\|", r"::new\(", r"(?m)^\s*class\s"])
def test_no_syntax_newer_than_windows_powershell_4(newer):
    code = "\n".join(line for line in SCRIPT.splitlines() if not line.lstrip().startswith("#"))
    assert not re.search(newer, re.sub(r"'[^'\n]*'", "''", code))


def test_it_can_be_carried_in_a_here_string():
    """No here-string of its own, no line that is only the end of one, the parameters first."""
    assert SCRIPT.startswith("param(")
    assert "@'" not in SCRIPT and "'@" not in SCRIPT and '@"' not in SCRIPT
    assert max(map(len, SCRIPT.splitlines())) <= 120
    assert SCRIPT.count("$data = @()\n") == 1


def test_no_variable_is_one_of_powershells_own_and_conditions_are_not_mixed():
    set_here = {name.lower() for name in re.findall(r"\$(\w+) [+-]?= ", SCRIPT)}
    set_here |= {name.lower() for name in re.findall(r"foreach \(\$(\w+) in", SCRIPT)}
    assert len(set_here) > 30
    assert not set_here & {"args", "error", "event", "home", "host", "input", "matches", "pid", "profile", "this"}
    assert mixed(SCRIPT) == []
    keys = {text(node).strip().lower() for node in nodes(TREE) if node.type == "key_expression"}
    assert not keys & set(KEYWORDS.split())
