"""Which rule of the guest's firewall keeps root from the Wire Server, who owns it, and how to take it back.

Pure. The listings are evaluated as the kernel walks them: per hook, chains in priority order, first terminal rule wins,
jumps followed, policies last. A rule with a match that cannot be judged from its text is reported, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

WIRE_SERVER = "168.63.129.16"
WIRE_PORTS = (80, 32526)


@dataclass(frozen=True)
class BlockingRule:
    """A rule that keeps root from ``ports`` of the Wire Server.

    ``tool`` is what owns it and must be used to remove it: firewalld-direct, firewalld-passthrough, firewalld-policy,
    firewalld-panic, ufw, iptables, iptables-legacy, nft, ip-route or agent (the agent's own rules, half-applied).
    ``rule`` is verbatim from the listing; ``undo`` runs as root as it stands, or is None when there is no safe one-liner.
    ``stays`` says whether it comes back after a reload or reboot (None: unknown).
    """

    tool: str
    rule: str
    where: str
    action: str
    ports: tuple[int, ...]
    undo: str | None
    stays: bool | None = None
    direction: str = "out"


@dataclass(frozen=True)
class UndecidedRule:
    """A rule that may block, with the part of its text that could not be judged."""

    tool: str
    rule: str
    where: str
    because: str
    ports: tuple[int, ...]


@dataclass(frozen=True)
class RuleAnalysis:
    """What the listings say. ``own`` are the agent's own rules as seen, which are no block (domain of the agent since 2.2.9).

    ``complete`` is False when a listing was cut, refused or missing: then «no blocking rule» proves nothing.
    ``listed`` names the tools whose rules were seen, also when they hold none.
    """

    blocks: tuple[BlockingRule, ...] = ()
    undecided: tuple[UndecidedRule, ...] = ()
    own: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Every listing that the guest has was read whole."""
        return bool(self.listed) and not self.missing

    def ports(self) -> frozenset[int]:
        """The Wire Server ports that some rule blocks for sure."""
        return frozenset(port for block in self.blocks for port in block.ports)
