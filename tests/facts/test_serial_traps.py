"""The traps of serial logs by name: what looks like a fault and is none, and the same words as a real fault.

``test_trap_…`` are those seen in real logs, ``test_cause_trap_…`` those of the catalogue of causes that concern this
log. Lines are short and of our own making, or one line as a program prints it.
"""

from __future__ import annotations

import pytest

from azext_vmagent.facts.serial_log import Outlook, SerialLogFacts, SerialState, parse_serial_log

BANNER = "[    0.000000] Linux version 6.1.0-50-cloud-amd64 (gcc-12)"
RUNNING = [f"[  OK  ] Started unit{at}.service - Unit {at}." for at in range(9)]
PROMPT = "web login: "
PANIC = "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
EMERGENCY = ("You are in emergency mode. After logging in, type", "Give root password for maintenance")
DOWN = "ci-info: |  eth0  | False |     .     |     .     |   .   | 00:0d:3a:00:00:04 |"
UP = "ci-info: |  eth0  | True |   10.0.0.4   | 255.255.255.0 | global | 00:0d:3a:00:00:04 |"


def judge(*lines: str) -> SerialLogFacts:
    return parse_serial_log("\r\n".join(lines).encode())


def outlook(*lines: str) -> Outlook:
    return judge(*lines).outlook


def test_trap_01_only_the_newest_boot_counts() -> None:
    for mark in (
        BANNER,
        "SeaBIOS (version 1.16.0)",
        'BdsDxe: loading Boot0001 "UEFI Misc Device" from PciRoot(0x0)',
        "U-Boot 2023.01 (Jan 09 2023)",
        "Welcome to GRUB!",
        "---<<BOOT>>---",
    ):
        facts = judge(BANNER, PANIC, mark, PROMPT)
        assert (facts.boots, facts.outlook) == (2, Outlook.HEALTHY), mark
        assert judge(BANNER, PROMPT, mark).outlook is Outlook.BOOTING, mark
    assert outlook(BANNER, PROMPT, BANNER, PANIC) is Outlook.NOT_BOOTED


def test_trap_02_a_banner_copied_by_syslog_is_no_boot_and_a_crash_kernels_is_one() -> None:
    copied = "Jun 25 04:36:15 web kernel: [    0.000000] Linux version 6.1.0"
    assert judge(BANNER, PROMPT, copied).boots == 1
    crash = "[    0.000000] Command line: elfcorehdr=0x7f000000 irqpoll nr_cpus=1"
    facts = judge(BANNER, PROMPT, "[ 9000.1] Kernel panic - not syncing: x", BANNER, crash, *RUNNING)
    assert (facts.boots, facts.outlook) == (2, Outlook.NOT_BOOTED)


def test_trap_03_a_prompt_does_not_save_what_died_after_it() -> None:
    bug = "[  542.0] BUG: unable to handle page fault for address: ffff8880"
    trace = [f"[  542.{at}]  do_thing+0x1{at}/0x20" for at in range(6)]
    assert outlook(BANNER, PROMPT, "[  542.1] Kernel panic - not syncing: Fatal exception") is Outlook.NOT_BOOTED
    assert outlook(BANNER, PROMPT, bug, *trace) is Outlook.NOT_BOOTED
    assert outlook(BANNER, bug, *trace, *RUNNING, PROMPT) is Outlook.HEALTHY


