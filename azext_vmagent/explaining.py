"""Which cause somebody means, and what is said where there is none of that name."""

from __future__ import annotations

from azext_vmagent.causes.catalogue import find_cause
from azext_vmagent.causes.known_cause import KnownCause
from azext_vmagent.report.explain import near


def one_cause(name: str, filtered: str | None = None) -> KnownCause:
    """The cause with this code, slug or variant's slug. Raises az's error for a wrong argument."""
    from azure.cli.core.azclierror import InvalidArgumentValueError, MutuallyExclusiveArgumentError

    if filtered:
        raise MutuallyExclusiveArgumentError(
            "--scenario and --os choose from the list of causes; --cause names one of them.",
            ["One cause: az vm agent-explain --cause CODE", "A list: az vm agent-explain --scenario 2 --os linux"],
        )
    known = find_cause(name)
    if known is None:
        meant = near(name)
        raise InvalidArgumentValueError(
            f"There is no cause '{name}'." + (f" Near: {', '.join(meant)}." if meant else ""),
            [
                *([f"az vm agent-explain --cause {meant[0].split()[0]}"] if meant else []),
                "List all causes: az vm agent-explain -o table",
            ],
        )
    return known
