"""Command names and the functions behind them, as strings."""


def load_command_table(loader, _):
    """Register ``az vm agent-diagnose``."""
    with loader.command_group("vm") as group:
        group.custom_command(
            "agent-diagnose",
            "diagnose_vm_agent",
            table_transformer="azext_vmagent.report.table#rows",
        )
