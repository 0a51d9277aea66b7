"""Scenario 4, Linux: the kernel stops, breaks or makes no progress; memory runs out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from azext_vmagent.causes.known_cause import Kind as Nature
from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, System, Where
from azext_vmagent.causes.known_cause import Variant as V
from azext_vmagent.causes.offline_repair import LINUX, REDEPLOY, RESTART, alar, at_boot_menu, by_hand, on_console
from azext_vmagent.causes.signs import inside, kernel_says, screen_says, serial_boot, serial_words
from azext_vmagent.facts.host_metrics import CpuState, NetworkTrend
from azext_vmagent.facts.reading import HOST_METRICS, Facts
from azext_vmagent.facts.serial_signature import KERNEL, Kind, signature
from azext_vmagent.model import Reason, Scenario

_PANIC_LINK = LINUX + "linux-kernel-panic-troubleshooting"
_BOOT_LINK = LINUX + "kernel-related-boot-issues"
_HUGE_LINK = LINUX + "linux-vm-no-boot-incorrect-hugepages-configuration"
_MEASURE_LINK = LINUX + "collect-performance-metrics-from-a-linux-system"
_SYSRQ_LINK = LINUX + "serial-console-nmi-sysrq"
_RESIZE_LINK = "azure/virtual-machines/sizes/resize-vm"

_TRACES = Remedy(
    "before the restart, ask the kernel where its tasks stand: SysRq w prints them to the serial log",
    "az serial-console send sysrq {vm} --input w",
    where=Where.AZ,
    effect="shows what waits for what; needs kernel.sysrq in the guest",
    link=_SYSRQ_LINK,
)
_RESIZE = Remedy(
    "give the VM a larger size",
    "az vm resize {vm} --size SIZE",
    where=Where.AZ,
    effect="more memory and processors",
    risk="the VM restarts; costs more",
    downtime="3-10 min",
    link=_RESIZE_LINK,
)

KERNEL_FAULT = KnownCause(
    code="B09",
    slug="kernel-panic",
    title="The kernel hit a fault and stopped",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The kernel found itself in a state that it cannot go on from (a bug, a bad module, damaged memory) and "
    "stopped, or went on crippled after an oops. A recent kernel or module update is the usual reason at "
    "boot; at run time it is a bug of the kernel or of a third party's module.",
    looks_like=(
        "Kernel panic - not syncing: Fatal exception in interrupt",
        "kernel BUG at fs/ext4/inode.c:2721",
        "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008",
        "Oops: 0000 [#1] SMP PTI",
    ),
    not_to_confuse=(
        "B07: a panic for want of a root file system.",
        "B08: a panic because init ended.",
        "B23: a panic because a processor was stuck.",
        "B26: a panic for lack of memory.",
        "RIP: 0010:topology_sane.isra on large AMD sizes is a warning and harmless.",
        "«WARNING: CPU: 1 PID: … at …» with a call trace is a warning, no fault.",
        "«panic=-1» or «oops=panic» on the command line is a setting.",
    ),
    signs=(
        serial_boot(settled_by_a_prompt=False),
        screen_says(
            r"not syncing: (?:Fatal exception|Fatal machine check)|kernel BUG at ",
            "the screen shows the kernel's last words",
        ),
    ),
    signatures=(
        signature(
            Kind.PANIC,
            "panic",
            KERNEL + r"(?:---\[ end )?Kernel panic - not syncing: (?:sysrq triggered crash|Crash triggered)",
            "somebody had the kernel crash (SysRq c)",
            "B09 crash-asked-for",
            20,
        ),
    ),
    variants=(
        V("kernel-oops", "The kernel hit a bug (oops) and makes no progress since"),
        V("crash-asked-for", "Somebody had the kernel crash (SysRq c)"),
    ),
    remedies=(
        RESTART,
        at_boot_menu("start the previous kernel, if the fault comes at every boot"),
        *alar("kernel", "make the previous kernel the default"),
        REDEPLOY,
    ),
    links=(_PANIC_LINK, _BOOT_LINK),
    sources=("kernel-related-boot-issues.md", "linux-kernel-panic-troubleshooting.md", "EC2Rescue kernelbug", "LISA"),
)


def _stands_still(scene: Scene, _cause: KnownCause) -> Iterable[Seen]:
    """The host sees a VM that runs, whose traffic stopped and whose processor does nothing at all."""
    metrics, vm = scene.facts.metrics, scene.facts.vm
    still = metrics is not None and metrics.cpu is CpuState.FLAT_ZERO and metrics.network is NetworkTrend.FELL
    if metrics is None or not still or (vm is not None and not vm.running):
        return ()
    return (Seen(Reason(metrics.seen, HOST_METRICS, time=metrics.fell_at), None, "os-hung"),)


CPU_STUCK = KnownCause(
    code="B23",
    slug="soft-lockup",
    title="A processor of the guest is stuck in the kernel",
    scenario=Scenario.OS_NOT_RUNNING,
    means="The kernel's watchdog finds that a processor has done nothing else for 20 s and more (a loop in a "
    "driver, a lock that is never released, a host that gives it no time), or the whole guest stands still. "
    "Programs get no turn, the agent neither.",
    looks_like=(
        "watchdog: BUG: soft lockup - CPU#5 stuck for 22s! [kworker/5:1:278]",
        "NMI watchdog: Watchdog detected hard LOCKUP on cpu 3",
        "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 46s",
        "Kernel panic - not syncing: softlockup: hung tasks",
        "host metrics: the processor flat at 0, nothing sent any more",
    ),
    not_to_confuse=(
        "B24: tasks wait for a disk; the processors are free.",
        "B25: RCU notices the same somewhat later.",
        "B38: the processors are busy with programs.",
        "One lockup in a log that goes on after it: a pause of the host, such as a migration.",
        "«NMI watchdog: Shutting down hard lockup detector» is normal in a VM.",
    ),
    signs=(serial_boot(settled_by_a_prompt=False), Sign(Need.HOST_METRICS, _stands_still)),
    signatures=(
        signature(
            Kind.HANG,
            "LOCKUP",
            KERNEL + r"(?:NMI )?(?:watchdog: )?CPU\d{1,4}: Watchdog detected hard LOCKUP on cpu (?P<culprit>\d{1,4})",
            "a CPU is stuck",
            "B23 hard-lockup",
            30,
        ),
        signature(
            Kind.PANIC,
            "panic",
            KERNEL + r"(?:---\[ end )?Kernel panic - not syncing: (?:Watchdog detected hard LOCKUP|nmi watchdog)",
            "a CPU hung and the kernel stopped",
            "B23 kernel-panic-lockup",
            20,
        ),
    ),
    covers=("B25",),
    variants=(
        V("os-hung", "The guest OS hangs"),
        V("hard-lockup", "A processor of the guest is stuck with interrupts off"),
        V("kernel-panic-lockup", "A processor was stuck, and the kernel stopped for it"),
        V("workqueue-lockup", "The kernel's own workers are stuck"),
    ),
    remedies=(
        RESTART,
        REDEPLOY,
        Remedy(
            "if it comes back, take a crash dump with kdump configured: an NMI from outside starts it",
            "az serial-console send nmi {vm}",
            where=Where.AZ,
            effect="the kernel panics and writes a dump, where kdump and kernel.unknown_nmi_panic are set up",
            risk="crashes the guest at once",
            downtime="one reboot",
            link=_SYSRQ_LINK,
        ),
    ),
    links=(_PANIC_LINK,),
    sources=("Linux kernel/watchdog.c, kernel/workqueue.c", "LISA", "EC2Rescue softlockup"),
)


def _nobody_waits(facts: Facts) -> bool:
    """The guest told of the agent's processes, and none waits for a disk."""
    guest = facts.guest
    return guest is not None and guest.complete and bool(guest.processes)


