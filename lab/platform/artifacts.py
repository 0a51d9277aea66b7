"""What the agent downloads: the manifests of agent and run command handler, and the handler's package.

The agent's manifest offers no version, so the guest keeps the agent that its distribution installed.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from lab.platform.goal_state import BLOB_BASE, RUN_COMMAND_VERSION
from lab.platform.http_service import XML, Response

_HANDLER = Path(__file__).with_name("run_command_handler")
_ZIP_DATE = (2022, 8, 18, 0, 0, 0)


def artifact(path: str) -> Response | None:
    """The file at ``path`` of the stand-in's blob storage (a query is ignored), or None."""
    name = path.partition("?")[0].rpartition("/artifacts/")[2]
    if name == "agent_manifest.xml":
        return Response(body=_manifest("").encode())
    if name == "run_command_manifest.xml":
        package = f"{BLOB_BASE}/artifacts/run_command.zip"
        return Response(
            body=_manifest(
                f"<Plugin><Version>{RUN_COMMAND_VERSION}</Version><Uris><Uri>{package}</Uri></Uris></Plugin>"
            ).encode(),
            content_type=XML,
        )
    if name == "run_command.zip":
        return Response(body=handler_package(), content_type="application/zip")
    return None


def handler_package() -> bytes:
    """The run command handler as the zip that Azure would serve: files of ``run_command_handler/``, modes kept."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        for file in sorted(_HANDLER.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                entry = zipfile.ZipInfo(str(file.relative_to(_HANDLER)), _ZIP_DATE)
                entry.external_attr = (0o755 if file.parent.name == "bin" else 0o644) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                package.writestr(entry, file.read_bytes())
    return packed.getvalue()


def _manifest(plugins: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<PluginVersionManifest xmlns:i="http://www.w3.org/2001/XMLSchema-instance">'
        f"<Plugins>{plugins}</Plugins></PluginVersionManifest>"
    )
