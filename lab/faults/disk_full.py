"""The root file system is full to the last block, the ones kept for root included."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, restart_agent

SUMMARY = "the root file system is full"

_FILE = "/var/log/app-debug.log"


def inject(vm: LabVm) -> None:
    """Grow a log until nothing is left but 8 KiB, and restart the agent, as whoever sees the trouble does."""
    as_root(vm, f"fallocate -l $(($(stat -f -c '%f * %S' /) - 25165824)) {_FILE}")
    as_root(vm, f"dd if=/dev/zero bs=64k >>{_FILE}; truncate -s -8K {_FILE}; sync {_FILE}", 120)
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Remove the file."""
    as_root(vm, f"rm {_FILE}")
    restart_agent(vm)
