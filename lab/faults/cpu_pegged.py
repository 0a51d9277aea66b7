"""The guest hangs with its processors at 100 %: a real-time loop on each leaves nothing for anybody else.

The kernel still answers (a TCP connection is accepted); no process does.
"""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "a real-time loop on every processor: nothing else runs"

_FILE = "/run/lab-cpu-pegged.sh"
_SCRIPT = """sleep 2
left=$(nproc)
while [ "$left" -gt 0 ]; do
    sh -c 'while :; do :; done' &
    left=$((left - 1))
done
"""


def inject(vm: LabVm) -> None:
    """Take the limit off real-time tasks, and start the loops when the answer is on its way: the door dies too."""
    as_root(vm, f"sysctl -qw kernel.sched_rt_runtime_us=-1; cat >{_FILE} <<'EOF'\n{_SCRIPT}EOF")
    as_root(vm, f"setsid chrt -f 99 sh {_FILE} </dev/null >/dev/null 2>&1 &")


def heal(vm: LabVm) -> None:
    """Reset the machine; the limit is the kernel's default again."""
    vm.guest.restart()
