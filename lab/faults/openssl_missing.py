"""The program ``openssl``, with which the agent makes and reads its certificates, is gone."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, restart_agent

SUMMARY = "openssl is missing"

_FILE = "/usr/bin/openssl"


def inject(vm: LabVm) -> None:
    """Move it away; the agent needs it when it starts."""
    as_root(vm, f"mv {_FILE} {_FILE}.away")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Move it back."""
    as_root(vm, f"mv {_FILE}.away {_FILE}")
    restart_agent(vm)
