"""What closes a source of evidence: a busy run command, a missing right, no boot diagnostics."""

from __future__ import annotations

from collections.abc import Iterator

from azext_vmagent.causes.known_cause import Kind, KnownCause, Need, Remedy, Scene, Seen, Sign, System, Where
from azext_vmagent.causes.signs import refused, vm_model
from azext_vmagent.facts.instance_view import VmFacts
from azext_vmagent.facts.reading import INSTANCE_VIEW, MANAGED_RUN_COMMAND, RUN_COMMAND, SERIAL_LOG
from azext_vmagent.facts.run_command_obstacles import in_transition
from azext_vmagent.model import Reason

_RUN_COMMAND_LINKS = ("azure/virtual-machines/linux/run-command", "azure/virtual-machines/linux/run-command-managed")
_BOOT_DIAGNOSTICS_LINK = "azure/virtual-machines/boot-diagnostics"
_REFUSED = refused(Need.RUN_COMMAND, RUN_COMMAND, MANAGED_RUN_COMMAND)
#: that one channel was open says nothing about what closes another
_REFUSED_SOMEWHERE = tuple(
    Sign(sign.need, sign.look) for sign in (_REFUSED, refused(Need.BOOT_DIAGNOSTICS, SERIAL_LOG))
)


def _held(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
    """The extension that holds Run Command, by the instance view; that none does there proves nothing."""
    vm = scene.facts.vm
    holding = in_transition(vm.extensions) if vm is not None and vm.running else None
    if vm is not None and holding is not None and holding.code == cause.code:
        name = vm.transitioning_extensions[0]
        yield Seen(Reason(f"extension {name} is still in progress", INSTANCE_VIEW, "instanceView.extensions"), name)


RUN_COMMAND_BUSY = KnownCause(
    code="P07",
    slug="run-command-busy",
    title="Run Command is busy with another script",
    kind=Kind.OBSTACLE,
    system=System.BOTH,
    means="Run Command carries out one script at a time. While one is executing, whoever sent it, Azure refuses the "
    "next one at once. Nobody can cancel a running one; Azure ends it after 90 minutes at the latest. It says nothing "
    "about the guest: only this way into it is closed for now.",
    looks_like=(
        "(Conflict) Run command extension execution is in progress. Please wait for completion before invoking a run "
        "command.",
        "the VM's provisioning state is Updating",
    ),
    not_to_confuse=(
        "P08: the same refusal long after 90 minutes: nothing executes any more, the extension is stuck.",
        "P19: another operation (a resize, a redeploy) holds the VM.",
    ),
    signs=(_REFUSED,),
    covers=("P19",),
    remedies=(
        Remedy(
            "wait until the running script has ended, then ask again",
            "az vm agent-diagnose {vm}",
            Where.AZ,
            effect="reads only",
        ),
        Remedy(
            "look inside without waiting, through a managed run command, which has a handler of its own",
            "az vm agent-diagnose {vm} --run-command managed",
            Where.AZ,
            effect="creates a run command resource and deletes it again",
        ),
    ),
    links=_RUN_COMMAND_LINKS,
    sources=("azure-cli#32305", "azure-cli#19137", "azure-docs#43356", "azure-docs#10409", "OMS-Agent#1496"),
)

RUN_COMMAND_WEDGED = KnownCause(
    code="P08",
    slug="run-command-wedged",
    title="Run Command's extension is in progress without an end, or still executes",
    kind=Kind.OBSTACLE,
    system=System.BOTH,
    means="The extension that carries out run commands says that it is at work. Either a script still executes, or "
    "the agent was restarted under it (a script that restarts or updates the agent does that) and nobody is left who "
    "would report its end. Then every further run command is refused, past the 90 minutes and even after a restart of "
    "the VM.",
    looks_like=(
        "Run command extension execution is in progress, for hours",
        "extension RunCommandLinux or RunCommandWindows: ProvisioningState/transitioning",
        "VMExtensionProvisioningTimeout",
    ),
    not_to_confuse=(
        "P07: a script that really executes, within its 90 minutes.",
        "P09: nobody ever took the command up, because the agent is silent.",
    ),
    signs=(_REFUSED, Sign(Need.VM_MODEL, _held)),
    covers=("P07", "P19"),
    remedies=(
        Remedy(
            "when the agent is Ready and 90 minutes are over, remove the stuck extension (RunCommandWindows on "
            "Windows)",
            "az vm extension delete {vm} --name RunCommandLinux",
            Where.AZ,
            effect="the next run command installs it again",
            risk="a script that does still execute loses its report",
        ),
        Remedy(
            "then restart the agent, outside of any run command (Windows: Restart-Service WindowsAzureGuestAgent)",
            "systemctl restart {unit}",
            effect="it takes up goal states afresh",
            risk="from inside a run command this is what wedges it",
        ),
    ),
    links=_RUN_COMMAND_LINKS,
    sources=("azure-sdk-for-net#13879", "azure-cli#14642", "SupportArticles-docs error-messages.md"),
)

RUN_COMMAND_NOT_TAKEN_UP = KnownCause(
    code="P09",
    slug="run-command-not-taken-up",
    title="Run Command was accepted and the agent never took it up",
    kind=Kind.OBSTACLE,
    system=System.BOTH,
    means="Azure accepts a run command for a silent agent as well, and then waits. The agent would have to fetch it, "
    "and does not: it is stopped, cut off from the Wire Server, or the guest is down. The request stays in the VM's "
    "queue for 20 to 90 minutes and cannot be taken back. It is a symptom of what is wrong, not of a fault in Run "
    "Command.",
    looks_like=(
        "az vm run-command invoke prints nothing for many minutes",
        "the VM's provisioning state stays Updating",
        "VMAgentStatusCommunicationError: VM has not reported status for VM agent or extensions",
    ),
    not_to_confuse=(
        "P07: refused at once, because another one executes.",
        "P08: the agent reports, only its run command extension does not.",
    ),
    signs=(_REFUSED,),
    covers=("P19",),
    remedies=(
        Remedy(
            "look inside through a way that needs no agent",
            "az vm agent-diagnose {vm} --ssh-user USER",
            Where.AZ,
            effect="tells why the agent is silent",
        ),
        Remedy(
            "where the queue must be free at once, restart the VM",
            "az vm restart {vm}",
            Where.AZ,
            effect="drops the request",
            risk="whatever runs on the VM is interrupted",
            downtime="minutes",
        ),
    ),
    links=_RUN_COMMAND_LINKS,
    sources=("azure-cli#31433", "WALA#2521", "azure-docs#10409"),
)


def _diagnostics_off(vm: VmFacts) -> str | None:
    return "boot diagnostics are off" if vm.boot_diagnostics is False else None


def _diagnostics_broken(vm: VmFacts) -> str | None:
    said = vm.boot_diagnostics_error
    return f"boot diagnostics could not be switched on: {said}" if said else None


BOOT_DIAGNOSTICS_OFF = KnownCause(
    code="P12",
    slug="boot-diagnostics-off",
    title="Boot diagnostics are off: no serial log, no screenshot, no serial console",
    kind=Kind.OBSTACLE,
    system=System.BOTH,
    means="Azure keeps the guest's console output and a picture of its screen only while boot diagnostics are on. They "
    "are the only evidence of a guest that does not boot, and the serial console needs them, too. With them off a "
    "diagnosis cannot tell a dead network from a dead system. It is no fault of the guest.",
    looks_like=(
        "diagnosticsProfile.bootDiagnostics.enabled: false",
        "az vm boot-diagnostics get-boot-log: Please enable boot diagnostics.",
    ),
    not_to_confuse=(
        "P13: they are on, and their storage cannot be read.",
        "B35: they are on and the log stays empty, because the guest's kernel does not write to the serial port.",
    ),
    signs=(
        vm_model(
            _diagnostics_off,
            "diagnosticsProfile.bootDiagnostics.enabled",
            lambda vm: vm.boot_diagnostics is True,
        ),
        refused(Need.BOOT_DIAGNOSTICS, SERIAL_LOG),
    ),
    remedies=(
        Remedy(
            "switch them on, with storage that Azure manages",
            "az vm boot-diagnostics enable {vm}",
            Where.AZ,
            effect="what the guest prints from now on is kept; it shows after some minutes",
            undo="az vm boot-diagnostics disable {vm}",
        ),
    ),
    links=(_BOOT_DIAGNOSTICS_LINK,),
    sources=("azure-cli#29374", "azure-cli#14539"),
)

BOOT_DIAGNOSTICS_UNREADABLE = KnownCause(
    code="P13",
    slug="boot-diagnostics-unreadable",
    title="Boot diagnostics are on, but their storage account cannot be read",
    kind=Kind.OBSTACLE,
    system=System.BOTH,
    means="The VM writes its console log and screenshot into a storage account of yours, and Azure or you cannot get "
    "at it: the account has a firewall, is gone or in another place, forbids shared keys, has a hierarchical "
    "namespace, or is of a kind that boot diagnostics do not support. The guest may be in perfect health.",
    looks_like=(
        'A "Forbidden" response was encountered when accessing this VM\'s boot diagnostic storage account.',
        "StorageAccountTypeNotSupported",
        "409: not yet supported for hierarchical namespace accounts",
        "instanceView.bootDiagnostics.status holds an error",
    ),
    not_to_confuse=(
        "P12: they are off altogether.",
        "P14: the storage is fine, the caller lacks the right to ask for the addresses.",
    ),
    signs=(
        refused(Need.BOOT_DIAGNOSTICS, SERIAL_LOG),
        vm_model(_diagnostics_broken, "instanceView.bootDiagnostics.status", lambda _: False),
    ),
    remedies=(
        Remedy(
            "let Azure manage the storage: no account of yours, no firewall",
            "az vm boot-diagnostics enable {vm}",
            Where.AZ,
            effect="the log is kept in managed storage from now on",
            risk="what the old account holds stays there",
        ),
        Remedy("or let the account's firewall trust Azure services, and the address that you ask from"),
    ),
    links=(_BOOT_DIAGNOSTICS_LINK,),
    sources=(
        "azure-docs#78452",
        "azserialconsole#48",
        "azserialconsole#98",
        "azure-cli-extensions#5734",
        "azure-cli#26050",
        "SupportArticles#748",
        "SupportArticles#292",
    ),
)

RIGHT_MISSING = KnownCause(
    code="P14",
    slug="right-missing",
    title="The caller lacks a right in Azure that the look at this VM takes",
    kind=Kind.OBSTACLE,
    system=System.BOTH,
    means="Reading a VM takes the role Reader; running a script in it, or asking for its console log, takes rights "
    "that Reader does not have. Azure refuses the call and names the missing action. Nothing is wrong with the VM, "
    "but less of it can be seen.",
    looks_like=(
        "(AuthorizationFailed) The client … does not have authorization to perform action "
        "'Microsoft.Compute/virtualMachines/runCommand/action' over scope …",
        "the same for Microsoft.Compute/virtualMachines/retrieveBootDiagnosticsData/action",
    ),
    not_to_confuse=("P15: the right is there, a lock or a policy forbids the call all the same.",),
    signs=_REFUSED_SOMEWHERE,
    remedies=(
        Remedy(
            "ask for a role that holds the action, such as Virtual Machine Contributor, on this VM",
            "az role assignment create --assignee WHO --role 'Virtual Machine Contributor' --scope VM-ID",
            Where.AZ,
            effect="Run Command and boot diagnostics can be asked",
            risk="the role allows changes to the VM as well",
            undo="az role assignment delete --assignee WHO --role 'Virtual Machine Contributor' --scope VM-ID",
        ),
        Remedy(
            "or look inside by hand, which takes no right in Azure",
            "az vm agent-diagnose --print-probe",
            Where.ANYWHERE,
        ),
    ),
    links=("azure/virtual-machines/linux/run-command", _BOOT_DIAGNOSTICS_LINK),
    sources=("Microsoft Learn, «Run scripts in your Linux VM», limiting access", "azure-docs#34457"),
)

LOCKED = KnownCause(
    code="P15",
    slug="locked-by-policy",
    title="A lock or a policy forbids the calls that the look at this VM takes",
    kind=Kind.OBSTACLE,
    system=System.BOTH,
    means="A read-only lock on the VM, its group or the subscription stops every call that is no plain read, and Run "
    "Command and the request for the boot diagnostics are among them; a policy can deny such calls one by one. That "
    "holds for owners, too. A repair would be stopped in the same way.",
    looks_like=(
        "(ScopeLocked) The scope '…' cannot perform write operation because following scope(s) are locked: '…'",
        "(RequestDisallowedByPolicy) Resource '…' was disallowed by policy.",
    ),
    not_to_confuse=("P14: no lock, the caller's role does not hold the action.",),
    signs=_REFUSED_SOMEWHERE,
    remedies=(
        Remedy(
            "see which locks there are; ask their owner before one is taken away",
            "az lock list -g RG -o table",
            Where.AZ,
            effect="reads only",
        ),
        Remedy(
            "or look inside by hand, which is no call to Azure",
            "az vm agent-diagnose --print-probe",
            Where.ANYWHERE,
        ),
    ),
    links=("azure/azure-resource-manager/management/lock-resources",),
    sources=("Microsoft Learn, «Lock your resources to protect your infrastructure»", "ARM error codes"),
)

ANOTHER_OPERATION = KnownCause(
    code="P19",
    slug="another-operation",
    title="Another operation on the VM is in progress",
    kind=Kind.OBSTACLE,
    system=System.BOTH,
    means="Azure changes one thing of a VM at a time. While it is started, resized, redeployed or updated, other calls "
    "are refused or take the older one's place. What a diagnosis sees of the VM may be gone a moment later.",
    looks_like=(
        "(Conflict) The request failed due to conflict with a concurrent request.",
        "OperationPreempted: the operation has been preempted by a more recent operation",
        "… is changing power state",
    ),
    not_to_confuse=(
        "P07: what is in progress is a run command.",
        "P10: what is in progress is an extension.",
    ),
    signs=(_REFUSED,),
    remedies=(
        Remedy(
            "see what is under way",
            "az vm get-instance-view {vm} --query instanceView.statuses -o table",
            Where.AZ,
            effect="reads only",
        ),
        Remedy("when it has ended, ask again", "az vm agent-diagnose {vm}", Where.AZ, effect="reads only"),
    ),
    links=("troubleshoot/azure/virtual-machines/windows/windows-azure-guest-agent",),
    sources=("azure-cli#32305", "azure-docs#10409"),
)
