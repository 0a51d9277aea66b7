"""Only the process that does the agent's work is stopped by a signal; the daemon above it is well."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "the agent's worker process is stopped by SIGSTOP"


def inject(vm: LabVm) -> None:
    """Stop it."""
    as_root(vm, "pkill -STOP -f '[r]un-exthandlers'")


def heal(vm: LabVm) -> None:
    """Let it go on."""
    as_root(vm, "pkill -CONT -f '[r]un-exthandlers'")
