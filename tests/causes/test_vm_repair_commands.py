"""Every `az vm repair` command that the product can print is one that the extension vm-repair takes.

The tables are the arguments of vm-repair 2.1 (Azure/azure-cli-extensions, src/vm-repair: the signatures in custom.py with
_params.py), the ids of Azure/repair-script-library's map.json, and the actions of Azure/ALAR. The commands were parsed
by `az` itself with these arguments once.
"""

from __future__ import annotations

import argparse
import re
import shlex

import pytest

from azext_vmagent.causes.catalogue import every_cause
from azext_vmagent.causes.network import remedies as network_remedies
from tests.verdict.build import NOT_READY, facts

VALUE, FLAG, MANY = "value", "flag", "many"
_REPAIR_VM = dict.fromkeys(
    ("--repair-password", "--repair-username", "--repair-vm-name", "--copy-disk-name", "--repair-group-name"), VALUE
)
COMMANDS: dict[str, dict[str, str]] = {
    "create": _REPAIR_VM
    | dict.fromkeys(("--distro", "--encrypt-recovery-key", "--os-disk-type"), VALUE)
    | dict.fromkeys(
        ("--unlock-encrypted-vm", "--enable-nested", "--associate-public-ip", "--yes", "--disable-trusted-launch"), FLAG
    ),
    "restore": {"--disk-name": VALUE, "--repair-vm-id": VALUE, "--yes": FLAG},
    "run": {
        "--run-id": VALUE, "--repair-vm-id": VALUE, "--custom-script-file": VALUE, "--parameters": MANY,
        "--run-on-repair": FLAG, "--preview": VALUE,
    },
    "reset-nic": {"--yes": FLAG},
    "repair-and-restore": _REPAIR_VM,
    "repair-button": _REPAIR_VM | {"--button-command": "required"},
}  # fmt: skip
RUN_IDS = {
    "win-dhcp-fix", "win-sac-on", "win-LKGC", "win-GA-fix", "win-chkdsk-fs-corruption", "win-sfc-sf-corruption",
    "win-bcdedit-ignoreAllFailure", "linux-alar2", "win-enable-nested-hyperv", "win-toggle-safe-mode",
    "win-dumpconfigurator", "win-collect-attached-disk-logs", "win-create-troubleshooting-user", "win-get-patches",
    "win-remove-patch", "win-get-apps", "win-remove-app", "win-update-registry", "win-crowdstrike-fix-bootloop",
    "win-crowdstrike-fix-bootloop-v2", "win-crowdstrike-fix-bootloop-cvm",
}  # fmt: skip
ALAR = {"fstab", "initrd", "kernel", "grubfix", "efifix", "serialconsole", "auditd", "sudo", "corrupt"}


class Unknown(Exception):
    """The extension would not take the command."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise Unknown(message)


def parse(command: str) -> argparse.Namespace:
    words = shlex.split(command)
    if words[:3] != ["az", "vm", "repair"] or words[3:4] == [] or words[3] not in COMMANDS:
        raise Unknown(command)
    parser = _Parser(allow_abbrev=False, add_help=False)
    parser.add_argument("-g", "--resource-group", required=True)
    parser.add_argument("-n", "--name", required=True)
    parser.add_argument("--verbose", action="store_true")
    for option, kind in COMMANDS[words[3]].items():
        if kind == FLAG:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, required=kind == "required", nargs="+" if kind == MANY else None)
    return parser.parse_args(words[4:])


REMEDIES = [(known.code, remedy) for known in every_cause() for remedy in known.remedies]
PRINTED = sorted(
    {remedy.command.replace("{vm}", "-g rg -n vm") for _, remedy in REMEDIES if "az vm repair" in remedy.command}
    | {step.command for step in network_remedies(facts(vm=NOT_READY)) if "az vm repair" in (step.command or "")}
)


def test_the_table_tells_a_wrong_command():
    for wrong in ("az vm repair mend -g rg -n vm", "az vm repair create -n vm", "az vm repair restore -g rg -n vm --force",
                  "az vm repair repair-button -g rg -n vm", "az vm repair run -g rg -n vm --parameters"):  # fmt: skip
        with pytest.raises(Unknown):
            parse(wrong)
    assert len(PRINTED) > 12


@pytest.mark.parametrize("command", PRINTED)
def test_the_extension_takes_it(command):
    found = vars(parse(command))
    if found.get("run_id"):
        assert found["run_id"] in RUN_IDS
        assert found["run_on_repair"] is True
    if found.get("run_id") == "linux-alar2":
        assert set(found["parameters"]) <= ALAR
    if "button_command" in found:
        assert found["button_command"] in ALAR


def test_no_command_with_arguments_hides_in_a_sentence():
    for code, remedy in REMEDIES:
        for text in (remedy.action, remedy.effect, remedy.risk, remedy.undo):
            assert not re.search(r"az vm repair [\w-]+ --", text or ""), code
