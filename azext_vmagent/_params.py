"""Arguments of the commands."""

from knack.arguments import CLIArgumentType


def load_arguments(loader, _):
    """Arguments of each command; nothing is positional."""
    _diagnose(loader)
    _explain(loader)
    _replay(loader)


def _replay(loader):
    with loader.argument_context("vm agent-replay") as context:
        context.argument(
            "serial_log",
            help="File with a serial log, as az vm boot-diagnostics get-boot-log prints it or the storage account "
            "keeps it; - for standard input.",
        )
        context.argument("screenshot", help="File with a screenshot of the console, BMP or PNG.")
        context.argument(
            "agent_log",
            help="File with the agent's log: waagent.log, WaAppAgent.log, or what journalctl prints of its unit; - for "
            "standard input.",
        )
        context.argument(
            "probe_output",
            help="File with what the script of az vm agent-diagnose --print-probe printed in the guest; - for standard "
            "input.",
        )
        context.argument(
            "exit_code",
            action="store_true",
            help="End with a code that names the verdict, as az vm agent-diagnose does.",
        )


def _explain(loader):
    from azure.cli.core.commands.parameters import get_enum_type

    from azext_vmagent.report.explain import scenario_names

    with loader.argument_context("vm agent-explain") as context:
        context.argument(
            "cause",
            options_list=["--cause", "-c"],
            help="Code or name of a cause, such as N01 or agent-stopped. Without it all causes are listed.",
        )
        context.argument(
            "scenario",
            arg_type=get_enum_type(scenario_names()),
            help="List only the causes that argue for this scenario, by its number or its name.",
        )
        context.argument(
            "system",
            options_list=["--os"],
            arg_type=get_enum_type(["linux", "windows"]),
            help="List only the causes that can hit a guest with this operating system.",
        )


def _repair(context):
    from azure.cli.core.commands.parameters import get_enum_type

    repair = "Repair"
    context.argument(
        "repair",
        arg_group=repair,
        action="store_true",
        help="Put it right: shows each change, its risk, how it is undone and what proves it, and asks once; or says "
        "why nothing may be changed, and what to do instead. All is saved in the guest first, each change is checked, "
        "and taken back if it did not take. Changes in the guest go through SSH (--ssh-user), the serial console "
        "(--console-user), or run command while the agent answers it. Several virtual machines are put right one after "
        "another, until one gets worse.",
    )
    context.argument(
        "dry_run", arg_group=repair, action="store_true", help="With --repair: show the plan and change nothing."
    )
    context.argument(
        "yes",
        arg_group=repair,
        options_list=["--yes", "-y"],
        action="store_true",
        help="With --repair or --undo: do not ask. Needed without a terminal, and for several virtual machines.",
    )
    context.argument(
        "undo",
        arg_group=repair,
        action="store_true",
        help="Take back the last repair of this guest, from what was saved there. Asks once.",
    )
    context.argument(
        "print_script",
        arg_group=repair,
        action="store_true",
        help="With --repair or --undo: print it as one script to paste into a root shell of the guest, and change "
        "nothing. It does the same, saved and checked; with --probe-output it needs no way into the guest.",
    )
    context.argument(
        "skip_waiting",  # az keeps the name no_wait for commands of its own kind
        arg_group=repair,
        options_list=["--no-wait"],
        action="store_true",
        help="With --repair or --undo: end after the guest's own proof; do not wait for Azure and do not look again.",
    )
    context.argument(
        "wait_timeout",
        arg_group=repair,
        type=int,
        help="With --repair or --undo: seconds to wait at most until Azure shows the agent Ready. Its word lags.",
    )
    context.argument(
        "allow",
        arg_group=repair,
        nargs="+",
        arg_type=get_enum_type(["restart", "redeploy", "reset-nic"]),
        help="With --repair: what Azure may do to the virtual machine where the guest cannot be reached, separated by "
        "spaces. restart: boot it again. redeploy: move it to another host; the temporary disk is lost. reset-nic: "
        "change its private address and change it back, with two restarts. Nothing of it is done without being named.",
    )


