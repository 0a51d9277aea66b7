"""What the commands do, one short function each; loaded only when one of them is called."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from azext_vmagent import targets
from azext_vmagent.channels.choice import AUTO

if TYPE_CHECKING:
    from azure.cli.core.commands import AzCliCommand


def diagnose_vm_agent(  # pylint: disable=too-many-locals  # one for each argument of the command
    cmd: AzCliCommand,
    resource_group_name: str | None = None,
    vm_name: list[str] | None = None,
    ids: list[str] | None = None,
    timeout: int = 180,
    run_command: str = AUTO,
    exit_code: bool = False,
    ssh_user: str | None = None,
    ssh_key: str | None = None,
    ssh_port: int | None = None,
    ssh_host: str | None = None,
    ssh_config: str | None = None,
    print_probe: str | None = None,
    probe_output: str | None = None,
    serial_console: str = AUTO,
    console_user: str | None = None,
    repair: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    allow: list[str] | None = None,
    undo: bool = False,
    print_script: bool = False,
    skip_waiting: bool = False,
    wait_timeout: int = 900,
) -> Any:
    """Diagnose one VM, or several at once; the object, or None when a person has read the report already."""
    if print_probe:
        sys.stdout.write(targets.probe_to_paste(print_probe))
        return None
    from azext_vmagent.console import Console
    from azext_vmagent.diagnosing import diagnose_all, diagnose_one, script_to_paste
    from azext_vmagent.report import exit_code as exit_codes

    found = targets.resolve(cmd.cli_ctx, resource_group_name, vm_name, ids)
    targets.one_only(found, probe_output)
    wish = targets.wish(run_command, ssh_user, ssh_host, ssh_port, ssh_key, timeout, probe_output, ssh_config)
    wait = 0 if skip_waiting else wait_timeout
    planning = targets.repair_wish(repair, dry_run, yes, allow, found, undo, print_script, wait)
    wish = targets.at_console(wish, serial_console, console_user)
    console = Console.of(cmd.cli_ctx)
    if planning is not None and planning.print_script:
        sys.stdout.write(script_to_paste(cmd.cli_ctx, found[0], wish, timeout, console, planning.undo))
        return None
    if len(found) == 1:
        result: Any = diagnose_one(cmd.cli_ctx, found[0], wish, timeout, console, planning)
    else:
        result = diagnose_all(cmd.cli_ctx, found, wish, timeout, console, planning)
    documents = result if isinstance(result, list) else [result]
    if planning is not None:
        console.exit_with(exit_codes.repair_exit_code(documents, exit_code, planning.dry_run))
    elif exit_code:
        console.exit_with(exit_codes.exit_code(documents))
    return None if console.report_is_the_output else result


def explain_cause(
    cmd: AzCliCommand, cause: str | None = None, scenario: str | None = None, system: str | None = None
) -> Any:
    """Explain one cause, or list those that match; the object, or None when a person has read the text already."""
    from azext_vmagent.console import Console
    from azext_vmagent.explaining import one_cause
    from azext_vmagent.report import explain, explain_text

    console = Console.of(cmd.cli_ctx)
    if cause is None:
        rows = explain.listed(scenario, system)
        return console.answer(rows, lambda style: explain_text.listing(rows, style))
    found = explain.explanation(one_cause(cause, scenario or system))
    return console.answer(found, lambda style: explain_text.explained(found, style))


def replay_saved(
    cmd: AzCliCommand,
    serial_log: str | None = None,
    screenshot: str | None = None,
    agent_log: str | None = None,
    probe_output: str | None = None,
    exit_code: bool = False,
) -> Any:
    """Diagnose from saved files; the object, or None when a person has read the report already."""
    from azext_vmagent.console import Console
    from azext_vmagent.replaying import replay
    from azext_vmagent.report import exit_code as exit_codes
    from azext_vmagent.report.document import document

    console = Console.of(cmd.cli_ctx)
    found = replay(serial_log, screenshot, agent_log, probe_output)
    console.show(found)
    result = document(found)
    if exit_code:
        console.exit_with(exit_codes.exit_code([result]))
    return None if console.report_is_the_output else result
