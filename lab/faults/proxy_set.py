"""No fault: a proxy for all, which does not answer. The agent talks to the Wire Server without it."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root

SUMMARY = "http_proxy is set for all; the Wire Server is not blocked"

_NAMES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_FILES = "/etc/environment.d/90-proxy.conf /etc/profile.d/90-proxy.sh /etc/systemd/system.conf.d/90-proxy.conf"
_PROXY = "http://10.0.0.99:3128"


def inject(vm: LabVm) -> None:
    """In the three places where people put it; the agent is started again, so that it has it."""
    values = [f"{name}={_PROXY}" for name in _NAMES]
    lines = "\n".join(values)
    exports = "\n".join(f"export {value}" for value in values)
    as_root(vm, "mkdir -p /etc/environment.d /etc/systemd/system.conf.d; cp -p /etc/environment /run/lab-environment")
    as_root(vm, f"echo '{lines}' | tee /etc/environment.d/90-proxy.conf >>/etc/environment")
    as_root(vm, f"echo '{exports}' >/etc/profile.d/90-proxy.sh")
    default = f"[Manager]\nDefaultEnvironment={' '.join(values)}"
    as_root(vm, f"echo '{default}' >/etc/systemd/system.conf.d/90-proxy.conf; systemctl daemon-reexec", 120)
    as_root(vm, f"systemctl restart {AGENT}", 90)


def heal(vm: LabVm) -> None:
    """Undo all three."""
    as_root(vm, f"rm -f {_FILES}; mv /run/lab-environment /etc/environment; systemctl daemon-reexec", 120)
    as_root(vm, f"systemctl restart {AGENT}", 90)