HUNG_TASK = KnownCause(
    code="B24",
    slug="hung-task",
    title="The guest's disk does not answer: tasks wait for it for ever",
    scenario=Scenario.OS_NOT_RUNNING,
    means="Tasks wait in the kernel for a disk or a network file system for more than two minutes. The storage is "
    "throttled, interrupted or overloaded, or a driver lost a request. Whoever writes to the disk stands "
    "still, the agent with its log as one of the first; the network still answers.",
    looks_like=(
        "INFO: task jbd2/sda1-8:311 blocked for more than 120 seconds.",
        "Kernel panic - not syncing: hung_task: blocked tasks",
        "ps: the agent's process in state D",
    ),
    not_to_confuse=(
        "B32: the disk is gone, I/O fails at once.",
        "B23: a processor is stuck, no disk is involved.",
        "One such line in a log that goes on after it: a pause that is over.",
        "A process in state D for a moment: everybody waits for a disk now and then.",
    ),
    signs=(serial_boot(settled_by_a_prompt=False), replace(inside(), settles=_nobody_waits)),
    variants=(V("kernel-panic-hung-task", "A task waited for a disk for too long, and the kernel stopped for it"),),
    remedies=(_TRACES, RESTART, REDEPLOY),
    links=("azure/virtual-machines/disks-metrics", _PANIC_LINK),
    sources=("Linux kernel/hung_task.c", "gcpdiag SLOW_DISK_READS", "EC2Rescue hungtasks"),
)

