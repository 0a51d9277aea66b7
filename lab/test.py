"""The tests on the real guest. Skipping them is said loudly, and never allowed in CI.

``make lab-test`` runs those that tell the whole story; ``make test-faults`` (``every_fault``) makes and diagnoses every
fault, ``make test-repairs`` (``every_repair``) puts right what can be and tries what must be left alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_TOOLS = ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "ip", "nft", "ssh", "zstd")

#: the markers of those that take longer than a submission's tests may
_LONG = ("every_fault", "every_repair")


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
    chosen = arguments[0] if arguments else f"real_guest and not {' and not '.join(_LONG)}"
    reason = missing()
    if reason is None:
        # two workers with a guest each: a guest under emulation waits more than it works
        command = [sys.executable, "-m", "pytest", "-q", "-m", chosen, "-n", "2", "--dist", "worksteal"]
        return subprocess.run([*command, "--durations=15"], check=False).returncode
    print(f"\n{'!' * 100}\nTHE TESTS ON THE REAL GUEST WERE SKIPPED: {reason}\n{'!' * 100}\n", file=sys.stderr)
    return 1 if os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
