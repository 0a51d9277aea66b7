"""The documents that tell the agent what its VM should be: goal state, configurations, extension settings.

Shapes as the agent's own parsers read them: azurelinuxagent/common/protocol/{goal_state,wire}.py and
extensions_goal_state_from_extensions_config.py of WALinuxAgent 2.7. A new incarnation makes the agent fetch again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.sax.saxutils import escape

WIRE_SERVER = "168.63.129.16"
CONTAINER_ID = "c6d5526c-5ac2-4200-b6e2-56f2b70c5ab2"
ROLE_ID = "b61f93d0-e1ed-40b2-b067-22c243233448"
INSTANCE = "_lab"
RUN_COMMAND_HANDLER = "Microsoft.CPlat.Core.RunCommandLinux"
RUN_COMMAND_VERSION = "1.0.3"
#: where the stand-in keeps artifacts and the status blob: the Wire Server's address, as the guest has no other route
BLOB_BASE = f"http://{WIRE_SERVER}:80/blob"

_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
_STATUS_BLOB_QUERY = "sv=2018-03-28&sr=b&sk=system-1&sig=lab&se=9999-01-01T00%3a00%3a00Z&sp=rw"
_SUPPORTED_VERSIONS = (
    "2015-04-05",
    "2012-11-30",
    "2012-09-15",
    "2012-05-15",
    "2011-12-31",
    "2011-10-15",
    "2011-08-31",
    "2011-04-07",
    "2010-12-15",
    "2010-28-10",
)


@dataclass(frozen=True)
class GoalState:
    """One wanted state of the VM. ``sequence`` is the newest run command's number, -1 before the first."""

    incarnation: int = 1
    sequence: int = -1
    #: the run command handler's public settings, None before the first run command
    settings: dict[str, Any] | None = None

    def with_run_command(
        self, script: Sequence[str], parameters: Sequence[tuple[str, str]], timeout: float
    ) -> GoalState:
        """The next incarnation, which wants ``script`` to be run."""
        settings: dict[str, Any] = {"script": list(script), "timeoutInSeconds": int(timeout)}
        if parameters:
            settings["parameters"] = [{"name": name, "value": value} for name, value in parameters]
        return replace(self, incarnation=self.incarnation + 1, sequence=self.sequence + 1, settings=settings)


def versions() -> str:
    """Answer to ``/?comp=versions``: the support article's own listing, indentation included."""
    supported = "".join(f"    <Version>{version}</Version>\n" for version in _SUPPORTED_VERSIONS)
    return (
        f"{_HEAD}<Versions>\n  <Preferred>\n    <Version>{_SUPPORTED_VERSIONS[0]}</Version>\n  </Preferred>\n"
        f"  <Supported>\n{supported}  </Supported>\n</Versions>"
    )


def goal_state(state: GoalState) -> str:
    """Answer to ``/machine/?comp=goalstate``: the incarnation and where everything else is."""
    config = f"http://{WIRE_SERVER}:80/machine/{CONTAINER_ID}/{INSTANCE}?comp=config&amp;type="
    incarnation = state.incarnation
    return (
        f'{_HEAD}<GoalState xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xsi:noNamespaceSchemaLocation="goalstate10.xsd">\n'
        f"  <Version>2012-11-30</Version>\n  <Incarnation>{incarnation}</Incarnation>\n"
        "  <Machine>\n    <ExpectedState>Started</ExpectedState>\n"
        "    <StopRolesDeadlineHint>300000</StopRolesDeadlineHint>\n"
        "    <LBProbePorts>\n      <Port>16001</Port>\n    </LBProbePorts>\n"
        "    <ExpectHealthReport>FALSE</ExpectHealthReport>\n  </Machine>\n"
        f"  <Container>\n    <ContainerId>{CONTAINER_ID}</ContainerId>\n    <RoleInstanceList>\n      <RoleInstance>\n"
        f"        <InstanceId>{ROLE_ID}.{INSTANCE}</InstanceId>\n        <State>Started</State>\n"
        "        <Configuration>\n"
        f"          <HostingEnvironmentConfig>{config}hostingEnvironmentConfig&amp;incarnation={incarnation}"
        "</HostingEnvironmentConfig>\n"
        f"          <SharedConfig>{config}sharedConfig&amp;incarnation={incarnation}</SharedConfig>\n"
        f"          <ExtensionsConfig>{config}extensionsConfig&amp;incarnation={incarnation}</ExtensionsConfig>\n"
        f"          <FullConfig>{config}fullConfig&amp;incarnation={incarnation}</FullConfig>\n"
        f"          <ConfigName>{ROLE_ID}.{incarnation}.{ROLE_ID}.{incarnation}.{INSTANCE}.1.xml</ConfigName>\n"
        "        </Configuration>\n      </RoleInstance>\n    </RoleInstanceList>\n  </Container>\n</GoalState>"
    )


