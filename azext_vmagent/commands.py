"""Command names and the functions behind them, as strings: imported by every ``az vm …``."""


def _table(result):
    """``-o table``; az takes a string here for a JMESPath query."""
    from azext_vmagent.report.table import rows

    return rows(result)


def _cause_table(result):
    from azext_vmagent.report.explain import table

    return table(result)


def load_command_table(loader, _):
    """Register the commands."""
    with loader.command_group("vm") as group:
        group.custom_command(
            "agent-diagnose",
            "diagnose_vm_agent",
            table_transformer=_table,
        )
        group.custom_command("agent-replay", "replay_saved", table_transformer=_table)
        group.custom_command("agent-explain", "explain_cause", table_transformer=_cause_table)