def _diagnose(loader):
    """``az vm agent-diagnose``: no name carries az's own ``--ids``.

    az would call the command once per id from ten threads, in completion order. We take the list ourselves and keep it.
    """
    from azure.cli.core.commands.parameters import get_enum_type, resource_group_name_type

    group_type = CLIArgumentType(overrides=resource_group_name_type, id_part=None, required=False)
    with loader.argument_context("vm agent-diagnose") as context:
        context.argument("resource_group_name", group_type)
        context.argument(
            "vm_name",
            options_list=["--name", "-n"],
            id_part=None,
            nargs="+",
            required=False,
            help="Name of the virtual machine, or several of one resource group, separated by spaces.",
        )
        context.argument(
            "ids",
            nargs="+",
            help="One or more resource ids of virtual machines, separated by spaces. They are asked at the same time; "
            "the rows come back in the order given, an error in one is a row and not the end.",
        )
        context.argument(
            "timeout",
            type=int,
            help="Seconds that the whole command may take. It always ends in a verdict, which says what was not seen.",
        )
        context.argument(
            "run_command",
            arg_type=get_enum_type(["auto", "always", "never", "managed"]),
            help="When to look inside the guest through Run Command. auto: only when the agent reports Ready and "
            "nothing contradicts it. always: even then; an agent that is silent never answers, and the request stays "
            "in the VM's queue for 20-90 minutes. never: not at all. managed: through a managed run command, which is "
            "created and deleted again and works beside a script that keeps the other one busy; auto takes it then.",
        )
        context.argument(
            "exit_code",
            action="store_true",
            help="End with a code that names the verdict: 0 healthy; 11-14 scenario 1-4; 10 uncertain; 15 degraded; "
            "16 VM not running; 17 no agent expected; 18 provisioning; 19 platform; for several VMs the highest, "
            "and 1 when one of them could not be asked. With --repair or --undo it names the end: 0 repaired or "
            "undone; 20 nothing to do; 21 planned (--dry-run); 22 applied, Azure does not show it yet; 23 Azure is "
            "still at it; 24 refused; 25 needs consent; 26 not started; 27 not repaired; 28 not undone.",
        )
        _repair(context)
        paste = "By Hand"
        context.argument(
            "print_probe",
            arg_group=paste,
            nargs="?",
            const="sh",
            choices=["sh", "powershell"],
            help="Print a script to paste into a root shell of the virtual machine (powershell: into an elevated "
            "PowerShell), however that shell was reached, and do nothing else. Needs no login and no virtual machine.",
        )
        context.argument(
            "probe_output",
            arg_group=paste,
            help="File with what the pasted script printed, or - for standard input. All else is asked as usual, and "
            "no other way into the guest is used.",
        )
        console = "Serial Console"
        context.argument(
            "serial_console",
            arg_group=console,
            arg_type=get_enum_type(["auto", "always", "never"]),
            help="When to use the serial console. auto: with --console-user when no other way into the guest gave an "
            "answer; without it Enter is pressed once at a login prompt, and only when that tells a dead network from "
            "a hanging system. always: before the other ways, or in any case. never: not at all. Whoever is connected "
            "to the console is disconnected by Azure.",
        )
        context.argument(
            "console_user",
            arg_group=console,
            help="Log in at the serial console as this user (root, or one who may sudo) to look inside the guest; root "
            "also where a boot stopped and asks for root's password. The "
            "password comes from the environment variable AZURE_VMAGENT_CONSOLE_PASSWORD or is asked for on a "
            "terminal. What the console prints is kept in the boot diagnostics log; a password never is.",
        )
        ssh = "SSH"
        context.argument(
            "ssh_user",
            arg_group=ssh,
            help="Look inside the guest through the OpenSSH client as this user (root, or one who may sudo without a "
            "password). Your own keys, agent, known hosts and configuration are used; nothing is asked.",
        )
        context.argument(
            "ssh_key",
            arg_group=ssh,
            help="Private key file for the SSH connection. A certificate of az ssh cert beside it is used.",
        )
        context.argument(
            "ssh_config",
            arg_group=ssh,
            help="SSH configuration file to use in place of your own, such as az ssh config --file writes it; "
            "--ssh-host names one of its hosts.",
        )
        context.argument("ssh_port", arg_group=ssh, type=int, help="Port of the guest's SSH server.")
        context.argument(
            "ssh_host",
            arg_group=ssh,
            help="Address to reach the guest at, in place of the VM's public address: a private address, a jump host's "
            "alias from your SSH configuration, or the local end of a tunnel.",
        )
