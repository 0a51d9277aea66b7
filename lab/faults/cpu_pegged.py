"""The guest hangs with its processors at 100 %: a real-time loop on each leaves nothing for anybody else.

The kernel still answers (a TCP connection is accepted); no process does.
"""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "a real-time loop on every processor: nothing else runs"

_LOOP = "setsid chrt -f 99 sh -c 'while :; do :; done' </dev/null >/dev/null 2>&1 &"


def inject(vm: LabVm) -> None:
    """Take the limit off real-time tasks, then start the loops when the answer is on its way; the door dies with it."""
    loops = f"sleep 2; for n in $(seq $(nproc)); do {_LOOP} done"
    as_root(vm, f'sysctl -qw kernel.sched_rt_runtime_us=-1; (setsid chrt -f 99 sh -c "{loops}" >/dev/null 2>&1 &)')


def heal(vm: LabVm) -> None:
    """Reset the machine; the limit is the kernel's default again."""
    vm.guest.restart()