@pytest.mark.parametrize(
    "line",
    [
        "2024-06-25 04:36:15 exim paniclog /var/log/exim4/paniclog has non-zero size",
        "[    1.0] hv_vmbus: registered panic notifier",
        "[  OK  ] Started Userspace Out-Of-Memory (OOM) Killer.",
        "[    5.0] systemd[1]: systemd 252 running in system mode (+PAM +AUDIT +SELINUX +APPARMOR)",
        "[    0.0] Command line: BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro panic=-1 oops=panic systemd.unit=rescue.target",
        "[    0.1] rcu: \tUnless rcu_sched kthread gets sufficient CPU time, OOM is now expected behavior.",
        "[    1.0] raid6: using avx2x2 recovery algorithm",
        "[  OK  ] Stopped target Emergency Mode.",
        "[FAILED] Failed to start Crash recovery kernel arming.",
        "panic: runtime error: invalid memory address or nil pointer dereference",
        "[   17.7] WARNING: CPU: 1 PID: 812 at fs/filesystems.c:280 __get_fs_type+0xd5/0xe0",
    ],
)
def test_trap_04_failure_words_in_a_good_boot(line: str) -> None:
    assert outlook(BANNER, line, *RUNNING, PROMPT) is Outlook.HEALTHY
    assert outlook(BANNER, *RUNNING, PROMPT, line) is Outlook.HEALTHY


def test_trap_05_a_target_is_no_prompt() -> None:
    targets = [
        f"[  OK  ] Reached target {name}." for name in ("Login Prompts", "Cloud-init target", "Network is Online")
    ]
    assert outlook(BANNER, *targets) is Outlook.UNKNOWN
    assert outlook(BANNER, *EMERGENCY, *targets) is Outlook.NOT_BOOTED


@pytest.mark.parametrize(
    "line",
    [
        "Last login: Mon Nov 23 23:05:00 UTC 2026 on ttyS0",
        "Failed login: 3 attempts",
        'Authorized keys from /home/ops/.ssh/authorized_keys: Please login as the user "ops"',
        "[  OK  ] Started systemd-logind.service - User Login Management.",
        "         Starting systemd-user-sessions.service - Preparation for Logins...",
        "[    3.1] hv_utils: hostname is login-01, login: soon",
        "Please login: the portal shows how",
    ],
)
def test_trap_06_the_word_login_without_a_prompt(line: str) -> None:
    assert judge(BANNER, *RUNNING, line).prompt is None
    assert judge(BANNER, *RUNNING, line, "login-01.example.com login: [   26.0] hv_balloon: x").prompt is not None


def test_trap_07_good_systems_without_a_login_prompt() -> None:
    assert outlook(BANNER, "web login: root (automatic login)", "root@web:~# ") is Outlook.HEALTHY
    assert outlook(BANNER, "Please press Enter to activate this console.", "/ # ") is Outlook.HEALTHY
    assert outlook("EVENT: The CMD command is now available.", "SAC>") is Outlook.HEALTHY
    assert outlook(BANNER, " 8) Shell", "", "Enter an option: ") is Outlook.HEALTHY
    assert outlook("Nov 23 23:05:00 web app[12]: request served") is Outlook.UNKNOWN
    assert outlook(BANNER, "bash: no job control in this shell", "bash-5.1# ") is Outlook.NOT_BOOTED


def test_trap_08_lines_that_two_writers_mixed() -> None:
    assert outlook(BANNER, "You are in emergGive root password for maintenance") is Outlook.NOT_BOOTED
    mixed = [
        "[  OK    386.369228][  T709] e1000: link",
        "0m] Started   386.393786",
        "[cloud-init  OK  [1293]: ] Started",
    ]
    assert outlook(BANNER, *mixed, PROMPT) is Outlook.HEALTHY
    torn = "ci-info: |  eth|[   18.907510] hv_storvsc f8b3781a: tag#7 cmd 0x28"
    assert outlook(BANNER, torn, UP, PROMPT) is Outlook.HEALTHY
    glued = "[   11.6] dracut-initqueue[470]: cookie=1 error-message=n/a[FAILED] Failed to mount /bek."
    assert judge(BANNER, glued, "[DEPEND] Dependency failed for Local File Systems.").failed_mount == "/bek"


