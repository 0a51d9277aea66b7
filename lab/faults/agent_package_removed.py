"""The agent's package removed, as ``apt-get remove waagent`` does it."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root

SUMMARY = "the agent's package was removed"

_SAVED = "/var/tmp/waagent.tar"
_SAVE = f"tar -C / -cf {_SAVED} --ignore-failed-read -T {_SAVED}.list /var/lib/waagent /var/lib/dpkg"


def inject(vm: LabVm) -> None:
    """Keep the files and dpkg's own data (there is no archive to install from), then remove it."""
    as_root(vm, f'dpkg -L waagent | while read -r f; do [ -d "$f" ] || echo "$f"; done >{_SAVED}.list; {_SAVE}')
    as_root(vm, "dpkg -r --force-depends waagent", 120)


def heal(vm: LabVm) -> None:
    """Put the files, their state folder and dpkg's data back."""
    as_root(vm, f"tar -C / -xf {_SAVED} && rm {_SAVED} {_SAVED}.list && systemctl daemon-reload")
    as_root(vm, f"systemctl start {AGENT}", 90)
