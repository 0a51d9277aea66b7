"""The platform's side: its status blob, its Wire Server, its extensions, its own events."""

from __future__ import annotations

from collections.abc import Iterator

from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, System, Where
from azext_vmagent.causes.signs import agent_says, refused, told, vm_model
from azext_vmagent.facts.guest_facts import Connect
from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.facts.reading import INSTANCE_VIEW, MANAGED_RUN_COMMAND, RESOURCE_HEALTH, RUN_COMMAND, Facts
from azext_vmagent.facts.run_command_obstacles import NOT_CONVERGED, in_transition
from azext_vmagent.model import Reason, Scenario

_REFUSED = refused(Need.RUN_COMMAND, RUN_COMMAND, MANAGED_RUN_COMMAND)
_AGENT_LINK = "troubleshoot/azure/virtual-machines/linux/linux-azure-guest-agent"
_WINDOWS_LINK = "troubleshoot/azure/virtual-machines/windows/windows-azure-guest-agent"

STATUS_BLOB_MISSING = KnownCause(
    code="P05",
    slug="status-blob-missing",
    title="The blob that the agent writes its status into is missing",
    scenario=Scenario.PLATFORM,
    system=System.BOTH,
    means="The agent reports by writing into a blob that the platform makes for each VM. Where that blob was never "
    "made or is lost, the agent runs, reaches the Wire Server and is Not Ready all the same. Changing the VM's model "
    "makes the platform create it anew.",
    looks_like=(
        "instance view: VM status blob not found.",
        "waagent.log: Failed to report vm agent status: (000008)Failed to get status blob type: 404",
    ),
    not_to_confuse=(
        "P02: «VM status blob is found but not yet populated.»: it is there, and nothing has been written yet.",
        "N17: the blob is there, and both ways to write it fail.",
    ),
    signs=(
        vm_model(
            lambda vm: f"Azure says: {vm.agent_message}" if "blob not found" in vm.agent_message.lower() else None,
            "instanceView.vmAgent.statuses",
            lambda vm: vm.agent is AgentStatus.READY,
        ),
        *agent_says("Failed to get status blob type", r"Failed to get status blob type: 404"),
        *agent_says("The specified blob does not exist", r"HTTP Err: Reason=The specified blob does not exist"),
    ),
    covers=("P06",),
    remedies=(
        Remedy(
            "let Azure apply the VM's model again",
            "az vm reapply {vm}",
            Where.AZ,
            effect="the platform makes what is missing",
        ),
        Remedy(
            "if that does not help, move the VM to another host",
            "az vm redeploy {vm}",
            Where.AZ,
            effect="a new host, and a new status blob",
            risk="the temporary disk is lost",
            downtime="minutes",
        ),
    ),
    links=(_AGENT_LINK,),
    sources=("WALA#652", "WALA#622", "WALA#409"),
)


