"""The guest's disk, built once from ``recipe/`` and kept in the cache under a hash of that recipe."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.guests.base import LabError

RECIPE = Path(__file__).with_name("recipe")


@dataclass(frozen=True)
class Image:
    """A built image: an Azure-like Debian 12 with the agent, and the key that opens it."""

    folder: Path

    @property
    def disk(self) -> Path:
        """The root file system, never written to: machines run on overlays."""
        return self.folder / "disk.qcow2"

    @property
    def kernel(self) -> Path:
        """The kernel, booted directly."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The small initial RAM disk."""
        return self.folder / "initrd"

    @property
    def ssh_key(self) -> Path:
        """Private key of the users root and azureuser."""
        return self.folder / "id_ed25519"


def ensure_image(cache: Path) -> Image:
    """The image of the recipe as it is now; builds it (about a minute) when the cache has none."""
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"image-{recipe_hash()}"
    with locked(cache, "image"):
        if not folder.exists():
            _build(folder)
    return Image(folder)


def recipe_hash(recipe: Path = RECIPE) -> str:
    """Changes whenever a file of the recipe changes, comes or goes."""
    digest = hashlib.sha256()
    for file in sorted(recipe.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(recipe)}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def locked(cache: Path, what: str) -> Iterator[None]:
    """Only one process at a time makes a thing of the cache; the others wait and find it made."""
    with (cache / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def appearing_whole(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes its name only when it is complete; left out when filling fails."""
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".unfinished", dir=folder.parent))
    try:
        yield unfinished
        os.rename(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _build(folder: Path) -> None:
    with appearing_whole(folder) as unfinished:
        key = unfinished / "id_ed25519"
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(key)], unfinished)
        public_key = key.with_suffix(".pub")
        _run(["sh", str(RECIPE / "build.sh"), str(RECIPE), str(public_key), str(unfinished)], unfinished)


def _run(command: list[str], folder: Path) -> None:
    log = folder / "build.log"
    try:
        with log.open("ab") as output:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is missing: install what lab/packages.txt lists") from error
    if done.returncode != 0:
        newest = log.read_text(errors="replace")[-2000:]
        raise LabError(f"building the guest's image failed (`{' '.join(command[:2])}`):\n{newest}")