def hosting_environment_config(state: GoalState) -> str:
    """The deployment that the VM belongs to; the agent reads its names into telemetry only."""
    nowhere = "00000000-0000-0000-0000-000000000000"
    return (
        f'{_HEAD}<HostingEnvironmentConfig version="1.0.0.0" goalStateIncarnation="{state.incarnation}">'
        f'<StoredCertificates /><Deployment name="{ROLE_ID}" guid="{{{ROLE_ID}}}" incarnation="0"'
        f' isNonCancellableTopologyChangeEnabled="false"><Service name="lab" guid="{{{nowhere}}}" />'
        f'<ServiceInstance name="{ROLE_ID}.0" guid="{{{ROLE_ID}}}" /></Deployment>'
        f'<Incarnation number="1" instance="{INSTANCE}" guid="{{{ROLE_ID}}}" />'
        f'<Role guid="{{{ROLE_ID}}}" name="lab" hostingEnvironmentVersion="1" software=""'
        ' softwareType="ApplicationPackage" entryPoint="" parameters="" settleTimeSeconds="0" />'
        '<HostingEnvironmentSettings name="full" Runtime=""><CAS mode="full" /><PrivilegeLevel mode="max" />'
        "</HostingEnvironmentSettings></HostingEnvironmentConfig>"
    )


def shared_config(state: GoalState, private_address: str) -> str:
    """The instances of the deployment: this VM alone."""
    return (
        f'{_HEAD}<SharedConfig version="1.0.0.0" goalStateIncarnation="{state.incarnation}">'
        f'<Deployment name="{ROLE_ID}" guid="{{{ROLE_ID}}}" incarnation="0" />'
        f'<Incarnation number="1" instance="{INSTANCE}" guid="{{{ROLE_ID}}}" />'
        f'<Role guid="{{{ROLE_ID}}}" name="lab" settleTimeSeconds="0" />'
        f'<Instances><Instance id="{INSTANCE}" address="{private_address}" /></Instances></SharedConfig>'
    )


def extensions_config(state: GoalState) -> str:
    """Which agent and extensions are wanted with which settings, and where the status blob is."""
    agent_manifest = f"{BLOB_BASE}/artifacts/agent_manifest.xml"
    return (
        f'<Extensions version="1.0.0.0" goalStateIncarnation="{state.incarnation}">'
        '<GuestAgentExtension xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><GAFamilies><GAFamily>'
        f"<Name>Prod</Name><Uris><Uri>{agent_manifest}</Uri></Uris></GAFamily></GAFamilies>"
        f"<Location>{agent_manifest}</Location></GuestAgentExtension>{_plugins(state)}"
        f'<StatusUploadBlob statusBlobType="BlockBlob">{BLOB_BASE}/$system/lab.status?{escape(_STATUS_BLOB_QUERY)}'
        "</StatusUploadBlob></Extensions>"
    )


def _plugins(state: GoalState) -> str:
    if state.settings is None:
        return ""
    manifest = f"{BLOB_BASE}/artifacts/run_command_manifest.xml"
    settings = {"runtimeSettings": [{"handlerSettings": {"publicSettings": state.settings}}]}
    plugin = f'name="{RUN_COMMAND_HANDLER}" version="{RUN_COMMAND_VERSION}"'
    return (
        f'<Plugins><Plugin {plugin} location="{manifest}" config="" state="enabled" autoUpgrade="false"'
        f' failoverlocation="{manifest}" runAsStartupTask="false" isJson="true" useExactVersion="true" /></Plugins>'
        f'<PluginSettings><Plugin {plugin}><RuntimeSettings seqNo="{state.sequence}">{escape(json.dumps(settings))}'
        "</RuntimeSettings></Plugin></PluginSettings>"
    )
