"""A set-up service that the agent is ordered after, as after cloud-init in Azure's images, and that never ends."""

from __future__ import annotations

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root

UNIT = "first-boot-setup.service"
_FILE = f"/etc/systemd/system/{UNIT}"
_TEXT = f"""[Unit]
Description=First boot set-up
Before={AGENT}

[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sleep infinity

[Install]
WantedBy=multi-user.target
"""


def hold_back(vm: LabVm) -> None:
    """Have it at the next boot."""
    as_root(vm, f"cat >{_FILE} <<'EOF' && systemctl enable {UNIT}\n{_TEXT}EOF")


def let_go(vm: LabVm) -> None:
    """Take it away; the agent starts."""
    as_root(vm, f"systemctl disable {UNIT}; systemctl stop {UNIT}; rm -f {_FILE}; systemctl daemon-reload", 180)
    as_root(vm, f"systemctl start --no-block {AGENT}")
