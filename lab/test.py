"""The tests on the real guest. Skipping them is said loudly, and never allowed in CI.

``make lab-test`` runs those that tell the whole story; ``make test-faults`` (``--every-fault``) makes every fault;
``make test-repairs`` (``--repairs``) repairs what has a cure and sees the rest refused: an hour, so no other runs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_MATRIX = "tests/real_guest/test_repairs.py"
_TOOLS = ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "ip", "nft", "ssh", "zstd")


def missing() -> str | None:
    """What keeps a real guest from running here, or None."""
    if sys.platform != "linux":
        return "the real guest needs Linux"
    if os.geteuid() != 0:
        return "the real guest needs root (a network namespace of its own): sudo make lab-test"
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if absent:
        return f"missing: {', '.join(absent)}; on Debian: xargs -a lab/packages.txt apt-get install -y"
    return None


def main(arguments: list[str]) -> int:
    """Run them, or say why not."""
    chosen = "every_fault" if arguments else "real_guest and not every_fault"
    where = [_MATRIX] if arguments == ["--repairs"] else [f"--ignore={_MATRIX}"]
    reason = missing()
    if reason is None:
        # two workers with a guest each: a guest under emulation waits more than it works
        command = [sys.executable, "-m", "pytest", "-q", "-m", chosen, "-n", "2", "--dist", "worksteal", *where]
        return subprocess.run([*command, "--durations=15"], check=False).returncode
    print(f"\n{'!' * 100}\nTHE TESTS ON THE REAL GUEST WERE SKIPPED: {reason}\n{'!' * 100}\n", file=sys.stderr)
    return 1 if os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
