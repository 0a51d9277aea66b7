"""The network of one VM: a namespace with the platform's addresses, a tap for the guest, its «public» address.

Everything that talks to the guest (the stand-in's servers, ``az``, ``ssh``) does so inside the namespace; the machine's
own network settings are never touched.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.guests.base import LabError
from lab.platform.goal_state import WIRE_SERVER
from lab.platform.imds import ADDRESS as METADATA_ADDRESS

PUBLIC_ADDRESS = "127.0.1.4"
PRIVATE_ADDRESS = "10.0.0.4"
GATEWAY = "10.0.0.1"
GUEST_MAC = "00:0d:3a:00:00:04"
TAP = "tap0"
#: where clients seem to come from: the Internet, so that a guest with a wrong gateway cannot answer them
_CLIENT = "198.51.100.7"
#: fixed, so that a restored guest's neighbour table stays right
_TAP_MAC = "12:34:56:78:9a:bc"

#: A client's packet to the public address goes to the guest itself: a dead guest is silence and a closed port is the
#: guest's own refusal, as with a real public address. A guest that sends from an address which is not its own is not
#: heard, as on Azure.
_TRANSLATION = """
table ip lab
delete table ip lab
table ip lab {
    chain output {
        type nat hook output priority -100
        ip daddr %(public)s dnat to %(private)s
    }
    chain postrouting {
        type nat hook postrouting priority 100
        oifname "%(tap)s" ip saddr 127.0.0.0/8 snat to %(client)s
    }
    chain spoofing {
        type filter hook prerouting priority -300
        iifname "%(tap)s" ip saddr != { %(private)s, 0.0.0.0 } drop
    }
}
"""


class Network:
    """The namespace ``name``, from ``open`` to ``close``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def open(self) -> None:
        """Make the namespace and everything in it; one that an earlier run left behind is replaced."""
        self.close()
        _run("ip", "netns", "add", self.name)
        for line in (
            "link set lo up",
            f"addr add {WIRE_SERVER}/32 dev lo",
            f"addr add {METADATA_ADDRESS}/32 dev lo",
            f"tuntap add dev {TAP} mode tap",
            f"link set {TAP} address {_TAP_MAC}",
            f"addr add {GATEWAY}/24 dev {TAP}",
            f"link set {TAP} up",
        ):
            _run("ip", "-n", self.name, *line.split())
        self.lead_to(PRIVATE_ADDRESS)
        self._run_inside("sysctl", "-q", "-w", "net.ipv4.conf.all.route_localnet=1")

    def lead_to(self, address: str) -> None:
        """Let what is sent to the public address go to this private one, and hear the guest from no other."""
        names = {"public": PUBLIC_ADDRESS, "private": address, "tap": TAP, "client": _CLIENT}
        self._run_inside("nft", "-f", "-", text=_TRANSLATION % names)
        # permanent, or a dead guest would be «no route to host» instead of silence
        _run("ip", "-n", self.name, *f"neigh replace {address} lladdr {GUEST_MAC} nud permanent dev {TAP}".split())

    def close(self) -> None:
        """Remove the namespace, if it is there."""
        if Path("/run/netns", self.name).exists():
            _run("ip", "netns", "del", self.name)

    def _run_inside(self, *command: str, text: str = "") -> None:
        _run("ip", "netns", "exec", self.name, *command, text=text)


def _run(*command: str, text: str = "") -> None:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is missing: install what lab/packages.txt lists") from error
    if done.returncode != 0:
        raise LabError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")