RCU_STALL = KnownCause(
    code="B25",
    slug="rcu-stall",
    title="The kernel complains of a processor that makes no progress (RCU stall)",
    scenario=Scenario.OS_NOT_RUNNING,
    means="A processor did not pass through a quiet point for 20 to 60 s: it is stuck in the kernel, or the host "
    "gave it no time. Where nothing is printed after it, the guest hangs.",
    looks_like=(
        "rcu: INFO: rcu_sched self-detected stall on CPU",
        "INFO: rcu_sched detected stalls on CPUs/tasks:",
        "rcu: rcu_preempt kthread starved for 5253 jiffies",
    ),
    not_to_confuse=(
        "B23: the watchdog names the same processor.",
        "One stall in a log that goes on after it: a pause of the host.",
        "«rcu: OOM is now expected behavior» after a stall quotes RCU's own warning.",
    ),
    signs=(serial_boot(settled_by_a_prompt=False),),
    signatures=(
        signature(
            Kind.HANG,
            "kthread starved for",
            KERNEL + r"(?:rcu: )?(?:INFO: )?rcu_\w{1,20} kthread starved for \d+ jiffies",
            "a kernel thread gets no processor",
            "B25 rcu-stall",
            41,
        ),
    ),
    remedies=(_TRACES, RESTART, REDEPLOY),
    links=(_PANIC_LINK,),
    sources=("Linux kernel/rcu/tree_stall.h", "LISA serial_console.py"),
)

OUT_OF_MEMORY = KnownCause(
    code="B26",
    slug="out-of-memory",
    title="The guest's memory ran out: the kernel kills programs or stops",
    scenario=Scenario.OS_NOT_RUNNING,
    means="There is no memory left, so the kernel kills one program after another, or stops where it was told to "
    "(panic_on_oom) or finds none to kill. The agent, sshd and getty can be among the killed ones.",
    looks_like=(
        "Out of memory: Killed process 311 (python3) total-vm:328812kB, …",
        "java invoked oom-killer: gfp_mask=0x201da, order=0",
        "Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled",
        "Out of memory and no killable processes...",
    ),
    not_to_confuse=(
        "B27: «Memory cgroup out of memory»: one service outgrew its own limit.",
        "B30: it happens right at the boot, because huge pages take the memory.",
        "«Userspace Out-Of-Memory (OOM) Killer» is the name of a service.",
    ),
    signs=(
        serial_boot(settled_by_a_prompt=False),
        serial_words("oom"),
        kernel_says(
            r"(?:^|\] )Out of memory: Kill(?:ed)? process \d+ \((?P<culprit>[^)]{1,40})\)",
            "the kernel killed a program for lack of memory",
        ),
    ),
    variants=(V("kernel-panic-oom", "The guest's memory ran out, and the kernel stopped"),),
    remedies=(
        RESTART,
        _RESIZE,
        Remedy(
            "find who takes the memory, and add swap on the temporary disk",
            "ps -eo pid,rss,comm --sort=-rss | head",
            effect="shows the largest programs",
            link=LINUX + "create-swap-file-linux-vm",
        ),
    ),
    links=(_MEASURE_LINK, LINUX + "create-swap-file-linux-vm"),
    sources=("Linux mm/oom_kill.c", "gcloud compute diagnose", "gcpdiag", "EC2Rescue", "laboratory, oom-storm"),
)

OWN_LIMIT = KnownCause(
    code="B27",
    slug="log-collector-oom",
    title="The agent's log collector outgrew its own limit of 30 MB: harmless",
    kind=Nature.BENIGN,
    means="Once an hour the agent collects logs in a process that may use 30 MB. Where it needs more, the kernel "
    "kills that process alone and prints a report that looks like a lack of memory. The agent goes on, and so "
    "does the VM.",
    looks_like=(
        "Memory cgroup out of memory: Killed process 4711 (python3), about once an hour",
        "oom-kill:constraint=CONSTRAINT_MEMCG, … task_memcg=/azure.slice/azure-walinuxagent.slice/…logs.slice",
        "Starting log collection... in the agent's log at the same time",
    ),
    not_to_confuse=("B26: «Out of memory: Killed process» without «cgroup»: the whole machine has no memory left.",),
    signs=(
        serial_words("benign"),
        kernel_says(
            r"(?:^|\] )Memory cgroup out of memory: Kill(?:ed)? process \d+ \((?P<culprit>python[\d.]{0,6})\)",
            "a process outgrew its own limit",
        ),
    ),
    variants=(V("unit-memory-limit", "A program outgrew the memory limit of its own service: no fault of the VM"),),
    remedies=(
        Remedy(
            "nothing to do; to silence it, switch the collection of logs off in /etc/waagent.conf: Logs.Collect=n",
            where=Where.ANYWHERE,
            effect="Azure support gets no logs from the VM by itself any more",
        ),
    ),
    sources=("WALA#2749", "WALA#2805", "WALA#2825"),
)

