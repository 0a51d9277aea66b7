"""A booted guest whose agent is Ready, saved once and restored in seconds.

Kept in the cache under a hash of everything it depends on: memory (compressed), disk overlay, the console's bytes of
its boot, and a few measured idle minutes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.guests.base import LabError
from lab.guests.real import metrics, qemu
from lab.guests.real.door import Door
from lab.guests.real.image import Image
from lab.guests.real.metrics import Usage
from lab.guests.real.qemu import Machine

IDLE_MINUTES = 2
#: the agent is busy just after it became Ready
_SETTLE = 20
#: makes the memory file small; the kernel's message about it must not reach the console
_DROP_CACHES = "sync; dmesg --console-off; echo 3 >/proc/sys/vm/drop_caches; dmesg --console-on"
#: a guest on a busy machine may take long to answer, and was then told a time that had passed
_CLOCK_TRIES, _CLOCK_SLACK = 5, 1.5
#: change it when snapshots of older code must not be used any more
_FORMAT = 2


@dataclass(frozen=True)
class Snapshot:
    """A complete snapshot in the cache."""

    folder: Path

    @property
    def idle(self) -> list[Usage]:
        """The idle minutes measured before it was taken."""
        return [Usage(**minute) for minute in json.loads((self.folder / "idle.json").read_text())]


def snapshot_folder(cache: Path, image: Image) -> Path:
    """Where the snapshot for this image on this machine's QEMU belongs."""
    parts = [str(_FORMAT), image.folder.name, qemu.version(), *qemu.arguments(Image(Path("image")))]
    return cache / f"ready-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"


def save(machine: Machine, door: Door, image: Image, folder: Path) -> None:
    """Measure idle minutes of a machine whose agent is Ready, then save it into ``folder``. It is off afterwards."""
    time.sleep(_SETTLE)
    idle = metrics.measure_minutes(machine, IDLE_MINUTES)
    (folder / "idle.json").write_text(json.dumps([asdict(minute) for minute in idle], indent=1))
    door.run(_DROP_CACHES, 60)
    machine.save_memory(f"exec:zstd -q -1 -T0 -f -o '{folder.resolve()}/memory.zst'")
    machine.stop()
    for name in ("serial.log", "disk.qcow2"):
        shutil.move(machine.folder / name, folder / name)
    qemu.rename_base(folder / "disk.qcow2", f"../{image.folder.name}/{image.disk.name}")


def restore(snapshot: Snapshot, machine: Machine, door: Door) -> None:
    """Start ``machine`` as the saved guest, with today's clock. LabError when it does not come to life."""
    qemu.create_overlay(machine.folder / "disk.qcow2", snapshot.folder / "disk.qcow2")
    shutil.copyfile(snapshot.folder / "serial.log", machine.folder / "serial.log")
    machine.start(f"exec:zstd -q -d -c '{snapshot.folder.resolve()}/memory.zst'")
    machine.finish_restore()
    for _ in range(_CLOCK_TRIES):
        now = time.time()
        code, output = door.run(f"date -s @{now:.3f} && hwclock --systohc --utc", 30)
        if code != 0:
            raise LabError(f"the restored guest's clock cannot be set: {output.strip()}")
        if time.time() - now < _CLOCK_SLACK:
            break
