"""Where a console stands, and what an answer to Enter proves: a wrong «login prompt» would press a key at a boot menu."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from azext_vmagent.facts.console import Look, Prompt, answer_to_enter, resting, without_kernel

RECORDINGS = Path(__file__).parents[2] / "lab" / "recordings"
AT = datetime(2026, 11, 24, 12, 0, 0, tzinfo=timezone.utc)
BOOT = "[    0.000000] Linux version 6.1.0-56-cloud-amd64\r\n[    1.000000] Run /init as init process\r\n"
GETTY = "\r\nDebian GNU/Linux 12 web ttyS0\r\n\r\nweb login: "

STANDS = {
    "fresh": (BOOT + GETTY, Prompt.LOGIN),
    "kernel message behind the prompt": (BOOT + GETTY + "[  265.188858] hrtimer: took 24017240 ns\r\n", Prompt.LOGIN),
    "agent's lines behind the prompt": (
        BOOT + GETTY + "2026-11-24T20:14:16.162619Z INFO Daemon Daemon Azure Linux Agent Version:2.7.3.0\r\n"
        "2026-11-24T20:14:22.025812Z WARNING Daemon Daemon Unknown property\r\n",
        Prompt.LOGIN,
    ),
    "systemd's lines behind the prompt": (
        BOOT + GETTY + "\r\n[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mssh.service\x1b[0m - OpenSSH.\r\r\n",
        Prompt.LOGIN,
    ),
    "padded with NULs": (BOOT + GETTY + "\0" * 400, Prompt.LOGIN),
    "a half typed name": (BOOT + GETTY + "azureu", Prompt.TYPED),
    "Password:": (BOOT + GETTY + "azureuser\r\nPassword: ", Prompt.PASSWORD),
    "password of sudo": (BOOT + GETTY + "ops\r\n$ sudo id\r\n[sudo] password for ops: ", Prompt.PASSWORD),
    "bash": (BOOT + GETTY + "ops\r\nPassword: \r\nLast login: Mon\r\n\x1b[?2004hops@web:~$ ", Prompt.SHELL),
    "root's bash": (BOOT + GETTY + "root\r\nPassword: \r\n[root@web ~]# ", Prompt.SHELL),
    "dash": (BOOT + GETTY + "root\r\nPassword: \r\n# ", Prompt.SHELL),
    "a command's output": (BOOT + GETTY + "root\r\nPassword: \r\n# top\r\nMem: 1234K used\r\n", Prompt.OTHER),
    "logged out again": (BOOT + GETTY + "root\r\nPassword: \r\n# exit\r\n" + GETTY, Prompt.LOGIN),
    "grub": ("GRUB loading.\r\ngrub> ", Prompt.GRUB),
    "grub rescue": ("error: unknown filesystem.\r\nEntering rescue mode...\r\ngrub rescue> ", Prompt.GRUB),
    "grub's menu": (
        BOOT + GETTY + "\x1b[2J                             GNU GRUB  version 2.06\r\n"
        "Press enter to boot the selected OS, `e' to edit the commands before booting\r\n",
        Prompt.GRUB,
    ),
    "initramfs": (BOOT + "(initramfs) ", Prompt.INITRAMFS),
    "dracut": (BOOT + 'Entering emergency mode. Exit the shell to continue.\r\ndracut:/# ', Prompt.INITRAMFS),
    "maintenance": (
        BOOT + 'You are in emergency mode. After logging in, type "journalctl -xb" to view\r\n'
        "Give root password for maintenance\r\n(or press Control-D to continue): ",
        Prompt.MAINTENANCE,
    ),
    "maintenance, root locked": (
        BOOT + "Cannot open access to console, the root account is locked.\r\n"
        "See sulogin(8) man page for more details.\r\n\r\nPress Enter to continue.\r\n",
        Prompt.MAINTENANCE,
    ),
    "an older boot's prompt": (BOOT + GETTY + "\r\n" + BOOT, Prompt.OTHER),
    "an older boot's prompt, then maintenance": (
        BOOT + GETTY + "\r\n" + BOOT + "Give root password for maintenance\r\n", Prompt.MAINTENANCE,
    ),
    "a prompt in prose": (BOOT + "To get help, go to the web login: it explains more\r\n", Prompt.OTHER),
    "Last login": (BOOT + "Last login: Mon Nov 23 10:00:00 UTC 2026 on ttyS0\r\n", Prompt.OTHER),
    "Windows": ("Computer is booting, SAC started and initialized.\r\n\r\nSAC>", Prompt.WINDOWS),
    "nothing": ("", Prompt.NONE),
    "only NULs": ("\0" * 512, Prompt.NONE),
}  # fmt: skip


@pytest.mark.parametrize(("log", "prompt"), STANDS.values(), ids=STANDS)
def test_where_a_console_stands(log, prompt):
    assert resting(log.encode()).prompt is prompt


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("nic-down", Prompt.LOGIN),
        ("healthy", Prompt.LOGIN),
        ("just-created", Prompt.LOGIN),
        ("fstab-emergency", Prompt.MAINTENANCE),
    ],
)
def test_where_recorded_consoles_stand(name, prompt):
    assert resting((RECORDINGS / name / "serial.log").read_bytes()).prompt is prompt


ANSWERS = {
    "a fresh prompt": ("\r\r\nvm1 login: ", Look.FRESH_PROMPT, True),
    "with the issue": (GETTY, Look.FRESH_PROMPT, True),
    "with kernel messages around": (
        "[  300.000001] eth0: link is down\r\n\r\nvm1 log[  300.100000] eth0: still down\r\nin: [  301.000000] x\r\n",
        Look.FRESH_PROMPT, True,
    ),
    "nothing": ("", Look.SILENT, False),
    "only the terminal's own echo": ("\r\n", Look.SILENT, False),
    "only kernel messages": ("[  300.000001] INFO: task x blocked\r\n", Look.MOVED_ON, False),
    "prose": ("\r\nSystem is going down, no login: try later please\r\n", Look.MOVED_ON, False),
    "Password: after a half typed name": ("\r\nPassword: ", Look.OTHER_PROMPT, True),
    "somebody's shell": ("\r\nops@web:~$ ", Look.OTHER_PROMPT, True),
}  # fmt: skip


@pytest.mark.parametrize(("received", "look", "lives"), ANSWERS.values(), ids=ANSWERS)
def test_what_an_answer_to_enter_proves(received, look, lives):
    found = answer_to_enter(received, AT, 3.0)
    assert (found.look, found.lives, found.hangs) == (look, lives, look is Look.SILENT)


def test_hostile_bytes_do_not_pass_into_what_is_shown():
    found = answer_to_enter("\r\nweb\x1b]0;owned\x07 login: \x1b[31m\u202e", AT, 1.0)
    assert "\x1b" not in found.text
    assert "\u202e" not in found.text


def test_a_kernel_message_in_the_middle_of_a_word_is_cut_out():
    assert without_kernel("<ab:9[   12.123456] eth0: x\n00>") == "<ab:900>"
    assert without_kernel("[  OK  ] kept\n") == "[  OK  ] kept\n"
