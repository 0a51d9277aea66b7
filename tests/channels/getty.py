"""A serial console in front of a real terminal: a small getty and login, and the machine's own sh behind it.

``Getty`` gives the far end of the line as a socket. The line discipline, the shell and the hang-up at the end of a
session are the kernel's own; only the greeting and the check of the password are written here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from azext_vmagent.channels import serial_console
from azext_vmagent.channels.serial_console import ConsoleLogin

#: the users that a Getty knows
OPS, ROOT = ConsoleLogin("ops", "secret"), ConsoleLogin("root", "toor")
#: a probe in small, and what it prints
SCRIPT = "echo 'vmagent-probe 1'\nprintf 'a\\tb  \\\\ %s\\n' \"it's $((1+1))\"\necho noise >&2\nexit 3\n"
ANSWER = "vmagent-probe 1\na\tb  \\ it's 2\n"

_PROGRAM = """
import fcntl, getpass, os, sys, termios, time
path, users, shell, delay = sys.argv[1], dict(u.split("=", 1) for u in sys.argv[2].split(",")), sys.argv[3], float(sys.argv[4])
def session():
    os.setsid()
    line = os.open(path, os.O_RDWR)
    fcntl.ioctl(line, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(line, number)
    mode = termios.tcgetattr(0)
    mode[3] |= termios.ECHO | termios.ICANON | termios.ISIG
    termios.tcsetattr(0, termios.TCSANOW, mode)
    first, failed = True, False
    while True:
        os.write(1, (b"\\r\\nDebian GNU/Linux 12 web ttyS0\\r\\n\\r\\n" if first else b"") + b"web login: ")
        first = False
        name = sys.stdin.readline()
        if not name:
            os._exit(0)
        name = name.strip()
        if not name and not failed:
            continue
        password = getpass.getpass("Password: ", sys.stdout)
        if users.get(name) == password:
            break
        time.sleep(delay)
        failed = True
        os.write(1, b"\\r\\nLogin incorrect\\r\\n")
    os.write(1, b"Linux web 6.1.0\\r\\nAccess by others is an offence: permission denied # to them\\r\\n")
    os.execl("/bin/sh", "sh", "-c", shell)
while True:
    child = os.fork()
    if child == 0:
        try:
            session()
        except EOFError:
            os._exit(0)
    os.waitpid(child, 0)
"""


#: what systemd's emergency.service does with a console: sulogin, and then the boot goes on
_STOPPED = """
import fcntl, os, signal, sys, termios, time
line = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(line, termios.TIOCSCTTY, 0)
for number in (0, 1, 2):
    os.dup2(line, number)
if os.fork() == 0:
    os.execlp("sulogin", "sulogin")
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a console reaches no systemd
os.wait()
os.write(1, b"Starting default.target\\r\\n")
time.sleep(600)
"""
_SULOGIN = """
trap "" INT
while true; do
    stty sane -echo
    printf 'Give root password for maintenance\\n(or press Control-D to continue): '
    read -r given || exit
    echo
    if [ "$given" = toor ]; then trap - INT; stty echo; HOME=/nonexistent PS1='root@web:~# ' exec sh -i; fi
    printf 'Login incorrect\\n\\n'
done"""


@dataclass
class Getty:
    """``shell`` is the login shell's command; ``damage`` changes what the guest prints on its way to the client."""

    users: str = "ops=secret,root=toor"
    shell: str = "HOME=/nonexistent PS1='web$ ' exec sh -i"
    environment: dict[str, str] = field(default_factory=dict)
    delay: float = 0.3
    #: inserted into the middle of every so manieth piece that the guest prints
    noise: bytes = b""
    noise_every: int = 3
    damage_once: bytes = b""
    printed: bytes = b""
    program: str = _PROGRAM
    prompt: bytes = b"login: "

    def __enter__(self) -> Getty:
        self._master, slave = os.openpty()
        path = os.ttyname(slave)
        self._ours, self._theirs = socket.socketpair()
        self._slave = slave
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.program, path, self.users, self.shell, str(self.delay)],
            env={"PATH": os.environ["PATH"], **self.environment}, start_new_session=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        for source, target in ((self._from_guest, self._to_client), (self._from_client, self._to_guest)):
            threading.Thread(target=self._carry, args=(source, target), daemon=True).start()
        end = time.monotonic() + 10
        while self.prompt not in self.printed:
            assert time.monotonic() < end
            time.sleep(0.01)
        return self

    def line(self) -> socket.socket:
        """The client's end."""
        return self._ours.dup()

    def log(self) -> bytes:
        """What boot diagnostics would keep."""
        return b"[    0.000000] Linux version 6.1\r\n" + self.printed

    def running(self) -> list[str]:
        """Processes of any session at this console, without the getty."""
        tty = os.ttyname(self._slave).removeprefix("/dev/")
        listed = subprocess.run(
            ["ps", "-ww", "-t", tty, "-o", "args="], capture_output=True, text=True, check=False
        ).stdout
        return [one for one in listed.splitlines() if "TIOCSCTTY" not in one]

    def _from_guest(self) -> bytes:
        return os.read(self._master, 1024)

    def _from_client(self) -> bytes:
        return self._theirs.recv(1024)

    def _to_guest(self, data: bytes) -> None:
        os.write(self._master, data)

    def _to_client(self, data: bytes) -> None:
        self.printed += data
        self._pieces = getattr(self, "_pieces", 0) + 1
        if self.noise and self._pieces % self.noise_every == 0:
            middle = len(data) // 2
            data = data[:middle] + self.noise + data[middle:]
        if self.damage_once and self.damage_once in data:
            data, self.damage_once = data.replace(self.damage_once, b":2:A?", 1), b""
        self._theirs.sendall(data)

    @staticmethod
    def _carry(source, target) -> None:
        with contextlib.suppress(OSError):
            while data := source():
                target(data)

    def __exit__(self, *_: object) -> None:
        pid = self._process.pid
        session = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._process.kill()
        self._process.wait()
        for leader in session:  # with it the line hangs up on all that the session started
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(leader), signal.SIGKILL)
        self._theirs.close()
        self._ours.close()
        os.close(self._slave)


def stopped_boot(folder: Path) -> Getty:
    """A console in front of a boot that stopped, whose root has the password «toor»."""
    script(folder, "sulogin", _SULOGIN)
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return Getty(environment=path, program=_STOPPED, prompt=b"to continue): ")


def script(folder: Path, name: str, text: str) -> None:
    """An executable in a folder that comes first in a guest's PATH."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """This guest is quick: nobody has to wait for it as for a VM."""
    monkeypatch.setattr(serial_console, "SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(serial_console, "ENTER_SECONDS", 1.0)
    monkeypatch.setattr(serial_console, "SHELL_SECONDS", 3.0)
    monkeypatch.setattr(serial_console, "LOGIN_SECONDS", 5.0)


def until_back(getty: Getty, seconds: float = 20) -> None:
    """The console stands at its login prompt and nothing of ours runs any more."""
    end = time.monotonic() + seconds
    while not (getty.printed.endswith(b"web login: ") and not getty.running()):
        assert time.monotonic() < end, (getty.printed[-200:], getty.running())
        time.sleep(0.05)
