"""Not the guest's fault, or not a fault at all: the VM's state, its model, the platform."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from azext_vmagent.causes.known_cause import Kind, KnownCause, Need, Remedy, Scene, Seen, Sign, System, Variant, Where
from azext_vmagent.causes.signs import agent_says, guest_shows, refused, serial_line, serial_words, vm_model
from azext_vmagent.facts.guest_facts import Connect, GuestFacts
from azext_vmagent.facts.instance_view import AgentStatus, VmFacts
from azext_vmagent.facts.reading import (
    INSTANCE_VIEW,
    MANAGED_RUN_COMMAND,
    RUN_COMMAND,
    Facts,
)
from azext_vmagent.model import Reason, Scenario

#: a VM younger than this may simply not have reported yet (Windows images take the longest)
YOUNG = timedelta(minutes=15)
#: an agent that works writes to its log at least this often: its heartbeat comes every 30 minutes
_HEARTBEAT = timedelta(minutes=35)

_REFUSED = refused(Need.RUN_COMMAND, RUN_COMMAND, MANAGED_RUN_COMMAND)
_AGENT_LINK = "troubleshoot/azure/virtual-machines/linux/linux-azure-guest-agent"
_WINDOWS_LINK = "troubleshoot/azure/virtual-machines/windows/windows-azure-guest-agent"
_LOOK_AGAIN = Remedy("ask again in a few minutes", "az vm agent-diagnose {vm}", Where.AZ, effect="reads only")


def _silent(vm: VmFacts) -> bool:
    return vm.agent is not AgentStatus.READY


VM_NOT_RUNNING = KnownCause(
    code="P01",
    slug="vm-not-running",
    title="The VM does not run",
    kind=Kind.STATE,
    scenario=Scenario.VM_NOT_RUNNING,
    system=System.BOTH,
    means="The VM is stopped or deallocated, or on its way there, so that no agent can report. Azure shows the agent "
    "as Not Ready, or not at all. Somebody stopped it, a schedule did, or the guest shut itself down (then it is "
    "«stopped», not «deallocated», and is still paid for).",
    looks_like=("PowerState/deallocated", "PowerState/stopped", "the portal: Stopped (deallocated)"),
    not_to_confuse=("B37: the guest powered itself off, which its serial log tells.",),
    signs=(
        vm_model(
            lambda vm: f"Azure shows the power state {vm.power}" if vm.power and not vm.running else None,
            "instanceView.statuses",
            lambda vm: bool(vm.power),
        ),
        _REFUSED,
    ),
    covers=("P06",),
    remedies=(
        Remedy(
            "start it", "az vm start {vm}", Where.AZ, effect="the guest boots; the agent reports some minutes later"
        ),
    ),
    links=("azure/virtual-machines/states-billing",),
    sources=("SupportArticles-docs windows-azure-guest-agent.md, step 1",),
)


def _just_created(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    vm, asked = scene.facts.vm, scene.facts.asked_at
    if vm is None or not _silent(vm):
        return
    if vm.time_created is not None and timedelta(0) <= asked - vm.time_created < YOUNG:
        minutes = (asked - vm.time_created) // timedelta(minutes=1)
        yield Seen(Reason(f"created {minutes} min ago", INSTANCE_VIEW, "timeCreated", time=vm.time_created))
    elif vm.provisioning == "creating":
        yield Seen(Reason("Azure is still creating the VM", INSTANCE_VIEW, "provisioningState"))


JUST_CREATED = KnownCause(
    code="P02",
    slug="just-created",
    title="The VM was created minutes ago",
    kind=Kind.STATE,
    scenario=Scenario.PROVISIONING,
    system=System.BOTH,
    means="A new VM's agent reports only after the first boot and its own set-up: some minutes on Linux, longer on "
    "Windows. Until then Azure shows Not Ready, or no agent at all, and nothing is wrong.",
    looks_like=(
        "ProvisioningState/creating",
        "vmAgent is missing from the instance view, or «VM status blob is found but not yet populated.»",
    ),
    not_to_confuse=(
        "P04: it stays so: the VM was created without an agent.",
        "P06: the VM is older than a quarter of an hour.",
    ),
    signs=(
        Sign(Need.VM_MODEL, _just_created, lambda facts: facts.vm is not None and facts.vm.time_created is not None),
    ),
    covers=("P06",),
    remedies=(_LOOK_AGAIN,),
    links=(_AGENT_LINK, _WINDOWS_LINK),
    sources=("azure-quickstart-templates#5445",),
)

#: publishers and offers whose images come without waagent or the Windows agent, and what they are
_WITHOUT_AGENT = (
    ("fedora-coreos", "Fedora CoreOS"),
    ("azureopenshift", "Red Hat Enterprise Linux CoreOS"),
    ("rh-ocp-worker", "Red Hat Enterprise Linux CoreOS"),
    ("siderolabs", "Talos Linux"),
    ("netgate", "pfSense"),
    ("pfsense", "pfSense"),
    ("opnsense", "OPNsense"),
    ("fortinet", "a Fortinet appliance"),
)
_COREOS = re.compile(r"^(?:Fedora|Red Hat Enterprise Linux) CoreOS\b")


def _image_without_agent(vm: VmFacts) -> str | None:
    named = f"{vm.image} {vm.plan}".lower()
    what = next((what for needle, what in _WITHOUT_AGENT if needle in named), None)
    return f"its image is {what}: {vm.image}" if what and _silent(vm) else None


def _distribution_without_agent(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    if guest is not None and guest.service.load_state in ("", "not-found") and _COREOS.match(guest.distribution):
        yield Seen(Reason(f"the guest is {guest.distribution}, which has no waagent", scene.facts.guest_channel or ""))


IMAGE_WITHOUT_AGENT = KnownCause(
    code="P03",
    slug="image-without-agent",
    title="The image comes without an agent",
    kind=Kind.STATE,
    scenario=Scenario.NO_AGENT_EXPECTED,
    system=System.BOTH,
    means="Some images have no Azure agent by design: Fedora and Red Hat CoreOS, Talos, many firewalls and other "
    "appliances, and images that people made themselves. They report to Azure once, at their first boot, that they are "
    "provisioned; the agent's status stays Not Ready for ever. Extensions and Run Command cannot work there.",
    looks_like=(
        'vmAgentVersion: "Unknown", displayStatus: "Not Ready", since the VM was created',
        "the image's publisher or the plan names an appliance",
        "the console greets with «Fedora CoreOS …», «[talos] …», «Welcome to pfSense …»",
    ),
    not_to_confuse=(
        "P04: the image has an agent, the VM was created with provisionVMAgent=false.",
        "L04: the image had the agent, and its package was removed.",
    ),
    signs=(
        vm_model(_image_without_agent, "storageProfile.imageReference", lambda vm: not _silent(vm)),
        serial_line("CoreOS", r"(?:^|Welcome to )(?:Fedora|Red Hat Enterprise Linux) CoreOS \d", "the guest is CoreOS"),
        serial_line("[talos]", r"^(?:\[ *\d+\.\d+\] )?\[talos\] ", "the guest is Talos Linux"),
        serial_line("pfSense", r"Welcome to (?:Netgate )?pfSense", "the guest is pfSense"),
        serial_line("OPNsense", r"^\*\*\* \S{1,80}: OPNsense \d", "the guest is OPNsense"),
        guest_shows(_distribution_without_agent),
    ),
    covers=("P06", "L04"),
    remedies=(
        Remedy(
            "nothing needs repair: for this image Not Ready is expected", effect="ask the image's maker for support"
        ),
        Remedy(
            "where extensions are needed and the image's maker allows it, install the agent in the guest",
            effect="Run Command and extensions become possible",
            link="azure/virtual-machines/extensions/update-linux-agent",
        ),
    ),
    links=("azure/virtual-machines/linux/no-agent",),
    sources=("fedora-coreos-tracker#1766", "AzurePfSense#1", "WALA#1912", "VMAssist, «do not run on appliances»"),
)


def _switched_off(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    vm = scene.facts.vm
    if vm is None:
        return
    if vm.provision_vm_agent is False and _silent(vm):
        yield Seen(Reason("osProfile says provisionVMAgent: false", INSTANCE_VIEW, "osProfile"))
    elif vm.allow_extension_operations is False:
        what = "osProfile says allowExtensionOperations: false"
        yield Seen(Reason(what, INSTANCE_VIEW, "osProfile"), variant="extensions-forbidden")


def _switched_on(facts: Facts) -> bool:
    vm = facts.vm
    return vm is not None and vm.provision_vm_agent is True and vm.allow_extension_operations is True


NO_AGENT = KnownCause(
    code="P04",
    slug="no-agent-by-design",
    title="The VM was created without an agent",
    kind=Kind.STATE,
    scenario=Scenario.NO_AGENT_EXPECTED,
    system=System.BOTH,
    means="When the VM was created, its model said that it should have no agent (provisionVMAgent=false): then none "
    "is started, and Azure shows Not Ready, as it must. Or only extensions are forbidden "
    "(allowExtensionOperations=false): the agent may report, but no extension and no run command is carried out.",
    looks_like=(
        "osProfile.linuxConfiguration.provisionVMAgent: false",
        "osProfile.allowExtensionOperations: false",
        "This operation cannot be performed when extension operations are disallowed. To allow, please ensure VM "
        "Agent is installed on the VM and the osProfile.allowExtensionOperations property is true.",
        "Disabling the guest agent by sleeping forever; to re-enable, remove /var/lib/waagent/disable_agent and "
        "restart",
    ),
    not_to_confuse=(
        "P03: the model wants an agent, the image has none.",
        "L13: the agent's own configuration file switches extensions off.",
    ),
    signs=(
        Sign(Need.VM_MODEL, _switched_off, _switched_on),
        _REFUSED,
        serial_words("agent"),
        *agent_says("sleeping forever", r"Disabling the guest agent by sleeping forever", on_console=False),
    ),
    variants=(
        Variant("extensions-forbidden", "The VM's model forbids extensions and run commands"),
        Variant("agent-disabled-by-model", "The agent sleeps because the VM was created without one"),
    ),
    covers=("P06",),
    remedies=(
        Remedy("nothing needs repair where that was meant"),
        Remedy(
            "to allow extensions, change the model, and install or wake the agent in the guest",
            "az vm update {vm} --set osProfile.allowExtensionOperations=true",
            Where.AZ,
            effect="extensions and run commands are carried out once an agent reports",
            undo="az vm update {vm} --set osProfile.allowExtensionOperations=false",
        ),
        Remedy(
            "on Linux, wake an agent that was told to sleep",
            "rm /var/lib/waagent/disable_agent && systemctl restart {unit}",
            effect="the agent reports within minutes",
        ),
    ),
    links=("azure/virtual-machines/extensions/update-linux-agent", _WINDOWS_LINK),
    sources=("WALA daemon/main.py and pa/provision/default.py", "terraform#24626", "scylla-cluster-tests#6656"),
)


def _went_silent(vm: VmFacts) -> str | None:
    if vm.agent is not AgentStatus.NOT_READY or not vm.running or vm.provision_vm_agent is False:
        return None
    return (
        f"the VM runs and its agent is Not Ready: {vm.agent_message}" if vm.agent_message else "the agent is Not Ready"
    )


WENT_SILENT = KnownCause(
    code="P06",
    slug="agent-silent",
    title="The VM runs and Azure hears nothing from its agent",
    kind=Kind.STATE,
    system=System.BOTH,
    means="Azure shows Not Ready when the agent has not reported for a while. That is the symptom itself and tells no "
    "cause: the agent may be stopped, cut off, without a network, or the system may be down. A running agent never "
    "says Not Ready of itself, and the time beside the status is that of your question, not of the last report.",
    looks_like=(
        "ProvisioningState/Unavailable, displayStatus: Not Ready",
        "VM Agent is unresponsive.",
        "virtual machine agent status is not ready",
    ),
    not_to_confuse=("P02: the VM is so young that it has not reported yet.", "P03: it never had an agent."),
    signs=(vm_model(_went_silent, "instanceView.vmAgent", lambda vm: vm.agent is AgentStatus.READY),),
    remedies=(
        Remedy(
            "let a diagnosis tell which of the four scenarios it is",
            "az vm agent-diagnose {vm} --ssh-user USER",
            Where.AZ,
            effect="reads only",
        ),
    ),
    links=(_AGENT_LINK, _WINDOWS_LINK),
    sources=("azure-powershell#4168", "WALA#110"),
)


def _agent_works(guest: GuestFacts) -> bool:
    """Its log moves, its process is there, and the Wire Server answers on both ports."""
    newest, now = guest.log.newest, guest.clock
    moves = newest is not None and now is not None and now - newest < _HEARTBEAT
    alive = guest.windows is not None or any(process.worker for process in guest.processes or ())
    reached = all(guest.outcome(port) is Connect.OK for port in (80, 32526))
    return moves and alive and reached and guest.service.running is not False


def _not_noticed(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    vm, guest = scene.facts.vm, scene.facts.guest
    if vm is None or guest is None or not _silent(vm) or not _agent_works(guest):
        return
    if not any(code[0] in "LNIW" and code != "L42" for code in scene.inside):
        said = "the agent's log moves and both ports of the Wire Server answer"
        yield Seen(Reason(said, scene.facts.guest_channel or "", time=guest.log.newest))


PLATFORM_LAGS = KnownCause(
    code="P18",
    slug="platform-lags",
    title="The agent works, Azure still shows the old status",
    kind=Kind.STATE,
    scenario=Scenario.PLATFORM,
    system=System.BOTH,
    means="The platform takes minutes to notice, either way: an agent that has just come back is shown as Not Ready "
    "for a while, one that has just died as Ready. Inside the guest everything that can be seen is as it should be.",
    looks_like=(
        "systemctl status: active (running), and new lines in /var/log/waagent.log",
        "http://168.63.129.16/?comp=versions answers 200 from root",
        "Azure: Not Ready",
    ),
    not_to_confuse=(
        "L28: the service is active and the log does not move.",
        "P11: the Wire Server does not answer.",
    ),
    signs=(guest_shows(_not_noticed),),
    covers=("P06",),
    remedies=(
        _LOOK_AGAIN,
        Remedy(
            "if it stays so, restart the agent (Windows: Restart-Service RdAgent, WindowsAzureGuestAgent)",
            "systemctl restart {unit}",
            effect="a fresh start of the agent",
        ),
    ),
    links=(_AGENT_LINK, _WINDOWS_LINK),
    sources=("measured in a laboratory; how long Azure takes is published nowhere",),
)


_OFF = ("n", "no", "false", "0")
_UPDATE_KEYS = ("AutoUpdate.Enabled", "AutoUpdate.UpdateToLatestVersion")


def _updates_off(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    for key in _UPDATE_KEYS if guest is not None else ():
        value = guest.config.get(key, "") if guest is not None else ""
        if value.lower() in _OFF:
            setting = f"{key}={value}"
            yield Seen(
                Reason(f"the agent does not update itself: {setting}", scene.facts.guest_channel or "", "waagent.conf"),
                setting,
            )


def _updates_on(facts: Facts) -> bool:
    guest = facts.guest
    return guest is not None and any(guest.config.get(key, "").lower() in ("y", "yes", "true") for key in _UPDATE_KEYS)


AUTO_UPDATE_OFF = KnownCause(
    code="P16",
    slug="auto-update-off",
    title="The agent may not update itself",
    kind=Kind.STATE,
    system=System.LINUX,
    means="waagent.conf forbids the agent to fetch newer versions of itself. It goes on with the version of the "
    "distribution's package, which may be years old. That is allowed and seldom the reason for Not Ready, but an old "
    "agent lacks mended faults, and people have seen the portal turn to Not Ready and version Unknown after an hour.",
    looks_like=("/etc/waagent.conf: AutoUpdate.Enabled=n", "[HEARTBEAT] … AutoUpdate: 0"),
    not_to_confuse=("L26: the version itself is known to be broken.", "L13: extensions are switched off, not updates."),
    signs=(
        Sign(Need.GUEST, _updates_off, _updates_on),
        *agent_says("AutoUpdate: 0", r"\[HEARTBEAT\] .{0,300}AutoUpdate: 0\b", on_console=False),
    ),
    remedies=(
        Remedy(
            "allow it to update itself",
            "sed -i 's/^ *AutoUpdate.Enabled *=.*/AutoUpdate.Enabled=y/' /etc/waagent.conf && systemctl restart {unit}",
            effect="the newest version is fetched and started within minutes",
            risk="a newer version runs than the distribution's package has",
            undo="sed -i 's/^ *AutoUpdate.Enabled *=.*/AutoUpdate.Enabled=n/' /etc/waagent.conf && "
            "systemctl restart {unit}",
        ),
        Remedy("or update the package", effect="a newer agent from the distribution"),
    ),
    links=("azure/virtual-machines/extensions/update-linux-agent",),
    sources=("azure-docs#116356", "SupportArticles-docs linux-azure-guest-agent.md, step 2"),
)
