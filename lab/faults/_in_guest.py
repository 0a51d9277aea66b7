"""Running a fault's commands inside the guest."""

from __future__ import annotations

from lab.arm.vm import LabVm
from lab.guests.base import LabError

AGENT = "walinuxagent.service"


def as_root(vm: LabVm, command: str, timeout: float = 60) -> str:
    """Run ``command`` through the side door and return its output; LabError when it fails."""
    code, output = vm.guest.shell(command, timeout)
    if code != 0:
        raise LabError(f"`{command}` failed in the guest with {code}: {output.strip()}")
    return output


DROP_IN = f"/etc/systemd/system/{AGENT}.d/90-hardening.conf"


def drop_in(vm: LabVm, text: str) -> None:
    """Give the agent's unit a drop-in file; it takes effect at the next start."""
    as_root(vm, f"mkdir -p {DROP_IN.rpartition('/')[0]}; printf '{text}' >{DROP_IN}; systemctl daemon-reload")


def no_drop_in(vm: LabVm) -> None:
    """Take it away again, with its folder."""
    as_root(vm, f"rm -f {DROP_IN}; rmdir {DROP_IN.rpartition('/')[0]}; systemctl daemon-reload")


def move_away(vm: LabVm, path: str) -> None:
    """Have a file be gone, and the agent start without it."""
    as_root(vm, f"mv {path} {path}.away")
    restart_agent(vm)


def move_back(vm: LabVm, path: str) -> None:
    """Have it there again, and the agent start with it."""
    as_root(vm, f"mv {path}.away {path}")
    restart_agent(vm)


def restart_agent(vm: LabVm) -> None:
    """Restart the agent, also one whose start limit is used up; whether it stays up is not looked at."""
    as_root(vm, f"systemctl reset-failed {AGENT}; systemctl restart {AGENT} || true", 90)


def remove_empty_table(vm: LabVm, table: str, family: str = "ip") -> None:
    """Delete an iptables table that holds no rule: iptables makes it for the first one and leaves it behind."""
    listing = f"nft list table {family} {table} 2>/dev/null"
    as_root(vm, f"{listing} | grep -qP '^\\t\\t(?!type )' || nft delete table {family} {table} 2>/dev/null || true")