def test_trap_09_colours_that_lost_their_escape() -> None:
    facts = judge(
        BANNER,
        "[K[[1;31m TIME [0m] Timed out waiting for device dev-sdz1.device.",
        "[[1;33mDEPEND[0m] Dependency failed for Local File Systems.",
        "%G%G[[1;31mFAILED[0m] Failed to mount /data.",
    )
    assert (facts.outlook, facts.failed_device) == (Outlook.NOT_BOOTED, "/dev/sdz1")
    assert outlook(BANNER, *["[[32m  OK  [0m] Started x."] * 3, PROMPT) is Outlook.HEALTHY


@pytest.mark.parametrize(
    "line",
    [
        "[    2.1] blk_update_request: I/O error, dev sr0, sector 0",
        "[    2.1] Buffer I/O error on dev fd0, logical block 0, async page read",
        "2025-06-03T17:37:04.528500Z INFO Daemon Daemon WireServer endpoint is not found. Rerun dhcp handler",
        "2025-06-03T17:37:04.528500Z INFO Daemon Daemon sfdisk with --part-type failed [1], retrying with -c",
        "2025-06-03T17:37:04.528500Z INFO Daemon Daemon Unable to get cloud-init enabled status from systemctl",
        "2025-06-03T17:37:04.528500Z INFO Daemon Daemon No RDMA handler exists for distro='Debian'",
        "2025-06-03T17:37:04.528500Z WARNING Daemon Daemon Could not mount cgroups: [Errno 2]",
        "2025-06-03T17:37:04.528500Z INFO Daemon Daemon No route exists to 168.63.129.16",
    ],
)
def test_trap_10_harmless_on_azure(line: str) -> None:
    facts = judge(BANNER, line, *RUNNING, PROMPT, line)
    assert (facts.outlook, facts.cause_code) == (Outlook.HEALTHY, None)


def test_trap_10_a_loaders_error_that_still_boots() -> None:
    assert outlook("error: no such device: root.", "Press any key to continue...", BANNER, PROMPT) is Outlook.HEALTHY
    assert outlook("error: no such device: root.", "Entering rescue mode...", "grub rescue> ") is Outlook.NOT_BOOTED


def test_trap_11_out_of_memory_is_not_always_fatal() -> None:
    own_limit = "[ 3600.1] Memory cgroup out of memory: Killed process 4711 (python3) total-vm:98304kB"
    killed = "[ 3600.1] Out of memory: Killed process 4711 (mysqld) total-vm:98304kB"
    assert outlook(BANNER, PROMPT, *[own_limit] * 9) is Outlook.HEALTHY
    assert outlook(BANNER, PROMPT, killed) is Outlook.HEALTHY
    assert outlook(BANNER, PROMPT, *[killed] * 9) is Outlook.UNKNOWN
    assert outlook(BANNER, *[killed] * 9) is Outlook.NOT_BOOTED


def test_trap_12_the_agents_complaints_do_not_prove_a_dead_network() -> None:
    waits = [f"2017/04/05 15:19:{at}0 DoDhcpWork: Setting socket.timeout=10, entering recv" for at in range(5)]
    address = "2017/04/05 15:19:20 IPv4 address: 10.1.1.10"
    assert outlook(BANNER, PROMPT, address, *waits) is Outlook.UNKNOWN
    assert outlook(BANNER, PROMPT, *waits) is Outlook.NETWORK_DOWN
    assert outlook(BANNER, UP, PROMPT, *["SIOCADDRT: Network is unreachable"] * 3) is Outlook.NETWORK_DOWN


def test_trap_13_healthy_is_the_prompts_word_only() -> None:
    facts = judge(BANNER, *RUNNING, PROMPT)
    assert (facts.outlook, facts.network) == (Outlook.HEALTHY, ())
    assert [event.meaning for event in facts.deciding] == ["login prompt"]


def test_trap_14_silence_is_no_hang() -> None:
    assert outlook(BANNER, "[    9.1] EXT4-fs (vda9): unmounting filesystem.") is Outlook.BOOTING
    assert outlook(BANNER, *RUNNING) is Outlook.BOOTING
    assert outlook(BANNER, "[ 9000.1] audit: backlog limit exceeded") is Outlook.UNKNOWN