def _not_converged(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    vm = scene.facts.vm
    if vm is None:
        return
    holding = in_transition(vm.extensions)
    if holding is not None and holding.code != NOT_CONVERGED:
        return
    for extension in vm.failing_extensions:
        said = f": {extension.message[:200]}" if extension.message else ""
        what = f"extension {extension.name} is {extension.state}{said}"
        yield Seen(Reason(what, INSTANCE_VIEW, "instanceView.extensions"), extension.name)


EXTENSION_NOT_CONVERGED = KnownCause(
    code="P10",
    slug="extension-not-converged",
    title="The agent is Ready, an extension is not",
    scenario=Scenario.AGENT_DEGRADED,
    system=System.BOTH,
    means="The agent carries out extensions one after the other. One that has failed, or that never comes to an end, "
    "keeps the whole set from being complete; one in progress also blocks Run Command. The agent itself works.",
    looks_like=(
        "extension …: ProvisioningState/transitioning, or ProvisioningState/failed/…",
        "A new goal state was received, but not all the extensions in the previous goal state have completed",
    ),
    not_to_confuse=(
        "P08: the extension in progress is Run Command's own.",
        "L24: every extension fails with exit code 126: the mount forbids to run programs.",
    ),
    signs=(
        Sign(
            Need.VM_MODEL,
            _not_converged,
            lambda facts: facts.vm is not None and facts.vm.agent is AgentStatus.READY,
        ),
        _REFUSED,
        *agent_says(
            "A new goal state was received",
            r"A new goal state was received, but not all the extensions in the previous goal state have completed",
            recovered_by="All extensions in the goal state have reached a terminal state",
        ),
    ),
    covers=("P19",),
    remedies=(
        Remedy(
            "see which it is, and what it says", "az vm extension list {vm} -o table", Where.AZ, effect="reads only"
        ),
        Remedy(
            "remove the extension and install it anew",
            "az vm extension delete {vm} --name {culprit}",
            Where.AZ,
            effect="the rest can complete",
            risk="what the extension does stops until it is installed again",
        ),
        Remedy("ask for all of them again", "az vm reapply {vm}", Where.AZ, effect="the agent gets a new goal state"),
    ),
    links=("azure/virtual-machines/extensions/troubleshoot", _AGENT_LINK),
    sources=("WALA update.py", "WALA#1059"),
)


def _server_fails(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """The server answers with an error, or not at all although nothing in a Linux guest is in its way."""
    guest, channel = scene.facts.guest, scene.facts.guest_channel or ""
    if guest is None:
        return
    for port, test in sorted(guest.wire.items()):
        if test.status is not None and test.status >= 500:
            yield Seen(Reason(f"the Wire Server answers {test.status} on tcp/{port}", channel, test.tool))
    free = guest.rules.complete and not guest.rules.undecided and not guest.rules.ports()
    named = any(code[0] in "NI" for code in scene.inside)
    silent = guest.root is True and guest.wire.get(80) is not None and guest.wire[80].blocked
    if guest.complete and silent and free and not named and guest.windows is None and guest.route.kind == "unicast":
        yield Seen(Reason("the Wire Server does not answer, and no rule or route of the guest is in the way", channel))


def _server_answers(facts: Facts) -> bool:
    """Both ports answer, and the agent's log, which would tell of errors between good answers, was read as well."""
    guest = facts.guest
    if guest is None or not told("agent log")(facts):
        return False
    return all(guest.outcome(port) is Connect.OK for port in (80, 32526))


_RECOVERED = "Fetching the goal state recovered from previous errors"
#: 502 while the host still computes the settings is no failure: WALA tests_e2e agent_log.py ignores it as well
_VM_SETTINGS_FAIL = r"GET vmSettings (?!.{0,600}VMArtifactsProfileBlob).{0,300}\[5\d\d: "


WIRE_SERVER_FAILS = KnownCause(
    code="P11",
    slug="wire-server-host-side",
    title="The Wire Server does not answer, and nothing in the guest blocks it",
    scenario=Scenario.PLATFORM,
    system=System.BOTH,
    means="The Wire Server is a service of the host that the VM runs on. When it answers with errors (5xx), or not at "
    "all although no rule and no route of the guest is in the way, the fault is on the host's side. The agent runs "
    "and tries again and again; nothing in the guest needs repair.",
    looks_like=(
        "Service temporarily unavailable, sleeping 15s before retrying.",
        "Calling wire server failed: 503",
        "[HTTP Retry] GET http://168.63.129.16/machine/?comp=goalstate -- Status Code 503 -- 6 attempts made",
        "GET vmSettings [correlation ID: …]: [HTTP Failed] [500: Internal Server Error]",
        "Windows: GetVersions() failed with exception: … (503) Server Unavailable",
    ),
    not_to_confuse=(
        "N01: a rule of the guest drops the packets: the connection times out, and the rule is listed.",
        "N20: the test ran as an ordinary user, whom the agent's own rules stop.",
        "N07: a proxy answers in the server's place.",
    ),
    signs=(
        Sign(Need.GUEST, _server_fails, _server_answers),
        *agent_says("Service temporarily unavailable", r"Service temporarily unavailable, sleeping \d"),
        *agent_says("Calling wire server failed", r"Calling wire server failed: 5\d\d"),
        *agent_says(
            "GET vmSettings",
            _VM_SETTINGS_FAIL,
            recovered_by=_RECOVERED,
        ),
        *agent_says(
            "[HTTP Retry]",
            r"\[HTTP Retry\] [A-Z]{3,6} http://168\.63\.129\.16\S{0,300} -- Status Code 5\d\d",
            recovered_by=_RECOVERED,
        ),
        *agent_says("(503) Server Unavailable", r"GetVersions\(\) failed .{0,300}\(503\) Server Unavailable"),
    ),
    remedies=(
        Remedy(
            "see whether Azure knows of a problem",
            "az vm agent-diagnose {vm} --query \"channels[?name=='resource health']\"",
            Where.AZ,
            effect="reads only",
        ),
        Remedy(
            "move the VM to another host",
            "az vm redeploy {vm}",
            Where.AZ,
            effect="another host with another Wire Server",
            risk="the temporary disk is lost, a dynamic address may change",
            downtime="minutes",
        ),
    ),
    links=("azure/virtual-network/what-is-ip-address-168-63-129-16", _AGENT_LINK, _WINDOWS_LINK),
    sources=("WALA#797", "WALA#821", "WALA#3256", "SupportArticles-docs windows-azure-guest-agent.md"),
)


def _platform_event(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    health = scene.facts.health
    if health is not None and health.platform_event:
        said = ": ".join(part for part in (health.title, health.summary) if part)
        yield Seen(
            Reason(said or health.state, RESOURCE_HEALTH, "properties.availabilityState", time=health.occurred_at)
        )


PLATFORM_EVENT = KnownCause(
    code="P17",
    slug="platform-event",
    title="The platform reports a problem of its own",
    scenario=Scenario.PLATFORM,
    system=System.BOTH,
    means="Azure Resource Health says that the VM is unavailable or degraded for a reason that neither you nor the "
    "guest has caused: a failed host, storage that went offline, planned work. The agent falls silent with the VM and "
    "comes back with it.",
    looks_like=(
        "availabilityState: Unavailable or Degraded, context: Platform Initiated",
        "the portal's banner: we're sorry, your virtual machine isn't available",
    ),
    not_to_confuse=("P01: somebody stopped the VM: then Resource Health says «customer initiated».",),
    signs=(
        Sign(
            Need.RESOURCE_HEALTH,
            _platform_event,
            lambda facts: facts.health is not None and facts.health.state.lower() == "available",
        ),
    ),
    covers=("P06",),
    remedies=(
        Remedy("wait: the platform works on it", "az vm agent-diagnose {vm}", Where.AZ, effect="reads only"),
        Remedy(
            "where it lasts, move the VM to another host",
            "az vm redeploy {vm}",
            Where.AZ,
            effect="another host",
            risk="the temporary disk is lost",
            downtime="minutes",
        ),
    ),
    links=("azure/service-health/resource-health-vm-annotation",),
    sources=("Microsoft Learn, «Resource Health virtual machine Health Annotations»",),
)

STATUS_TOO_BIG = KnownCause(
    code="P20",
    slug="extension-status-too-big",
    title="An extension's status file is too big to be reported",
    scenario=Scenario.AGENT_DEGRADED,
    means="Each extension tells its state in a file, which the agent passes on to Azure. A file above 128 KiB is cut "
    "or left out, so that the extension looks as if it never came to an end, although it has done its work. Patch "
    "extensions that list very many packages are the usual case. The agent itself is Ready.",
    looks_like=(
        "[ExtensionStatusError] For Extension Handler … the status file … of size 141892 bytes is too big. Max Limit "
        "allowed is 131072 bytes",
    ),
    not_to_confuse=(
        "P10: the extension really is still at work, or has failed.",
        "L16: no status is written at all, because the disk is full.",
    ),
    signs=agent_says(
        "bytes is too big",
        r"status file (?P<culprit>/\S{1,200}/status/\d{1,9}\.status) of size \d+ bytes is too big",
    ),
    covers=("P10",),
    remedies=(
        Remedy(
            "see which extension it is, and how big its file has grown",
            "ls -l {culprit}",
            effect="reads only",
        ),
        Remedy(
            "update the agent and the extension: newer ones shorten the file",
            link="azure/virtual-machines/extensions/update-linux-agent",
        ),
    ),
    links=("azure/virtual-machines/extensions/update-linux-agent",),
    sources=("WALA#1761", "LinuxPatchExtension#131"),
)
