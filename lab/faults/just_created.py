"""A VM in its first minutes: it boots for the first time, and its set-up has not come to the agent yet.

The agent waits for a set-up service, as it waits for cloud-init in Azure's images; that one takes longer than any test.
"""

import time

from lab.arm.vm import LabVm
from lab.faults._hardware import real_guest
from lab.faults._in_guest import as_root

SUMMARY = "the VM was created just now; its agent has not started yet"

_UNIT = "first-boot-setup.service"
_FILE = f"/etc/systemd/system/{_UNIT}"
_TEXT = """[Unit]
Description=First boot set-up
Before=walinuxagent.service

[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sleep infinity

[Install]
WantedBy=multi-user.target
"""


def inject(vm: LabVm) -> None:
    """Hold the agent back, and let the VM begin anew: model, console, metrics, uploads."""
    as_root(vm, f"cat >{_FILE} <<'EOF' && systemctl enable {_UNIT}\n{_TEXT}EOF")
    guest = real_guest(vm)
    guest.power_off()
    guest.forget_past()
    guest.start()
    vm.time_created = time.time()


def heal(vm: LabVm) -> None:
    """The set-up ends; the agent starts. The VM stays as young as it is."""
    as_root(vm, f"systemctl disable {_UNIT}; systemctl stop {_UNIT}; rm -f {_FILE}; systemctl daemon-reload", 180)
    as_root(vm, "systemctl start --no-block walinuxagent.service")