def test_trap_15_a_stall_may_pass() -> None:
    stall = "[  900.1] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:"
    assert outlook(BANNER, PROMPT, stall) is Outlook.UNKNOWN
    assert outlook(BANNER, PROMPT, stall, *RUNNING) is Outlook.HEALTHY
    assert outlook(BANNER, PROMPT, *[stall] * 5) is Outlook.NOT_BOOTED


def test_trap_16_a_data_disks_errors_do_not_stop_the_system() -> None:
    root = "[    2.1] EXT4-fs (sda1): mounted filesystem with ordered data mode"
    read_only = "[ 9000.2] EXT4-fs ({}): Remounting filesystem read-only"
    assert outlook(BANNER, root, PROMPT, read_only.format("sdc1")) is Outlook.HEALTHY
    assert outlook(BANNER, root, PROMPT, read_only.format("sda1")) is Outlook.UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        "[  ***  ] A start job is running for /dev/disk/by-label/SBS-Data (42s / 4min)",
        "[ ***   ] Job dev-sdz1.device/start running (1min 21s / 1min 30s)",
        r"[   ***] (1 of 2) Job dev-disk-by\x2dpartuui…tart running (1min 16s / 1min 30s)",
        "[  ***  ] A start job is running for File System Check on /dev/sda1 (9min / no limit)",
        "*** Warning -- SELinux targeted policy relabel is required.",
    ],
)
def test_trap_17_waiting_is_not_failing(line: str) -> None:
    assert outlook(BANNER, *RUNNING, line) is Outlook.BOOTING
    timed_out = "[ TIME ] Timed out waiting for device /dev/sdz1."
    local = "[DEPEND] Dependency failed for Local File Systems."
    assert outlook(BANNER, *RUNNING, line, timed_out, local) is Outlook.NOT_BOOTED


def test_trap_18_an_articles_placeholders_are_no_lines_of_a_kernel() -> None:
    assert judge("kernel BUG at XXX/YYY.c:72", PROMPT).outlook is Outlook.HEALTHY
    article = 'If you see "Kernel panic - xxxxxxxx" or [FAILED] in the log, restore the disk.'
    assert outlook(BANNER, *RUNNING, PROMPT, article) is Outlook.HEALTHY


def test_trap_19_one_text_with_several_causes_reports_its_effect() -> None:
    facts = judge(
        BANNER,
        "Warning: /dev/mapper/rootvg-rootlv does not exist",
        "Entering emergency mode. Exit the shell to continue.",
        "dracut:/# ",
    )
    assert (facts.cause_code, facts.failed_device) == ("B10", "/dev/mapper/rootvg-rootlv")
    assert facts.deciding[0].meaning == "a device the boot needs does not exist"


def test_trap_20_arm_traces_callers_ids_and_new_unit_names() -> None:
    trace = ["[    1.1][    T1] Call trace:", *[f"[    1.1][    T1]  dump_backtrace+0x{at}0/0x1a0" for at in range(5)]]
    caller = "[    1.0][    T1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"
    assert judge("[    0.000000] Booting Linux on physical CPU 0x0", caller, *trace).state is SerialState.PANIC
    assert judge(BANNER, *trace).state is SerialState.HUNG
    facts = judge(BANNER, "[FAILED] Failed to mount data.mount - /data.", *EMERGENCY)
    assert facts.failed_mount == "/data"


# -- the traps of the catalogue of causes that concern this log --------------------------------------------------------


def test_cause_trap_02_the_log_collectors_hourly_kill() -> None:
    collector = "2025-06-03T17:37:04.528500Z INFO CollectLogs ExtHandler Starting log collection..."
    kill = "[ 3600.1] Memory cgroup out of memory: Killed process 4711 (python3) total-vm:98304kB"
    facts = judge(BANNER, PROMPT, *[collector, kill] * 5)
    assert (facts.outlook, facts.oom, len(facts.benign)) == (Outlook.HEALTHY, (), 5)


