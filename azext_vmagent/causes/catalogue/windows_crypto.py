"""Windows: the agent's keys and certificates, with which it reads what Azure encrypted for it.

Sources: learn.microsoft.com «Troubleshoot Azure Windows VM Agent issues» and «Troubleshoot extension certificate
issues», VMAssist (Azure/azure-support-scripts). None of it was seen on a Windows guest of our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from azext_vmagent.causes.known_cause import KnownCause, Need, Remedy, Scene, Seen, Sign, System, Variant, Where
from azext_vmagent.causes.signs import agent_says, guest_shows, inside
from azext_vmagent.facts.console_text import printable
from azext_vmagent.facts.reading import INSTANCE_VIEW
from azext_vmagent.model import Reason, Scenario

ARTICLE = "troubleshoot/azure/virtual-machines/windows/windows-azure-guest-agent"
CERTIFICATES = "troubleshoot/azure/virtual-machines/windows/troubleshoot-extension-certificates-issues-windows-vm"
_ARTICLE_NAME = "windows-azure-guest-agent.md"
_CERTIFICATES_NAME = "troubleshoot-extension-certificates-issues-windows-vm.md"
_VMASSIST = "VMAssist (Azure/azure-support-scripts)"


def _extension_says(words: str) -> Sign:
    """The message of an extension that failed; the instance view of a silent agent does not show them."""
    found = re.compile(words)

    def look(scene: Scene, cause: KnownCause) -> Iterator[Seen]:
        vm = scene.facts.vm
        for extension in vm.failing_extensions if vm is not None else ():
            if found.search(extension.message):
                path = f"instanceView.extensions[{extension.name}]"
                yield Seen(Reason(cause.title, INSTANCE_VIEW, path, excerpt=printable(extension.message)))

    return Sign(Need.VM_MODEL, look)


def _key_isolation_off(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """Windows starts the service when it is needed: stopped is no fault, disabled is."""
    windows = scene.facts.guest.windows if scene.facts.guest else None
    service = windows.services.get("KeyIso") if windows else None
    if service is not None and service.start == "disabled":
        yield Seen(Reason("KeyIso is disabled", scene.facts.guest_channel or "", "KeyIso"), "KeyIso")


KEY_ISOLATION = KnownCause(
    code="W07",
    slug="key-isolation",
    title="The agent cannot use CNG Key Isolation (KeyIso)",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="The agent keeps the private key of its certificate with Windows' service CNG Key Isolation (KeyIso). The "
    "service is disabled or does not answer, so the agent has no certificate and cannot read what Azure sends to it.",
    looks_like=(
        "[ERROR] RdCrypt Initialization failed. Error Code: -2147023143.",
        "[WARN] Could not get transport certificate from agent runtime",
    ),
    not_to_confuse=("W08: the service answers, and SYSTEM may not write to the folder of the keys (error code 86).",),
    signs=(
        *agent_says("RdCrypt Initialization failed", what="the agent's cryptography does not start", on_console=False),
        guest_shows(_key_isolation_off, "service"),
    ),
    remedies=(
        Remedy(
            "start CNG Key Isolation, then the agent (elevated PowerShell in the guest)",
            "Set-Service -Name KeyIso -StartupType Manual; Start-Service -Name KeyIso; "
            "Restart-Service -Name WindowsAzureGuestAgent",
            effect="the agent gets its certificate and reports again",
            link=ARTICLE,
        ),
    ),
    links=(ARTICLE,),
    sources=(_ARTICLE_NAME,),
)

CRYPTO_RIGHTS = KnownCause(
    code="W08",
    slug="crypto-folder-rights",
    title="SYSTEM may not write to the crypto folders",
    scenario=Scenario.AGENT_STOPPED,
    system=System.WINDOWS,
    means="The agent, as SYSTEM, stores its certificate's key below C:\\ProgramData\\Microsoft\\Crypto. Hardening or a "
    "restored backup took SYSTEM's right away there. The agent runs, but extensions do not.",
    looks_like=("[ERROR] … PInvoke PFXImportCertStore failed and null handle is returned. Error Code: 86.",),
    not_to_confuse=("W25: only the protected settings of extensions cannot be read.", "W07: KeyIso does not answer."),
    signs=agent_says("PFXImportCertStore failed", what="the agent cannot store its certificate", on_console=False),
    remedies=(
        Remedy(
            "give SYSTEM full control of Keys, RSA and SystemKeys in C:\\ProgramData\\Microsoft\\Crypto, then restart "
            "the agent; keep the old rights first (icacls … /save)",
            effect="the agent can store its certificate",
            link=ARTICLE,
        ),
    ),
    links=(ARTICLE,),
    sources=(_ARTICLE_NAME,),
)

CERTIFICATE = KnownCause(
    code="W13",
    slug="certificate-expired",
    title="The agent's certificate has expired",
    system=System.WINDOWS,
    means="Azure encrypts the protected settings of extensions for a certificate that the VM keeps in LocalMachine\\My "
    "(TenantEncryptionCert). It is past its end, or gone. The agent may be Ready; extensions with protected settings "
    "fail.",
    looks_like=(
        "TenantEncryptionCert, NotAfter in the past",
        "The enveloped-data message does not contain the specified recipient",
        "No certficate with given thumbprint found in the certificate store (so spelled in the log)",
    ),
    not_to_confuse=("W25: the certificate is there, and its key must not be read.",),
    signs=(
        inside("certificates"),
        _extension_says(
            r"does not contain the specified recipient|[Nn]o certi?ficate with (?:the )?given thumbprint"
            r"|Unable to retrieve the certificate"
        ),
    ),
    variants=(Variant("certificate-missing", "The agent's certificate is not there"),),
    remedies=(
        Remedy(
            "renew it: delete the certificate of «Windows Azure CRP Certificate Generator», then have Azure "
            "send a new one",
            "az vm reapply {vm}",
            where=Where.AZ,
            effect="a new goal state brings a new certificate; then try the extension again",
            risk="extensions cannot read protected settings until it is there",
            link=CERTIFICATES,
        ),
    ),
    links=(CERTIFICATES,),
    sources=(_VMASSIST, _CERTIFICATES_NAME),
)

MACHINE_KEYS = KnownCause(
    code="W25",
    slug="machine-keys-rights",
    title="The rights of MachineKeys keep protected settings closed",
    system=System.WINDOWS,
    means="The keys of the VM's certificates lie in C:\\ProgramData\\Microsoft\\Crypto\\RSA\\MachineKeys. With wrong "
    "rights there, neither the agent nor an extension gets at the key, and settings that Azure encrypted stay closed. "
    "The agent is Ready; extensions with protected settings fail.",
    looks_like=(
        "Failed to decode, decrypt, and deserialize the protected settings string. Error Message: "
        "Keyset does not exist",
        "Decrypting Protected Settings - Invalid provider type specified",
        "[ERROR] Failed to get TransportCertificate. … Self-signed Certificate Generation failed. Error "
        "Code: -2146893808.",
    ),
    not_to_confuse=("W13: the certificate itself is gone or past its end.", "W08: the agent cannot store any key."),
    signs=(
        _extension_says(
            r"FailedToDecryptProtectedSettings|[Kk]eyset does not exist|decrypt, and deserialize the protected settings"
            r"|Decrypting Protected Settings - Invalid provider type"
        ),
        *agent_says(
            "Self-signed Certificate Generation failed",
            what="the agent cannot make a key for its certificate",
            on_console=False,
        ),
    ),
    remedies=(
        Remedy(
            "compare the rights with the usual ones, keep them, then give SYSTEM full control (elevated PowerShell)",
            r"icacls.exe C:\ProgramData\Microsoft\Crypto\RSA\MachineKeys /save $env:TEMP\MachineKeys.acl /t /c; "
            r"icacls.exe C:\ProgramData\Microsoft\Crypto\RSA\MachineKeys /t /c",
            effect="keeps and lists the rights; the article has the commands that mend them",
            link=CERTIFICATES,
        ),
    ),
    links=(CERTIFICATES,),
    sources=(_VMASSIST, _CERTIFICATES_NAME),
)
