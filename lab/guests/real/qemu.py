"""One QEMU process: its arguments, its life, its memory saved to a file.

The arguments make the guest look like a VM of Azure: Hyper-V's SMBIOS strings and asset tag, no hypervisor bit (or
``systemd-detect-virt`` says «qemu» and Debian's agent unit, which wants ``microsoft``, is skipped without a word).
Emulated, not virtualised: hardware acceleration isn't there on every machine and must make no difference.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from lab.guests.base import LabError
from lab.guests.real.image import Image
from lab.guests.real.network import GUEST_MAC, TAP
from lab.guests.real.qmp import Qmp
from lab.guests.real.waiting import until

VCPUS = 2
MEMORY_MIB = 512
_SYSTEM = "manufacturer=Microsoft Corporation,product=Virtual Machine"
_FIRMWARE = "version=Hyper-V UEFI Release v4.1"
_KERNEL_LINE = "root=/dev/vda ro console=tty1 console=ttyS0,115200n8 earlyprintk=ttyS0,115200 net.ifnames=0"


def arguments(image: Image, kernel_line: str = _KERNEL_LINE) -> list[str]:
    """The machine, with paths relative to its folder. A saved memory fits only the arguments it was saved under."""
    return [
        *("-accel", "tcg,thread=multi", "-cpu", "qemu64,tcg-cpuid=off,-hypervisor"),
        *("-m", str(MEMORY_MIB), "-smp", str(VCPUS)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-rtc", "base=utc"),
        *("-smbios", f"type=0,vendor=Microsoft Corporation,{_FIRMWARE}"),
        *("-smbios", f"type=1,{_SYSTEM},{_FIRMWARE},uuid=b61f93d0-e1ed-40b2-b067-22c243233448"),
        *("-smbios", f"type=2,{_SYSTEM}"),
        *("-smbios", "type=3,manufacturer=Microsoft Corporation,asset=7783-7084-3265-9085-8269-3286-77"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", kernel_line),
        *("-drive", "file=disk.qcow2,if=virtio,cache=unsafe,discard=unmap"),
        *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
        *("-chardev", "socket,id=door,path=door.sock,server=on,wait=off"),
        *("-device", "virtserialport,chardev=door,name=lab.door"),
        *("-chardev", "socket,id=console,path=console.sock,server=on,wait=off,logfile=serial.log,logappend=on"),
        *("-serial", "chardev:console"),
        *("-qmp", "unix:qmp.sock,server=on,wait=off", "-pidfile", "qemu.pid"),
        *("-netdev", f"tap,id=network,ifname={TAP},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=network,mac={GUEST_MAC},romfile="),
    ]


def version() -> str:
    """QEMU's version line."""
    try:
        return subprocess.run(
            ["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True
        ).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError) as error:
        raise LabError("qemu-system-x86_64 is missing: install what lab/packages.txt lists") from error


def create_overlay(disk: Path, base: Path) -> None:
    """A new disk that holds only what differs from ``base``."""
    _qemu_img(disk, "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base.resolve()), disk.name)


def rename_base(disk: Path, base: str) -> None:
    """Let an overlay name its base by a path relative to its own folder, so that both may move together."""
    _qemu_img(disk, "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, disk.name)


def _qemu_img(disk: Path, *arguments: str) -> None:
    done = subprocess.run(["qemu-img", *arguments], cwd=disk.parent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"`qemu-img {arguments[0]}` failed for {disk}: {done.stderr.strip()}")


class Machine:
    """The hardware in ``folder``: it has a disk there, and writes its console and sockets there."""

    def __init__(self, folder: Path, namespace: str, image: Image) -> None:
        self.folder = folder
        #: what the boot loader hands to the kernel, from the next ``start`` on
        self.kernel_line = _KERNEL_LINE
        self._namespace = namespace
        self._image = image
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: Qmp | None = None

    @property
    def running(self) -> bool:
        """Whether QEMU lives (a guest that shuts itself down ends it)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """QEMU's process, while it lives."""
        return self._process.pid if self._process is not None and self.running else None

    def start(self, incoming: str | None = None) -> None:
        """Power on; with ``incoming`` (a migration source) the memory comes from there and the machine is paused."""
        for name in ("qmp.sock", "door.sock", "console.sock"):
            (self.folder / name).unlink(missing_ok=True)
        machine = arguments(self._image, self.kernel_line)
        command = ["ip", "netns", "exec", self._namespace, "qemu-system-x86_64", *machine]
        if incoming:
            command += ["-S", "-incoming", incoming]
        with (self.folder / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._connect()

    def execute(self, command: str, **arguments: Any) -> Any:
        """A QMP command."""
        if self._qmp is None:
            raise LabError("the VM is not running")
        return self._qmp.execute(command, **arguments)

    def finish_restore(self, seconds: float = 60) -> None:
        """Wait until an incoming memory is in place, then let the machine run."""
        if not until(lambda: self.execute("query-status")["status"] != "inmigrate", seconds, 0.02):
            raise LabError("the saved memory did not come in")
        self.execute("cont")

    def save_memory(self, target: str, seconds: float = 120) -> None:
        """Stop the machine and send its memory to ``target`` (a migration URI)."""
        self.execute("stop")
        self.execute("migrate-set-parameters", max_bandwidth=10**10)
        self.execute("migrate", uri=target)
        if not until(lambda: self.execute("query-migrate").get("status") in ("completed", "failed"), seconds):
            raise LabError("saving the guest's memory took too long")
        if self.execute("query-migrate")["status"] != "completed":
            raise LabError("saving the guest's memory failed")

    def shut_down(self, seconds: float) -> None:
        """Press the power button; pull the plug on a guest that does not react in time."""
        if self.running:
            with contextlib.suppress(LabError):
                self.execute("system_powerdown")
            until(lambda: not self.running, seconds)
        self.stop()

    def stop(self) -> None:
        """Pull the plug. What QEMU has taken over from the guest is on the disk."""
        if self._process is not None and self.running:
            with contextlib.suppress(LabError):
                self.execute("quit")
            if not until(lambda: not self.running, 10):
                self._process.kill()
                self._process.wait()
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None

    def end_left_over(self) -> None:
        """End the QEMU that an earlier laboratory, killed before its end, left in this folder."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.folder / "qemu.pid").read_text())
            if Path(os.readlink(f"/proc/{pid}/cwd")) == self.folder.resolve():
                os.kill(pid, signal.SIGKILL)
                until(lambda: not Path(f"/proc/{pid}").exists(), 5)

    def _connect(self) -> None:
        until(lambda: self._qmp_answers() or not self.running, 20, 0.02)
        if self._qmp is None:
            self.stop()
            log = (self.folder / "qemu.log").read_text(errors="replace").strip()
            raise LabError(f"QEMU did not start: {log or 'it says nothing'}")

    def _qmp_answers(self) -> bool:
        with contextlib.suppress(OSError, LabError):
            self._qmp = Qmp(self.folder / "qmp.sock")
        return self._qmp is not None
