"""What the actions on rules say alike."""

from __future__ import annotations

NAMES = {
    "firewalld-direct": "the firewalld direct rule",
    "firewalld-passthrough": "the firewalld passthrough rule",
    "firewalld-policy": "firewalld's policy",
    "firewalld-panic": "firewalld's panic mode",
    "ufw": "the ufw rule",
    "iptables": "the iptables rule",
    "nft": "the nftables rule",
}
UNKNOWN = "whether it comes back after a reboot is not known"
_BOTH, _RUNTIME = "the permanent rule is removed as well", "runtime rule only, nothing permanent to remove"
_SAVED = {
    "iptables": "the same line goes from /etc/iptables/rules.v4 or /etc/sysconfig/iptables; what else sets it at boot,"
    " if anything does, is not known",
    "nft": "the same line goes from /etc/nftables.conf or /etc/sysconfig/nftables.conf; what else sets it at boot,"
    " if anything does, is not known",
}
PROOF = "the Wire Server answers root on tcp/80 and tcp/32526, every other rule is as before, Azure reports Ready"


def kept(arguments: tuple[str, ...]) -> str:
    """Whether the rule is gone for good."""
    tool = arguments[0]
    if tool == "firewalld-panic":
        return _RUNTIME
    if tool.startswith("firewalld-"):
        return _BOTH if arguments[1] == "both" else _RUNTIME
    return _BOTH if tool == "ufw" else _SAVED[tool]


def rule_text(arguments: tuple[str, ...]) -> str:
    """The rule as people know it, with where the kernel has it.

    >>> rule_text(("nft", "inet", "filter", "output", "7", "ip daddr 168.63.129.16 drop"))
    'ip daddr 168.63.129.16 drop   (inet filter output)'
    """
    tool, *rest = arguments
    if tool in ("iptables", "nft"):
        kernel, (text, place) = tool == "nft", (rest[4], rest[:3])
        return f"{text}   ({' '.join(place if kernel else place[1:2])})"
    if tool == "firewalld-policy":
        return f"{': '.join(rest[1:])}   ({_SCOPES[rest[0]]})"
    if tool == "ufw":
        return rest[0] if rest[0] != "-" else "that denies by default"
    return f"{' '.join(rest[1:])}   ({_SCOPES[rest[0]]})" if rest else ""


_SCOPES = {"both": "runtime and permanent", "runtime": "runtime"}