def test_cause_trap_03_failures_older_than_the_newest_boot() -> None:
    facts = judge(BANNER, DOWN, *EMERGENCY, BANNER, PROMPT)
    assert (facts.outlook, facts.network, facts.emergency) == (Outlook.HEALTHY, (), None)
    assert [event.code for event in facts.earlier] == ["B02"]


def test_cause_trap_04_a_goal_state_that_recovered() -> None:
    error = "2025-06-03T17:37:04.528500Z ERROR ExtHandler ExtHandler Error fetching the goal state: IOError timed out"
    back = (
        "2025-06-03T17:47:04.528500Z INFO ExtHandler Fetching the goal state recovered from previous errors. Fetched 1"
    )
    facts = judge(BANNER, PROMPT, error, back)
    assert (facts.outlook, facts.cause_code) == (Outlook.HEALTHY, None)


def test_cause_trap_06_the_agents_own_rule_that_could_not_be_set() -> None:
    rule = "iptables: No chain/target/match by that name."
    facts = judge(BANNER, PROMPT, f"2025-06-03T17:37:04.528500Z WARNING ExtHandler {rule}", rule)
    assert (facts.outlook, facts.cause_code) == (Outlook.HEALTHY, None)


@pytest.mark.parametrize("device", ["loop3", "sr0", "fd0"])
def test_cause_trap_07_errors_of_disks_that_do_not_matter(device: str) -> None:
    error = "[  900.1] blk_update_request: I/O error, dev {}, sector 0"
    watch = "Failed to add a watch: No space left on device"
    assert outlook(BANNER, PROMPT, error.format(device), watch) is Outlook.HEALTHY
    assert outlook(BANNER, PROMPT, error.format("sda")) is Outlook.UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        "[    0.3] RIP: 0010:topology_sane.isra.9+0x6c/0x70",
        "EFI stub: ERROR: FIRMWARE BUG: kernel image not aligned on 64k boundary",
    ],
)
def test_cause_trap_08_known_warnings_of_a_good_boot(line: str) -> None:
    assert outlook(BANNER, line, *RUNNING, PROMPT) is Outlook.HEALTHY


def test_cause_trap_11_prose_that_quotes_an_error() -> None:
    quotes = [
        '  If the boot fails you may see "You are in emergency mode" or "Kernel panic - not syncing".',
        "* lines such as '[FAILED] Failed to mount /data.' are explained in the wiki",
        "Nov 23 23:05:00 web watcher[526]: Kernel panic - not syncing: VFS: Unable to mount root fs",
    ]
    assert outlook(BANNER, *RUNNING, PROMPT, *quotes) is Outlook.HEALTHY
    history = ["ops@web:~$ history | grep panic", PANIC, "ops@web:~$ "]
    assert outlook(BANNER, *RUNNING, "web login: ops", *history) is Outlook.HEALTHY
    assert outlook(BANNER, *RUNNING, PROMPT, PANIC) is Outlook.NOT_BOOTED


def test_cause_trap_15_an_extensions_traceback() -> None:
    traceback = [
        "2025-06-03T17:37:04.528500Z ERROR ExtHandler Event: name=Microsoft.Azure.Extensions.Custom, op=Enable",
        "Traceback (most recent call last):",
        "ModuleNotFoundError: No module named 'imp'",
        "ModuleNotFoundError: No module named 'distutils'",
    ]
    facts = judge(BANNER, PROMPT, *traceback)
    assert (facts.outlook, facts.cause_code) == (Outlook.HEALTHY, None)
    own = judge(BANNER, PROMPT, "ModuleNotFoundError: No module named 'azurelinuxagent'")
    assert "L06" in {event.code for event in own.agent}
