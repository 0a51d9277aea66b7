"""A Windows guest that means harm: whatever it answers ends in a verdict, and none of its names becomes a command."""

from __future__ import annotations

import shlex

from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser
from tree_sitter_powershell import language

from azext_vmagent.facts.reading import PASTE, RUN_COMMAND
from azext_vmagent.model import Verdict
from tests.verdict.test_inside_windows import DENIED, HEARD, SILENT, verdict, wire
from tests.windows_answer import HEALTHY

POWERSHELL = Parser(Language(language()))
#: every program and cmdlet that a remedy may call
OURS = {
    "Start-Service", "Stop-Service", "Set-Service", "Restart-Service", "Start-Sleep", "Stop-Process", "Get-WinEvent",
    "Format-List", "Disable-NetFirewallRule", "Enable-NetFirewallRule", "New-NetFirewallRule", "Remove-NetFirewallRule",
    "Enable-NetAdapter", "netsh", "route.exe", "az",
}  # fmt: skip


def called(script: str) -> set[str]:
    """The commands in a PowerShell line, and ERROR for what does not parse."""
    code = script.encode()
    found: set[str] = set()
    todo: list[Node] = [POWERSHELL.parse(code).root_node]
    while todo:
        node = todo.pop()
        todo += node.children
        if node.type in ("ERROR", "sub_expression", "invokation_expression") or node.is_missing:
            found.add("ERROR")
        if node.type == "command_name":
            found.add(code[node.start_byte : node.end_byte].decode())
    return found


def test_what_is_called_is_seen():
    assert called("Disable-NetFirewallRule -Name 'a'; Stop-Computer") == {"Disable-NetFirewallRule", "Stop-Computer"}
    assert "Stop-Computer" in called('Get-Item "$(Stop-Computer)"')


NASTY = st.text("ab'\"`$();|&{}*\\\n\t ,-@%", max_size=14) | st.sampled_from(
    ["'; Stop-Computer; '", "$(Stop-Computer)", "x`nStop-Computer", "\u2019; Stop-Computer #", "all", "*"]
)


@settings(max_examples=200)
@given(
    NASTY, NASTY, NASTY, st.sampled_from([PASTE, RUN_COMMAND]), st.sampled_from(["20348.1", "7601.2"]), st.booleans()
)
def test_no_name_of_the_guests_becomes_a_command(one, two, three, channel, build, off):
    said = wire(
        DENIED,
        rules=[["local", one, f"v2.30|Action=Block|Active=TRUE|Dir=Out|Name={two}|"]],
        persistent=[f"168.63.129.16,255.255.255.255,{three},1"],
        os={"name": one, "build": build},
        services=[{**service, "path": three} for service in HEALTHY["services"]],
    )
    if off:
        said = {**said, "off": [{"name": two, "code": 22}], "adapters": [], "rules": []}
    found = verdict(said, HEARD if channel == RUN_COMMAND else SILENT, channel)
    for step in found.next_steps:
        for command in (step.command, step.undo):
            through_az = (command or "").startswith("az vm run-command")
            line = shlex.split(command or "")[-1] if through_az else command or ""
            assert not line or called(line) <= OURS, line


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=10)
    | st.sampled_from(["Stopped", "denied", "9999-12-31T23:59:59Z"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "state", "outcome", "until"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(HEALTHY)), ANY, max_size=10), st.sampled_from([HEARD, SILENT, None]))
def test_any_words_end_in_a_verdict(changed, vm):
    assert isinstance(verdict({**HEALTHY, **changed}, vm), Verdict)
