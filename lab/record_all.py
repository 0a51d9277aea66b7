"""Makes the recordings again: a fresh real guest for each, so that none carries traces of another's fault."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import faults
from lab.arm.vm import LabVm
from lab.guests.base import LabError
from lab.guests.real import RealGuest
from lab.guests.record import Occasion, record

RECORDINGS = Path(__file__).parent / "recordings"
HEALTHY = "healthy"
NAMES = (
    HEALTHY,
    "agent-stopped",
    "wire-server-firewalld",
    "nic-down",
    "fstab-emergency",
    "no-agent",
    "just-created",
)
#: fields of the VM's model that a fault may change
_MODEL = ("provision_vm_agent", "allow_extension_operations", "boot_diagnostics", "has_os_profile")
#: minutes of the idle guest before its start that a recording keeps as its past
_PAST_MINUTES = 10
#: a start job's countdown changes the console every few seconds, a living agent uploads every six
_SILENCE_SECONDS = 30.0
#: a minute's sample may come this long after the minute
_SAMPLE_SECONDS = 12.0
_ANOTHER_AGE = 3600.0
_READY_SECONDS = 120.0
_LONGEST_FAULT = 300.0


def record_all(probe: str, cache: Path, names: Sequence[str] = NAMES, recordings: Path = RECORDINGS) -> None:
    """Record the real guest in each of these states; each takes about three minutes."""
    for name in names:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="lab-") as state:
            guest = RealGuest("recorded", Path(state), cache)
            try:
                _record_one(name, guest, probe, recordings / name)
            finally:
                guest.close()
        print(f"{name:<24} {time.monotonic() - begin:.0f} s", flush=True)


def _record_one(name: str, guest: RealGuest, probe: str, folder: Path) -> None:
    guest.start()
    started = time.time()
    if not guest.wait_for_upload(started, _READY_SECONDS):
        raise LabError(f"the guest's agent did not report within {_READY_SECONDS:.0f} s")
    occasion = Occasion(healthy_since=started - _PAST_MINUTES * 60)
    if name != HEALTHY:
        vm = LabVm(guest)
        faults.load(name).inject(vm)
        fault_at = time.time()
        _wait_for_silence(guest)
        occasion = Occasion(max(occasion.healthy_since, vm.time_created), name, fault_at, changed_model(vm))
    record(guest, folder, probe=probe, occasion=occasion)


def changed_model(vm: LabVm) -> dict[str, Any]:
    """Return what is not usual in a VM's model, in the words of ``recording.json``."""
    usual = LabVm(vm.guest)
    changed = {name: getattr(vm, name) for name in _MODEL if getattr(vm, name) != getattr(usual, name)}
    if vm.time_created - usual.time_created > _ANOTHER_AGE:
        changed["time_created_age_seconds"] = round(time.time() - vm.time_created)
    return changed


def _wait_for_silence(guest: RealGuest) -> None:
    """Wait until neither agent nor console say anything more, and then for a whole minute of that."""
    end = time.monotonic() + _LONGEST_FAULT
    console, changed = guest.serial_log(), time.time()
    while time.monotonic() < end:
        upload = guest.status_upload()
        if guest.serial_log() != console:
            console, changed = guest.serial_log(), time.time()
        last = max(changed, upload.received if upload else 0.0)
        if time.time() - last > _SILENCE_SECONDS:
            time.sleep((math.ceil(time.time() / 60) + 1) * 60 + _SAMPLE_SECONDS - time.time())
            return
        time.sleep(1)
    raise LabError(f"agent or console still speak {_LONGEST_FAULT:.0f} s after the fault")
