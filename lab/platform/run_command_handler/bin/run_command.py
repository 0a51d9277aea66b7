"""Runs the script of a run command inside the guest and reports as Azure's own handler does.

The contract: HandlerEnvironment.json names the folders, config/N.settings holds the script, status/N.status the report.
The streams' format and their limit of 4,096 bytes each are those of RunCommandLinux.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

STREAM_LIMIT = 4096
SEQUENCE_VARIABLE = "ConfigSequenceNumber"
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run the newest sequence number's script, once."""
    folders = handler_environment()
    sequence = newest_sequence(Path(folders["configFolder"]))
    done = ROOT / "mrseq"
    if done.exists() and done.read_text() == sequence:
        return
    done.write_text(sequence)
    status_file = Path(folders["statusFolder"]) / (sequence + ".status")
    report(status_file, "transitioning", 0, "Enabling")
    code, stdout, stderr = run(public_settings(Path(folders["configFolder"]), sequence), sequence)
    streams = f"\n[stdout]\n{tail(stdout)}\n[stderr]\n{tail(stderr)}"
    if code == 0:
        report(status_file, "success", 0, "Enable succeeded: " + streams)
    else:
        failure = f"Enable failed: failed to execute command: command terminated with exit status={code}"
        report(status_file, "error", code, failure + streams)


def handler_environment() -> dict[str, str]:
    """Return the folders that the agent chose for this handler."""
    document = json.loads((ROOT / "HandlerEnvironment.json").read_text())
    environment: dict[str, str] = (document[0] if isinstance(document, list) else document)["handlerEnvironment"]
    return environment


def newest_sequence(config_folder: Path) -> str:
    """Return the sequence number to run: the agent's variable, or else the newest settings file's."""
    return os.environ.get(SEQUENCE_VARIABLE) or max((f.stem for f in config_folder.glob("*.settings")), key=int)


def public_settings(config_folder: Path, sequence: str) -> dict[str, Any]:
    """Return the run command as it was asked for."""
    document = json.loads((config_folder / (sequence + ".settings")).read_text())
    settings: dict[str, Any] = document["runtimeSettings"][0]["handlerSettings"]["publicSettings"]
    return settings


def run(settings: dict[str, Any], sequence: str) -> tuple[int, bytes, bytes]:
    """Run the script as root in a folder of its own; return exit code, stdout, stderr."""
    folder = ROOT / "download" / sequence
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "script.sh"
    script.write_text("\n".join(settings.get("script") or []))
    parameters = settings.get("parameters") or []
    environment = dict(os.environ, **{item["name"]: item["value"] for item in parameters if item["name"]})
    command = ["/bin/sh", str(script), *(item["value"] for item in parameters)]
    try:
        result = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=float(settings.get("timeoutInSeconds", 5400)),
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        return 124, expired.stdout or b"", expired.stderr or b""
    return result.returncode, result.stdout, result.stderr


def tail(stream: bytes) -> str:
    """Return the newest part of a stream that a report has room for."""
    return stream[-STREAM_LIMIT:].decode("utf-8", "replace")


def report(status_file: Path, status: str, code: int, message: str) -> None:
    """Write the status document in one step, as the agent reads it at any time."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    inner = {
        "name": "Run Command",
        "operation": "Enable",
        "configurationAppliedTime": now,
        "status": status,
        "code": code,
        "formattedMessage": {"lang": "en", "message": message},
    }
    unfinished = status_file.with_suffix(".tmp")
    unfinished.write_text(json.dumps([{"version": 1.0, "timestampUTC": now, "status": inner}]))
    unfinished.rename(status_file)


if __name__ == "__main__":
    main()
