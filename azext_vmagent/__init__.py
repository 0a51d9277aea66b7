"""The ``vmagent`` extension: why Azure says «virtual machine agent status is not ready», and what to do.

Imported by every ``az vm …`` command, as are ``_help`` and ``commands``: names as strings, no logic, nothing heavy.
"""

from azure.cli.core import AzCommandsLoader

import azext_vmagent._help  # noqa: F401  # pylint: disable=unused-import


class VmAgentCommandsLoader(AzCommandsLoader):
    """Registers the commands; their code and arguments load only when one of them is called."""

    def __init__(self, cli_ctx=None):
        """Name the module that holds the commands' functions, without importing it."""
        from azure.cli.core.commands import CliCommandType

        custom = CliCommandType(operations_tmpl="azext_vmagent.custom#{}")
        super().__init__(cli_ctx=cli_ctx, custom_command_type=custom)

    def load_command_table(self, args):
        """The commands by name."""
        from azext_vmagent.commands import load_command_table

        load_command_table(self, args)
        return self.command_table

    def load_arguments(self, command):
        """The arguments of one command."""
        from azext_vmagent._params import load_arguments

        load_arguments(self, command)


COMMAND_LOADER_CLS = VmAgentCommandsLoader
