"""The environment in which plain, unmodified `az` works against the stand-in.

Its own configuration folder (the user's ``~/.azure`` is never touched), the laboratory's CA beside the public ones, a
cloud registered with the stand-in's endpoints, and a login: as a managed identity the App Service way, or as a user
the Cloud Shell way (``cloud-shell``), for which the login host is answered behind an HTTPS proxy.
Extensions are those in ``$VMAGENT_LAB_EXTENSIONS`` when it is set, else the ones added here with `az extension add`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import openssh
from lab.guests.base import LabError

LOGINS = ("managed-identity", "cloud-shell")
CLOUD = "VmagentLab"

_FOREIGN = (
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IDENTITY_SERVER_THUMBPRINT",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
    "ACC_CLOUD",
    "AZUREPS_HOST_ENVIRONMENT",
    "ARM_CLOUD_METADATA_URL",
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Endpoints:
    """What the daemon tells about itself."""

    base_url: str
    identity_header: str
    ca: Path
    login_proxy: str
    namespace: str | None
    ssh: tuple[tuple[str, str], ...] = ()
    cloud_shell: bool = True


def environment(endpoints: Endpoints, login: str, folder: Path, bundle: Path) -> dict[str, str]:
    """The variables to set (``folder`` is az's configuration, ``bundle`` the CA file for it)."""
    variables = {
        "AZURE_CONFIG_DIR": str(folder),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "AZURE_CORE_SURVEY_MESSAGE": "no",
        "REQUESTS_CA_BUNDLE": str(bundle),
        "NO_PROXY": "localhost,127.0.0.1",
        # az is `python -m`: in the checkout it would import the extension's source, not the wheel
        "PYTHONSAFEPATH": "1",
    }
    if os.environ.get("VMAGENT_LAB_EXTENSIONS"):
        variables["AZURE_EXTENSION_DIR"] = os.environ["VMAGENT_LAB_EXTENSIONS"]
    if login == "cloud-shell":
        variables.update(
            ACC_CLOUD="PROD",
            AZUREPS_HOST_ENVIRONMENT="cloud-shell/1.0",
            HTTPS_PROXY=endpoints.login_proxy,
        )
    else:
        variables.update(IDENTITY_ENDPOINT=f"{endpoints.base_url}/msi/token", IDENTITY_HEADER=endpoints.identity_header)
    return variables


def merged(variables: Mapping[str, str], base: Mapping[str, str]) -> dict[str, str]:
    """A whole environment: ``base`` without what would lead `az` elsewhere, and the variables."""
    dropped = {name.upper() for name in _FOREIGN + _PROXIES}
    if (
        "IDENTITY_ENDPOINT" in variables
    ):  # with the Cloud Shell login a proxy is set; otherwise the user's may serve pip
        dropped -= {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
    kept = {name: value for name, value in base.items() if name.upper() not in dropped}
    return {**kept, **variables, "no_proxy": variables["NO_PROXY"]}


def write_bundle(ca: Path, target: Path, base: Mapping[str, str]) -> None:
    """The public CAs, those the user trusts already, and the laboratory's."""
    import certifi

    parts = [Path(certifi.where())]
    parts += [Path(base[name]) for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE") if base.get(name)]
    texts = [part.read_text() for part in dict.fromkeys(parts) if part.is_file() and part != target]
    target.write_text("\n".join([*texts, ca.read_text()]))


def executable() -> str:
    """The `az` beside this Python, else the one on the path."""
    beside = Path(sys.executable).parent / "az"
    found = str(beside) if beside.exists() else shutil.which("az")
    if found is None:
        raise LabError("there is no az beside this Python nor on the path; install azure-cli (make venv does)")
    return found


def inside(namespace: str | None, command: Sequence[str]) -> list[str]:
    """A command line that runs where the guest's network is."""
    return [*(["ip", "netns", "exec", namespace] if namespace else []), *command]


def prepare(endpoints: Endpoints, login: str, folder: Path) -> dict[str, str]:
    """The whole environment for `az`, with the cloud registered and logged in; done once per laboratory and login."""
    if login == "cloud-shell" and not endpoints.cloud_shell:
        raise LabError("Cloud Shell's token port 50342 is taken, by another laboratory perhaps; only one can have it")
    folder.mkdir(parents=True, exist_ok=True)
    bundle = folder / "ca-bundle.pem"
    if not bundle.exists():
        write_bundle(endpoints.ca, bundle, os.environ)
    variables = merged(environment(endpoints, login, folder, bundle), os.environ)
    variables["PATH"] = f"{openssh.prepare(folder, endpoints.ssh)}{os.pathsep}{variables.get('PATH', os.defpath)}"
    done = folder / "lab-login"
    if not done.exists() or done.read_text() != endpoints.base_url:
        for name in ("clouds.config", "azureProfile.json"):  # what an earlier attempt may have left
            (folder / name).unlink(missing_ok=True)
        _run(
            endpoints,
            variables,
            "cloud",
            "register",
            "--name",
            CLOUD,
            "--endpoint-resource-manager",
            endpoints.base_url,
        )
        _run(endpoints, variables, "cloud", "set", "--name", CLOUD)
        _run(endpoints, variables, "login", "--identity")
        done.write_text(endpoints.base_url)
    return variables


def exports(variables: Mapping[str, str]) -> str:
    """Lines for `eval`."""
    lines = [f"unset {name}" for name in _FOREIGN if name not in variables]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(lines)


def _run(endpoints: Endpoints, variables: Mapping[str, str], *arguments: str) -> None:
    command = inside(endpoints.namespace, [executable(), *arguments, "--output", "none", "--only-show-errors"])
    result = subprocess.run(command, env=dict(variables), capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise LabError(f"az {' '.join(arguments)} failed: {result.stderr.strip() or result.stdout.strip()}")