#: in the kernel's report on a lack of memory: huge pages are reserved and none is in use
_HUGE = r"Node \d{1,4} hugepages_total=(?P<culprit>[1-9]\d{2,8}) hugepages_free=(?P=culprit)\b"

HUGE_PAGES = KnownCause(
    code="B30",
    slug="huge-pages-take-memory",
    title="Huge pages take nearly all memory, so that the boot has none",
    scenario=Scenario.OS_NOT_RUNNING,
    means="vm.nr_hugepages (or hugepages= on the kernel command line) reserves memory that only programs made for "
    "it can use. After the VM was made smaller, or was brought from a larger machine, it takes all there is: "
    "udev and other services are not started, devices never appear, and the kernel kills programs.",
    looks_like=(
        "[FAILED] Failed to start udev Kernel Device Manager.",
        "[ TIME ] Timed out waiting for device dev-ttyS0.device.",
        "Node 0 hugepages_total=3833 hugepages_free=3833 hugepages_surp=0 hugepages_size=2048kB",
        "[    0.847506] Kernel panic - not syncing: System is deadlocked on memory",
    ),
    not_to_confuse=(
        "B01: one device is missing; here all are, because udev is.",
        "B26: programs use the memory; it runs out later than in the boot.",
        "udev can also fail for a damaged file or library: journalctl -b -u systemd-udevd tells.",
    ),
    signs=(serial_boot(),),
    signatures=(
        signature(
            Kind.CAUSE,
            "hugepages_total=",
            KERNEL + _HUGE,
            "huge pages hold memory that nobody uses, while programs are killed for lack of it",
            "B30 huge-pages-take-memory",
            8,
        ),
        signature(
            Kind.PANIC,
            "panic",
            r"^ ?\[ {4}\d\.\d{1,6}\](?:\[ *[TC]?\d+\])? {1,2}(?:---\[ end )?Kernel panic - not syncing: (?:System is"
            r" deadlocked on memory|Out of memory and no killable)",
            "memory ran out within the first seconds, before any program was started",
            "B30 memory-gone-at-start",
            18,
        ),
    ),
    covers=("B01", "B02", "B05", "B26"),
    variants=(
        V("udev-failed", "udev does not start, so that no device appears: often huge pages take all memory"),
        V("memory-gone-at-start", "Memory is gone before the first program starts: huge pages or too small a size"),
    ),
    remedies=(
        at_boot_menu(
            "add systemd.mask=systemd-sysctl.service to the line that begins with linux, and remove hugepages= from it"
        ),
        *by_hand(
            "lower vm.nr_hugepages in /etc/sysctl.conf and /etc/sysctl.d, and build the initramfs anew", link=_HUGE_LINK
        ),
        _RESIZE,
    ),
    links=(_HUGE_LINK,),
    sources=("linux-vm-no-boot-incorrect-hugepages-configuration.md", "Linux mm/oom_kill.c, mm/hugetlb.c"),
)


def _pegged(scene: Scene, _cause: KnownCause) -> Iterable[Seen]:
    metrics = scene.facts.metrics
    if metrics is None or metrics.cpu is not CpuState.PEGGED:
        return ()
    what = f"the processors have been busy to the last for {metrics.cpu_minutes} minutes: {metrics.seen}"
    return (Seen(Reason(what, HOST_METRICS, time=metrics.cpu_since)),)


STARVED = KnownCause(
    code="B38",
    slug="os-starved",
    title="The guest OS hangs: its programs get no processor",
    scenario=Scenario.OS_NOT_RUNNING,
    system=System.BOTH,
    means="The guest booted, and something uses all its processors (or all that its disk may do), so that the "
    "agent, SSH and even a login at the console come to nothing or take minutes. A size with CPU credits (B "
    "series) that are used up looks the same.",
    looks_like=(
        "host metrics: Percentage CPU at 100 for minutes, where it was lower before",
        "the port accepts a connection and no greeting follows",
        "a login prompt in the newest boot, and a login that never ends",
    ),
    not_to_confuse=(
        "B23: the processors stand still, or one spins in the kernel.",
        "B24: they are free, and all wait for a disk.",
        "A VM that always computes at full load and reports well.",
    ),
    signs=(Sign(Need.HOST_METRICS, _pegged),),
    remedies=(
        on_console("log in, find the program with top, and stop it", "works where SSH does not, if slowly"),
        RESTART,
        _RESIZE,
    ),
    links=(_MEASURE_LINK, _RESIZE_LINK),
    sources=("gcloud compute diagnose vm_status", "gcpdiag vm_performance", "laboratory, fault cpu"),
)
